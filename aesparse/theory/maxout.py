"""What Arpit's theory asks of an activation, measured for maxout (T11)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.models.maxout import Maxout
from aesparse.models.one_layer import Params

__all__ = ["table"]

_PAIRS = 4000
_FAR = 1e8


def table(pieces: int) -> dict[str, float]:
    """`properties.table` for a unit as a function of its `pieces`' pre-activations a [k].

    Measured on random pairs of points: monotone where every piece grows, convex between them,
    slopes in [0, 1], and the limit where all pieces go to −∞, which is not 0.

    >>> residuals = table(2)
    >>> [name for name, residual in residuals.items() if residual > 1e-5]
    ['s(−∞) = 0']
    """
    unit, params = Maxout(1, pieces), Params(jnp.eye(pieces)[:, None, :], jnp.zeros((pieces, 1)))

    def h(a: Float[Array, " k"]) -> Float[Array, ""]:
        return unit.encode(params, a)[0]

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
