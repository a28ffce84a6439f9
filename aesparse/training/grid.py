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
from jax.sharding import Mesh
from jaxtyping import Array, Float, PRNGKeyArray

from aesparse.errors import InputError
from aesparse.losses.objectives import Objective
from aesparse.metrics import BiasPressure, Metrics, UnitStatistics, first_flagged
from aesparse.models.one_layer import Params, check_params, get_constraint
from aesparse.options import (
    check_momentum,
    check_options,
    check_precision,
    check_untransformed,
    checked_key,
)
from aesparse.training.arguments import (
    check_bounds,
    check_kind,
    check_objective,
    check_sizes,
    checked_arrays,
    checked_data,
    checked_init,
    warn_of_precision,
)
from aesparse.training.checkpoints import Checkpoints, check_checkpoints
from aesparse.training.draws import shuffled
from aesparse.training.fingerprint import training_settings
from aesparse.training.growth import warn_of_growth
from aesparse.training.memory import check_memory
from aesparse.training.program import grid_program, measure_cells
from aesparse.training.recording import Recorder
from aesparse.training.sharding import CELLS, SHARED, Cells, cell_mesh, gather, place
from aesparse.training.verification import verify

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
    flagged_epoch: np.ndarray  # [S, G]: where a cell ends flagged, the first time it was; else −1
    guard: float  # largest relative difference the numerics guard saw; NaN if it was left out


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
    init: Params | None = None,
    checkpoints: Checkpoints | None = None,
    check_compiled: bool = True,
) -> GridResult:
    """Trains one model per seed and strength by minibatch SGD with momentum (Arpit section 3).

    `X` is `[N, n]`: float32, or float64 with `jax_enable_x64` (without it a warning says that it
    is taken as float32); float16, bfloat16, booleans and integers up to ±2²⁴ are taken as float32,
    unscaled. `key` is a threefry key, JAX's default. `strengths` `[G]` (`[G, K]` for objectives
    with K coefficients) and `learning_rate` (one number or `[G]`) are arrays the program takes as
    arguments, everything else is static. `init` `[S, G, ...]` are parameters to start from, such
    as an earlier result's, instead of the seed's, put on the constraint; the momentum starts at
    zero. A seed alone decides initialization, batch order and noise, so a grid of several seeds
    equals the same seeds trained one at a time; the last N mod batch_size samples of each epoch's
    order are left out. Cells are split over `devices`, by default all of `jax.devices()`, on all
    hosts after `jax.distributed.initialize()`; more than one gives the result as NumPy arrays,
    complete on every host. `cells_per_program` splits the strengths into equal chunks of at most
    that many cells (or of one strength), trained one after the other, for grids that would not fit
    in memory; they too are NumPy arrays. `momentum` lies in [0, 1); `matmul_precision` is JAX's;
    the history is of the first `history_samples` rows.
    `on_epoch(epoch, metrics)` is called after every epoch (of every chunk); give it on all hosts
    or on none. With `checkpoints` a killed call, repeated, goes on from the last one and gives the
    same bits (single host); one with other arguments is refused, except with more `epochs`.

    A model that diverges (parameters, error or loss not finite) or dies has a `flagged_epoch` and
    does not touch its neighbours. Each newly compiled program is checked once by the numerics
    guard, unless `check_compiled` is False. Raises `InputError` on bad input before anything is
    compiled, `guard.NumericsError` on a miscompiled program. A
    part of the objective that doubles when the batch doubles, for want of a mean, is named in a
    warning, once for each objective.
    """
    check_untransformed(key, X, strengths, learning_rate, momentum, init)
    check_options(
        tied=tied,
        decoder_bias=decoder_bias,
        constraint=constraint,
        matmul_precision=matmul_precision,
        devices=devices,
        on_epoch=on_epoch,
    )
    key, given = checked_key(key), X
    X, strengths, rates, seeds = checked_arrays(X, strengths, learning_rate, seeds)
    sizes = {"hidden": hidden, "epochs": epochs, "history_samples": history_samples}
    if cells_per_program is not None:
        sizes["cells_per_program"] = cells_per_program
    rows = get_constraint(constraint)
    check_sizes(sizes | {"batch_size": batch_size}, len(X), every=rows.every)
    model = {"hidden": hidden, "tied": tied, "decoder_bias": decoder_bias}
    each = cells_per_program or len(seeds) * len(strengths)
    chunk = max(1, each // len(seeds))
    check_memory(
        len(seeds) * len(strengths),
        X.shape[1],
        hidden,
        at_once=len(seeds) * min(chunk, len(strengths)),
        devices=len(jax.devices() if devices is None else devices),
        itemsize=X.dtype.itemsize,
        tied=tied,
    )
    check_objective(objective, X, strengths, batch_size=batch_size, **model)
    if init is not None:
        init = checked_init(init, X, (len(seeds), len(strengths)), rows, **model)
    check_momentum(momentum)
    check_checkpoints(checkpoints)
    warn_of_precision(given, X)
    if chunk < len(strengths):
        return _fit_chunks(
            chunk,
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
            init=init,
            checkpoints=checkpoints,
            check_compiled=check_compiled,
        )
    settings = None
    if checkpoints is not None:
        settings = training_settings(
            key,
            X,
            objective=objective,
            strengths=strengths,
            seeds=seeds,
            learning_rate=rates,
            init=init,
            batch_size=batch_size,
            **model,
            constraint=constraint,
            momentum=float(momentum),
            history_samples=int(history_samples),
            matmul_precision=matmul_precision,
        )
    with jax.default_matmul_precision(matmul_precision):
        warn_of_growth(objective, X, strengths, batch_size=batch_size, **model)
        program = grid_program(
            objective,
            rows,
            batch_size=batch_size,
            momentum=momentum,
            hidden=hidden,
            tied=tied,
            decoder_bias=decoder_bias,
            mesh=cell_mesh(devices, cells=len(seeds) * len(strengths)),
        )
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.asarray(seeds))
        samples = (batch_size, history_samples)
        return _fit(
            program, keys, X, strengths, rates, epochs, samples, on_epoch, init,
            checkpoints, settings, check_compiled,
        )  # fmt: skip


