"""Training a grid of models, seeds × strengths, and what is measured on the way.

Every cell sees the same batches and the same unit noise (per seed), so cells differ by their
strength alone. Shapes: S seeds, G strengths, m hidden units, n inputs, N samples, E epochs.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from aesparse.data import check_matrix
from aesparse.errors import InputError
from aesparse.metrics import BiasPressure, Metrics, UnitStatistics, flagged
from aesparse.model import Params, get_constraint, init_params
from aesparse.objectives import Objective
from aesparse.program import grid_program, measure_cells, verify
from aesparse.sharding import CELLS, SHARED, Cells, cell_mesh, gather, place

__all__ = ["GridResult", "fit_grid", "measure_grid"]

_PRESSURE_SAMPLES = 1000
EpochCallback = Callable[[int, Metrics], None]


class GridResult(NamedTuple):
    """A trained grid, as arrays; leading axes are seeds and strengths `[S, G, ...]`."""

    params: Params
    metrics: Metrics  # final, on all of X; [S, G]
    units: UnitStatistics  # final, per hidden unit, on all of X; [S, G, m]
    history: Metrics  # [S, G, E + 1] on a fixed subset, before training and per epoch
    pressure: BiasPressure  # [S, G, E + 1] on the first 1,000 samples, at the same moments
    losses: Mapping[str, Float[Array, "S G E"]]  # the objective's aux, mean over each epoch
    flagged_epoch: np.ndarray  # [S, G]: where a cell ends flagged, since when; else −1
    guard: float  # largest relative difference the numerics guard saw


def fit_grid(
    key: PRNGKeyArray,
    X: Array | np.ndarray,
    *,
    objective: Objective,
    strengths: Sequence[float] | Array | np.ndarray,
    seeds: Sequence[int] = (0,),
    hidden: int = 1000,
    constraint: str = "unit",
    epochs: int = 50,
    batch_size: int = 50,
    learning_rate: float | Array | np.ndarray = 0.001,
    momentum: float = 0.9,
    tied: bool = True,
    decoder_bias: bool = False,
    history_samples: int = 5000,
    cells_per_program: int | None = None,
    matmul_precision: str = "highest",
    devices: Sequence[jax.Device] | None = None,
    on_epoch: EpochCallback | None = None,
) -> GridResult:
    """Trains one model per seed and strength by minibatch SGD with momentum (Arpit section 3).

    `X` is `[N, n]`; `strengths` `[G]` and `learning_rate` (one number or `[G]`) are arrays
    the program takes as arguments, everything else is static. A seed alone decides
    initialization, batch order and noise, so a grid of several seeds equals the same seeds
    trained one at a time; the last N mod batch_size samples of each epoch's order are left
    out. Cells are split over `devices`, by default all of `jax.devices()`, on all hosts after
    `jax.distributed.initialize()`; more than one gives the result as NumPy arrays, complete on
    every host. `cells_per_program` splits the strengths into equal chunks trained one after the
    other, for grids that would not fit in memory. `momentum` lies in [0, 1);
    `matmul_precision` is JAX's; the history is measured on the first `history_samples` rows.
    `on_epoch(epoch, metrics)` is called after every epoch (of every chunk).

    A cell that diverges or dies is flagged and does not touch its neighbours. Each newly
    compiled program is checked once by the numerics guard. Raises `InputError` on bad input
    before anything is compiled, `guard.NumericsError` on a miscompiled program.
    """
    X, strengths, rates, seeds = _checked(X, strengths, learning_rate, seeds)
    sizes = {"hidden": hidden, "epochs": epochs, "history_samples": history_samples}
    _check_sizes(sizes | {"batch_size": batch_size}, len(X))
    _check_objective(objective, X, hidden, tied, decoder_bias)
    if cells_per_program is not None and cells_per_program < 1:
        raise InputError(f"cells_per_program is {cells_per_program}; expected at least 1.")
    if not 0 <= momentum < 1:
        raise InputError(f"momentum is {momentum}; expected a number in [0, 1).")
    if cells_per_program is not None and cells_per_program < len(strengths):
        return _fit_chunks(
            cells_per_program,
            key,
            X,
            objective=objective,
            strengths=strengths,
            seeds=seeds,
            hidden=hidden,
            constraint=constraint,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=rates,
            momentum=momentum,
            tied=tied,
            decoder_bias=decoder_bias,
            history_samples=history_samples,
            matmul_precision=matmul_precision,
            devices=devices,
            on_epoch=on_epoch,
        )
    with jax.default_matmul_precision(matmul_precision):
        program = grid_program(
            objective,
            get_constraint(constraint),
            batch_size=batch_size,
            momentum=momentum,
            hidden=hidden,
            tied=tied,
            decoder_bias=decoder_bias,
            mesh=cell_mesh(devices),
        )
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.asarray(seeds))
        return _fit(
            program, keys, X, strengths, rates, epochs, batch_size, history_samples, on_epoch
        )


def _fit(program, keys, X, strengths, rates, epochs, batch_size, history_samples, on_epoch):
    shape = (len(keys), len(strengths))
    cells = Cells(
        np.repeat(np.arange(len(keys)), len(strengths)),
        *(np.tile(np.asarray(v), len(keys)) for v in (strengths, rates)),
    )
    cells = place(cells.padded(program.mesh.size), program.mesh, CELLS)
    keys, X = (place(v, program.mesh, SHARED) for v in (keys, X))

    def on_hosts(tree):
        gathered = gather(tree, program.mesh)
        return jax.tree.map(
            lambda leaf: leaf[: math.prod(shape)].reshape(*shape, *leaf.shape[1:]), gathered
        )

    state = program.start(keys, X, cells)
    difference = verify(program, state, keys, X, cells)
    subset, few = X[:history_samples], X[:_PRESSURE_SAMPLES]

    def record(params):
        metrics = program.measure(params, subset)[1]
        return metrics, program.pressure(params, keys, few, cells)

    records, losses = [record(state.params)], []
    for epoch in range(1, epochs + 1):
        state, aux = program.epoch(
            state, keys, X, cells, np.int32(epoch), np.int32(len(X) // batch_size)
        )
        losses.append(aux)
        records.append(record(state.params))
        if on_epoch is not None:
            on_epoch(epoch, on_hosts(records[-1][0]))
    (history, pressure), losses = on_hosts((_stacked(records), _stacked(losses)))
    params, (units, final) = on_hosts((state.params, program.measure(state.params, X)))
    return GridResult(
        params=params,
        metrics=final,
        units=units,
        history=history,
        pressure=pressure,
        losses=losses,
        flagged_epoch=_first_flagged(history, final),
        guard=difference,
    )


@jax.jit
def _stacked(records: list) -> PyTree:
    """Joins what was recorded per epoch along a new last axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=-1), *records)


