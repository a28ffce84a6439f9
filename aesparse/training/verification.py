"""What the numerics guard looks at: the start, a first step, two steps later, a measurement.

Each is computed by the very program that trains and again op by op. Every host looks at the models
of its first device; all devices run the same program. Shapes: S seeds, C models, N samples.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from aesparse.training import guard
from aesparse.training.draws import shuffled
from aesparse.training.measuring import Part
from aesparse.training.program import Program
from aesparse.training.sharding import Points, first_shard
from aesparse.training.step import TrainState

__all__ = ["Arguments", "verify"]

_MEASURED_MODELS = 4
_MEASURED_LIMIT = 1e-2  # of a measurement: counts may differ by samples at a threshold
_NUDGE = 1e-6  # relative change of parameters, about what rounding in float32 amounts to
_NUDGES = 4  # of a step, each another way
_FEW = 3.0  # times what a nudge changes may be rounding: it may switch more samples than a nudge
_SMALLEST = 1e-3  # a measured number below it is judged like one of that size
_AMPLIFIED = 1e2  # times what a nudge changes, a number is judged like one of that size


class Arguments(NamedTuple):
    """What every function of a program takes beside parameters or states."""

    keys: Key[Array, " S"]
    X: Float[Array, "N n"]
    points: Points


def verify(
    program: Program,
    state: TrainState,
    arguments: Arguments,
    hyperparameters: Mapping[str, Array],
    *,
    start: str = "given",
    subset: Float[Array, "H n"] | None = None,
    validated: tuple[Part, Float[Array, "V n"]] | None = None,
) -> float:
    """Checks a step from `state` and two steps from a disturbed one, once per program and shapes.

    Likewise `state` itself, with parameters "drawn" by the program or "given", unless it is
    "continued" from an earlier training; with a `subset` of the data, what the program measures on
    it; and the loss that is `validated` on other data. Returns the largest relative difference of
    a step. Raises `guard.NumericsError` where the program disagrees, on two different batches if
    rounding may have switched a unit on one.
    """
    leaves = jax.tree.leaves((state, arguments, subset, validated and validated[1]))
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    signature = (shapes, jax.config.jax_default_matmul_precision)
    if start != "continued":
        _check_start(program, state, arguments, hyperparameters, drawn=start == "drawn")
    if signature not in program.checked:
        early, moved = _judged(program, state, arguments, 0, 1)
        later, _ = _judged(program, _disturbed(moved), arguments, _later(program, arguments), 2)
        if subset is not None:
            for part in program.measure.parts:
                _check_measurement(part, state.params, arguments, subset)
        if validated is not None:
            _check_measurement(validated[0], state.params, arguments, validated[1])
        program.checked[signature] = max(early, later)
    return program.checked[signature]


def _later(program: Program, arguments: Arguments) -> int:
    """From which update two later ones are checked: the second is one that a constraint acts on."""
    updates = len(arguments.X) // program.recipe.batch_size
    return max(0, min(program.recipe.constraint.every, updates) - 2)


def _check_start(
    program: Program,
    state: TrainState,
    arguments: Arguments,
    hyperparameters: Mapping[str, Array],
    *,
    drawn: bool,
) -> None:
    starting, (keys, X, points) = program.starting, arguments
    leaves = jax.tree.leaves((state, keys, hyperparameters))
    signature = (tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves), drawn)
    if signature in starting.checked:
        return
    keys, X, points, state, hyperparameters = first_shard((keys, X, points, state, hyperparameters))
    params = jax.device_get(state.params)
    if drawn:
        params = starting.init_op_by_op(keys, X, points.seed)
    begun = starting.state_op_by_op(params, hyperparameters)
    apart = guard.differences(state._asdict(), begun._asdict())
    guard.judge(apart, guard.limit(str(X.dtype)))
    starting.checked.add(signature)


def _check_measurement(
    part: Part, params: PyTree, arguments: Arguments, X: Float[Array, "H n"]
) -> None:
    """What the program measures for the first models, once per program and shapes."""
    keys, points = arguments.keys, part.needs(arguments.points)
    shapes = tuple(leaf.shape for leaf in jax.tree.leaves((params, keys, points, X)))
    signature = (shapes, str(X.dtype), jax.config.jax_default_matmul_precision)
    if signature in part.checked:
        return
    measured = part.compiled(params, keys, points, X)
    if not jax.tree.leaves(measured):  # a measurement of nothing
        return
    params, keys, points, X, measured = first_shard((params, keys, points, X, measured))
    # Always as many models, so that operations compiled once serve grids of every size.
    rows = np.minimum(np.arange(_MEASURED_MODELS), len(points.seed) - 1)
    params, points, measured = jax.tree.map(
        lambda leaf: np.asarray(leaf)[rows], jax.device_get((params, points, measured))
    )
    computed = part.op_by_op(params, keys, points, X)
    apart = _apart(part.name, measured, computed, computed)
    limit = guard.limit(str(X.dtype), jax.config.jax_default_matmul_precision)
    largest = max(_MEASURED_LIMIT, limit)
    if guard.above(apart, largest):
        nearby = part.op_by_op(_nudged(params), keys, points, X)
        apart = _apart(part.name, measured, computed, nearby)
    guard.judge(apart, largest)
    part.checked.add(signature)


def _nudged(params: PyTree, seed: int = 0, size: float = _NUDGE) -> PyTree:
    """The parameters as far away as rounding might take them, relatively."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: leaf * (1 + size * rng.choice([-1, 1], leaf.shape)).astype(leaf.dtype),
        params,
    )


