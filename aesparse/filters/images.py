"""Filters as images."""

import math
from typing import SupportsIndex

import numpy as np
from jaxtyping import ArrayLike, Float, Real

from aesparse.data.matrix import as_array
from aesparse.errors import InputError
from aesparse.options import check_counts, checked_numbers

__all__ = ["filter_images"]


def filter_images(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]
) -> Float[np.ndarray, "K h w c"]:
    """The filters as images in float64, each over its largest entry in size.

    No statistic depends on a filter's scale. Filters that are zero or not finite are NaN
    throughout. `InputError` unless `rows` are real numbers [K, n] and `shape` is (height, width,
    channels) with n = height · width · channels.
    """
    rows = checked_numbers(as_array(rows, "The matrix of filters"), "The filters are")
    if not isinstance(shape, tuple | list | np.ndarray) or len(shape) != 3:
        raise InputError(
            f"The shape of a filter is {shape!r}; expected (height, width, channels), such as "
            "(28, 28, 1)."
        )
    height, width, channels = shape
    check_counts({"The height": height, "The width": width, "The number of channels": channels})
    if rows.ndim != 2 or rows.shape[1] != math.prod(shape):
        raise InputError(
            f"The filters have shape {rows.shape}; expected [K, {math.prod(shape)}], one filter a "
            f"row, for images of shape {tuple(shape)}. Give the shape of the images they read."
        )
    rows = rows.astype(np.float64)
    largest = np.max(np.abs(rows), axis=1, keepdims=True)
    usable = np.isfinite(largest) & (largest > 0)
    scaled = np.divide(rows, largest, where=usable, out=np.full_like(rows, np.nan))
    return scaled.reshape(-1, *shape)
