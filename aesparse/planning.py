"""What a grid will cost, before anything is trained: memory, operations, time.

Operations and memory are those of the compiled program for the shapes asked, found without
allocating them; the time follows from a rate given, or from a few updates of a few cells on
this machine. Shapes: n inputs, m hidden units, N samples, B batch, C cells, D devices.
"""

import functools
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aesparse.arguments import check_kind, check_sizes
from aesparse.errors import InputError
from aesparse.model import get_constraint
from aesparse.objectives import Objective
from aesparse.program import Program, grid_program, shuffled
from aesparse.sharding import CELLS, SHARED, Cells, cell_mesh, place
from aesparse.tables import duration

__all__ = ["Estimate", "estimate", "plan_rows"]

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
    working: int  # bytes beside the state: gradients, batches, data
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
) -> Estimate:
    """Plans `cells` models over `devices` (default: those here), float32, tied.

    `rate` is what a device sustains in training, in operations a second; without one it is
    measured here. `memory` is what a device has, in bytes; by default what is found here.
    `matmul_precision` is that of the training. Raises `InputError` for sizes below 1, a batch
    larger than the data, and for a single cell that does not fit.
    """
    sizes = {
        "inputs": inputs, "hidden": hidden, "samples": samples, "cells": cells,
        "batch_size": batch_size, "epochs": epochs,
    } | ({} if devices is None else {"devices": devices})  # fmt: skip
    check_kind(objective)
    check_sizes(sizes, samples)
    for name, value in {"rate": rate, "memory": memory}.items():
        if value is not None and not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value}; expected a finite number > 0.")
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
    available = int(_memory_here() if memory is None else memory)
    with jax.default_matmul_precision(matmul_precision):
        (*one, operations), (*two, _) = (
            _needs(program, _cells(objective, c), samples, inputs) for c in (1, 2)
        )
    state_each, working_each = (b - a for a, b in zip(one, two, strict=True))
    fixed = one[1] - working_each
    fitting = int((available - fixed) // (state_each + working_each))
    if fitting < 1:
        needed = fixed + state_each + working_each
        raise InputError(
            f"One cell needs {needed / 2**30:.2f} GiB and a device has {available / 2**30:.2f}; "
            "use a smaller model or fewer samples, or a larger device."
        )
    per_device = -(-cells // devices)
    rounds = -(-per_device // fitting)
    at_once = -(-per_device // rounds)
    if rate is None:
        with jax.default_matmul_precision(matmul_precision):
            probed = _cells(objective, min(at_once, _PROBE_CELLS) * len(jax.local_devices()))
            sustained = operations * _updates_per_second(compiled_for, probed, inputs, batch_size)
    return Estimate(
        cells=cells,
        devices=devices,
        cells_per_device=at_once,
        rounds=rounds,
        updates=epochs * (samples // batch_size),
        operations=operations,
        state=at_once * state_each,
        working=fixed + at_once * working_each,
        available=available,
        rate=sustained if rate is None else rate,
        measured=rate is None,
    )


def _cells(objective: Objective, count: int) -> Cells:
    """Cells of one seed at some strength and rate."""
    numbers = () if objective.coefficients is None else (objective.coefficients,)
    levels = np.full((count, *numbers), 1e-3, np.float32)
    return Cells.of_seeds(1, levels, np.full(count, 1e-3, np.float32))


def _shapes(program: Program, cells: Cells, samples: int, inputs: int) -> tuple:
    shape = jax.ShapeDtypeStruct
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 1))
    X = shape((samples, inputs), jnp.float32)
    each = jax.tree.map(lambda leaf: shape(leaf.shape, leaf.dtype), cells)
    draws = jax.eval_shape(functools.partial(shuffled, samples=samples), keys, 1)
    return jax.eval_shape(program.start, keys, X, each), draws, X, each, shape((), jnp.int32)


def _needs(program: Program, cells: Cells, samples: int, inputs: int) -> tuple[int, int, float]:
    """Of the compiled epoch: bytes of the state, and of all else; operations of one update.

    A loop's body is counted once, so the operations are those of one cell where cells are one.
    """
    arguments = _shapes(program, cells, samples, inputs)
    compiled = program.epoch.lower(*arguments).compile()
    used = compiled.memory_analysis()
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(arguments[0]))
    held = used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    rest = held - state + used.temp_size_in_bytes
    return state, rest, compiled.cost_analysis()["flops"]


def _memory_here() -> int:
    statistics = jax.local_devices()[0].memory_stats() or {}
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return statistics.get("bytes_limit", host // len(jax.local_devices()))


def _updates_per_second(compiled_for: Callable, cells: Cells, inputs: int, batch: int) -> float:
    """Updates of single cells a second and device, all devices here at work on a few cells.

    One device alone would be measured too fast: those of a CPU share its cores and caches.
    """
    devices = jax.local_devices()
    program = compiled_for(mesh=cell_mesh(devices))
    each_device = len(cells.seed) // len(devices)
    keys = jax.random.split(jax.random.key(0), 1)
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
