"""What the numerics guard looks at: the start, a first step, two steps later, a measurement.

Each is computed by the very program that trains and again op by op. Every host looks at the models
of its first device; all devices run the same program. Shapes: S seeds, C models, N samples.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.training import guard
from aesparse.training.draws import shuffled
from aesparse.training.program import Program
from aesparse.training.sharding import Cells, first_shard
from aesparse.training.step import TrainState

__all__ = ["verify"]

_MEASURED_MODELS = 4
_MEASURED_LIMIT = 1e-2  # of a measurement: counts may differ by samples at a threshold
_SCATTER = {"mean": "variance", "preactivation_mean": "preactivation_variance"}
_SHARES = ("active", "activation_fraction", "dead_fraction", "bias_mean")


def verify(
    program: Program,
    state: TrainState,
    keys,
    X,
    cells: Cells,
    *,
    started: bool = False,
    subset: Float[Array, "H n"] | None = None,
) -> float:
    """Checks a step from `state` and two steps from a disturbed one, once per program and shapes.

    Likewise the parameters of `state` if it was `started` by the program, and, with a `subset` of
    the data, what the program measures on it. Returns the largest relative difference of a step.
    Raises `guard.NumericsError` where the program disagrees, on two different batches if rounding
    may have switched a unit on one.
    """
    arguments = (keys, X, cells)
    leaves = jax.tree.leaves((state, arguments, subset))
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    signature = (shapes, started, jax.config.jax_default_matmul_precision)
    if signature not in program.checked:
        if started:
            _check_start(program, state, *arguments)
        first, moved = _judged(program, state, arguments, 1)
        later, _ = _judged(program, _disturbed(moved), arguments, 2)
        if subset is not None:
            _check_measurement(program, state.params, subset)
        program.checked[signature] = max(first, later)
    return program.checked[signature]


def _check_start(program: Program, state: TrainState, keys, X, cells: Cells) -> None:
    keys, X, cells, params = first_shard((keys, X, cells, state.params))
    begun = {"params": program.begin(keys, X, cells)}
    apart = guard.differences({"params": params}, begun)
    guard.judge(apart, guard.limit(str(X.dtype)))


def _check_measurement(program: Program, params: PyTree, X: Float[Array, "H n"]) -> None:
    """What the program measures for the first models."""
    params, X, measured = first_shard((params, X, program.measure(params, X)))
    few = slice(None, _MEASURED_MODELS)
    params, measured = jax.device_get(jax.tree.map(lambda leaf: leaf[few], (params, measured)))
    for got, want in zip(measured, program.measured(params, X), strict=True):
        # What may be 0 but for rounding is judged by what it scatters by, or as a share of 1.
        for name, values in want._asdict().items():
            scale = 1.0 if name in _SHARES else values
            if name in _SCATTER:
                scale = np.sqrt(getattr(want, _SCATTER[name]))
            _check_measured(name, getattr(got, name), values, scale)


def _check_measured(
    name: str, got: np.ndarray, want: np.ndarray, scale: np.ndarray | float
) -> None:
    a, b, scale = (np.float64(v) for v in (got, want, np.broadcast_to(scale, want.shape)))
    with np.errstate(invalid="ignore"):
        apart, size = (np.linalg.norm(v.reshape(len(v), -1), axis=-1) for v in (a - b, scale))
        difference = apart / (size + np.finfo(np.float32).eps)
    difference = np.where(np.isnan(difference), np.inf, difference)
    difference = np.where(np.isfinite(b.reshape(len(b), -1).sum(axis=-1)), difference, 0.0)
    precision = jax.config.jax_default_matmul_precision
    largest = max(_MEASURED_LIMIT, guard.limit(str(want.dtype), precision))
    guard.judge({name: difference[:, None]}, largest)


def _judged(
    program: Program, state: TrainState, arguments: tuple, steps: int
) -> tuple[float, TrainState]:
    """The largest difference on the better of two batches, and the state after the first."""
    dtype = jnp.result_type(*jax.tree.leaves(state))
    largest = guard.limit(str(dtype), jax.config.jax_default_matmul_precision)
    apart, moved = _differences(program, state, arguments, steps, 1)
    if max(values.max() for values in apart.values()) > largest:
        apart = guard.smaller(apart, _differences(program, state, arguments, steps, 2)[0])
    return guard.judge(apart, largest), moved


def _differences(
    program: Program, state: TrainState, arguments: tuple, steps: int, epoch: int
) -> tuple[guard.Differences, TrainState]:
    keys, X, cells = arguments
    arguments = (shuffled(keys, epoch, len(X)), X, cells)
    reference = program.steps(*first_shard((state, *arguments)), steps)
    copy = jax.tree.map(jnp.copy, state)  # the epoch donates its state
    compiled = program.epoch(copy, *arguments, np.int32(steps))
    level = _level(reference, X)
    groups = (_groups(trained, level) for trained in (first_shard(compiled), reference))
    return guard.differences(*groups), compiled[0]


def _disturbed(state: TrainState) -> TrainState:
    """The same models with a momentum that is no gradient of theirs: each row's, shifted by one."""

    def shifted(leaf: Array) -> Array:
        return jnp.roll(leaf, 1, axis=-1) if leaf.ndim > 1 else leaf

    return state._replace(momentum=jax.tree.map(shifted, state.momentum))


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
        "momentum": {"state": state.momentum, "level": (level / length).astype(level.dtype)},
        "losses": {"parts": losses, "level": level},
    }
