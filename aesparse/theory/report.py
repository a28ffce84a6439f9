"""T1 to T13 in one table: each statement on random problems, attacked, and with its number.

Rows come one by one as they are computed. Everything here runs in float64.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse import penalties
from aesparse.activations import ACTIVATIONS, Activation, get_activation
from aesparse.data import load, whiten
from aesparse.model import Params, init_params
from aesparse.theory import expansion, properties, statements
from aesparse.theory.conjectures import CONJECTURES, Conjecture
from aesparse.theory.errata import errata
from aesparse.theory.falsifier import (
    SIZES,
    Falsification,
    Size,
    describe,
    draw,
    falsify,
    smallest_margin,
)

__all__ = ["SIGMAS", "Row", "expansion_curves", "margins", "theorems"]

PROBLEMS = 1000
SIGMAS = 2.0 ** -np.arange(2, 8)  # five octaves
_SIZE = Size(3, 4, 12)
# 100 times the effort that finds every counter-example, 32 × 51 evaluations at three sizes; the
# smaller problems are cases of the largest.
_EFFORT = {"sizes": SIZES[-1:], "starts": 384, "steps": 1279}
_DESCENT_STEPS, _DESCENT_RATE = 100, 1e-3
_SMOOTH = ("softplus", "sigmoid", "tanh")


class Row(NamedTuple):
    """One line of the table: a statement, what became of it, and the number that says so."""

    id: str
    statement: str
    verdict: str
    number: str
    details: dict


@functools.cache
def margins(conjecture: Conjecture, count: int = PROBLEMS) -> Float[np.ndarray, " K"]:
    """The smallest margin of a conjecture on each of `count` random problems."""

    def one(key):
        return smallest_margin(conjecture.statement, conjecture.project(draw(key, _SIZE)))

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), count)))


def theorems() -> Iterator[Row]:
    """All rows: the statements in order, what the falsifier found, the errata."""
    with jax.enable_x64(True):
        for conjecture in CONJECTURES:
            yield _attacked(conjecture)
        for measured in (_along_descent, _orders, _kink, _kl_limit, _biasless_steps):
            yield measured()
        yield from _activations()
        yield from _errata()


def _attacked(conjecture: Conjecture) -> Row:
    effort = _EFFORT if conjecture.true else {}
    found = falsify(conjecture.statement, project=conjecture.project, **effort)
    sampled = margins(conjecture)
    details = {
        "expected": "true" if conjecture.true else "false",
        "smallest_margin_on_random_problems": float(sampled.min()),
        "random_problems": int(np.isfinite(sampled).sum()),
        "smallest_margin_searched": found.margin,
        "evaluations": found.evaluations,
    }
    if found.violated:
        details["counter_example"] = _numbers(found)
        return Row(
            conjecture.id,
            conjecture.title,
            "false",
            f"margin {found.margin:.3g} at {describe(found.problem)}",
            details,
        )
    return Row(
        conjecture.id,
        conjecture.title,
        "holds",
        f"smallest margin {_margin(sampled.min())} on {PROBLEMS:,} problems, "
        f"{_margin(found.margin)} in {found.evaluations:,} evaluations",
        details,
    )


def _margin(value: float) -> str:
    return f"{value:.1e}"


def _numbers(found: Falsification) -> dict:
    problem = found.problem
    return {
        "x": problem.X.tolist(),
        "weight": problem.params.weight.tolist(),
        "bias": problem.params.bias.tolist(),
        "weight_after": problem.after.weight.tolist(),
        "bias_after": problem.after.bias.tolist(),
        "strength": float(problem.strength),
    }


def _row(id_: str, statement: str, holds: bool, number: str, **details) -> Row:
    return Row(id_, statement, "holds" if holds else "fails", number, details)


def _white_digits() -> Float[Array, "N n"]:
    pixels = load("digits").train
    return jnp.asarray(whiten(pixels, 32)(pixels.astype(np.float64)))


def _along_descent() -> Row:
    """Eq. 5 and Theorem 1 along full-batch gradient descent on whitened digits."""
    X, s, penalty = _white_digits(), get_activation("sigmoid"), penalties.log_sparsity()
    start = init_params(jax.random.key(0), X.shape[1], 24, dtype=X.dtype)
    arguments = (s, penalty, 60.0, _DESCENT_RATE)

    def step(params: Params, _):
        identity = statements.theorem1_identity(params, X, *arguments)
        condition = statements.theorem1_condition(params, X, *arguments)
        seen = (
            jnp.min(identity.margin),
            jnp.min(condition.margin),
            jnp.mean(condition.left > condition.right),
        )
        return statements.gradient_step(params, X, *arguments), seen

    _, seen = jax.jit(lambda p: jax.lax.scan(step, p, length=_DESCENT_STEPS))(start)
    identity, fall, share = (float(v) for v in (seen[0].min(), seen[1].min(), seen[2].mean()))
    return _row(
        "T2",
        f"eq. 5 and Theorem 1 at each of {_DESCENT_STEPS} gradient steps, whitened digits, SAE",
        identity >= -1e-12 and fall > 0,
        f"eq. 5 to {-identity:.1e}; condition met by {share:.0%} of units × steps, slowest fall of "
        f"E[a_j] among them {fall:.2g} per unit of rate",
        identity=identity,
        smallest_fall=fall,
        condition_met=share,
    )


@functools.cache
def expansion_curves() -> dict[str, tuple[np.ndarray, float]]:
    """|residual| of DAE's expansion over `SIGMAS` with its fitted order, per activation (T6)."""
    rng, sigmas = np.random.default_rng(3), jnp.asarray(SIGMAS)
    params = Params(jnp.asarray(rng.normal(size=(3, 2))), jnp.asarray(rng.normal(size=3)))
    X = jnp.asarray(rng.normal(size=(6, 2)))
    curves = {
        name: expansion.expansion_residual(params, X, get_activation(name), sigmas)
        for name in _SMOOTH
    }
    weight, bias = jnp.array([0.8, -0.6, 1.1]), jnp.array([0.3, 0.2, -0.5])
    residual, kink = expansion.relu_kink_residual(weight, bias, sigmas)
    curves |= {"relu": residual, "relu, kink term added": residual - kink}
    return {
        name: (np.abs(np.asarray(curve)), float(expansion.fitted_order(sigmas, curve)))
        for name, curve in curves.items()
    }


