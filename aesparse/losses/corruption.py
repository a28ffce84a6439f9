"""Corruptions of the input, each driven by the same unit normal noise ε.

One ε per step serves every model of a seed: curves over the level then carry no sampling jitter
of their own. Level 0 returns the input unchanged.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, ArrayLike, Float

from aesparse.errors import InputError, unknown_name
from aesparse.options import shortened

__all__ = ["CORRUPTIONS", "LEVELS", "as_corruption", "gaussian", "masking"]


def gaussian(
    x: Float[Array, "*B n"], eps: Float[Array, "*B n"], variance: ArrayLike
) -> Float[Array, "*B n"]:
    """x + σ ε, additive Gaussian noise (Arpit section 3).

    Args:
        x: inputs `[..., n]`.
        eps: unit normal noise of the same shape.
        variance: σ² >= 0, the level.

    >>> gaussian(jnp.array([1.0, 2.0]), jnp.array([0.5, -1.0]), jnp.array(4.0)).tolist()
    [2.0, 0.0]
    """
    return x + jnp.sqrt(variance) * eps


def masking(
    x: Float[Array, "*B n"], eps: Float[Array, "*B n"], probability: ArrayLike
) -> Float[Array, "*B n"]:
    """Zeroes each input with a given probability (Lecture, masking noise).

    An input is dropped where ε falls below the normal quantile of the probability; none is scaled
    up. On standardized data a zero is the mean, not black.

    Args:
        x: inputs `[..., n]`.
        eps: unit normal noise of the same shape.
        probability: in [0, 1), the level.

    >>> masking(jnp.array([1.0, 2.0]), jnp.array([0.5, -1.0]), jnp.array(0.5)).tolist()
    [1.0, 0.0]
    """
    return jnp.where(eps > ndtri(probability), x, 0.0)


#: Valid range [low, high) of the level, by corruption; others take any level >= 0. Checked by the
#: trainer, because under jit the level is abstract.
LEVELS: Mapping[Callable, tuple[float, float]] = {masking: (0.0, 1.0)}
#: The built-in corruptions by name.
CORRUPTIONS: Mapping[str, Callable] = {"gaussian": gaussian, "masking": masking}


def as_corruption(value: object) -> Callable:
    """`value` as a corruption: a built-in by its name, or a function as it is.

    The function is `corrupt(x, eps, level)`. `InputError` for anything else.

    >>> as_corruption("masking") is masking
    True
    """
    if isinstance(value, str):
        if value not in CORRUPTIONS:
            raise unknown_name("corruption", value, CORRUPTIONS)
        return CORRUPTIONS[value]
    if isinstance(value, type) or not callable(value):
        raise InputError(
            f"The corruption is {shortened(value)}; expected a name, such as 'masking', or a "
            "function of the batch, the unit noise and the level."
        )
    return value
