"""Minimizing an objective over all samples at once by L-BFGS (Nocedal & Wright 7.4, 7.5).

For objectives that draw no noise: their mean runs over the whole training set, as in GSAE's ρ̂,
and a minimum can be reached to many digits. Shapes: C models, N samples, n inputs.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree

from aesparse.errors import InputError
from aesparse.models.constraints import as_constraint
from aesparse.training import guard
from aesparse.training.identity import training_settings
from aesparse.training.program import grid_program
from aesparse.training.sharding import (
    MODELS,
    SHARED,
    Points,
    first_shard,
    model_mesh,
    over_models,
    place,
    transfers,
)
from aesparse.training.step import Recipe
from aesparse.training.task import Outcome, Part, Task

__all__ = ["check_full_batch", "minimize_part"]

_CHECKED = 4  # models that the guard looks at; all run the same program
_RISE = 1e-6  # relative rise of the loss that the line search may take for rounding
_SEGMENT = 50  # iterations between two looks at what is left to do


class _State(NamedTuple):
    params: PyTree
    solver: PyTree
    value: Float[Array, ""]
    gradient: PyTree
    iterations: Int[Array, ""]
    stalled: Array


def check_full_batch(
    recipe: Recipe, shapes: PyTree, X: Array, coefficients: Mapping[str, Array]
) -> None:
    """`InputError` for an objective that reads its noise, and for a constraint."""
    if recipe.constraint != as_constraint(None):
        raise InputError(
            "L-BFGS takes no constraint; expected constraint=None, or another optimizer."
        )
    few = X[:10]
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), leaf.dtype), shapes
    )
    losses = [
        recipe.loss(params, few, level * jnp.ones_like(few), coefficients)[0]
        for level in (-9, 6)  # so far apart that masking drops all inputs, and none
    ]
    if not bool(losses[0] == losses[1]) and bool(jnp.isfinite(losses[0])):
        raise InputError(
            "The objective depends on the noise it is given; expected one without corruption, "
            "since all samples at once have no noise-free minimum. Use sgd or another optimizer."
        )


@functools.lru_cache(maxsize=16)
def _programs(recipe: Recipe, mesh: Mesh) -> tuple[Callable, Callable]:
    """`(params, X, points) -> state` and `(state, X, points, until, tolerance) -> state`."""

    def loss_of(X: Array, point: Points) -> Callable:
        # The noise is ignored, as checked beforehand, so any array of its shape will do.
        return lambda params: recipe.loss(params, X, X, point.coefficients)[0]

    def every(f: Callable, *models: PyTree) -> PyTree:
        if mesh.devices.flat[0].platform == "cpu":
            # One after the other: side by side, each model would wait for the longest line
            # search and pay for both branches of its conditionals.
            return jax.lax.map(lambda model: f(*model), models)
        return jax.vmap(f)(*models)

    def begin(params, X, points):
        return every(lambda p, point: _start(recipe, loss_of(X, point), p), params, points)

    def advance(state, X, points, until, tolerance):
        def going(state: _State) -> Array:
            far = _norm(state.gradient) > tolerance
            return far & ~state.stalled & (state.iterations < until)

        def solve(state: _State, point: Points) -> _State:
            step = functools.partial(_step, recipe, loss_of(X, point))
            return jax.lax.while_loop(going, step, state)

        return every(solve, state, points)

    return (
        over_models(begin, mesh, (MODELS, SHARED, MODELS)),
        over_models(advance, mesh, (MODELS, SHARED, MODELS, SHARED, SHARED)),
    )


def minimize_part(task: Task, part: Part) -> Outcome:
    """Minimizes the objective for the models of a part."""
    solver, recipe, progress = task.recipe.optimizer, task.recipe, task.progress
    progress.stage("compiling")
    mesh = model_mesh(task.devices, models=len(part.points.seed))
    program, (begin, advance) = grid_program(recipe, mesh), _programs(recipe, mesh)
    on_hosts, on_devices = transfers(len(part.points.seed), mesh)
    keys, X = (place(v, mesh, SHARED) for v in (part.keys, task.X))
    points, subset = on_devices(part.points), X[: task.record_rows]
    if part.begin is None:
        params = program.starting.init(keys, X, points.seed)
    else:
        params = on_devices(part.begin)
    first = state = begin(params, X, points)
    history = [on_hosts(program.measure(params, keys, points, subset))]
    settings = None
    if part.checkpoints is not None:
        settings = training_settings(task, part) | {
            "tolerance": solver.tolerance,
            "memory_size": solver.memory_size,
        }
        like = jax.eval_shape(on_hosts, state)
        resumed = part.checkpoints.latest(like, before=solver.max_iterations, settings=settings)
        if resumed is not None:
            state = on_devices(resumed.tree)
            progress.resumed(resumed.epoch)
    while True:
        done, norms, stalled = (
            on_hosts(v) for v in (state.iterations, _norms(state.gradient), state.stalled)
        )
        going = (norms > solver.tolerance) & ~stalled & (done < solver.max_iterations)
        if not going.any():
            break
        until = min(int(done[going].min()) + _SEGMENT, solver.max_iterations)
        limits = np.int32(until), np.asarray(solver.tolerance, X.dtype)
        state = advance(state, X, points, *limits)
        progress.reached(until, state.value)
        if part.checkpoints is not None and part.checkpoints.due and until < solver.max_iterations:
            part.checkpoints.save(until, on_hosts(state), settings=settings)
    difference = math.nan
    progress.part_done()
    if task.check_compiled:
        difference = _verify(recipe, X, points, first, state)
    history.append(on_hosts(program.measure(state.params, keys, points, subset)))
    if task.on_epoch is not None:
        task.on_epoch(1, history[1])
    values = {"loss": on_hosts(state.value), "gradient_norm": norms, "iterations": done}
    recorded = [history[moment] for moment in task.record_at]
    return Outcome(
        params=on_hosts(state.params) if task.keep_params else None,
        losses={name: np.asarray(value)[:, None] for name, value in values.items()},
        history=jax.tree.map(lambda *leaves: np.stack(leaves, axis=-1), *recorded),
        final=on_hosts(program.measure(state.params, keys, points, X)),
        finite=on_hosts(program.finite(state.params)),
        guard=difference,
    )


def _start(recipe: Recipe, loss: Callable, params: PyTree) -> _State:
    value, gradient = jax.value_and_grad(loss)(params)
    stalled = ~jnp.isfinite(value)
    return _State(params, recipe.optimizer.init(params), value, gradient, jnp.int32(0), stalled)


def _step(recipe: Recipe, loss: Callable, state: _State) -> _State:
    """One iteration; a step that fails to lower the loss is not taken, and ends the search."""
    import optax  # see `aesparse.training.step`

    updates, solver = recipe.optimizer.update(
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
    same = state._replace(stalled=jnp.asarray(True))
    return jax.tree.map(lambda a, b: jnp.where(taken, a, b), new, same)


def _norm(tree: PyTree) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


@jax.jit
def _norms(tree: PyTree) -> Float[Array, " C"]:
    return jax.vmap(_norm)(tree)


def _verify(recipe: Recipe, X: Array, points: Points, begin: _State, end: _State) -> float:
    """Runs the numerics guard on the losses and gradients of the first and the last point."""
    begin, end, points, X = first_shard((begin, end, points, X))
    begin, end, points = jax.tree.map(lambda leaf: leaf[:_CHECKED], (begin, end, points))
    ends = (begin, end)
    compiled = _groups(*ends, [(state.value, state.gradient) for state in ends])
    reference = _groups(*ends, [_op_by_op(recipe, state, X, points) for state in ends])
    return guard.compare(compiled, reference, jax.config.jax_default_matmul_precision)


def _op_by_op(recipe: Recipe, state: _State, X: Array, points: Points) -> tuple:
    def loss(params, coefficients):
        return recipe.loss(params, X, X, coefficients)[0]

    with jax.disable_jit():
        return jax.vmap(jax.value_and_grad(loss))(state.params, points.coefficients)


def _groups(begin: _State, end: _State, computed: list[tuple]) -> dict:
    # At a minimum the gradient is nothing but rounding: it is judged beside the first one and
    # beside the loss per relative change of the parameters.
    level = jnp.abs(begin.value) / _norms(begin.params)
    (first, slope), (last, end_slope) = computed
    return {
        "loss": {"first": first, "last": last},
        "gradient": {"first": slope, "last": end_slope, "level": level},
    }
