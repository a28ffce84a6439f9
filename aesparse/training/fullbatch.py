"""Minimizing an objective over all samples at once by L-BFGS (Nocedal & Wright 7.4, 7.5).

For objectives that draw no noise: their mean runs over the whole training set, as in GSAE's ρ̂,
and a minimum can be reached to many digits. Shapes: G cells, N samples, n inputs.
"""

import functools
import numbers
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from aesparse.errors import InputError
from aesparse.losses.objectives import Objective
from aesparse.models.one_layer import Params, check_params
from aesparse.options import (
    check_counts,
    check_precision,
    check_untransformed,
    checked_numbers,
    shortened,
)
from aesparse.training import guard
from aesparse.training.arguments import (
    check_bounds,
    check_levels,
    check_strengths,
    check_traces,
    checked_data,
    warn_of_precision,
)

__all__ = ["FullBatchResult", "fit_full_batch"]

_MEMORY = 10  # pairs of steps and gradient changes that stand for the Hessian
_CHECKED = 4  # cells that the guard looks at; all run the same program
_RISE = 1e-6  # relative rise of the loss that the line search may take for rounding


class FullBatchResult(NamedTuple):
    """Where each cell ended; not having converged is a matter of these numbers, no error."""

    params: Params  # [G, ...]
    value: Float[Array, " G"]  # the loss there
    gradient_norm: Float[Array, " G"]  # over all parameters of the cell
    iterations: Int[Array, " G"]  # fewer than asked for: converged, or no step lowered the loss
    guard: float  # largest relative difference the numerics guard saw


class _State(NamedTuple):
    params: Params
    solver: optax.OptState
    value: Float[Array, ""]
    gradient: Params
    iterations: Int[Array, ""]
    stalled: Array


def fit_full_batch(
    init: Params,
    X: Array | np.ndarray,
    *,
    objective: Objective,
    strengths: Sequence[float] | Array | np.ndarray,
    max_iterations: int = 400,
    tolerance: float = 1e-5,
    matmul_precision: str = "highest",
) -> FullBatchResult:
    """Minimizes `objective` over all rows of `X [N, n]` from `init [G, ...]`, one cell a strength.

    `strengths` is `[G]` or `[G, K]`. A cell ends when the norm of its gradient is at most
    `tolerance`, after `max_iterations`, or when the zoom line search finds no step that lowers
    the loss (rounding, a kink, a loss that is not finite). One program per objective: the data,
    the strengths, the number of iterations and the tolerance are its arguments. The same call
    with fewer iterations gives the earlier points of the same path.

    The loss and the gradient that the program itself used, at the start and at the solution of
    the first cells, are compared with those of the same objective op by op. Raises `InputError`
    on bad input or an objective that draws noise, `guard.NumericsError` on a miscompiled program.
    """
    check_params(init, "init is")
    check_untransformed(init, X, strengths)
    check_precision(matmul_precision)
    given, X = X, checked_data(X)
    strengths = checked_numbers(strengths, "The strengths are")
    strengths = jnp.atleast_1d(jnp.asarray(strengths, X.dtype))
    init = jax.tree.map(
        lambda leaf: jnp.asarray(checked_numbers(leaf, "init holds"), X.dtype), init
    )
    _check(init, X, strengths, max_iterations, tolerance)
    with jax.default_matmul_precision(matmul_precision):
        check_levels(objective, strengths)
        check_bounds(objective, X)
        objective.activation.check()
        _check_deterministic(objective, init, X, strengths)
        warn_of_precision(given, X)
        limits = (jnp.int32(max_iterations), jnp.asarray(tolerance, X.dtype))
        begin, end = _program(objective)(init, X, strengths, *limits)
        difference = _verify(objective, X, strengths, begin, end)
    return FullBatchResult(end.params, end.value, _norms(end.gradient), end.iterations, difference)


def _loss(objective: Objective, params: Params, X: Array, strength: Array) -> Array:
    # The noise is ignored, as checked beforehand, so any array of its shape will do.
    return objective(params, X, X, strength)[0]


@functools.cache
def _program(objective: Objective) -> Callable:
    """`(init, X, strengths, max_iterations, tolerance) -> (first, last state)`, per cell."""

    def solve(params, X, strength, max_iterations, tolerance):
        loss = functools.partial(_loss, objective, X=X, strength=strength)
        start = _start(loss, params)

        def going(state: _State) -> Array:
            far = _norm(state.gradient) > tolerance
            return far & ~state.stalled & (state.iterations < max_iterations)

        return start, jax.lax.while_loop(going, functools.partial(_step, loss), start)

    def every_cell(init, X, strengths, *limits):
        if jax.default_backend() == "cpu":
            # One after the other: side by side, each cell would wait for the longest line
            # search and pay for both branches of its conditionals.
            return jax.lax.map(lambda cell: solve(cell[0], X, cell[1], *limits), (init, strengths))
        return jax.vmap(solve, in_axes=(0, None, 0, None, None))(init, X, strengths, *limits)

    return jax.jit(every_cell)


