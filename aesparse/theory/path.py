"""A short simulated training of one model at a few strengths, side by side.

The first few hundred updates of stochastic gradient descent with momentum, on the same batches
for every strength. A longer training is covered by larger steps, as far as they are stable:
`speed` updates of the training in one. Shapes: n inputs, m hidden units, N samples, L strengths,
U updates, B batch, R moments.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.losses.penalties import Penalty
from aesparse.losses.reconstruction import squared_error
from aesparse.models.activations import Activation
from aesparse.models.constraints import Constraint
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params, preactivation

__all__ = ["MOMENTS", "Path", "simulate"]

MOMENTS = 8  # at which a path is looked at, equally spaced


class Path(NamedTuple):
    """What was seen of the models at R moments; the first is before the first update."""

    updates: Float[np.ndarray, " R"]  # of the training that is simulated
    mean: Float[np.ndarray, "L R m"]  # E[a_j]
    spread: Float[np.ndarray, "L R m"]  # standard deviation of a_j
    fraction: Float[np.ndarray, "L R"]
    error: Float[np.ndarray, "L R"]  # E‖x − y‖²
    a: Float[np.ndarray, "L N m"]  # pre-activations at the end
    speed: float

    @property
    def finite(self) -> bool:
        """Whether no model diverged."""
        return bool(np.isfinite(self.error).all() and np.isfinite(self.mean).all())


@functools.partial(jax.jit, static_argnames=("s", "penalty", "manifold"))
def _run(params, X, rows, strengths, rate, momentum, *, s, penalty, manifold):
    def loss(p, x, strength):
        seen = one_layer_forward(p, x, s)
        error = jnp.mean(squared_error(x, seen.reconstruction))
        return error + strength * penalty(seen, None)

    def look(p):
        seen = one_layer_forward(p, X, s)
        a = seen.preactivation
        error = jnp.mean(squared_error(X, seen.reconstruction))
        active = jnp.mean(seen.code > s.threshold)
        return (jnp.mean(a, axis=0), jnp.std(a, axis=0), active, error)

    def one(strength):
        def update(carry, batch):
            p, trace, i = carry
            gradient = jax.grad(loss)(p, X[batch], strength)
            trace = jax.tree.map(lambda v, g: momentum * v + g, trace, gradient)
            trace = manifold.tangent(p, trace)
            p = jax.tree.map(lambda w, v: w - rate * v, p, trace)
            i = i + 1
            if manifold.every == 1:
                p = manifold.project(p)
            else:
                p = jax.lax.cond(i % manifold.every == 0, manifold.project, lambda q: q, p)
            return (p, trace, i), None

        def stretch(carry, batches):
            carry, _ = jax.lax.scan(update, carry, batches)
            return carry, look(carry[0])

        begin = (params, jax.tree.map(jnp.zeros_like, params), 0)
        (p, _, _), seen = jax.lax.scan(stretch, begin, rows)
        first = look(params)
        seen = jax.tree.map(lambda f, r: jnp.concatenate([f[None], r]), first, seen)
        return seen, preactivation(p, X)

    return jax.lax.map(one, strengths)


def simulate(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: Penalty,
    manifold: Constraint,
    strengths: Float[np.ndarray, " L"],
    *,
    updates: int,
    rate: float,
    momentum: float = 0.9,
    batch: int = 50,
    speed: float = 1.0,
) -> Path:
    """The path of `updates` updates at `speed` times the learning rate `rate`."""
    rng = np.random.default_rng(0)
    batch = min(batch, len(X))
    epochs = -(-updates * batch // (len(X) // batch * batch))
    order = np.concatenate(
        [rng.permutation(len(X))[: len(X) // batch * batch] for _ in range(epochs)]
    )
    each = updates // MOMENTS
    rows = order[: MOMENTS * each * batch].reshape(MOMENTS, each, batch)
    seen, a = _run(
        params,
        X,
        jnp.asarray(rows),
        jnp.asarray(strengths, X.dtype),
        jnp.asarray(rate * speed, X.dtype),
        jnp.asarray(momentum, X.dtype),
        s=s,
        penalty=penalty,
        manifold=manifold,
    )
    at = speed * each * np.arange(MOMENTS + 1.0)
    mean, spread, fraction, error = map(np.asarray, seen)
    return Path(at, mean, spread, fraction, error, np.asarray(a), speed)