def _fit(
    program,
    keys,
    X,
    strengths,
    rates,
    epochs,
    samples,
    on_epoch,
    init,
    checkpoints,
    settings,
    check_compiled,
):
    batch_size, history_samples = samples
    shape = (len(keys), len(strengths))
    cells = Cells.of_seeds(len(keys), strengths, rates)
    on_hosts, on_devices = _transfers(shape, program.mesh)
    cells = place(cells.padded(program.mesh.size), program.mesh, CELLS)
    keys, X = (place(v, program.mesh, SHARED) for v in (keys, X))
    state = program.start(keys, X, cells)
    if init is not None:
        state = state._replace(params=on_devices(init))
    subset, few = X[:history_samples], X[:_PRESSURE_SAMPLES]
    difference = math.nan
    if check_compiled:
        difference = verify(program, state, keys, X, cells, started=init is None, subset=subset)

    def train(state, epoch):
        steps = np.int32(len(X) // batch_size)
        return program.epoch(state, shuffled(keys, epoch, len(X)), X, cells, steps)

    def record(params):
        metrics = program.measure(params, subset)[1]
        return metrics, *program.pressure(params, keys, few, cells)

    begin, first = 1, record(state.params)
    moments = Recorder(epochs + 1, program.mesh, on_hosts)
    trained = Recorder(epochs, program.mesh, on_hosts)
    moments.add(first)
    if checkpoints is not None:
        losses_like = jax.eval_shape(lambda: train(state, begin))[1]
        like = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((*shape, *leaf.shape[1:]), leaf.dtype),
            (state, first, losses_like),
        )
        resumed = checkpoints.latest(like, before=epochs, settings=settings)
        if resumed is not None:
            begin, (hosted, *recorded) = resumed.epoch + 1, resumed.tree
            state = on_devices(hosted)
            for recorder, arrays in zip((moments, trained), recorded, strict=True):
                recorder.restore(arrays)
    for epoch in range(begin, epochs + 1):
        state, aux = train(state, epoch)
        latest = record(state.params)
        trained.add(aux)
        moments.add(latest)
        if checkpoints is not None and checkpoints.due and epoch < epochs:
            tree = (on_hosts(state), moments.arrays(), trained.arrays())
            checkpoints.save(epoch, tree, settings=settings)
        if on_epoch is not None:
            on_epoch(epoch, on_hosts(latest[0]))
    (history, pressure, measured_loss), losses = moments.arrays(), trained.arrays()
    params, (units, final) = on_hosts((state.params, program.measure(state.params, X)))
    diverged = ~np.isfinite(measured_loss)
    diverged[..., 1:] |= ~np.isfinite(losses["loss"])
    return GridResult(
        params=params,
        metrics=final,
        units=units,
        history=history,
        pressure=pressure,
        losses=losses,
        flagged_epoch=first_flagged(history, final, diverged),
        guard=difference,
    )


