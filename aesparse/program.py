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
from jaxtyping import Array, ArrayLike, Float, Int, Key

from aesparse import guard
from aesparse.activations import Activation
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
from aesparse.training import TrainState, draw_batch, make_step, momentum_sgd, run_epoch, start

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

_CACHE_BYTES = 20e6  # a device's cells at once; 40e6 and no limit were slower on a CPU with 32 MB
_MEASURED_BYTES = {"cpu": 64e6, "other": 1e9}  # temporaries of the models measured side by side
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
    pressure: Callable  # (params, keys, X, cells) -> (BiasPressure, loss) per model
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


def unit_noise(keys: Key[Array, " S"], X: Float[Array, "N n"]) -> Float[Array, "S N n"]:
    """The noise on which Theorem 1's condition is measured, for every seed."""
    keys = _stream(keys, _PRESSURE)
    return jax.vmap(lambda key: jax.random.normal(key, X.shape, X.dtype))(keys)


def _batches(draws: Draws, X, i, *, b: int):
    """The i-th batch and noise of every seed, `[S, b, n]` each."""
    draw = jax.vmap(functools.partial(draw_batch, b=b), in_axes=(0, None, 0, None))
    return draw(draws.noise, X, draws.order, i)


_compiled_batches = jax.jit(_batches, static_argnames="b")


def _cells_at_once(mesh: Mesh, weight_bytes: int, cells: int) -> int:
    """How many of a device's cells train side by side; block after block for a whole epoch.

    All of them on an accelerator. On a CPU as many as keep weights, momentum and gradient in
    the cache: the update of a larger block waits for the memory.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return cells
    return min(cells, max(1, round(_CACHE_BYTES / (3 * weight_bytes))))


def _blocks(mesh: Mesh, bytes_each: int, models: int) -> np.ndarray:
    """Which models are measured side by side, block after block, `[blocks, models of a block]`.

    As many as fit `_MEASURED_BYTES`, blocks of equal length; the last repeats its last model.
    """
    limit = _MEASURED_BYTES["cpu" if mesh.devices.flat[0].platform == "cpu" else "other"]
    blocks = -(-models // max(1, int(limit // bytes_each)))
    block = -(-models // blocks)
    return np.minimum(np.arange(blocks * block), models - 1).reshape(blocks, block)


def _over_blocks(f: Callable, carry, rows: np.ndarray, models: int):
    """What `f(carry, rows) -> carry, results` returns for every block of models, joined."""
    _, results = jax.lax.scan(f, carry, jnp.asarray(rows))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:models], results)


@functools.cache
def measure_cells(activation: Activation, error: ErrorFunction, mesh: Mesh) -> Callable:
    """`(params [C, …], X [N, n]) -> (UnitStatistics, Metrics)` per cell, compiled."""

    def one(params: Params, x: Float[Array, "N n"]) -> tuple[UnitStatistics, Metrics]:
        units = measure(params, x, activation, error)
        return units, summarize(params, units)

    def all_models(params, X):
        models, m, n = params.weight.shape
        samples = min(len(X), MEASURE_SAMPLES)
        rows = _blocks(mesh, (3 * m + 2 * n) * samples * X.dtype.itemsize, models)

        def block(carry, rows):
            chosen = jax.tree.map(lambda leaf: leaf[rows], params)
            return carry, jax.vmap(one, in_axes=(0, None))(chosen, X)

        return _over_blocks(block, None, rows, models)

    return over_cells(all_models, mesh, (CELLS, SHARED))


@functools.cache
def _start(
    constraint: Constraint, momentum: float, hidden: int, tied: bool, decoder_bias: bool, mesh: Mesh
) -> Callable:
    """Initial states of all cells; those of one seed start from the same parameters."""
    optimizer = momentum_sgd(momentum, constraint)

    def begin(keys, X, cells):
        def one(key):
            params = init_params(
                key, X.shape[1], hidden, tied=tied, decoder_bias=decoder_bias, dtype=X.dtype
            )
            return start(params, constraint, optimizer)

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
    optimizer = momentum_sgd(momentum, constraint)
    update = make_step(objective, constraint, optimizer)

    def epoch(state, draws, X, cells, n_steps):
        def one(pair):
            state, cell = pair

            def step(state, i):
                # One copy of the batch per cell: a product with a shared batch would merge the
                # cells' weights into one matrix, transposed and copied at every step.
                x, eps = (v[cell.seed] for v in _batches(draws, X, i, b=batch_size))
                return update(state, x, eps, cell.strength, cell.rate, i)

            return run_epoch(step, state, n_steps)

        block = _cells_at_once(mesh, X.shape[1] * hidden * X.dtype.itemsize, len(cells.seed))
        return jax.lax.map(one, (state, cells), batch_size=block)

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

    def pressure(params, keys, X, cells):
        each = functools.partial(pressure_and_loss, objective)
        models, m, n = params.weight.shape
        rows = _blocks(mesh, (3 * m + 3 * n) * len(X) * X.dtype.itemsize, models)
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
        return _over_blocks(block, nothing if noisy else None, rows, models)

    return Program(
        mesh,
        start=_start(constraint, momentum, hidden, tied, decoder_bias, mesh),
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
        "optimizer": {"state": state.optimizer, "level": (level / length).astype(level.dtype)},
        "losses": {"parts": losses, "level": level},
    }
