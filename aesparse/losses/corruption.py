"""Corruptions of the input, each driven by the same unit normal noise ε.

One ε per step serves every cell of a grid: curves over the strength then carry no sampling
jitter of their own. Strength 0 returns the input unchanged.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float

__all__ = ["LEVELS", "gaussian", "masking"]


def gaussian(
    x: Float[Array, "*B n"], eps: Float[Array, "*B n"], variance: Float[Array, ""]
) -> Float[Array, "*B n"]:
    """x + σ ε, additive Gaussian noise of variance σ² (Arpit section 3)."""
    return x + jnp.sqrt(variance) * eps


def masking(
    x: Float[Array, "*B n"], eps: Float[Array, "*B n"], probability: Float[Array, ""]
) -> Float[Array, "*B n"]:
    """Zeroes each input with the given probability q in [0, 1) (Lecture, masking noise).

    An input is dropped where ε falls below the normal quantile of q. On standardized data a
    zero is the mean, not black.
    """
    return jnp.where(eps > ndtri(probability), x, 0.0)


# Levels a corruption is defined for, the upper end excluded; those not named take any >= 0. A
# level is traced where it is used, so what trains checks it here beforehand.
LEVELS: Mapping[Callable, tuple[float, float]] = {masking: (0.0, 1.0)}