def _transfers(shape: tuple[int, int], mesh: Mesh) -> tuple[Callable, Callable]:
    """From padded cells on the devices to arrays `[S, G, ...]` on every host, and back."""
    count = math.prod(shape)

    def on_hosts(tree):
        return jax.tree.map(
            lambda leaf: leaf[:count].reshape(*shape, *leaf.shape[1:]), gather(tree, mesh)
        )

    def on_devices(tree):
        def padded(leaf):
            flat = leaf.reshape(count, *leaf.shape[2:])
            missing = -count % mesh.size
            return np.pad(flat, [(0, missing), *[(0, 0)] * (flat.ndim - 1)], mode="edge")

        return place(jax.tree.map(padded, tree), mesh, CELLS)

    return on_hosts, on_devices


def _fit_chunks(
    size: int, key, X, *, strengths, learning_rate, init, checkpoints, **options
) -> GridResult:
    # The last chunk is filled up with its last cell, so that all share one program.
    cells = np.minimum(np.arange(-(-len(strengths) // size) * size), len(strengths) - 1)
    parts = [
        jax.tree.map(  # off the devices, which hold one chunk at a time
            np.asarray,
            fit_grid(
                key,
                X,
                strengths=strengths[chosen],
                learning_rate=learning_rate[chosen],
                init=jax.tree.map(lambda leaf, chosen=chosen: leaf[:, chosen], init),
                checkpoints=checkpoints and checkpoints.part(i),
                **options,
            ),
        )
        for i, chosen in enumerate(cells.reshape(-1, size))
    ]
    joined = jax.tree.map(
        lambda *leaves: np.concatenate(leaves, axis=1)[:, : len(strengths)],
        *[part._replace(guard=np.zeros((1, size))) for part in parts],
    )
    return joined._replace(guard=float(max(part.guard for part in parts)))


def measure_grid(
    params: Params, X: Array | np.ndarray, objective: Objective, *, matmul_precision="highest"
) -> tuple[UnitStatistics, Metrics]:
    """Unit statistics and metrics of every model of a grid `[S, G, ...]` on other data `[N, n]`.

    `InputError` for defective data, another number of inputs, data that the objective's error is
    not defined for, and parameters that are not a grid's.
    """
    check_params(params, "What is to be measured is")
    check_untransformed(params, X)
    check_precision(matmul_precision)
    check_kind(objective)
    given, X, n = X, checked_data(X), params.weight.shape[-1]
    if params.weight.ndim != 4:
        raise InputError(
            f"The weights have shape {params.weight.shape}; expected those of a grid, "
            "[seeds, strengths, hidden, inputs]."
        )
    if X.shape[1] != n:
        raise InputError(f"The data has {X.shape[1]} inputs; the models have {n}.")
    check_bounds(objective, X)
    warn_of_precision(given, X)
    shape = params.bias.shape[:2]
    cells = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), params)
    mesh = cell_mesh(jax.local_devices()[:1])
    with jax.default_matmul_precision(matmul_precision):
        measured = measure_cells(objective.activation, objective.error, mesh)(cells, X)
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), measured)
