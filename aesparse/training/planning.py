"""What a grid will cost, before anything is trained: memory, operations, time.

Operations and memory are those of the compiled program for the shapes asked, found without
allocating them; the time follows from a rate given, or from a few updates of a few cells on
this machine. Shapes: n inputs, m hidden units, N samples, B batch, C cells, D devices.
"""

import functools
import numbers
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aesparse.errors import InputError
from aesparse.losses.objectives import Objective
from aesparse.models.one_layer import get_constraint
from aesparse.options import shortened
from aesparse.tables import duration
from aesparse.training.arguments import check_kind, check_sizes
from aesparse.training.draws import shuffled
from aesparse.training.memory import device_memory
from aesparse.training.program import Program, grid_program
from aesparse.training.sharding import CELLS, SHARED, Cells, cell_mesh, place

__all__ = ["Estimate", "estimate", "plan_rows"]

_PRESSURE_SAMPLES = 1000  # as in `grid`
_CPU_BYTES = 2**25  # that tracing and dispatch add in a CPU process; see benchmarks/memory.py
_PROBE_CELLS, _PROBE_SAMPLES, _PROBE_SECONDS = 4, 1000, 2.0


class Estimate(NamedTuple):
    """The cost of a grid; bytes and seconds are per device, devices working side by side."""

    cells: int
    devices: int
    cells_per_device: int  # at once
    rounds: int  # one after the other, where not all cells fit
    updates: int  # of every cell
    operations: float  # floating-point, of one update of one cell
    state: int  # bytes of parameters and momentum of the cells at once
    working: int  # bytes of all else at the peak: data, copies, temporaries of the largest program
    available: int  # bytes of one device
    rate: float  # operations a second of one device
    measured: bool  # whether the rate was measured here

    @property
    def seconds(self) -> float:
        """Expected training time, without compilation and measurements of every epoch."""
        work = self.operations * self.updates * self.cells_per_device * self.rounds
        return work / self.rate