def _solver() -> optax.GradientTransformationExtraArgs:
    return optax.lbfgs(memory_size=_MEMORY)


def _start(loss: Callable, params: Params) -> _State:
    value, gradient = jax.value_and_grad(loss)(params)
    stalled = ~jnp.isfinite(value)
    return _State(params, _solver().init(params), value, gradient, jnp.int32(0), stalled)


def _step(loss: Callable, state: _State) -> _State:
    """One iteration; a step that fails to lower the loss is not taken, and ends the search."""
    updates, solver = _solver().update(
        state.gradient,
        state.solver,
        state.params,
        value=state.value,
        grad=state.gradient,
        value_fn=loss,
    )
    params = optax.apply_updates(state.params, updates)
    value, gradient = optax.value_and_grad_from_state(loss)(params, state=solver)
    moved = _norm(updates) > 0
    lowered = value <= state.value + _RISE * jnp.abs(state.value)
    taken = moved & lowered & jnp.isfinite(_norm(gradient))
    new = _State(params, solver, value, gradient, state.iterations + 1, ~taken)
    kept = state._replace(stalled=jnp.asarray(True))
    return jax.tree.map(lambda a, b: jnp.where(taken, a, b), new, kept)


def _norm(tree: Params) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


@jax.jit
def _norms(tree: Params) -> Float[Array, " G"]:
    return jax.vmap(_norm)(tree)


def _verify(objective: Objective, X: Array, strengths: Array, begin: _State, end: _State) -> float:
    """Runs the numerics guard on the losses and gradients of the first and the last point."""
    begin, end = jax.tree.map(lambda leaf: leaf[:_CHECKED], (begin, end))
    points = (begin, end)
    compiled = _groups(*points, [(state.value, state.gradient) for state in points])
    checked = strengths[:_CHECKED]
    reference = _groups(*points, [_op_by_op(objective, state, X, checked) for state in points])
    return guard.compare(compiled, reference, jax.config.jax_default_matmul_precision)


def _op_by_op(objective: Objective, state: _State, X: Array, strengths: Array) -> tuple:
    value_and_gradient = jax.value_and_grad(functools.partial(_loss, objective))
    with jax.disable_jit():
        return jax.vmap(value_and_gradient, in_axes=(0, None, 0))(state.params, X, strengths)


def _groups(begin: _State, end: _State, found: list[tuple]) -> dict:
    # At a minimum the gradient is nothing but rounding: it is judged beside the first one and
    # beside the loss per relative change of the parameters.
    level = jnp.abs(begin.value) / _norms(begin.params)
    (first, slope), (last, end_slope) = found
    return {
        "loss": {"first": first, "last": last},
        "gradient": {"first": slope, "last": end_slope, "level": level},
    }


def _check(init: Params, X: Array, strengths: Array, max_iterations: int, tolerance: float) -> None:
    """`InputError` unless shapes, strengths and limits fit together."""
    cells, n = init.weight.shape[:1], X.shape[1]
    if init.weight.ndim != 3 or strengths.shape[:1] != cells or strengths.ndim > 2:
        raise InputError(
            f"The parameters to start from have weights of shape {init.weight.shape} and the "
            f"strengths shape {strengths.shape}; expected [G, m, n] and [G] or [G, K], one model "
            "per strength."
        )
    if init.weight.shape[2] != n:
        raise InputError(
            f"The data has {n} inputs; the parameters to start from expect "
            f"{init.weight.shape[2]}. Draw them with init_params(key, {n}, m)."
        )
    m = init.weight.shape[1]
    fitting = {"bias": (m,), "decoder_bias": (n,), "decoder": (n, m)}
    for name, shape in fitting.items():
        leaf = getattr(init, name)
        if leaf is not None and leaf.shape != (*cells, *shape):
            raise InputError(
                f"The parameters to start from have '{name}' of shape {leaf.shape}; expected "
                f"{(*cells, *shape)} beside weights of shape {init.weight.shape}."
            )
    check_strengths(strengths)
    check_counts({"max_iterations": max_iterations})
    if not (isinstance(tolerance, numbers.Real) and tolerance >= 0):
        raise InputError(f"The tolerance is {shortened(tolerance)}; expected a number >= 0.")


def _check_deterministic(objective: Objective, init: Params, X: Array, strengths: Array) -> None:
    few = X[:10]
    params = jax.tree.map(lambda leaf: leaf[0], init)
    check_traces(objective, params, few, strengths[0])
    losses = [
        objective(params, few, level * jnp.ones_like(few), jnp.max(strengths, axis=0))[0]
        for level in (-9, 6)  # so far apart that masking drops all inputs, and none
    ]
    if not bool(losses[0] == losses[1]) and bool(jnp.isfinite(losses[0])):
        raise InputError(
            "The objective depends on the noise it is given; expected one without corruption, "
            "since all samples at once have no noise-free minimum. Train it with fit_grid."
        )
