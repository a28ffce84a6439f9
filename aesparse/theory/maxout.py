"""Maxout, the one activation that is not elementwise (T11).

A unit has k pieces, each affine in the input, and gives the largest: h = max_i (W_i·x + b_i).
Shapes: n inputs, m hidden units, k pieces.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["Maxout", "encode", "table"]

_PAIRS = 4000
_FAR = 1e8


class Maxout(NamedTuple):
    """Weights and biases of every piece."""

    weight: Float[Array, "k m n"]
    bias: Float[Array, "k m"]


def encode(params: Maxout, x: Float[Array, " n"]) -> Float[Array, " m"]:
    """The largest piece of every unit."""
    return jnp.max(params.weight @ x + params.bias, axis=0)


def table(pieces: int) -> dict[str, float]:
    """`properties.table` for a unit as a function of its pieces' pre-activations a [k].

    Measured on random pairs of points: monotone where every piece grows, convex between them,
    slopes in [0, 1], and the limit where all pieces go to −∞.
    """
    unit = Maxout(jnp.eye(pieces)[:, None, :], jnp.zeros((pieces, 1)))

    def h(a: Float[Array, " k"]) -> Float[Array, ""]:
        return encode(unit, a)[0]

    keys = jax.random.split(jax.random.key(0), 2)
    a, b = (3 * jax.random.normal(key, (_PAIRS, pieces)) for key in keys)
    each = jax.vmap(h)
    fall = each(jnp.minimum(a, b)) - each(jnp.maximum(a, b))
    bend = each((a + b) / 2) - (each(a) + each(b)) / 2
    slopes = jax.vmap(jax.grad(h))(a)
    return {
        "non-decreasing": float(jnp.max(fall)),
        "convex": float(jnp.max(bend)),
        "s' in [0, 1]": float(jnp.max(jnp.maximum(-slopes, slopes - 1))),
        "s(−∞) = 0": float(jnp.abs(h(jnp.full(pieces, -_FAR)))),
    }
