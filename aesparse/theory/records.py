"""What a statement evaluated on a problem returns."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["TOLERANCE", "Claim", "hypotheses_hold"]

TOLERANCE = 1e-9  # residuals and negative margins up to this are rounding, in float64


class Claim(NamedTuple):
    """A statement on one problem: residuals of its hypotheses, both sides, and the margin.

    All arrays have one entry per hidden unit, or one in all where the statement is about sums over
    units.

    Attributes:
        hypotheses: the residual of each by its name, at most 0 (up to rounding) where it holds.
        left: the left side.
        right: the right side.
        margin: oriented so that the statement is true where it is >= 0 (up to rounding); NaN or
            infinite where it claims nothing.
    """

    hypotheses: Mapping[str, Float[Array, ""]]
    left: Float[Array, " m"]
    right: Float[Array, " m"]
    margin: Float[Array, " m"]


def hypotheses_hold(claim: Claim, tolerance: float = TOLERANCE) -> Bool[Array, ""]:
    """Whether every hypothesis of a `claim` holds within the `tolerance`, 1e-9 by default.

    >>> side = jnp.zeros(1)
    >>> bool(hypotheses_hold(Claim({"E[x] = 0": jnp.array(0.2)}, side, side, side)))
    False
    """
    residuals = [jnp.asarray(r) for r in claim.hypotheses.values()]
    return jnp.all(jnp.array(residuals) <= tolerance)
