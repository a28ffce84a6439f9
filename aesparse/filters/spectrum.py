"""What frequencies filters have, and in which directions.

P(k) is the power spectrum of a filter without its mean, on the frequencies of its own size and
added over channels. Filters are `rows [K, n]` of images of one `shape` (height, width, channels).
Those that are zero, uniform or not finite have NaN.
"""

from typing import SupportsIndex

import numpy as np
from jaxtyping import ArrayLike, Complex, Float, Real

from aesparse.filters.images import filter_images

__all__ = ["autocorrelation_half_width", "mean_frequency", "orientation_selectivity"]


def orientation_selectivity(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]
) -> Float[np.ndarray, " K"]:
    """|Σ P(k) e^{2iθ}| / Σ P(k), θ the direction of k: 1 for a grating, 0 for an isotropic bump.

    0 as well for as much power in two directions at right angles. `InputError` for filters that
    are not of this shape.

    >>> grating = np.tile(np.cos(np.arange(8) * np.pi / 2), (8, 1))
    >>> crossed = grating + grating.T
    >>> filters = np.stack([grating.ravel(), crossed.ravel()])
    >>> orientation_selectivity(filters, (8, 8, 1)).round(6).tolist()
    [1.0, 0.0]
    """
    power, k = _spectrum(rows, shape)
    doubled = np.exp(2j * np.angle(k))
    doubled[(abs(k.real) == 0.5) & (abs(k.imag) == 0.5)] = 0  # a checkerboard's, of both diagonals
    return np.abs(np.sum(power * doubled, axis=(1, 2)))


def mean_frequency(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]
) -> Float[np.ndarray, " K"]:
    """Σ P(k) |k| / Σ P(k), in cycles per pixel; about 0.39 for white noise.

    `InputError` for filters that are not of this shape.

    >>> grating = np.tile(np.cos(np.arange(8) * np.pi / 2), (8, 1))  # four pixels a cycle
    >>> mean_frequency(grating.reshape(1, -1), (8, 8, 1)).round(6).tolist()
    [0.25]
    """
    power, k = _spectrum(rows, shape)
    return np.sum(power * np.abs(k), axis=(1, 2))


def autocorrelation_half_width(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]
) -> Float[np.ndarray, " K"]:
    """Pixels at which the autocorrelation of a filter without its mean has fallen to 1/2.

    The autocorrelation wraps around at the borders and is averaged over rings of lags, whose
    length rounds to 0, 1, 2, … pixels; between the rings' mean lengths it is interpolated
    linearly. For an isotropic bump or noise blurred by exp(−r²/2σ²) it is about 2σ√(ln 2), for
    white noise 0.6. `InputError` for filters that are not of this shape.

    >>> x = np.arange(32) - 16
    >>> bump = np.exp(-np.add.outer(x**2, x**2) / (2 * 1.5**2))
    >>> autocorrelation_half_width(bump.reshape(1, -1), (32, 32, 1)).round(1).tolist()
    [2.5]
    """
    power, k = _spectrum(rows, shape)
    height, width = power.shape[1:]
    correlation = np.fft.ifft2(power).real * height * width  # 1 at lag 0
    # The frequencies of an image are its lags, -height/2 to height/2, over its size.
    length = np.hypot(k.real * width, k.imag * height).ravel()
    ring = np.rint(length).astype(int)
    count = np.bincount(ring)
    radius = np.bincount(ring, length) / count
    rings = [np.bincount(ring, image.ravel()) / count for image in correlation]
    return np.array([_first_half(radius, values) for values in rings])


def _first_half(radius: Float[np.ndarray, " R"], values: Float[np.ndarray, " R"]) -> float:
    """The radius at which values that begin at 1 first fall to 1/2."""
    i = np.argmax(values <= 0.5)  # without a mean they sum to 0, so that some are below
    share = (values[i - 1] - 0.5) / (values[i - 1] - values[i])
    return radius[i - 1] + share * (radius[i] - radius[i - 1])


def _spectrum(
    rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]
) -> tuple[Float[np.ndarray, "K h w"], Complex[np.ndarray, "h w"]]:
    """P over its sum, and k = k_x + i k_y in cycles per pixel, x along rows of pixels, y down."""
    images = filter_images(rows, shape)
    power = np.sum(np.abs(np.fft.fft2(images, axes=(1, 2))) ** 2, axis=-1)
    whole = power.sum((1, 2), keepdims=True)
    power[:, 0, 0] = 0
    total = power.sum((1, 2), keepdims=True)
    rounding = np.prod(images.shape[1:]) * np.finfo(float).eps
    varies = total > rounding**2 * whole
    height, width = power.shape[1:]
    k = np.fft.fftfreq(width)[None, :] + 1j * np.fft.fftfreq(height)[:, None]
    return np.divide(power, total, where=varies, out=np.full_like(power, np.nan)), k
