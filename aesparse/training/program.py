"""One compiled program for a whole grid of models, and its check by the numerics guard.

Every cell sees the same batches and the same unit noise (per seed), so cells differ by their
strength alone. Shapes: S seeds, C cells, n inputs, N samples.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from aesparse.losses.objectives import Objective
from aesparse.losses.reconstruction import ErrorFunction
from aesparse.metrics import (
    MEASURE_SAMPLES,
    Metrics,
    UnitStatistics,
    measure,
    pressure_and_loss,
    summarize,
    uses_noise,
)
from aesparse.models.activations import Activation
from aesparse.models.one_layer import Constraint, Params, init_params
from aesparse.training.blocks import (
    in_blocks,
    measured_blocks,
    models_at_once,
    over_blocks,
    steps_ahead,
)
from aesparse.training.draws import INIT, batches_of, compiled_batches, stream, unit_noise
from aesparse.training.sharding import CELLS, SHARED, over_cells
from aesparse.training.step import make_step, start

__all__ = [
    "Program",
    "grid_program",
    "measure_cells",
]

_REFERENCE_CELLS = 4  # of the guard's reference at once


class Program(NamedTuple):
    """What one set of static choices compiles to; cached, so equal grids share it.

    States and `cells` have a leading cell axis, split over the devices of `mesh`; `keys [S]`,
    `draws` and `X [N, n]` are on every device.
    """

    mesh: Mesh
    start: Callable  # (keys, X, cells) -> state
    epoch: Callable  # (state, draws, X, cells, n_steps) -> state, losses; what trains
    steps: Callable  # (state, draws, X, cells, count); first steps op by op, on the host
    begin: Callable  # (keys, X, cells) -> parameters; the start op by op, on the host
    measure: Callable  # (params, X) -> (UnitStatistics, Metrics) per cell
    measured: Callable  # (params, X); what `measure` gives op by op, on the host
    pressure: Callable  # (params, keys, X, cells) -> (BiasPressure, loss) per model
    checked: dict  # what the guard saw, by signature


@functools.cache
def measure_cells(activation: Activation, error: ErrorFunction, mesh: Mesh) -> Callable:
    """`(params [C, …], X [N, n]) -> (UnitStatistics, Metrics)` per cell, compiled."""

    def one(params: Params, x: Float[Array, "N n"]) -> tuple[UnitStatistics, Metrics]:
        units = measure(params, x, activation, error)
        return units, summarize(params, units)

    def all_models(params, X):
        models, m, n = params.weight.shape
        samples = min(len(X), MEASURE_SAMPLES)
        rows = measured_blocks(mesh, (3 * m + 2 * n) * samples * X.dtype.itemsize, models)

        def block(carry, rows):
            chosen = jax.tree.map(lambda leaf: leaf[rows], params)
            return carry, jax.vmap(one, in_axes=(0, None))(chosen, X)

        return over_blocks(block, None, rows, models)

    return over_cells(all_models, mesh, (CELLS, SHARED))


@functools.cache
def _start(
    constraint: Constraint, hidden: int, tied: bool, decoder_bias: bool, mesh: Mesh
) -> Callable:
    """Initial states of all cells; those of one seed start from the same parameters."""

    def begin(keys, X, cells):
        def one(key):
            params = init_params(
                key, X.shape[1], hidden, tied=tied, decoder_bias=decoder_bias, dtype=X.dtype
            )
            return start(params, constraint)

        states = jax.lax.map(one, stream(keys, INIT))
        return jax.tree.map(lambda leaf: leaf[cells.seed], states)

    return over_cells(begin, mesh, (SHARED, SHARED, CELLS))


@functools.cache
def grid_program(
    objective: Objective,
    constraint: Constraint,
    *,
    batch_size: int,
    momentum: float,
    hidden: int,
    tied: bool,
    decoder_bias: bool,
    mesh: Mesh,
) -> Program:
    """The functions that train a grid, compiled on first call; see `Program`."""
    update = make_step(objective, constraint, momentum)

    def epoch(state, draws, X, cells, n_steps):
        count = len(cells.seed)
        weights = X.shape[1] * hidden * X.dtype.itemsize
        block = models_at_once(mesh, weights, count)
        ahead = steps_ahead(len(draws.order), batch_size * X.shape[1] * X.dtype.itemsize)

        def train(state, cell, batches, first, steps):
            """One model for the steps whose batches `[S, ahead, B, n]` are drawn."""

            def step(j, carry):
                # One copy of the batch per model: a product with a shared batch would merge the
                # models' weights into one matrix, transposed and copied at every step.
                x, eps = (v[cell.seed, j] for v in batches)
                state, totals = carry
                state, aux = update(state, x, eps, cell.strength, cell.rate, first + j)
                return state, jax.tree.map(jnp.add, totals, aux)

            return jax.lax.fori_loop(0, steps, step, state)

        def segment(k, carry):
            first = k * ahead
            batches = jax.vmap(lambda j: batches_of(draws, X, first + j, b=batch_size), out_axes=1)(
                jnp.arange(ahead)
            )
            steps = jnp.minimum(ahead, n_steps - first)
            return in_blocks(
                lambda state, cell: train(state, cell, batches, first, steps), block, carry, cells
            )

        batch = jax.ShapeDtypeStruct((batch_size, X.shape[1]), X.dtype)
        one, cell = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (state, cells)
        )
        aux = jax.eval_shape(update, one, batch, batch, cell.strength, cell.rate, jnp.int32(0))[1]
        totals = jax.tree.map(lambda part: jnp.zeros((count, *part.shape), part.dtype), aux)
        segments = (n_steps + ahead - 1) // ahead
        state, totals = jax.lax.fori_loop(0, segments, segment, (state, totals))
        return state, jax.tree.map(lambda total: total / jnp.asarray(n_steps, total.dtype), totals)

    def steps(state, draws, X, cells, count):
        batches = [
            jax.device_get(compiled_batches(draws, X, jnp.int32(i), b=batch_size))
            for i in range(count)
        ]
        host, models = jax.device_get((state, cells)), len(cells.seed)
        each, parts = jax.vmap(update, in_axes=(0, 0, 0, 0, 0, None)), []
        # Always as many cells, so that operations compiled once serve grids of every size.
        padded = np.minimum(np.arange(models + -models % _REFERENCE_CELLS), models - 1)
        for rows in padded.reshape(-1, _REFERENCE_CELLS):
            state, cell = jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf[rows]), host)
            losses = []
            for i, batch in enumerate(batches):
                x, eps = (jnp.asarray(v[host[1].seed[rows]]) for v in batch)
                with jax.disable_jit():
                    state, aux = each(state, x, eps, cell.strength, cell.rate, jnp.int32(i))
                losses.append(aux)
            mean = jax.tree.map(lambda *values: sum(values) / count, *losses)
            parts.append(jax.device_get((state, mean)))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:models], *parts)

    def begin(keys, X, cells):
        sizes = {"tied": tied, "decoder_bias": decoder_bias, "dtype": X.dtype}
        with jax.disable_jit():
            of_seeds = [
                constraint.project(init_params(key, X.shape[1], hidden, **sizes))
                for key in stream(keys, INIT)
            ]
        stacked = jax.tree.map(lambda *leaves: np.stack(jax.device_get(leaves)), *of_seeds)
        return jax.tree.map(lambda leaf: leaf[np.asarray(cells.seed)], stacked)

    def measured(params, X):
        each = []
        for k in range(len(params.bias)):
            model = jax.tree.map(lambda leaf, k=k: jnp.asarray(leaf[k]), params)
            with jax.disable_jit():
                units = measure(model, X, objective.activation, objective.error)
                each.append(jax.device_get((units, summarize(model, units))))
        return jax.tree.map(lambda *leaves: np.stack(leaves), *each)

    def pressure(params, keys, X, cells):
        each = functools.partial(pressure_and_loss, objective)
        models, m, n = params.weight.shape
        rows = measured_blocks(mesh, (3 * m + 3 * n) * len(X) * X.dtype.itemsize, models)
        noisy = uses_noise(objective, params, X, cells.strength)

        def block(noise, rows):
            model, cell = jax.tree.map(lambda leaf: leaf[rows], (params, cells))
            if not noisy:
                unused = jnp.zeros_like(X)
                measured = jax.vmap(each, in_axes=(0, None, None, 0))
                return noise, measured(model, X, unused, cell.strength)
            # Models of a seed follow each other: what was drawn for them is drawn once.
            seeds, eps = noise
            same = jnp.all(cell.seed == seeds)
            eps = jax.lax.cond(same, lambda: eps, lambda: unit_noise(keys[cell.seed], X))
            measured = jax.vmap(each, in_axes=(0, None, 0, 0))(model, X, eps, cell.strength)
            return (cell.seed, eps), measured

        width = rows.shape[1]
        nothing = (jnp.full(width, -1, cells.seed.dtype), jnp.zeros((width, *X.shape), X.dtype))
        return over_blocks(block, nothing if noisy else None, rows, models)

    return Program(
        mesh,
        start=_start(constraint, hidden, tied, decoder_bias, mesh),
        epoch=over_cells(epoch, mesh, (CELLS, SHARED, SHARED, CELLS, SHARED), donate=(0,)),
        steps=steps,
        begin=begin,
        measure=measure_cells(objective.activation, objective.error, mesh),
        measured=measured,
        pressure=over_cells(pressure, mesh, (CELLS, SHARED, SHARED, CELLS)),
        checked={},
    )
