"""One update of one model: its loss and gradient, the optimizer's step, the constraint."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from aesparse.losses.base import Objective
from aesparse.models.base import Model
from aesparse.models.constraints import Constraint
from aesparse.training.hyperparameters import on_first_moments
from aesparse.training.optimizers import Optimizer, Sgd, momentum_after

__all__ = ["Recipe", "TrainState", "make_step"]


class Recipe(NamedTuple):
    """What decides the program that trains; all else is an argument of it."""

    model: Model
    objective: Objective
    optimizer: Optimizer
    constraint: Constraint
    measurement: Callable
    batch_size: int

    def loss(self, params: PyTree, x: Array, eps: Array, coefficients: Mapping[str, Array]):
        """The objective of this model."""
        return self.objective(self.model, params, x, eps, coefficients)


class TrainState(NamedTuple):
    """Parameters and optimizer state of one model, or of a grid along a leading axis."""

    params: PyTree
    optimizer: PyTree


def make_step(recipe: Recipe) -> Callable:
    """One minibatch update of one model, `step(state, x, eps, coefficients, i)`.

    Returns the new state and the parts of the objective with the loss. `x`, `eps` are `[B, n]`;
    `i` counts the updates of the epoch from 0.
    """
    value_and_gradient = jax.value_and_grad(recipe.loss, has_aux=True)

    def step(
        state: TrainState,
        x: Float[Array, "B n"],
        eps: Float[Array, "B n"],
        coefficients: Mapping[str, Float[Array, ""]],
        i: Int[Array, ""],
    ) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
        (value, parts), gradient = value_and_gradient(state.params, x, eps, coefficients)
        moved = _moved(recipe, state, gradient, i)
        # Conditions become 0 or 1, so that their mean over an epoch is a share.
        parts = {name: jnp.asarray(part, value.dtype) for name, part in parts.items()}
        return moved, parts | {"loss": value}

    return step


def _moved(recipe: Recipe, state: TrainState, gradient: PyTree, i: Array) -> TrainState:
    """The state one step of the optimizer along the constraint further."""
    import optax  # 0.1 s, for whoever trains

    optimizer, constraint = recipe.optimizer, recipe.constraint
    params, moments = state
    if isinstance(optimizer, Sgd) and constraint.step is not None:
        rate = moments.hyperparams["learning_rate"]
        direction, params = constraint.step(params, momentum_after(moments, gradient), rate)
        return TrainState(params, moments._replace(trace=direction))
    gradient = constraint.tangent(params, gradient)
    # The tangent map is linear: mapped moments plus mapped gradient are those of the tangent space.
    moments = on_first_moments(lambda m: constraint.tangent(params, m), moments, params)
    updates, moments = optimizer.update(gradient, moments, params)
    params = optax.apply_updates(params, updates)
    if constraint.every == 1:
        return TrainState(constraint.project(params), moments)
    due = (i + 1) % constraint.every == 0
    return TrainState(jax.lax.cond(due, constraint.project, lambda p: p, params), moments)
