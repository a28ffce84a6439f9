"""Training the models of one program, epoch by epoch: drawn, recorded, saved and resumed."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from aesparse.training.draws import shuffled
from aesparse.training.hyperparameters import with_hyperparameters
from aesparse.training.identity import training_settings
from aesparse.training.program import Program, grid_program
from aesparse.training.recording import Recorder
from aesparse.training.sharding import SHARED, Points, model_mesh, place, transfers
from aesparse.training.step import TrainState
from aesparse.training.stopping import Best, Watch, validation_loss
from aesparse.training.task import Outcome, Part, Task
from aesparse.training.verification import Arguments, verify

__all__ = ["train_part"]


class _Records(NamedTuple):
    moments: Recorder
    losses: Recorder


class _Begun(NamedTuple):
    """A part that is placed on its devices and checked; nothing is trained yet."""

    program: Program
    mesh: Mesh
    arguments: Arguments
    subset: Array  # of the history
    state: TrainState
    watch: Watch | None
    best: Best | None
    guard: float


def _begun(task: Task, part: Part, on_devices: Callable) -> _Begun:
    task.progress.stage("compiling")
    mesh = model_mesh(task.devices, models=len(part.points.seed))
    program = grid_program(task.recipe, mesh)
    arguments = Arguments(
        *(place(v, mesh, SHARED) for v in (part.keys, task.X)), on_devices(part.points)
    )
    hyperparameters = on_devices(part.hyperparameters)
    state = _state(part, program, arguments, hyperparameters, on_devices)
    watch, best, validated = None, None, None
    if task.stopping is not None:
        loss, held_out = validation_loss(task.recipe, mesh), task.stopping.validation
        if held_out is not None:
            held_out = place(held_out, mesh, SHARED)
            validated = loss, held_out
        watch = Watch(task.stopping, loss, arguments._replace(X=held_out), mesh)
        best = watch.before(state.params)
    difference, subset = math.nan, arguments.X[: task.record_rows]
    if task.check_compiled:
        task.progress.stage("compiling and checking")
        start = "drawn" if part.begin is None else "given" if part.moments is None else "continued"
        points, at_first = arguments.points, None
        if best is not None:
            at_first = on_devices(np.ones(len(part.points.seed), bool))
        difference = verify(
            program,
            state,
            arguments._replace(points=points._replace(active=at_first)),
            hyperparameters,
            start=start,
            subset=subset,
            validated=validated,
        )
    return _Begun(program, mesh, arguments, subset, state, watch, best, difference)


def _state(
    part: Part, program: Program, arguments: Arguments, hyperparameters: dict, on_devices: Callable
) -> TrainState:
    """Of the seeds, of parameters that are given, or of a training that goes on."""
    if part.begin is None:
        params = program.starting.init(arguments.keys, arguments.X, arguments.points.seed)
    else:
        params = on_devices(part.begin)
    if part.moments is None:
        return program.starting.state(params, hyperparameters)
    return TrainState(params, with_hyperparameters(on_devices(part.moments), hyperparameters))


def train_part(task: Task, part: Part) -> Outcome:
    """Trains the models of a part by minibatches; the whole of `fit` behind its checks."""
    count = len(part.points.seed)
    on_hosts, on_devices = transfers(count, model_mesh(task.devices, models=count))
    program, mesh, arguments, subset, state, watch, best, difference = _begun(
        task, part, on_devices
    )

    def epoch(
        state: PyTree, number: int, points: Points = arguments.points
    ) -> tuple[PyTree, dict[str, Array]]:
        keys, X, _ = arguments
        steps = np.int32(len(X) // task.recipe.batch_size)
        drawn = shuffled(keys, task.before + number, len(X))
        return program.epoch(state, drawn, X, points, np.int32(0), steps)

    def measured(params: PyTree, rows: Array) -> PyTree:
        return program.measure(params, arguments.keys, arguments.points, rows)

    losses = jax.eval_shape(lambda: epoch(state, 1))[1]
    losses |= dict.fromkeys(watch.names if watch is not None else (), losses["loss"])
    like = jax.eval_shape(lambda: measured(state.params, subset)), losses
    records = _Records(
        *(
            Recorder(moments, mesh, on_hosts, shapes, models=count)
            for moments, shapes in zip((len(task.record_at), task.epochs), like, strict=True)
        )
    )
    begin, latest = 1, measured(state.params, subset)
    if 0 in task.record_at:
        records.moments.add(latest)
    settings = training_settings(task, part) if part.checkpoints is not None else None
    if part.checkpoints is not None:
        resumed = _resumed(task, part, (state, best), records, settings, on_hosts)
        if resumed is not None:
            begin, (state, best) = resumed[0] + 1, on_devices(resumed[1])
            task.progress.resumed(resumed[0])
    for number in range(begin, task.epochs + 1):
        if best is not None and (on_hosts(best.stopped) >= 0).all():
            break
        active = None if best is None else best.stopped < 0
        state, losses = epoch(state, number, arguments.points._replace(active=active))
        task.progress.reached(number, losses["loss"])
        if watch is not None:
            best, losses = watch.after(best, number, state.params, losses)
        records.losses.add(losses)
        if number in task.record_at:
            latest = measured(state.params, subset)
            records.moments.add(latest)
        if part.checkpoints is not None and part.checkpoints.due and number < task.epochs:
            tree = (on_hosts((state, best)), *(record.arrays() for record in records))
            part.checkpoints.save(number, tree, settings=settings)
        if task.on_epoch is not None:
            task.on_epoch(number, on_hosts(latest))
    task.progress.part_done()
    params, finite = state.params, on_hosts(program.finite(state.params))
    if best is not None:
        params, finite = best.params, finite & on_hosts(best.finite)
    return Outcome(
        params=on_hosts(params) if task.keep_params else None,
        losses=records.losses.arrays(),
        history=records.moments.arrays(),
        final=on_hosts(measured(params, arguments.X)),
        finite=finite,
        guard=difference,
        stopped=None if best is None else on_hosts(best.stopped),
        best=None if best is None else on_hosts(best.epoch),
        moments=on_hosts(state.optimizer) if task.keep_optimizer else None,
    )


def _resumed(
    task: Task,
    part: Part,
    trained: PyTree,
    records: _Records,
    settings: dict,
    on_hosts: Callable,
) -> tuple[int, PyTree] | None:
    """The last epoch of an interrupted training and what it had `trained`; the records go on."""
    like = (
        jax.eval_shape(on_hosts, trained),
        *(jax.tree.map(_without_moments, record.arrays()) for record in records),
    )
    resumed = part.checkpoints.latest(like, before=task.epochs, settings=settings)
    if resumed is None:
        return None
    hosted, *recorded = resumed.tree
    for record, arrays in zip(records, recorded, strict=True):
        record.restore(arrays)
    return resumed.epoch, hosted


def _without_moments(leaf: np.ndarray) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape[:-1], leaf.dtype)
