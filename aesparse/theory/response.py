"""How one optimizer step moves E[a_j] at given parameters, over strengths.

Minibatch gradients are taken at frozen parameters and run through the optimizer, so that its
momentum and normalization are in their steady state; the last step is looked at.
Shapes: n inputs, m hidden units, N samples, K batches, L strengths.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from aesparse.losses.penalties import Penalty
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.models.activations import Activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params

__all__ = ["OPTIMIZERS", "STRENGTHS", "Response", "bytes_per_unit", "response_of", "responses"]

OPTIMIZERS = {
    "plain": optax.identity(),
    "momentum": optax.trace(0.9),
    "adam": optax.scale_by_adam(),
}
STRENGTHS = np.logspace(-3, 5, 81)
_BATCHES = 50
_SATURATED = 0.05  # relative distance to the step for λ → ∞


class Response(NamedTuple):
    """The step of one optimizer over `STRENGTHS`, at a unit rate.

    Attributes:
        change: of E[a_j], `[L, m]`.
        smallest: the strength from which on E[a_j] falls, `[m]`; inf if it never does.
        saturation: the strength beyond which the step no longer changes, or inf.

    >>> response = Response(np.array([[-1.0, 1.0], [-2.0, -1.0]]), np.array([0.001, 1.0]), np.inf)
    >>> response.falling.tolist()
    [0.5, 1.0]
    """

    change: Float[np.ndarray, "L m"]
    smallest: Float[np.ndarray, " m"]
    saturation: float

    @property
    def falling(self) -> Float[np.ndarray, " L"]:
        """The share of units whose E[a_j] falls, at each strength; `[L]`."""
        return (self.change < 0).mean(axis=1)


def bytes_per_unit(samples: int, inputs: int) -> int:
    """The least that a hidden unit takes: its code and the gradients of all batches, in float64."""
    return 8 * (samples + 2 * _BATCHES * (inputs + 1))


def responses(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: Penalty,
    tangent: Callable[[Params, Params], Params],
    batch: int,
) -> dict[str, Response]:
    """The response of plain SGD, momentum and Adam to the strength of `penalty`.

    Steps are mapped by a constraint's `tangent`; gradients are those of batches of `batch` samples.
    """
    rows = np.random.default_rng(0).integers(len(X), size=(_BATCHES, batch))
    # The step for λ → ∞ is that of the penalty alone.
    of_pull, of_push = np.append(np.ones_like(STRENGTHS), 0.0), np.append(STRENGTHS, 1.0)
    changes = _changes(params, X, rows, of_pull, of_push, s=s, penalty=penalty, tangent=tangent)
    return {name: response_of(np.asarray(changes[name])) for name in OPTIMIZERS}


@functools.partial(jax.jit, static_argnames=("s", "penalty", "tangent"))
def _changes(params, X, rows, of_pull, of_push, *, s, penalty, tangent):
    """Change of E[a_j] by each optimizer's last step, for all pairs of coefficients; `[L, m]`."""
    model, mean = OneLayer.of(params, s), jnp.mean(X, axis=0)

    def gradients(f):
        return jax.vmap(lambda x: jax.grad(f)(params, x))(X[rows])

    pull = gradients(lambda p, x: reconstruction_error(model, p, x, x))
    push = gradients(lambda p, x: penalty(one_layer_forward(p, x, s), None))

    def change(optimizer, of_pull, of_push):
        def step(carry, parts):
            state, _ = carry
            gradient = jax.tree.map(lambda a, b: of_pull * a + of_push * b, *parts)
            direction, state = optimizer.update(tangent(params, gradient), state)
            return (state, direction), None

        # Only the last direction is stored: 81 strengths × 50 of them would be gigabytes.
        (_, last), _ = jax.lax.scan(step, (optimizer.init(params), params), (pull, push))
        last = tangent(params, last)
        return -(last.bias + last.weight @ mean)

    return {
        name: jax.vmap(functools.partial(change, optimizer))(of_pull, of_push)
        for name, optimizer in OPTIMIZERS.items()
    }


def response_of(changes: Float[np.ndarray, "K m"]) -> Response:
    """The response whose changes over `STRENGTHS`, and last for λ → ∞, are these."""
    over, limit = np.split(changes, [-1])
    limit = limit[0]
    falls = np.logical_and.accumulate((over < 0)[::-1])[::-1]  # here and at all larger strengths
    smallest = np.where(falls.any(axis=0), STRENGTHS[falls.argmax(axis=0)], np.inf)
    distance = np.abs(over - limit).mean(axis=1)
    near = distance <= _SATURATED * np.abs(limit).mean()
    settled = np.logical_and.accumulate(near[::-1])[::-1] & bool(np.abs(limit).any())
    saturation = STRENGTHS[settled.argmax()] if settled.any() else np.inf
    return Response(over, smallest, float(saturation))