def estimate(
    objective: Objective,
    *,
    inputs: int,
    hidden: int,
    samples: int,
    cells: int,
    batch_size: int = 50,
    epochs: int = 50,
    constraint: str = "unit",
    devices: int | None = None,
    rate: float | None = None,
    memory: float | int | None = None,
    matmul_precision: str = "highest",
    seeds: int = 1,
    history_samples: int = 5000,
) -> Estimate:
    """Plans `cells` models, of `seeds` seeds, over `devices` (default: those here), float32, tied.

    The memory is the peak of a whole training with `fit_grid`: start, check, epochs, the
    measurements and Theorem 1's condition. On a CPU the process itself (Python, JAX, compiled
    programs: 0.3 to 0.5 GiB) and the caller's own copy of the data come on top.

    `rate` is what a device sustains in training, in operations a second; without one it is
    measured here. `memory` is what a device has, in bytes; by default what is found here.
    `matmul_precision` is that of the training. Raises `InputError` for sizes below 1, a batch
    larger than the data, and for a single cell that does not fit.
    """
    sizes = {
        "inputs": inputs, "hidden": hidden, "samples": samples, "cells": cells,
        "batch_size": batch_size, "epochs": epochs, "seeds": seeds,
        "history_samples": history_samples,
    } | ({} if devices is None else {"devices": devices})  # fmt: skip
    check_kind(objective)
    check_sizes(sizes, samples)
    for name, value in {"rate": rate, "memory": memory}.items():
        if value is None:
            continue
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not (real and np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {shortened(value)}; expected a finite number > 0.")
    compiled_for = functools.partial(
        grid_program,
        objective,
        get_constraint(constraint),
        batch_size=batch_size,
        momentum=0.9,
        hidden=hidden,
        tied=True,
        decoder_bias=False,
    )
    program = compiled_for(mesh=cell_mesh(jax.local_devices()[:1]))
    devices = jax.device_count() if devices is None else devices
    available = int(device_memory() if memory is None else memory)
    state_each = 8 * (inputs * hidden + hidden)  # parameters and momentum
    if 2 * state_each > available:
        raise _too_large(2 * state_each, available)
    shapes = (samples, inputs, history_samples, seeds, devices)
    with jax.default_matmul_precision(matmul_precision):
        operations = _compiled_epoch(program, objective, samples, inputs).cost_analysis()["flops"]
        per_device = -(-cells // devices)
        fitting, peak = _fitting(
            lambda models: _peak(program, objective, models, *shapes),
            min(per_device, available // (2 * state_each)),
            available,
        )
        rounds = -(-per_device // fitting)
        at_once = -(-per_device // rounds)
        if at_once != fitting:
            peak = _peak(program, objective, at_once, *shapes)
    if rate is None:
        with jax.default_matmul_precision(matmul_precision):
            probed = _cells(objective, min(at_once, _PROBE_CELLS) * len(jax.local_devices()))
            sustained = operations * updates_per_second(compiled_for, probed, inputs, batch_size)
    return Estimate(
        cells=cells,
        devices=devices,
        cells_per_device=at_once,
        rounds=rounds,
        updates=epochs * (samples // batch_size),
        operations=operations,
        state=at_once * state_each,
        working=peak - at_once * state_each,
        available=available,
        rate=sustained if rate is None else rate,
        measured=rate is None,
    )


def _cells(objective: Objective, count: int) -> Cells:
    """Cells of one seed at some strength and rate."""
    numbers = () if objective.coefficients is None else (objective.coefficients,)
    levels = np.full((count, *numbers), 1e-3, np.float32)
    return Cells.of_seeds(1, levels, np.full(count, 1e-3, np.float32))


def _too_large(needed: int, available: int) -> InputError:
    return InputError(
        f"One cell needs {needed / 2**30:.3g} GiB and a device has {available / 2**30:.2f}; "
        "use a smaller model or fewer samples, or a larger device."
    )


def _fitting(peak: Callable[[int], int], models: int, available: int) -> tuple[int, int]:
    """The largest number of models up to `models` whose peak fits, nearly; and that peak."""
    needed = peak(models)
    if needed > available and models > 1:
        one = peak(1)
        each = (needed - one) / (models - 1)
        models = max(1, int(1 + (available - one) / each))
        needed = peak(models)
    while needed > available:
        if models == 1:
            raise _too_large(needed, available)
        models = int(0.95 * models)
        needed = peak(models)
    return models, needed


def _shapes(program: Program, cells: Cells, samples: int, inputs: int, seeds: int = 1) -> tuple:
    """Shapes of the epoch's arguments, behind them those of the seeds' keys."""
    shape = jax.ShapeDtypeStruct
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0, impl="threefry2x32"), seeds))
    X = shape((samples, inputs), jnp.float32)
    each = jax.tree.map(lambda leaf: shape(leaf.shape, leaf.dtype), cells)
    draws = jax.eval_shape(functools.partial(shuffled, samples=samples), keys, 1)
    state = jax.eval_shape(program.start, keys, X, each)
    return state, draws, X, each, shape((), jnp.int32), keys


def _compiled_epoch(program: Program, objective: Objective, samples: int, inputs: int):
    """The epoch of a single model: a loop's body is counted once, so its cost is an update's."""
    arguments = _shapes(program, _cells(objective, 1), samples, inputs)[:-1]
    return program.epoch.lower(*arguments).compile()


def _peak(
    program: Program,
    objective: Objective,
    models: int,
    samples: int,
    inputs: int,
    history_samples: int,
    seeds: int,
    devices: int,
) -> int:
    """Bytes of one device at the fullest moment of a training of `models` models there."""
    cells = _cells(objective, models)
    state, draws, X, each, steps, keys = _shapes(program, cells, samples, inputs, seeds)
    subset, few = (
        jax.ShapeDtypeStruct((min(k, samples), inputs), X.dtype)
        for k in (history_samples, _PRESSURE_SAMPLES)
    )

    def temporary(f, *arguments):
        used = f.lower(*arguments).compile().memory_analysis()
        return used.temp_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes

    held, params = _bytes(state), _bytes(state.params)
    data = _bytes((X, X, subset, few, draws.order))  # as checked, and as placed on the mesh
    on_host = program.mesh.devices.flat[0].platform == "cpu"
    # The check trains a copy of the state, while the host has what the reference made of the
    # first device's models.
    epoch = temporary(program.epoch, state, draws, X, each, steps)
    moments = [
        temporary(program.start, keys, X, each) - held,
        held + epoch + (held / devices if on_host else 0),
        temporary(program.measure, state.params, subset),
        params + temporary(program.measure, state.params, X),
        temporary(program.pressure, state.params, keys, few, each),
    ]
    return int(data + held + max(moments)) + (_CPU_BYTES // devices if on_host else 0)


def _bytes(tree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def updates_per_second(compiled_for: Callable, cells: Cells, inputs: int, batch: int) -> float:
    """Updates of single cells a second and device, all devices here at work on a few cells.

    One device alone would be measured too fast: those of a CPU share its cores and caches.
    """
    devices = jax.local_devices()
    program = compiled_for(mesh=cell_mesh(devices))
    each_device = len(cells.seed) // len(devices)
    keys = jax.random.split(jax.random.key(0, impl="threefry2x32"), 1)
    X = jax.random.normal(keys[0], (max(_PROBE_SAMPLES, batch), inputs))
    keys, X = (place(v, program.mesh, SHARED) for v in (keys, X))
    each = place(cells, program.mesh, CELLS)
    state, draws, steps = program.start(keys, X, each), shuffled(keys, 1, len(X)), 1
    while True:
        begin = time.perf_counter()
        state, losses = program.epoch(state, draws, X, each, np.int32(steps))
        jax.block_until_ready(losses)
        seconds = time.perf_counter() - begin
        if steps > 1 and seconds > _PROBE_SECONDS / 4:
            return each_device * steps / seconds
        steps = max(2, round(steps * min(_PROBE_SECONDS / seconds, 10)))


def plan_rows(plan: Estimate) -> list[tuple[str, str]]:
    """A plan as (name, value)."""
    layout = f"{plan.devices} × {plan.cells_per_device} cells at once"
    if plan.rounds > 1:
        each = plan.devices * plan.cells_per_device
        layout += f", {plan.rounds} rounds (cells_per_program={each})"
    source = "measured here" if plan.measured else "as given"
    total = plan.operations * plan.updates * plan.cells
    held = (plan.state + plan.working) / 2**30
    return [
        ("cells", f"{plan.cells:,}, {plan.updates:,} updates each"),
        ("layout (devices × cells)", layout),
        (
            "memory of a device",
            f"{held:.2f} GiB of {plan.available / 2**30:.1f}: {plan.state / 2**30:.2f} parameters "
            f"and momentum, {plan.working / 2**30:.2f} data, gradients and temporaries",
        ),
        ("operations", f"{plan.operations / 1e6:.0f} MFLOP an update, {total:.2e} FLOP in all"),
        ("rate of a device", f"{plan.rate / 1e9:.0f} GFLOP/s, {source}"),
        ("expected training time", duration(plan.seconds)),
    ]
