"""One trainer: any model, objective and optimizer over a grid of whatever is swept.

Shapes: N samples, n inputs, C models in all, E epochs, H recorded moments.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike, PRNGKeyArray, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.losses.objectives import as_objective
from aesparse.models.base import Model
from aesparse.models.constraints import Constraint, as_constraint
from aesparse.options import check_flags, checked_key
from aesparse.training.assembling import assembled
from aesparse.training.checkpoints import Checkpoints, check_checkpoints
from aesparse.training.full_batch import check_full_batch, minimize_part
from aesparse.training.growth import warn_of_growth
from aesparse.training.hyperparameters import hyperparameters
from aesparse.training.loop import train_part
from aesparse.training.measuring import as_measurement
from aesparse.training.memory import check_history, check_memory
from aesparse.training.optimizers import Lbfgs, Optimizer, as_optimizer
from aesparse.training.progress import Progress
from aesparse.training.recording import checked_epochs
from aesparse.training.result import Result
from aesparse.training.step import Recipe, TrainState
from aesparse.training.stopping import EarlyStopping, checked_stopping
from aesparse.training.sweep import parse_sweep
from aesparse.training.task import Task
from aesparse.training.validation import (
    check_bounds,
    check_devices,
    check_levels,
    check_precision,
    check_recipe,
    check_sizes,
    check_untransformed,
    checked_data,
    parameter_shapes,
    warn_of_precision,
)
from aesparse.training.warm_start import checked_start

__all__ = ["fit"]


def fit(
    X: ArrayLike,
    model: Model,
    objective: Objective | str | Callable,
    *,
    sweep: Mapping | None = None,
    optimizer: Optimizer | None = None,
    constraint: Constraint | str | None = None,
    measure: Callable | Mapping[str, Callable] | None = None,
    key: PRNGKeyArray | None = None,
    epochs: int = 50,
    batch_size: int = 50,
    history_epochs: Sequence[int] | None = None,
    history_samples: int = 5000,
    start: PyTree | Result | None = None,
    stopping: EarlyStopping | None = None,
    models_per_program: int | None = None,
    keep_params: bool = True,
    keep_optimizer: bool = False,
    matmul_precision: str = "highest",
    devices: Sequence[jax.Device] | None = None,
    progress: bool = False,
    on_epoch: Callable[[int, PyTree], object] | None = None,
    checkpoints: Checkpoints | None = None,
    check_compiled: bool = True,
) -> Result:
    """Trains one model per point of the grid `sweep`, all of them in one compiled program.

    Args:
        X: data `[N, n]`: float32, or float64 with `jax_enable_x64` (without it a warning says that
            it is taken as float32). float16, bfloat16, booleans and integers up to ±2²⁴ are taken
            as float32, unscaled.
        model: `OneLayer(hidden=…)`, `FlaxModel(encoder, decoder)`, or an object of your own with
            `init(key, n)`, `encode(params, x)` and `decode(params, h)` that can be hashed.
        objective: a name ("dae", "cae", …), an `Objective`, or a function
            `(model, params, x, eps, coefficients) -> (loss, parts)`.
        sweep: values by name: the objective's coefficients, hyperparameters of the optimizer, and
            "seed". A list or array is an axis, a number is the same for all models; a tuple of
            names with rows of values is one axis along which all of them change together.
        optimizer: any optax transformation, by default `sgd(learning_rate=0.001, momentum=0.9)`;
            what `optax.inject_hyperparams` injects can be swept. Or `lbfgs()`, over all samples at
            once.
        constraint: a name ("unit": rows of length 1), or a `Constraint`; by default none.
        measure: a measurement `(trained, x) -> pytree`, or several by name; by default activation
            statistics (of a model without pre-activations, those of its code).
        key: a threefry key, by default `jax.random.key(0)`. The key and a seed alone decide
            initialization, batch order and noise of a model.
        epochs: passes over the data; the last N mod batch_size samples of an epoch's order are left
            out. `lbfgs()` makes one pass of its own and takes neither.
        batch_size: samples of an update.
        history_epochs: when the measurements are made; by default before training (0) and after
            every epoch.
        history_samples: on how many of the first samples; at the end they are made on all.
        start: parameters `[*axes, ...]` to start from, or the `Result` of such a grid; put on the
            constraint, with a fresh state of the optimizer. A result that has an
            `optimizer_state` goes on, to the same bits as in one training of all epochs.
        stopping: `EarlyStopping(validation, …)`, after which epoch a model ends; its losses and
            history are NaN from there on. By default all are trained for all epochs.
        models_per_program: at most so many models at once, part after part, for grids that would
            not fit into memory.
        keep_params: False drops the parameters in the end, for results larger than memory.
        keep_optimizer: True keeps the optimizer's state, for a later call to go on from; not with
            `stopping`.
        matmul_precision: JAX's name for the precision of matrix products.
        devices: those that the models are split over, by default all, on all hosts.
        progress: True shows a bar, on a terminal or in a notebook, with the time left and the
            lowest and highest loss; in a log a line every 30 s. It changes no number.
        on_epoch: called as `on_epoch(epoch, measured)` after every epoch of every part, with the
            latest measurement of its models `[C, ...]`; give it on all hosts or on none.
        checkpoints: where an interrupted call, repeated, goes on from (single host).
        check_compiled: whether each newly compiled program is compared with the same operations
            one by one, which takes seconds.

    A model that diverges has a `diverged_epoch` and does not touch its neighbours. On one machine,
    with equal devices and parts, a repeated call gives the same bits; models trained apart, on
    other devices or in other parts agree to rounding (see docs/how-we-know/reproducibility.md).

    Raises:
        InputError: for bad input, before anything is compiled.
        errors.NumericsError: if a compiled program disagrees with its operations one by one.

    >>> import numpy as np
    >>> from aesparse import OneLayer
    >>> X = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> result = fit(X, OneLayer(5), "cae", epochs=2,
    ...     sweep={"strength": [0, 0.1], "seed": range(3)})
    >>> result.sizes
    {'strength': 2, 'seed': 3}
    >>> result.losses["loss"].mean(axis=(0, 1)).round(1).tolist()  # of both epochs
    [6.3, 6.1]
    """
    values = list(sweep.values()) if isinstance(sweep, Mapping) else sweep
    check_untransformed(key, X, values, start.params if isinstance(start, Result) else start)
    flags = {"keep_params": keep_params, "keep_optimizer": keep_optimizer}
    flags |= {"progress": progress, "check_compiled": check_compiled}
    check_flags(flags, {"on_epoch": on_epoch})
    check_precision(matmul_precision)
    check_devices(devices)
    check_checkpoints(checkpoints)
    key, given, X = checked_key(key), X, checked_data(X)
    shapes = parameter_shapes(model, X)
    constraint, optimizer = as_constraint(constraint), as_optimizer(optimizer)
    tunable = hyperparameters(optimizer, shapes)
    objective = as_objective(objective, _other_names(sweep, tunable))
    swept = parse_sweep(sweep, coefficients=objective.coefficients, hyperparameters=tunable)
    full_batch = isinstance(optimizer, Lbfgs)
    if full_batch:
        epochs, batch_size = 1, len(X)
    sizes = {"epochs": epochs, "batch_size": batch_size, "history_samples": history_samples}
    if models_per_program is not None:
        sizes["models_per_program"] = models_per_program
    check_sizes(sizes, len(X), every=constraint.every)
    at_once = min(models_per_program or swept.size, swept.size)
    moments = jax.eval_shape(optimizer.init, shapes)
    count = len(jax.devices() if devices is None else devices)
    held = moments if stopping is None else (moments, shapes)  # the best parameters so far
    check_memory(swept.size, shapes, held, at_once=at_once, count=count)
    recipe = Recipe(
        model, objective, optimizer, constraint, as_measurement(measure, model), int(batch_size)
    )
    rows = min(history_samples, len(X))
    record = check_recipe(recipe, shapes, X, objective.coefficients, rows=rows)
    check_levels(objective, swept)
    largest = {n: jnp.asarray(swept.column(n).max(), X.dtype) for n in objective.coefficients}
    if full_batch:
        check_full_batch(recipe, shapes, X, largest)
    check_bounds(objective, X)
    stopping = checked_stopping(stopping, X, objective, full_batch=full_batch)
    if keep_optimizer and (full_batch or stopping is not None):
        raise InputError(
            "keep_optimizer=True is given with L-BFGS or stopping, after which there is no state "
            "to go on from; expected keep_optimizer=False."
        )
    begin = checked_start(start, TrainState(shapes, moments), swept.shape, recipe)
    record_at = checked_epochs(history_epochs, int(epochs))
    check_history(swept.size, int(epochs), len(record_at), record)
    warn_of_precision(given, X)
    task = Task(
        recipe=recipe,
        X=X,
        key=key,
        sweep=swept,
        tunable=tunable,
        epochs=int(epochs),
        record_at=record_at,
        record_rows=int(history_samples),
        begin=begin.params,
        moments=begin.moments,
        before=begin.epochs,
        at_once=int(at_once),
        stopping=stopping,
        devices=None if devices is None else tuple(devices),
        precision=matmul_precision,
        on_epoch=on_epoch,
        progress=Progress(
            shown=bool(progress),
            parts=-(-swept.size // int(at_once)),
            each=optimizer.max_iterations if full_batch else int(epochs),
            unit="iterations" if full_batch else "epochs",
        ),
        checkpoints=checkpoints,
        check_compiled=bool(check_compiled),
        keep_params=bool(keep_params),
        keep_optimizer=bool(keep_optimizer),
    )
    with contextlib.closing(task.progress), jax.default_matmul_precision(matmul_precision):
        warn_of_growth(recipe, shapes, X, largest)
        train = minimize_part if full_batch else train_part
        return assembled(task, [train(task, part) for part in task.parts()])


def _other_names(sweep: object, tunable: Mapping[str, float]) -> tuple[str, ...]:
    """Names of a sweep that must be coefficients of a function which does not name its own."""
    if not isinstance(sweep, Mapping):
        return ()
    names = [name for key in sweep for name in (key if isinstance(key, tuple) else (key,))]
    return tuple(name for name in names if isinstance(name, str) and name not in {*tunable, "seed"})
