"""One compiled program for a whole grid of models, and the same computations op by op.

Every model of a seed sees the same batches and the same unit noise, so models differ by what is
swept alone. Shapes: S seeds, C models, n inputs, N samples.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from aesparse.training.blocks import (
    in_blocks,
    models_at_once,
    steps_ahead,
)
from aesparse.training.draws import Draws, batches_of, compiled_batches
from aesparse.training.measuring import Measuring, measuring
from aesparse.training.memory import tree_bytes
from aesparse.training.sharding import MODELS, SHARED, Points, over_models
from aesparse.training.starting import Ingredients, Starting, all_finite, starting
from aesparse.training.step import Recipe, TrainState, make_step

__all__ = ["Program", "grid_program"]

_REFERENCE_MODELS = 4  # of the guard's reference at once
_PROGRAMS = 24  # that stay compiled; those not used for longest are forgotten


class Program(NamedTuple):
    """What a recipe compiles to; cached, so that equal grids share it.

    States, parameters and `points` have a leading model axis, split over the devices of `mesh`;
    `keys [S]`, `draws` and `X [N, n]` are on every device.
    """

    recipe: Recipe
    mesh: Mesh
    starting: Starting  # init: (keys, X, seed) -> parameters; state: (params, hyperparameters)
    epoch: Callable  # (state, draws, X, points, first, steps) -> state, losses; what trains
    steps: Callable  # (state, draws, X, points, first, steps); the same op by op, on the host
    measure: Measuring  # (params, keys, points, X) -> the measurement of every model
    finite: Callable  # (params) -> whether all of them are finite, per model
    checked: dict  # what the guard saw, by signature


@functools.lru_cache(maxsize=_PROGRAMS)
def grid_program(recipe: Recipe, mesh: Mesh) -> Program:
    """The functions that train a grid, compiled on first call; see `Program`."""

    return Program(
        recipe,
        mesh,
        starting=starting(Ingredients(recipe.model, recipe.constraint, recipe.optimizer), mesh),
        epoch=_epoch(recipe, mesh),
        steps=functools.partial(_op_by_op, recipe),
        measure=measuring(recipe.model, recipe.objective, recipe.measurement, mesh),
        finite=all_finite(mesh),
        checked={},
    )


def _epoch(recipe: Recipe, mesh: Mesh) -> Callable:
    update, batch_size = make_step(recipe), recipe.batch_size

    def epoch(state, draws, X, points, first, n_steps):
        count = len(points.seed)
        block = models_at_once(
            mesh, tree_bytes(state.params) // count, count, stopping=points.active is not None
        )
        ahead = steps_ahead(len(draws.order), batch_size * X.shape[1] * X.dtype.itemsize)

        def train(state, point, batches, begin, steps):
            """One model for the steps whose batches `[S, ahead, B, n]` are drawn."""

            def step(j, carry):
                # One copy of the batch per model: a product with a shared batch would merge the
                # models' weights into one matrix, transposed and copied at every step.
                x, eps = (v[point.seed, j] for v in batches)
                state, totals = carry
                state, parts = update(state, x, eps, point.coefficients, begin + j)
                return state, jax.tree.map(jnp.add, totals, parts)

            return jax.lax.fori_loop(0, steps, step, state)

        def segment(k, carry):
            begin = first + k * ahead
            batches = jax.vmap(lambda j: batches_of(draws, X, begin + j, b=batch_size), out_axes=1)(
                jnp.arange(ahead)
            )
            steps = jnp.minimum(ahead, first + n_steps - begin)
            return in_blocks(
                lambda state, point: train(state, point, batches, begin, steps),
                block,
                carry,
                points,
            )

        totals = jax.tree.map(
            lambda part: jnp.zeros((count, *part.shape), part.dtype),
            _parts(recipe, state, points, X),
        )
        segments = (n_steps + ahead - 1) // ahead
        state, totals = jax.lax.fori_loop(0, segments, segment, (state, totals))
        losses = jax.tree.map(lambda total: total / jnp.asarray(n_steps, total.dtype), totals)
        if points.active is not None:
            losses = jax.tree.map(lambda loss: jnp.where(points.active, loss, jnp.nan), losses)
        return state, losses

    specs = (MODELS, SHARED, SHARED, MODELS, SHARED, SHARED)
    return over_models(epoch, mesh, specs, donate=(0,))


def _parts(recipe: Recipe, state: TrainState, points: Points, X: Array) -> dict:
    """Shapes of the parts of one model's loss."""
    batch = jax.ShapeDtypeStruct((recipe.batch_size, X.shape[1]), X.dtype)
    one, point = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (state, points)
    )
    step = make_step(recipe)
    return jax.eval_shape(step, one, batch, batch, point.coefficients, jnp.int32(0))[1]


def _op_by_op(recipe: Recipe, state, draws: Draws, X, points: Points, first: int, steps: int):
    """State and mean losses after `steps` updates from `first`, every operation by itself."""
    batches = [
        jax.device_get(compiled_batches(draws, X, jnp.int32(i), b=recipe.batch_size))
        for i in range(first, first + steps)
    ]
    host, models = jax.device_get((state, points)), len(points.seed)
    each, parts = jax.vmap(make_step(recipe), in_axes=(0, 0, 0, 0, None)), []
    # Always as many models, so that operations compiled once serve grids of every size.
    padded = np.minimum(np.arange(models + -models % _REFERENCE_MODELS), models - 1)
    for rows in padded.reshape(-1, _REFERENCE_MODELS):
        state, point = jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf[rows]), host)
        losses = []
        for i, batch in enumerate(batches, first):
            x, eps = (jnp.asarray(v[host[1].seed[rows]]) for v in batch)
            with jax.disable_jit():
                state, values = each(state, x, eps, point.coefficients, jnp.int32(i))
            losses.append(values)
        mean = jax.tree.map(lambda *values: sum(values) / steps, *losses)
        parts.append(jax.device_get((state, mean)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:models], *parts)
