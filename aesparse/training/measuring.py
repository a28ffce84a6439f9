"""Measurements of every model of a grid: handed in, compiled, block after block.

Shapes: C models, S seeds, N samples, n inputs.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.metrics import MEASURE_SAMPLES, Trained, activation_statistics, code_statistics
from aesparse.models.base import Model
from aesparse.models.one_layer import OneLayer
from aesparse.options import shortened
from aesparse.training.blocks import measured_blocks, over_blocks
from aesparse.training.sharding import MODELS, SHARED, Points, over_models
from aesparse.training.step import Recipe

__all__ = ["as_measurement", "measured_op_by_op", "measuring"]

_PROGRAMS = 24  # that stay compiled


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


@functools.lru_cache(maxsize=_PROGRAMS)
def measuring(model: Model, objective: Objective, measurement: Callable, mesh: Mesh) -> Callable:
    """`(params, keys, points, X) -> measurement` of every model, compiled, block after block."""

    def all_models(params, keys, points, X):
        models = len(points.seed)
        samples = min(len(X), 2 * MEASURE_SAMPLES)
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), params)
        code = jax.eval_shape(model.encode, one, jax.ShapeDtypeStruct(X.shape[1:], X.dtype))
        width = 3 * code.size + 2 * X.shape[1]
        rows = measured_blocks(mesh, width * samples * X.dtype.itemsize, models)

        def each(params, point):
            trained = Trained(model, objective, params, point.coefficients, keys[point.seed])
            return measurement(trained, X)

        def block(carry, rows):
            return carry, jax.vmap(each)(*jax.tree.map(lambda leaf: leaf[rows], (params, points)))

        return over_blocks(block, None, rows, models)

    return over_models(all_models, mesh, (MODELS, SHARED, MODELS, SHARED))


def measured_op_by_op(recipe: Recipe, params, keys, points: Points, X) -> PyTree:
    """The same for models on the host, every operation by itself, of all models at once."""

    def each(params, coefficients, key):
        return recipe.measurement(
            Trained(recipe.model, recipe.objective, params, coefficients, key), X
        )

    models = jax.tree.map(jnp.asarray, (params, points.coefficients))
    with jax.disable_jit():
        return jax.device_get(jax.vmap(each)(*models, keys[np.asarray(points.seed)]))
