"""Training one model: its batches and the optimizer step. No printing, no files."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from aesparse.losses.objectives import Objective
from aesparse.models.one_layer import Constraint

__all__ = [
    "TrainState",
    "draw_batch",
    "make_step",
    "radial_feedback",
    "start",
]


class TrainState(NamedTuple):
    """Parameters and momentum of one model, or of a grid along leading axes."""

    params: PyTree
    momentum: PyTree


def start(params: PyTree, constraint: Constraint) -> TrainState:
    """The state before the first step: the parameters on the constraint, the momentum zero."""
    params = constraint.project(params)
    return TrainState(params, optax.tree.zeros_like(params))


def make_step(objective: Objective, constraint: Constraint, momentum: float) -> Callable:
    """One minibatch update of one model, `step(state, x, eps, strength, learning_rate, i)`.

    SGD with momentum that stays in the constraint's tangent space: the tangent map is linear, so
    projecting momentum + gradient projects both. Returns the new state and the objective's aux
    with the loss. `x`, `eps` are `[B, n]`; `i` counts the updates of the epoch from 0. Parameters
    may be any pytree if the constraint's functions take it.
    """

    def step(
        state: TrainState,
        x: Float[Array, "B n"],
        eps: Float[Array, "B n"],
        strength: Float[Array, "*K"],
        learning_rate: Float[Array, ""],
        i: Int[Array, ""],
    ) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
        loss = jax.value_and_grad(objective, has_aux=True)
        (value, aux), gradient = loss(state.params, x, eps, strength)
        direction = jax.tree.map(lambda m, g: momentum * m + g, state.momentum, gradient)
        direction, moved = _constrained(constraint, state.params, direction, learning_rate, i)
        # Conditions become 0 or 1, so that their mean over an epoch is a share.
        parts = {name: jnp.asarray(part, value.dtype) for name, part in aux.items()}
        return TrainState(moved, direction), parts | {"loss": value}

    return step


def _constrained(
    constraint: Constraint, params: PyTree, direction: PyTree, rate: Array, i: Array
) -> tuple[PyTree, PyTree]:
    """The direction along the constraint, and the parameters one step along it."""
    if constraint.step is not None:
        return constraint.step(params, direction, rate)
    direction = constraint.tangent(params, direction)
    moved = jax.tree.map(lambda p, d: p - rate * d, params, direction)
    if constraint.every == 1:
        return direction, constraint.project(moved)
    due = (i + 1) % constraint.every == 0
    return direction, jax.lax.cond(due, constraint.project, lambda params: params, moved)


def radial_feedback(pull: float, *, learning_rate: float, momentum: float) -> float:
    """The share of a unit row's turn that a gradient `pull`·W_j adds to it under "unit-rescale".

    Rescaling W − η Σ_k μᵏ pull W_{t−k} lengthens the tangential step by 1/(1 − η pull/(1 − μ)),
    and what lags behind adds η pull μ/(1 − μ)² of it: a steady turn is that without the gradient
    over 1 − η pull/(1 − μ)². From 1 on it grows.
    """
    return learning_rate * pull / (1 - momentum) ** 2


def draw_batch(
    key: PRNGKeyArray, data: Float[Array, "N n"], order: Int[Array, " N"], i: Int[Array, ""], b: int
) -> tuple[Float[Array, "b n"], Float[Array, "b n"]]:
    """The i-th minibatch of an epoch in the given order, and its unit normal noise."""
    rows = jax.lax.dynamic_slice_in_dim(order, i * b, b)
    x = data[rows]
    return x, jax.random.normal(jax.random.fold_in(key, i), x.shape, x.dtype)
