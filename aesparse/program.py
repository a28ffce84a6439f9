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
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree

from aesparse import guard
from aesparse.activations import Activation
from aesparse.metrics import Metrics, UnitStatistics, bias_pressure, measure, summarize
from aesparse.model import Constraint, Params, init_params
from aesparse.objectives import Objective
from aesparse.reconstruction import ErrorFunction
from aesparse.sharding import CELLS, SHARED, Cells, first_shard, over_cells
from aesparse.training import TrainState, draw_batch, make_step, start

__all__ = [
    "INIT",
    "Draws",
    "Program",
    "grid_program",
    "measure_cells",
    "shuffled",
    "unit_noise",
    "verify",
]

_CACHE_BYTES = 3e6  # of weights, momentum and gradient of a CPU device's models at once
_AHEAD_BYTES, _MOST_AHEAD = 8e6, 64  # of batches drawn at once, and updates they are for
_REFERENCE_CELLS = 4  # of the guard's reference at once
INIT, _EPOCHS, _PRESSURE = range(3)  # the random streams of a seed


class Draws(NamedTuple):
    """What is random in one epoch, for every seed."""

    order: Int[Array, "S N"]  # of the samples
    noise: Key[Array, " S"]


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
    pressure: Callable  # (params, eps [S, N, n], X, cells) -> BiasPressure per cell
    checked: dict  # what the guard saw, by signature


# What is drawn is compiled by itself, once for all objectives: random bits compile slowly.


def _stream(keys, number):
    """The keys `[S]` of one random stream of every seed."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


@functools.partial(jax.jit, static_argnames="samples")
def shuffled(keys: Key[Array, " S"], number: Int[ArrayLike, ""], samples: int) -> Draws:
    """Order and noise of the epoch `number` for every seed."""
    keys = _stream(_stream(keys, _EPOCHS), number)
    order_keys, noise_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    return Draws(jax.vmap(lambda key: jax.random.permutation(key, samples))(order_keys), noise_keys)


@jax.jit
def unit_noise(keys: Key[Array, " S"], X: Float[Array, "N n"]) -> Float[Array, "S N n"]:
    """The noise on which Theorem 1's condition is measured, for every seed."""
    keys = _stream(keys, _PRESSURE)
    return jax.vmap(lambda key: jax.random.normal(key, X.shape, X.dtype))(keys)


def _batches(draws: Draws, X, i, *, b: int):
    """The i-th batch and noise of every seed, `[S, b, n]` each."""
    draw = jax.vmap(functools.partial(draw_batch, b=b), in_axes=(0, None, 0, None))
    return draw(draws.noise, X, draws.order, i)


_compiled_batches = jax.jit(_batches, static_argnames="b")


def _models_at_once(mesh: Mesh, weight_bytes: int, models: int) -> int:
    """How many of a device's models train side by side; block after block, segment by segment.

    All of them on an accelerator. On a CPU as many as keep weights, momentum and gradient in
    the cache: the update of a larger block waits for the memory.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return models
    return min(models, max(1, round(_CACHE_BYTES / (3 * weight_bytes))))


def _steps_ahead(seeds: int, batch_bytes: int) -> int:
    """For how many updates batches and noise are drawn at once, for all models."""
    return max(1, min(_MOST_AHEAD, int(_AHEAD_BYTES / (seeds * batch_bytes))))


def _in_blocks(train: Callable, block: int, carry: PyTree, cells: Cells) -> PyTree:
    """`train(carry, cell)` of every model, `block` of them side by side, written in place."""
    each, count = jax.vmap(train), len(cells.seed)

    def alone(*trees):
        # Without a batch axis of length 1, for which XLA transposes the weights at every step.
        trained = train(*jax.tree.map(lambda leaf: leaf[0], trees))
        return jax.tree.map(lambda leaf: leaf[None], trained)

    def part(first: ArrayLike, size: int, carry: PyTree) -> PyTree:
        some, chosen = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, size), (carry, cells)
        )
        return jax.tree.map(
            lambda leaf, new: jax.lax.dynamic_update_slice_in_dim(leaf, new, first, 0),
            carry,
            alone(some, chosen) if size == 1 else each(some, chosen),
        )

    whole = count // block
    carry = jax.lax.fori_loop(0, whole, lambda k, carry: part(k * block, block, carry), carry)
    return part(whole * block, count % block, carry) if count % block else carry


@functools.cache
def measure_cells(activation: Activation, error: ErrorFunction, mesh: Mesh) -> Callable:
    """`(params [C, …], X [N, n]) -> (UnitStatistics, Metrics)` per cell, compiled."""

    def one(params: Params, x: Float[Array, "N n"]) -> tuple[UnitStatistics, Metrics]:
        units = measure(params, x, activation, error)
        return units, summarize(params, units)

    return over_cells(jax.vmap(one, in_axes=(0, None)), mesh, (CELLS, SHARED))


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

        states = jax.lax.map(one, _stream(keys, INIT))
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
        block = _models_at_once(mesh, weights, count)
        ahead = _steps_ahead(len(draws.order), batch_size * X.shape[1] * X.dtype.itemsize)

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
            batches = jax.vmap(lambda j: _batches(draws, X, first + j, b=batch_size), out_axes=1)(
                jnp.arange(ahead)
            )
            steps = jnp.minimum(ahead, n_steps - first)
            return _in_blocks(
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
        return state, jax.tree.map(lambda total: total / n_steps, totals)

    def one_step(state, draws, X, cells):
        batch = jax.device_get(_compiled_batches(draws, X, jnp.int32(0), b=batch_size))
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

    def pressure(params, eps, X, cells):
        each = jax.vmap(functools.partial(bias_pressure, objective), in_axes=(0, None, 0, 0))
        return each(params, X, eps[cells.seed], cells.strength)

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
    return guard.compare(*map(_groups, (first_shard(compiled), reference)))


def _groups(trained: tuple[TrainState, Mapping[str, Array | np.ndarray]]) -> dict:
    state, losses = trained
    return {"params": state.params, "momentum": state.momentum, "losses": losses}
