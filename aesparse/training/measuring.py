"""Measurements of every model of a grid: handed in, compiled, block after block.

Shapes: C models, S seeds, N samples, n inputs.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.losses.objectives import composed
from aesparse.metrics import (
    MEASURE_SAMPLES,
    Trained,
    activation_statistics,
    code_statistics,
    unit_statistics,
)
from aesparse.models.base import Model
from aesparse.models.one_layer import OneLayer
from aesparse.options import shortened
from aesparse.training.blocks import measured_blocks, over_blocks
from aesparse.training.sharding import MODELS, SHARED, Points, over_models

__all__ = ["Measuring", "Part", "as_measurement", "measuring"]

_PROGRAMS = 48  # that stay compiled
_STATISTICS = (activation_statistics, unit_statistics, code_statistics)


@dataclasses.dataclass(frozen=True)
class _Measurements:
    """Several measurements of one model, by name."""

    parts: tuple[tuple[str, Callable], ...]

    def __call__(self, trained: Trained, x: Array) -> dict[str, PyTree]:
        return {name: measure(trained, x) for name, measure in self.parts}


def as_measurement(measure: object, model: Model) -> Callable:
    """One function `(trained, x) -> pytree` of one, of several by name, or the model's default.

    The default is `activation_statistics`, or `code_statistics` for other than one-layer models.
    `InputError` for anything else.
    """
    if measure is None:
        return activation_statistics if isinstance(model, OneLayer) else code_statistics
    parts = measure if isinstance(measure, Mapping) else {"measure": measure}
    for name, part in parts.items():
        hashable = getattr(type(part), "__hash__", None) is not None
        if not isinstance(name, str) or not callable(part) or not hashable:
            raise InputError(
                f"measure is {shortened(measure)}; expected a function (trained, x) -> numbers "
                "that can be hashed, such as activation_statistics, or several of them by name."
            )
    return _Measurements(tuple(measure.items())) if isinstance(measure, Mapping) else measure


class Part(NamedTuple):
    """One measurement of every model: compiled, and every operation by itself.

    Both take `(params [C, ...], keys, points, X)`, the latter on the host; `points` have the
    `coefficients` that the measurement may read.
    """

    name: str
    coefficients: tuple[str, ...]
    compiled: Callable  # block after block
    op_by_op: Callable  # all models at once
    checked: set  # what the guard saw, by signature

    def needs(self, points: Points) -> Points:
        """The points with the coefficients that the measurement may read."""
        read = {name: points.coefficients[name] for name in self.coefficients}
        return Points(points.seed, read)


@dataclasses.dataclass(frozen=True)
class Measuring:
    """All measurements of a recipe; the value of the only one, or values by name."""

    parts: tuple[Part, ...]
    named: bool

    def __call__(self, params: PyTree, keys: Array, points: Points, X: Array) -> PyTree:
        values = {
            part.name: part.compiled(params, keys, part.needs(points), X) for part in self.parts
        }
        return values if self.named else values[""]


def measuring(model: Model, objective: Objective, measurement: Callable, mesh: Mesh) -> Measuring:
    """The measurements of every model, compiled; equal ones of other objectives are shared."""
    named = isinstance(measurement, _Measurements)
    each = measurement.parts if named else (("", measurement),)
    parts = []
    for name, one in each:
        # Statistics read the error alone, so that one program serves all objectives with it.
        read = composed(error=objective.error) if one in _STATISTICS else objective
        parts.append(Part(name, read.coefficients, *_programs(model, read, one, mesh)))
    return Measuring(tuple(parts), named)


@functools.lru_cache(maxsize=_PROGRAMS)
def _programs(
    model: Model, objective: Objective, measurement: Callable, mesh: Mesh
) -> tuple[Callable, Callable, set]:
    def one(params, coefficients, key, X):
        return measurement(Trained(model, objective, params, coefficients, key), X)

    def all_models(params, keys, points, X):
        models = len(points.seed)
        samples = min(len(X), 2 * MEASURE_SAMPLES)
        shapes = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape[1:], p.dtype), params)
        code = jax.eval_shape(model.encode, shapes, jax.ShapeDtypeStruct(X.shape[1:], X.dtype))
        width = 3 * code.size + 2 * X.shape[1]
        rows = measured_blocks(mesh, width * samples * X.dtype.itemsize, models)

        def each(params, point):
            return one(params, point.coefficients, keys[point.seed], X)

        def block(carry, rows):
            return carry, jax.vmap(each)(*jax.tree.map(lambda leaf: leaf[rows], (params, points)))

        return over_blocks(block, None, rows, models)

    def op_by_op(params, keys, points, X):
        models = jax.tree.map(jnp.asarray, (params, points.coefficients))
        with jax.disable_jit():
            values = jax.vmap(one, in_axes=(0, 0, 0, None))(
                *models, keys[np.asarray(points.seed)], X
            )
        return jax.device_get(values)

    return over_models(all_models, mesh, (MODELS, SHARED, MODELS, SHARED)), op_by_op, set()
