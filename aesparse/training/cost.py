"""What a grid will cost, before anything is trained: memory, operations, time.

Operations and memory are those of the compiled program for the shapes asked, found without
allocating them; the time follows from a rate given, or from a few updates of a few models on
this machine. Shapes: n inputs, m hidden units, N samples, B batch, D devices.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.losses.objectives import as_objective
from aesparse.models.base import Model
from aesparse.models.constraints import Constraint, as_constraint
from aesparse.options import check_positive, checked_key
from aesparse.training.draws import shuffled
from aesparse.training.estimates import Estimate, plan_rows
from aesparse.training.hyperparameters import hyperparameters
from aesparse.training.measuring import as_measurement
from aesparse.training.memory import device_memory, tree_bytes
from aesparse.training.optimizers import Optimizer, as_optimizer
from aesparse.training.program import Program, grid_program
from aesparse.training.sharding import Points, model_mesh
from aesparse.training.step import Recipe
from aesparse.training.timing import timed_updates
from aesparse.training.validation import check_sizes, parameter_shapes

__all__ = ["Estimate", "estimate", "plan_rows"]

_CPU_BYTES = 2**25  # that tracing and dispatch add in a CPU process; see benchmarks/memory.py
_PROBE_MODELS, _PROBE_SECONDS = 4, 2.0


def estimate(
    model: Model,
    objective: Objective | str,
    *,
    inputs: int,
    samples: int,
    models: int,
    batch_size: int = 50,
    epochs: int = 50,
    constraint: Constraint | str | None = None,
    optimizer: Optimizer | None = None,
    measure: Callable | None = None,
    seeds: int = 1,
    history_samples: int = 5000,
    devices: int | None = None,
    rate: float | None = None,
    memory: float | int | None = None,
    matmul_precision: str = "highest",
) -> Estimate:
    """The memory, operations and time of `fit` with the same arguments, before anything is trained.

    In float32. The memory is the peak of a whole training: start, check, epochs, measurements. On a
    CPU the process itself (Python, JAX, compiled programs: 0.3 to 0.5 GiB) and the caller's own
    copy of the data come on top.

    Args:
        model: as for `fit`.
        objective: as for `fit`.
        inputs: n.
        samples: N.
        models: of the whole grid.
        batch_size: 50 by default.
        epochs: 50 by default.
        constraint: as for `fit`.
        optimizer: as for `fit`.
        measure: as for `fit`, one measurement.
        seeds: different ones among the models; 1 by default.
        history_samples: as for `fit`; 5,000 by default.
        devices: how many, by default those here.
        rate: what a device sustains in training, in operations a second; by default measured here.
        memory: what a device has, in bytes; by default what this one has.
        matmul_precision: that of the training.

    Raises:
        InputError: for sizes below 1, a batch larger than the data, and for a single model that
            does not fit.

    >>> from aesparse import OneLayer
    >>> plan = estimate(OneLayer(5), "cae", inputs=8, samples=200, models=6, epochs=2, rate=1e9)
    >>> plan.updates, plan.rounds, plan.state  # 2 · 200/50; 6 · 2 · (5 · 8 + 5) numbers and 6 · 2
    (8, 1, 2208)
    """
    sizes = {
        "inputs": inputs, "samples": samples, "models": models, "batch_size": batch_size,
        "epochs": epochs, "seeds": seeds, "history_samples": history_samples,
    } | ({} if devices is None else {"devices": devices})  # fmt: skip
    check_sizes(sizes, samples)
    given = {"rate": rate, "memory": memory}
    check_positive({name: value for name, value in given.items() if value is not None})
    recipe = Recipe(
        model,
        as_objective(objective),
        as_optimizer(optimizer),
        as_constraint(constraint),
        as_measurement(measure, model),
        int(batch_size),
    )
    data = jax.ShapeDtypeStruct((samples, inputs), jnp.float32)
    shapes = parameter_shapes(model, data)
    state_each = tree_bytes((shapes, jax.eval_shape(recipe.optimizer.init, shapes)))
    plan = _Plan(recipe, data, shapes, min(history_samples, samples), seeds)
    devices = jax.device_count() if devices is None else devices
    available = int(device_memory() if memory is None else memory)
    if 2 * state_each > available:
        raise _too_large(2 * state_each, available)
    with jax.default_matmul_precision(matmul_precision):
        operations = plan.operations()
        per_device = -(-models // devices)
        fitting, peak = _fitting(
            lambda models: plan.peak(models, devices),
            min(per_device, available // (2 * state_each)),
            available,
        )
        rounds = -(-per_device // fitting)
        at_once = -(-per_device // rounds)
        if at_once != fitting:
            peak = plan.peak(at_once, devices)
        sustained = rate
        if rate is None:
            sustained = operations * plan.updates_per_second(min(at_once, _PROBE_MODELS))
    return Estimate(
        models=models,
        devices=devices,
        models_per_device=at_once,
        rounds=rounds,
        updates=epochs * (samples // batch_size),
        operations=operations,
        state=at_once * state_each,
        working=peak - at_once * state_each,
        available=available,
        rate=sustained,
        measured=rate is None,
    )


class _Plan(NamedTuple):
    """A training as shapes alone."""

    recipe: Recipe
    data: jax.ShapeDtypeStruct
    shapes: PyTree
    rows: int  # of the history
    seeds: int

    def program(self) -> Program:
        """The program of one local device, which all devices run."""
        return grid_program(self.recipe, model_mesh(jax.local_devices()[:1]))

    def points(self, count: int) -> Points:
        """Models of one seed at some coefficients."""
        dtype = self.data.dtype
        levels = {name: np.full(count, 1e-3, dtype) for name in self.recipe.objective.coefficients}
        return Points(np.zeros(count, np.int32), levels)

    def arguments(self, models: int) -> tuple:
        """Shapes of state, draws, data and points of so many models, and of the seeds' keys."""
        shape = jax.ShapeDtypeStruct
        keys = jax.eval_shape(lambda: jax.random.split(checked_key(None), self.seeds))
        draws = jax.eval_shape(functools.partial(shuffled, samples=self.data.shape[0]), keys, 1)
        points = jax.tree.map(lambda leaf: shape(leaf.shape, leaf.dtype), self.points(models))
        params = jax.tree.map(lambda p: shape((models, *p.shape), p.dtype), self.shapes)
        tunable = {
            name: shape((models,), self.data.dtype)
            for name in hyperparameters(self.recipe.optimizer, self.shapes)
        }
        state = jax.eval_shape(self.program().starting.state, params, tunable)
        return state, draws, self.data, points, keys

    def epoch(self, models: int):
        """The compiled epoch of so many models."""
        *arguments, _ = self.arguments(models)
        step = jax.ShapeDtypeStruct((), jnp.int32)
        return self.program().epoch.lower(*arguments, step, step).compile()

    def operations(self) -> float:
        """Of one update of one model: a loop's body is counted once, so its cost is an update's."""
        return self.epoch(1).cost_analysis()["flops"]

    def peak(self, models: int, devices: int) -> int:
        """Bytes of one device at the fullest moment of a training of `models` models there."""
        program, (state, draws, X, points, keys) = self.program(), self.arguments(models)
        subset = jax.ShapeDtypeStruct((self.rows, *X.shape[1:]), X.dtype)
        held, params = tree_bytes(state), tree_bytes(state.params)
        data = tree_bytes((X, X, subset, draws.order))  # as checked, and as placed on the mesh
        on_host = program.mesh.devices.flat[0].platform == "cpu"
        # The check trains a copy of the state, while the host has what the reference made of the
        # first device's models.
        epoch = _temporary(self.epoch(models))
        measured = (
            _temporary(part.compiled.lower(state.params, keys, part.needs(points), rows).compile())
            for rows in (subset, X)
            for part in program.measure.parts
        )
        moments = [
            _temporary(program.starting.init.lower(keys, X, points.seed).compile()) - params,
            held + epoch + (held / devices if on_host else 0),
            *(params + used for used in measured),
        ]
        return int(data + held + max(moments)) + (_CPU_BYTES // devices if on_host else 0)

    def updates_per_second(self, models: int) -> float:
        """Updates of single models a second and device, all devices here at work on a few."""
        run, steps = timed_updates(self.recipe, self.data.shape[1], models), 1
        while True:
            seconds = run(steps)
            if steps > 1 and seconds > _PROBE_SECONDS / 4:
                return models * steps / seconds
            steps = max(2, round(steps * min(_PROBE_SECONDS / seconds, 10)))


def _temporary(compiled) -> int:
    used = compiled.memory_analysis()
    return used.temp_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes


def _too_large(needed: int, available: int) -> InputError:
    return InputError(
        f"One model needs {needed / 2**30:.3g} GiB and a device has {available / 2**30:.2f}; "
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
