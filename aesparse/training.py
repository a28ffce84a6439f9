"""Training one model: the optimizer step and the epoch. No printing, no files.

The grid lifts `make_step` over cells and hands the lifted step to `run_epoch`, so the epoch's
batch order and noise are drawn once and shared.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from aesparse.model import Constraint, Params
from aesparse.objectives import Objective

__all__ = [
    "TrainState",
    "draw_batch",
    "make_step",
    "momentum_sgd",
    "radial_feedback",
    "run_epoch",
    "start",
]


class TrainState(NamedTuple):
    """Parameters and optimizer state of one model, or of a grid along leading axes."""

    params: Params
    optimizer: PyTree


def momentum_sgd(decay: float, constraint: Constraint) -> optax.GradientTransformation:
    """`optax.trace` whose momentum stays in the constraint's tangent space.

    The tangent map is linear, so projecting decay·momentum + gradient projects both.
    """
    inner = optax.trace(decay)

    def update(gradient, state, params):
        direction, _ = inner.update(gradient, state, params)
        direction = constraint.tangent(params, direction)
        return direction, optax.TraceState(trace=direction)

    return optax.GradientTransformation(inner.init, update)


def start(
    params: Params, constraint: Constraint, optimizer: optax.GradientTransformation
) -> TrainState:
    """The state before the first step, with the parameters on the constraint."""
    params = constraint.project(params)
    return TrainState(params, optimizer.init(params))


def make_step(
    objective: Objective, constraint: Constraint, optimizer: optax.GradientTransformation
) -> Callable:
    """One minibatch update of one model, `step(state, x, eps, strength, learning_rate, i)`.

    Returns the new state and the objective's aux with the loss. `x`, `eps` are `[B, n]`; `i`
    counts the updates of the epoch from 0. Parameters may be any pytree if the constraint's
    functions take it.
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
        direction, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        moved = optax.apply_updates(state.params, optax.tree.scale(-learning_rate, direction))
        if constraint.every == 1:
            moved = constraint.project(moved)
        else:
            due = (i + 1) % constraint.every == 0
            moved = jax.lax.cond(due, constraint.project, lambda params: params, moved)
        # Conditions become 0 or 1, so that their mean over an epoch is a share.
        parts = {name: jnp.asarray(part, value.dtype) for name, part in aux.items()}
        return TrainState(moved, optimizer_state), parts | {"loss": value}

    return step


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


def run_epoch(
    step: Callable[[TrainState, Int[Array, ""]], tuple[TrainState, PyTree]],
    state: TrainState,
    n_steps: Int[Array, ""],
) -> tuple[TrainState, PyTree]:
    """Runs `step(state, i)` for i < n_steps and averages its aux; `n_steps` may be traced.

    A traced count lets the guard call this very program for a single step.
    """
    shapes = jax.eval_shape(step, state, jnp.zeros((), jnp.int32))[1]
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def body(i, carry):
        state, totals = carry
        state, aux = step(state, i)
        return state, jax.tree.map(jnp.add, totals, aux)

    state, totals = jax.lax.fori_loop(0, n_steps, body, (state, zeros))
    return state, jax.tree.map(lambda total: total / jnp.asarray(n_steps, total.dtype), totals)
