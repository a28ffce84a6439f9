"""T1 to T15 in one table: each statement on random problems, attacked, and with its number.

Rows come one by one as they are computed. Everything here runs in float64.
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.data import load, whiten
from aesparse.losses import penalties
from aesparse.models.activations import ACTIVATIONS, get_activation
from aesparse.models.one_layer import Params, init_params
from aesparse.theorems.attacks import PROBLEMS, SIZE, Row, attacked
from aesparse.theory import expansion, maxout, properties, sparsity, statements
from aesparse.theory.conjectures import CONJECTURES
from aesparse.theory.errata import errata
from aesparse.theory.falsifier import Size, centred, draw_many
from aesparse.theory.records import TOLERANCE, hypotheses_hold

__all__ = ["SIGMAS", "expansion_curves", "theorems"]

SIGMAS = 2.0 ** -np.arange(2, 8)  # five octaves
_DESCENT_STEPS, _DESCENT_RATE = 100, 1e-3
_SMOOTH = ("softplus", "sigmoid", "tanh")


def theorems() -> Iterator[Row]:
    """All rows: the statements in order, what the falsifier found, the errata."""
    with jax.enable_x64(True):
        for conjecture in CONJECTURES:
            yield attacked(conjecture)
        for measured in (_along_descent, _bounds, _orders, _remainders, _kink, _biasless_steps):
            yield measured()
        yield from _activations()
        yield from _errata()


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


def _bounds() -> Row:
    """T5's bounds and the measured frequency, where E[a_j] < a_min."""
    s = get_activation("relu")
    problems = jax.vmap(centred)(draw_many(jax.random.key(2), SIZE, PROBLEMS))
    params = problems.params._replace(bias=problems.params.bias - 4)
    bounds = jax.jit(jax.vmap(lambda p, X: sparsity.theorem2_bounds(p, X, s)))(params, problems.X)
    low, middle, high = (bounds[name] for name in ("chebyshev", "cantelli", "measured"))
    below = np.asarray(middle) > 0
    means = {name: float(np.asarray(v)[below].mean()) for name, v in bounds.items()}
    ordered = (low <= middle) & (middle <= high)
    return _row(
        "T5",
        f"ReLU: Pr(h_j <= δ_min) of the {below.sum():,} units with E[a_j] < a_min among "
        f"{PROBLEMS:,} problems",
        bool(np.asarray(ordered | ~below).all()),
        "means: bounds by Cantelli {cantelli:.3f} and Chebyshev {chebyshev:.3f}, "
        "measured {measured:.3f}, for Gaussian a_j {gaussian:.3f}".format(**means),
        **means,
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


def _remainders() -> Row:
    """T6 on random problems of ordinary size, at σ = 2⁻⁷."""
    problems = draw_many(jax.random.key(3), Size(1, 3, 6), PROBLEMS)
    halved = problems.params._replace(weight=problems.params.weight / 2)
    left, holds = {}, True
    for name in _SMOOTH:
        s = get_activation(name)
        claims = jax.jit(jax.vmap(lambda p, X, s=s: expansion.theorem3(p, X, s)))(
            halved, problems.X
        )
        left[name] = float(jnp.max(claims.left))
        holds &= bool(jnp.all(jax.vmap(hypotheses_hold)(claims)) & jnp.all(claims.margin >= 0))
    return _row(
        "T6",
        f"Theorem 3 on {PROBLEMS:,} problems: the remainder over σ² (1 + penalty) at σ = 2⁻⁷",
        holds,
        "largest: " + ", ".join(f"{name} {v:.1e}" for name, v in left.items()),
        **left,
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


def _activations() -> Iterator[Row]:
    """T11: what the corollaries and the sparsity conclusion need, measured."""
    tables = {name: properties.table(get_activation(name)) for name in ACTIVATIONS}
    tables["maxout, 3 pieces"] = maxout.table(3)
    for name, table in tables.items():
        holds = {key: residual <= TOLERANCE for key, residual in table.items()}
        conditions = [k if holds[k] else f"not {k} (by {by:.2g})" for k, by in table.items()]
        monotone, convex, _, saturates = holds.values()
        covered = [str(i + 1) for i, ok in enumerate((monotone, monotone and convex)) if ok]
        concludes = f"Corollary {' and '.join(covered)}" if covered else "no corollary"
        if not (saturates and covered):
            concludes += ", no sparsity concluded"
        yield Row("T11", f"{name}: {', '.join(conditions)}", "measured", concludes, table)


def _errata() -> Iterator[Row]:
    for e in errata():
        number = f"printed {e.printed:.6g}, actual {e.actual:.6g}"
        yield Row("T12", f"{e.source}: {e.text}", "erratum", number, e._asdict())
