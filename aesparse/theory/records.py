"""What a statement evaluated on a problem returns."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["TOLERANCE", "Claim", "hypotheses_hold"]

TOLERANCE = 1e-9  # residuals and negative margins up to this are rounding, in float64


class Claim(NamedTuple):
    """A statement on one problem: residuals of its hypotheses, both sides, and the margin.

    Each hypothesis comes with its residual, at most 0 (up to rounding) where it holds. The
    margin is oriented so that the statement is true where it is >= 0 (up to rounding); all
    three arrays have one entry per hidden unit, or one in all where it is about sums over units.
    """

    hypotheses: Mapping[str, Float[Array, ""]]
    left: Float[Array, " m"]
    right: Float[Array, " m"]
    margin: Float[Array, " m"]


def hypotheses_hold(claim: Claim, tolerance: float = TOLERANCE) -> Bool[Array, ""]:
    """Whether every hypothesis holds within the tolerance.

    >>> side = jnp.zeros(1)
    >>> bool(hypotheses_hold(Claim({"E[x] = 0": jnp.array(0.2)}, side, side, side)))
    False
    """
    residuals = [jnp.asarray(r) for r in claim.hypotheses.values()]
    return jnp.all(jnp.array(residuals) <= tolerance)
