"""Starts other than random weights: local bumps, and encoders that copy their decoder.

Shapes: n inputs, m hidden units.
"""

import math
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from aesparse.errors import InputError
from aesparse.models.one_layer import Params, check_params
from aesparse.options import check_counts, check_flags, check_positive, checked_key, shortened

__all__ = ["bumps", "copied_encoder"]

_TIE = 0.5  # at most so much is added to squared distances, which differ by 1 or more, or not


def bumps(
    key: PRNGKeyArray,
    shape: Sequence[int],
    hidden: int,
    sigma: float | int = 1.0,
    *,
    tied: bool = True,
    decoder_bias: bool = True,
    dtype: DTypeLike = jnp.float32,
) -> Params:
    """An identity-like start: each unit sees one Gaussian bump of unit length, biases are 0.

    A bump lies in one channel. Units take the channels in turn. Of each channel they have distinct
    centres, the first drawn with `key` and each further one as far as can be from those before it
    (images taken as periodic for that; the bumps themselves end at the border). SATAE section 4
    speaks of filters that are the identity at the start, but not of how models start.

    Args:
        key: a key of JAX's random numbers; it may be traced, and lifted by `jax.vmap`.
        shape: (height, width, channels) of one image of n = height·width·channels inputs.
        hidden: m, the number of units.
        sigma: the standard deviation of a bump in pixels; 1 by default.
        tied: whether the model is tied (the default) or has the transposed encoder as decoder.
        decoder_bias: whether there is a b_d, of 0; by default there is.
        dtype: of all parameters, by default float32.

    Raises:
        InputError: for more units than pixels and channels, sigma <= 0, and a shape that is not
            three sizes.

    >>> params = bumps(jax.random.key(0), (4, 4, 1), 3, sigma=0.1)
    >>> params.weight.sum(axis=1).tolist(), params.weight.max(axis=1).tolist()
    ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    """
    height, width, channels = _checked_shape(shape)
    check_counts({"hidden": hidden})
    check_positive({"sigma": sigma})
    check_flags({"tied": tied, "decoder_bias": decoder_bias}, {})
    places = height * width * channels
    if hidden > places:
        raise InputError(
            f"{hidden} units have no places of their own on an image of {height}×{width}×"
            f"{channels}; expected at most {places}, one for each pixel and channel."
        )
    each = math.ceil(hidden / channels)
    keys = jax.random.split(checked_key(key), channels)
    centres = jnp.stack([_spread(k, height, width, each) for k in keys], axis=1)
    squared = jnp.asarray(_squared_distances(height, width))[centres.reshape(-1)[:hidden]]
    bump = jnp.exp(-squared / (2 * sigma**2))
    bump = bump / jnp.linalg.norm(bump, axis=1, keepdims=True)
    channel = jax.nn.one_hot(jnp.arange(hidden) % channels, channels)
    weight = (bump[:, :, None] * channel[:, None, :]).reshape(hidden, places).astype(dtype)
    return Params(
        weight=weight,
        bias=jnp.zeros((hidden,), dtype),
        decoder_bias=jnp.zeros((places,), dtype) if decoder_bias else None,
        decoder=None if tied else weight.T,
    )


def copied_encoder(params: Params) -> Params:
    """The untied model whose encoder is its decoder transposed, W = Dᵀ; biases stay.

    Of an untied model the decoder stays and the encoder is replaced; of a tied one the matrix
    stays, and its two copies are trained apart. Leading axes of all parameters are kept, and
    `params` may be traced. `InputError` unless they are `Params`.

    >>> from aesparse.models.one_layer import init_params
    >>> params = copied_encoder(init_params(jax.random.key(0), 5, 3, tied=False))
    >>> bool((params.weight == params.decoder.T).all())
    True
    """
    check_params(params, "The parameters whose encoder is to be a copy are")
    if params.decoder is None:
        return params._replace(decoder=jnp.swapaxes(params.weight, -1, -2))
    return params._replace(weight=jnp.swapaxes(params.decoder, -1, -2))


def _checked_shape(shape: object) -> tuple[int, int, int]:
    """Three sizes of at least 1; `InputError` otherwise."""
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) != 3:
        raise InputError(
            f"The shape of an image is {shortened(shape)}; expected (height, width, channels), "
            "such as a Dataset's shape."
        )
    check_counts(dict(zip(("height", "width", "channels"), shape, strict=True)))
    return tuple(operator.index(size) for size in shape)


def _squared_distances(
    height: int, width: int, *, periodic: bool = False
) -> Float[np.ndarray, "P P"]:
    """Between all pixels, row by row; `periodic`: on the torus."""

    def along(size: int) -> np.ndarray:
        apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        return np.minimum(apart, size - apart) if periodic else apart

    rows, columns = along(height)[:, None, :, None] ** 2, along(width)[None, :, None, :] ** 2
    return (rows + columns).reshape(height * width, -1).astype(np.float32)


def _spread(key: PRNGKeyArray, height: int, width: int, count: int) -> Int[Array, " count"]:
    """So many distinct pixels, each the farthest from those before it, on the torus.

    The first is drawn, and so is one of several that are equally far.
    """
    apart = jnp.asarray(_squared_distances(height, width, periodic=True))
    ties = _TIE * jax.random.uniform(key, (count, height * width))

    def add(
        nearest: Float[Array, " P"], tie: Float[Array, " P"]
    ) -> tuple[Float[Array, " P"], Int[Array, ""]]:
        chosen = jnp.argmax(nearest + tie)
        return jnp.minimum(nearest, apart[chosen]), chosen

    farther_than_all = jnp.full(height * width, float(height**2 + width**2), apart.dtype)
    return jax.lax.scan(add, farther_than_all, ties)[1]
