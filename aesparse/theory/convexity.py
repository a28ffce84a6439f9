"""Convexity of sparse coding (T14) and the signs of the terms of Theorem 3 (T15).

`params` are those of one model, `X [N, n]` is data, `s` the activation. Shapes: n inputs, m hidden
units or atoms, N samples.

>>> from aesparse.models.activations import get_activation
>>> params, X = Params(jnp.array([[1.0]]), jnp.array([0.5])), jnp.array([[1.0], [-1.0]])
>>> float(slope_terms(params, X, get_activation("tanh")).margin[0]) > 0
True
>>> [float(residual_term(params, X, get_activation("softplus"), sign=sign).margin[0]) > 0
...     for sign in (1, -1)]
[True, False]
>>> atom, code = jnp.array([[1.0]]), jnp.array([1.0])  # (D, h) and (−D, −h) both reconstruct 1
>>> convex = midpoint_convexity((atom, code), (-atom, -code), jnp.array([[1.0]]), jnp.array(0.0))
>>> float(convex.left[0]), float(convex.right[0])
(1.0, 0.0)
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.losses import penalties
from aesparse.losses.sparse_coding import sparse_coding_loss
from aesparse.models.activations import Activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from aesparse.theory.properties import convex, non_decreasing
from aesparse.theory.records import Claim

__all__ = ["midpoint_convexity", "residual_term", "slope_terms"]

Point = tuple[Float[Array, "m n"], Float[Array, " m"]]  # a dictionary, and the code of all samples


def midpoint_convexity(
    first: Point, second: Point, X: Float[Array, "N n"], strength: Float[Array, ""]
) -> Claim:
    """T14: eq. 2 midway between two points is at most the mean of its values there.

    A continuous function with this property is convex. All samples have one code: eq. 2 is a sum
    over samples, each with a code of its own, so it is convex in the codes, or in the dictionary,
    if it is so for one code; and a failure in both together with one code is a failure.

    Args:
        first: a dictionary `[m, n]` and the code `[m]` of all samples.
        second: another.
        X: data `[N, n]`.
        strength: λ of eq. 2.
    """

    def value(point: Point) -> Float[Array, ""]:
        dictionary, code = point
        codes = jnp.broadcast_to(code, (len(X), len(code)))
        return sparse_coding_loss(X, dictionary, codes, strength)

    middle = tuple((a + b) / 2 for a, b in zip(first, second, strict=True))
    left = value(middle)[None]
    right = (value(first) + value(second))[None] / 2
    return Claim({}, left, right, right - left)


def residual_term(params: Params, X: Float[Array, "N n"], s: Activation, *, sign: int) -> Claim:
    """T15: Theorem 3's term with the residual, −E[Σ_j s''_j ‖W_j‖² (W_j·r)], has this `sign`.

    For s non-decreasing and convex, where all that multiplies W_j·r is >= 0: false for +1 and for
    −1.
    """
    forward = one_layer_forward(params, X, s)
    value = penalties.second_order_terms(forward)[1][None]
    hypotheses = {
        "s non-decreasing": non_decreasing(s).residual,
        "s convex": convex(s).residual,
    }
    return Claim(hypotheses, value, jnp.zeros_like(value), sign * value)


def slope_terms(params: Params, X: Float[Array, "N n"], s: Activation) -> Claim:
    """T15: its other terms, E[Σ_jk s'_j s'_k (W_j·W_k)²], are together >= 0 for every s.

    The matrix of (W_j·W_k)² is positive semi-definite, the elementwise square of one that is.
    """
    value = penalties.second_order_terms(one_layer_forward(params, X, s))[0][None]
    return Claim({}, value, jnp.zeros_like(value), value)