def _first_flagged(history: Metrics, final: Metrics) -> np.ndarray:
    """First epoch seen flagged, for the cells that end so; −1 for the others, recovered or well."""
    along = np.asarray(flagged(history))
    first = np.where(along.any(-1), along.argmax(-1), along.shape[-1] - 1)
    return np.where(np.asarray(flagged(final)), first, -1)


def _fit_chunks(size: int, key, X, *, strengths, learning_rate, **options) -> GridResult:
    pad = -len(strengths) % size
    padded = jnp.pad(strengths, (0, pad), mode="edge").reshape(-1, size)
    rates = jnp.pad(learning_rate, (0, pad), mode="edge").reshape(-1, size)
    parts = [
        fit_grid(key, X, strengths=s, learning_rate=r, **options)
        for s, r in zip(padded, rates, strict=True)
    ]
    joined = jax.tree.map(
        lambda *leaves: jnp.concatenate(leaves, axis=1)[:, : len(strengths)],
        *[part._replace(guard=jnp.zeros((1, size))) for part in parts],
    )
    return joined._replace(
        flagged_epoch=np.asarray(joined.flagged_epoch), guard=max(part.guard for part in parts)
    )


def measure_grid(
    params: Params, X: Array | np.ndarray, objective: Objective, *, matmul_precision="highest"
) -> tuple[UnitStatistics, Metrics]:
    """Unit statistics and metrics of every model of a grid `[S, G, ...]` on other data `[N, n]`."""
    shape = params.bias.shape[:2]
    cells = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), params)
    mesh = cell_mesh(jax.local_devices()[:1])
    with jax.default_matmul_precision(matmul_precision):
        measured = measure_cells(objective.activation, mesh)(cells, jnp.asarray(check_matrix(X)))
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), measured)


def _checked(X, strengths, learning_rate, seeds):
    """Validates what the program takes as arrays, before anything is compiled."""
    X = jnp.asarray(check_matrix(X))
    strengths = jnp.atleast_1d(jnp.asarray(strengths, X.dtype))
    if strengths.ndim != 1 or len(strengths) == 0:
        raise InputError(
            f"The grid of strengths has shape {strengths.shape}; expected at least one number."
        )
    if not bool(jnp.all(jnp.isfinite(strengths) & (strengths >= 0))):
        raise InputError(
            f"The strengths are {np.asarray(strengths)}; expected finite numbers >= 0."
        )
    rates = jnp.asarray(learning_rate, X.dtype)
    if not bool(jnp.all(jnp.isfinite(rates) & (rates > 0))):
        raise InputError(f"The learning rate is {learning_rate}; expected a finite number > 0.")
    if rates.shape not in ((), strengths.shape):
        raise InputError(
            f"The learning rates have shape {rates.shape}; expected one number or one per "
            f"strength, {strengths.shape}."
        )
    seeds = tuple(seeds)
    if not seeds or any(isinstance(s, bool) or int(s) != s or s < 0 for s in seeds):
        raise InputError(f"The seeds are {seeds}; expected at least one integer >= 0.")
    return X, strengths, jnp.broadcast_to(rates, strengths.shape), seeds


def _check_sizes(sizes: Mapping[str, int], samples: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1.")
    if sizes["batch_size"] > samples:
        raise InputError(
            f"The batch size {sizes['batch_size']} is larger than the data, {samples} samples; "
            f"choose a batch size of at most {samples}."
        )


def _check_objective(objective: Objective, X: Array, hidden: int, tied: bool, decoder_bias: bool):
    """Calls the objective on shapes alone: a penalty that is no scalar is found at once."""
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=X.dtype)
    params = jax.eval_shape(
        lambda key: init_params(
            key, X.shape[1], hidden, tied=tied, decoder_bias=decoder_bias, dtype=X.dtype
        ),
        jax.random.key(0),
    )
    batch = shape((1, X.shape[1]))
    loss, _ = jax.eval_shape(objective, params, batch, batch, shape(()))
    if loss.shape != ():
        raise InputError(
            f"The objective returned shape {loss.shape} for a batch; expected a scalar. "
            "A penalty must return one number: sum over units and average over samples."
        )
