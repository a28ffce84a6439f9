"""How local filters are: over how many pixels their energy spreads, and how alike these are.

Energy is the sum of squares. Filters are `rows [K, n]` of images of one `shape` (height, width,
channels). Those that are zero or not finite have NaN.
"""

import math
from collections.abc import Callable
from typing import SupportsIndex

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from aesparse.errors import InputError
from aesparse.filters.images import filter_images
from aesparse.options import check_counts

__all__ = ["neighbour_correlation", "participation_ratio", "peak_share", "windowed_energy"]


def participation_ratio(rows: Float[Array, "... n"]) -> Float[Array, "..."]:
    """(Σ w²)² / (n Σ w⁴), the share of inputs a filter spreads over: 1/n (one) to 1 (all).

    `rows [..., n]` are the filters. In JAX, also inside compiled programs. NaN for a filter of
    zeros.

    >>> participation_ratio(jnp.array([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])).tolist()
    [0.25, 1.0]
    """
    squared = rows**2
    return jnp.sum(squared, -1) ** 2 / (rows.shape[-1] * jnp.sum(squared**2, -1))


def windowed_energy(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...], window: SupportsIndex
) -> Float[np.ndarray, " K"]:
    """Share of a filter's energy, over all channels, in its best square of `window` pixels a side.

    From window²/(height · width) for a uniform filter to 1. `InputError` for a window larger than
    the filter, and filters that are not of this shape.

    >>> bar = np.outer([1, 1, 1, 1], [0, 1, 0, 0]).reshape(1, -1)  # one column of four
    >>> windowed_energy(bar, (4, 4, 1), 2).tolist()
    [0.5]
    """
    energy = np.sum(filter_images(rows, shape) ** 2, axis=-1)
    check_counts({"window": window})
    if window > min(energy.shape[1:]):
        raise InputError(
            f"The window of {window}×{window} is larger than the filters, {shape[0]}×{shape[1]}; "
            f"choose a window of at most {min(energy.shape[1:])}."
        )
    squares = np.lib.stride_tricks.sliding_window_view(energy, (window, window), axis=(1, 2))
    return squares.sum((-2, -1)).max((1, 2)) / energy.sum((1, 2))


def peak_share(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]
) -> Float[np.ndarray, " K"]:
    """Share of a filter's energy in its largest pixel, over all channels; 1 for a single pixel.

    `InputError` for filters that are not of this shape.

    >>> peak_share(np.array([[0.0, 1.0, 1.0, 0.0]]), (2, 2, 1)).tolist()
    [0.5]
    """
    return windowed_energy(rows, shape, 1)


def neighbour_correlation(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]
) -> Float[np.ndarray, " K"]:
    """Correlation of neighbouring pixels of a filter: near 1 for broad strokes, 0 for noise.

    Over all pairs (p, q) of horizontal and vertical neighbours in the same channel, each in both
    orders, so that p and q have the same mean and variance. NaN for uniform filters too.
    `InputError` for filters that are not of this shape.

    >>> board = np.indices((4, 4)).sum(0) % 2  # neighbours are opposite
    >>> neighbour_correlation(board.reshape(1, -1), (4, 4, 1)).tolist()
    [-1.0]
    """
    w = filter_images(rows, shape)
    w = w - w.mean((1, 2, 3), keepdims=True)  # for precision alone
    pairs = ((w[:, :, 1:], w[:, :, :-1]), (w[:, 1:], w[:, :-1]))
    count = sum(math.prod(p.shape[1:]) for p, _ in pairs)

    def mean(of: Callable) -> Float[np.ndarray, " K"]:
        return sum(np.sum(of(p, q), axis=(1, 2, 3)) for p, q in pairs) / count

    with np.errstate(invalid="ignore"):  # uniform filters, and those of one pixel
        square = mean(lambda p, q: (p + q) / 2) ** 2
        variance = mean(lambda p, q: (p**2 + q**2) / 2) - square
        return (mean(lambda p, q: p * q) - square) / variance
