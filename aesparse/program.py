"""One compiled program for a whole grid of models, and its check by the numerics guard.

Every cell sees the same batches and the same unit noise (per seed), so cells differ by their
strength alone. Shapes: S seeds, C cells, n inputs, N samples.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from aesparse import guard
from aesparse.activations import Activation
from aesparse.blocks import in_blocks, measured_blocks, models_at_once, over_blocks, steps_ahead
from aesparse.draws import INIT, batches_of, compiled_batches, shuffled, stream, unit_noise
from aesparse.metrics import (
    MEASURE_SAMPLES,
    Metrics,
    UnitStatistics,
    measure,
    pressure_and_loss,
    summarize,
    uses_noise,
)
from aesparse.model import Constraint, Params, init_params
from aesparse.objectives import Objective
from aesparse.reconstruction import ErrorFunction
from aesparse.sharding import CELLS, SHARED, Cells, first_shard, over_cells
from aesparse.training import TrainState, make_step, start

__all__ = [
    "Program",
    "grid_program",
    "measure_cells",
    "verify",
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
    one_step: Callable  # (state, draws, X, cells); a first step, op by op, on the host
    measure: Callable  # (params, X) -> (UnitStatistics, Metrics) per cell
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

    def one_step(state, draws, X, cells):
        batch = jax.device_get(compiled_batches(draws, X, jnp.int32(0), b=batch_size))
        host, count = jax.device_get((state, cells)), len(cells.seed)
        each, parts = jax.vmap(update, in_axes=(0, 0, 0, 0, 0, None)), []
        # Always as many cells, so that operations compiled once serve grids of every size.
        padded = np.minimum(np.arange(count + -count % _REFERENCE_CELLS), count - 1)
        for rows in padded.reshape(-1, _REFERENCE_CELLS):
            state, cell = jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf[rows]), host)
            x, eps = (jnp.asarray(v[host[1].seed[rows]]) for v in batch)
            with jax.disable_jit():
                stepped = each(state, x, eps, cell.strength, cell.rate, jnp.int32(0))
            parts.append(jax.device_get(stepped))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)

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
        one_step=one_step,
        measure=measure_cells(objective.activation, objective.error, mesh),
        pressure=over_cells(pressure, mesh, (CELLS, SHARED, SHARED, CELLS)),
        checked={},
    )


def verify(program: Program, state: TrainState, keys, X, cells: Cells) -> float:
    """Runs the numerics guard unless it has passed this program at these shapes.

    Every host looks at the cells of its first device; all devices run the same program.
    Returns the largest relative difference it saw. Raises `guard.NumericsError` if two
    different batches both disagree: on one alone, rounding may have switched a ReLU unit.
    """
    arguments = (keys, X, cells)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves((state, arguments)))
    signature = (shapes, jax.config.jax_default_matmul_precision)
    if signature not in program.checked:
        try:
            program.checked[signature] = _difference(program, state, arguments, 1)
        except guard.NumericsError:
            program.checked[signature] = _difference(program, state, arguments, 2)
    return program.checked[signature]


def _difference(program: Program, state: TrainState, arguments: tuple, number: int) -> float:
    keys, X, cells = arguments
    arguments = (shuffled(keys, number, len(X)), X, cells)
    reference = program.one_step(*first_shard((state, *arguments)))
    copy = jax.tree.map(jnp.copy, state)  # the epoch donates its state
    compiled = program.epoch(copy, *arguments, np.int32(1))
    level = _level(reference, X)
    groups = (_groups(trained, level) for trained in (first_shard(compiled), reference))
    return guard.compare(*groups, jax.config.jax_default_matmul_precision)


def _level(trained: tuple[TrainState, Mapping[str, Array | np.ndarray]], X) -> np.ndarray:
    """What rounding in the loss is relative to, per model: E‖x‖², and the loss itself; [C].

    The loss alone would not do: it is 0 where the reconstruction is perfect.
    """
    rows = np.asarray(first_shard(X))
    power = np.einsum("ij,ij->", rows, rows, dtype=np.float64) / len(rows)
    loss = np.nan_to_num(np.abs(np.float64(trained[1]["loss"])), nan=0.0, posinf=0.0)
    return np.asarray(np.minimum(power + loss, np.finfo(X.dtype).max), X.dtype)


def _groups(
    trained: tuple[TrainState, Mapping[str, Array | np.ndarray]], level: np.ndarray
) -> dict:
    """The groups of the guard; `level` enters those that may hold nothing but rounding.

    A gradient vanishes at a minimum, and on unit rows where it has no tangential part; it is
    judged against the level per relative change of the parameters.
    """
    state, losses = trained
    leaves = jax.tree.leaves(state.params)
    squares = [np.sum(np.float64(leaf).reshape(len(level), -1) ** 2, axis=-1) for leaf in leaves]
    length = np.maximum(np.sqrt(sum(squares)), 1.0)
    return {
        "params": state.params,
        "momentum": {"state": state.momentum, "level": (level / length).astype(level.dtype)},
        "losses": {"parts": losses, "level": level},
    }
