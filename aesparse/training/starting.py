"""How models start: their parameters from the seeds, and the optimizer's state, for a whole grid.

Shared by all objectives with equal models, optimizers and constraints. Shapes: S seeds, C models,
n inputs, N samples.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array

from aesparse.models.base import Model
from aesparse.models.constraints import Constraint
from aesparse.training.draws import INIT, stream
from aesparse.training.hyperparameters import with_hyperparameters
from aesparse.training.optimizers import Optimizer
from aesparse.training.sharding import MODELS, SHARED, over_models
from aesparse.training.step import TrainState

__all__ = ["Ingredients", "Starting", "all_finite", "starting"]


class Starting(NamedTuple):
    """Compiled functions, and the same with every operation by itself, on the host."""

    init: Callable  # (keys [S], X, seed [C]) -> parameters on the constraint
    state: Callable  # (params, hyperparameters [C] by name) -> state
    init_op_by_op: Callable
    state_op_by_op: Callable
    checked: set  # what the guard saw, by signature


class Ingredients(NamedTuple):
    """What of a recipe decides how its models start."""

    model: Model
    constraint: Constraint
    optimizer: Optimizer


@functools.lru_cache(maxsize=24)
def starting(recipe: Ingredients, mesh: Mesh) -> Starting:
    """The functions that start a grid; models of one seed start from the same parameters."""
    model, constraint, optimizer = recipe

    def drawn(key, X):
        params = jax.tree.map(lambda leaf: leaf.astype(X.dtype), model.init(key, X.shape[1]))
        return constraint.project(params)

    def init(keys, X, seed):
        each = jax.lax.map(lambda key: drawn(key, X), stream(keys, INIT))
        return jax.tree.map(lambda leaf: leaf[seed], each)

    def init_op_by_op(keys, X, seed):
        with jax.disable_jit():
            each = [drawn(key, X) for key in stream(keys, INIT)]
        stacked = jax.tree.map(lambda *leaves: np.stack(jax.device_get(leaves)), *each)
        return jax.tree.map(lambda leaf: leaf[np.asarray(seed)], stacked)

    def state(params, hyperparameters):
        def one(params, values):
            return TrainState(params, with_hyperparameters(optimizer.init(params), values))

        return jax.vmap(one)(params, hyperparameters)

    def state_op_by_op(params, hyperparameters):
        with jax.disable_jit():
            return jax.device_get(state(params, hyperparameters))

    return Starting(
        over_models(init, mesh, (SHARED, SHARED, MODELS)),
        over_models(state, mesh, (MODELS, MODELS)),
        init_op_by_op,
        state_op_by_op,
        set(),
    )


@functools.cache
def all_finite(mesh: Mesh) -> Callable:
    """`(params [C, ...]) -> [C]`: whether all parameters of a model are finite, compiled."""

    def one(params) -> Array:
        leaves = jax.tree.leaves(params)
        return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))

    return over_models(jax.vmap(one), mesh, (MODELS,))