def _orders() -> Row:
    orders = {name: order for name, (_, order) in expansion_curves().items() if name in _SMOOTH}
    return _row(
        "T6",
        "Theorem 3: J_DAE − (J_AE + σ² penalty) is o(σ²), smooth s (order ≥ 3.5)",
        min(orders.values()) >= 3.5,
        "order in σ: " + ", ".join(f"{name} {order:.2f}" for name, order in orders.items()),
        **orders,
    )


def _kink() -> Row:
    curves = expansion_curves()
    orders = {name: curves[name][1] for name in ("relu", "relu, kink term added")}
    plain, restored = orders.values()
    return _row(
        "T6",
        "ReLU: order 2 only, restored by the mass of s'' at 0",
        abs(plain - 2) <= 0.2 and restored >= 3.5,
        f"order in σ: {plain:.2f}, with the kink term {restored:.2f}",
        **orders,
    )


def _kl_limit() -> Row:
    """Eq. 12 → eq. 13 as ρ → 0 through the shipped penalties, at means of identity units."""
    rho_j, identity = jnp.linspace(0.01, 0.9, 50), get_activation("identity")
    units = Params(jnp.zeros((50, 1)), rho_j)
    x = jnp.zeros((1, 1))

    def value(penalty, units):
        return penalty(units, x, activation=identity)

    each = jax.vmap(lambda b: value(penalties.log_sparsity(), Params(jnp.zeros((1, 1)), b[None])))
    limit = each(units.bias)
    distances = {}
    for rho in (1e-2, 1e-4, 1e-6):
        kl = penalties.kl_sparsity(rho)
        at = jax.vmap(lambda b, kl=kl: value(kl, Params(jnp.zeros((1, 1)), b[None])))(units.bias)
        distances[rho] = float(jnp.max(jnp.abs(at - limit)))
    first, second, third = distances.values()
    return _row(
        "T9",
        "eq. 12 tends to eq. 13 as ρ → 0 (ρ_j from 0.01 to 0.9)",
        first > 50 * second > 2500 * third,
        "largest distance " + ", ".join(f"{d:.1e} at ρ = {rho:g}" for rho, d in distances.items()),
        **{f"{rho:g}": d for rho, d in distances.items()},
    )


def _biasless_steps() -> Row:
    """T10 after real updates: the bias stays 0, the weights move."""
    X, s = _white_digits(), get_activation("sigmoid")
    start = init_params(jax.random.key(0), X.shape[1], 24, dtype=X.dtype)

    def step(params: Params, _):
        moved = statements.gradient_step(params, X, s, penalties.contractive, 0.5, 1e-2)
        return moved._replace(bias=params.bias), None

    end, _ = jax.jit(lambda p: jax.lax.scan(step, p, length=_DESCENT_STEPS))(start)
    margin = float(jnp.min(statements.biasless_mean(end.weight, X).margin))
    moved = float(jnp.max(jnp.abs(end.weight - start.weight)))
    return _row(
        "T10",
        f"E[a_j] = 0 without a bias after {_DESCENT_STEPS} updates on whitened digits",
        margin >= -1e-12 and moved > 0.01,
        f"largest |E[a_j]| {-margin:.1e} of the largest |a_j|; weights moved by up to {moved:.2g}",
        margin=margin,
        moved=moved,
    )


def _maxout_section(other: float) -> Callable[[Array], Array]:
    """Maxout over one of its pieces, the other piece at `other`: no function of one number."""
    return lambda a: jnp.maximum(a, other)


def _activations() -> Iterator[Row]:
    """T11: what the corollaries and the sparsity conclusion need, measured."""
    sections = {name: get_activation(name) for name in ACTIVATIONS}
    sections["maxout, other piece at −1"] = Activation(_maxout_section(-1.0))
    for name, s in sections.items():
        found = {
            "non-decreasing": properties.non_decreasing(s),
            "convex": properties.convex(s),
            "s' in [0, 1]": properties.slope_in_unit_interval(s),
            "s(−∞) = 0": properties.negative_saturation(s),
        }
        told = [
            key if float(v.residual) <= 1e-9 else f"not {key} (by {float(v.residual):.2g})"
            for key, v in found.items()
        ]
        monotone, convex, _, saturates = (float(v.residual) <= 1e-9 for v in found.values())
        covered = [str(i + 1) for i, ok in enumerate((monotone, monotone and convex)) if ok]
        concludes = f"Corollary {' and '.join(covered)}" if covered else "no corollary"
        if not (saturates and covered):
            concludes += ", no sparsity concluded"
        details = {key: float(v.residual) for key, v in found.items()}
        yield Row("T11", f"{name}: {', '.join(told)}", "measured", concludes, details)


def _errata() -> Iterator[Row]:
    for e in errata():
        number = f"printed {e.printed:.4g}, found {e.found:.4g}"
        yield Row("T12", f"{e.source}: {e.text}", "erratum", number, e._asdict())