def _apart(prefix: str, measured: PyTree, computed: PyTree, nearby: PyTree) -> guard.Differences:
    """Differences of every number, by its size, and where it cancels by what a nudge changes."""
    differences = {}
    for (path, got), want, near in zip(
        jax.tree_util.tree_leaves_with_path(measured),
        *map(jax.tree.leaves, (computed, nearby)),
        strict=True,
    ):
        a, b, c = (np.float64(v).reshape(len(want), -1) for v in (got, want, near))
        with np.errstate(invalid="ignore"):
            apart, size, nudged = (np.linalg.norm(v, axis=-1) for v in (a - b, b, c - b))
        scale = np.maximum(size, _AMPLIFIED * np.nan_to_num(nudged, posinf=0.0))
        difference = apart / np.maximum(scale, _SMALLEST)
        difference = np.where(np.isnan(difference), np.inf, difference)
        difference = np.where(np.isfinite(b.sum(axis=-1)), difference, 0.0)
        where = jax.tree_util.keystr(path, simple=True, separator=".")
        name = ".".join(filter(None, (prefix, where))) or "the measurement"
        differences[name] = difference[:, None]
    return differences


def _judged(
    program: Program, state: TrainState, arguments: Arguments, first: int, steps: int
) -> tuple[float, TrainState]:
    """The largest difference on the better of two batches, and the state after the first.

    A row above the limit on both is rounding nevertheless if the step itself makes as much of
    changes of the parameters as small as rounding: where a unit is about to be switched, or where
    Adam divides a gradient that cancels by its own size.
    """
    largest = guard.limit(str(arguments.X.dtype), jax.config.jax_default_matmul_precision)
    compared = [_compared(program, state, arguments, first, steps, 1)]
    if guard.above(compared[0].apart, largest):
        compared.append(_compared(program, state, arguments, first, steps, 2))
    apart = functools.reduce(guard.smaller, (each.apart for each in compared))
    if guard.above(apart, largest):
        left = (each.unexplained(largest) for each in compared)
        apart = functools.reduce(guard.smaller, left)
    return guard.judge(apart, largest), compared[0].moved


class _Compared(NamedTuple):
    """Steps of the compiled program and op by op, on the batches of one epoch."""

    apart: guard.Differences
    moved: TrainState  # by the compiled program
    reference: dict  # the groups of the guard
    nudged: Callable[[int], dict]  # the same after a nudge of the parameters, by its seed

    def unexplained(self, largest: float) -> guard.Differences:
        """The differences, but 0 for rows above `largest` that a nudge changes likewise."""
        left = self.apart
        for seed in range(_NUDGES):
            moved = guard.differences(self.nudged(seed), self.reference)
            left = {
                name: np.where((rows > largest) & (rows <= _FEW * moved[name]), 0.0, rows)
                for name, rows in left.items()
            }
        return left


def _compared(
    program: Program, state: TrainState, arguments: Arguments, first: int, steps: int, epoch: int
) -> _Compared:
    keys, X, points = arguments
    drawn = (shuffled(keys, epoch, len(X)), X, points)
    shard = first_shard((state, *drawn))
    reference = program.steps(*shard, first, steps)
    copy = jax.tree.map(jnp.copy, state)  # the epoch donates its state
    compiled = program.epoch(copy, *drawn, np.int32(first), np.int32(steps))
    level = _level(reference, X)

    size = _NUDGE * float(jnp.finfo(X.dtype).eps / jnp.finfo(jnp.float32).eps)

    def nudged(seed: int) -> dict:
        near = shard[0]._replace(params=_nudged(shard[0].params, seed, size))
        return _groups(program.steps(near, *shard[1:], first, steps), level)

    expected = _groups(reference, level)
    apart = guard.differences(_groups(first_shard(compiled), level), expected)
    return _Compared(apart, compiled[0], expected, nudged)


def _disturbed(state: TrainState) -> TrainState:
    """The same models with moments that are none of theirs: each row's, shifted by one."""

    def shifted(leaf: Array) -> Array:
        return jnp.roll(leaf, 1, axis=-1) if leaf.ndim > 1 else leaf

    return state._replace(optimizer=jax.tree.map(shifted, state.optimizer))


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
    per_change = (level / length).astype(level.dtype)
    structure = jax.tree.structure(state.params)
    # Each moment of the optimizer has a scale of its own; what is no moment is a number per model.
    moments, _ = jax.tree.flatten(
        state.optimizer, is_leaf=lambda part: jax.tree.structure(part) == structure
    )
    groups = {"params": state.params, "losses": {"parts": losses, "level": level}}
    for i, moment in enumerate(moments):
        if jax.tree.structure(moment) == structure:
            groups[f"optimizer {i}"] = {"state": moment, "level": per_change}
        else:
            groups[f"optimizer {i}"] = {"state": moment}
    return groups
