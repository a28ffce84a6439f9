"""How well a Gabor function describes a filter.

Filters are `rows [K, n]` of grey images of one `shape` (height, width, 1).
"""

from typing import NamedTuple, SupportsIndex

import numpy as np
from jaxtyping import ArrayLike, Float, Real

from aesparse.errors import InputError
from aesparse.filters.images import filter_images

__all__ = ["GaborFit", "gabor_fit"]

_NARROWEST = 0.5  # pixels, of the envelope
_WIDEST = 2.0  # times the filter's longer side
_PADDING = 4  # of the spectrum, in whose highest peaks the search begins
_PEAKS = 2
_START = 0.7  # widths at the start, over the root mean squared distance from the centroid
_TOLERANCE = 1e-6  # of a step's relative gain, where the search ends
_RIDGE = 1e-9  # keeps sine and cosine of frequency 0 apart
_SCALE = (1.0, 1.0, 1.0, 1.0, 0.1, 0.5)  # of the parameters, for the trust region


class GaborFit(NamedTuple):
    """The best Gabor function of every filter, A exp(−u²/2σ_u² − v²/2σ_v²) cos(2πfu + φ).

    u and v are the distances from the centre along and across the direction θ of the frequency: u =
    (x − x₀) cos θ + (y − y₀) sin θ and v = (y − y₀) cos θ − (x − x₀) sin θ, with x counted along a
    row of pixels and y downwards, both from 0. All are `[K]`.

    Attributes:
        r_squared: 1 − SSE/SST, SST about the filter's mean.
        amplitude: A >= 0, in the filter's units.
        x: x₀, pixels.
        y: y₀, pixels.
        along: σ_u, pixels.
        across: σ_v, pixels.
        frequency: f, cycles per pixel, 0 to 1/2.
        orientation: θ, radians, 0 to π: vertical stripes have 0.
        phase: φ, radians, −π to π.
    """

    r_squared: Float[np.ndarray, " K"]
    amplitude: Float[np.ndarray, " K"]
    x: Float[np.ndarray, " K"]
    y: Float[np.ndarray, " K"]
    along: Float[np.ndarray, " K"]
    across: Float[np.ndarray, " K"]
    frequency: Float[np.ndarray, " K"]
    orientation: Float[np.ndarray, " K"]
    phase: Float[np.ndarray, " K"]


def gabor_fit(rows: Real[ArrayLike, "K n"], shape: tuple[SupportsIndex, ...]) -> GaborFit:
    """The Gabor function nearest to each grey filter in least squares, and how near it is.

    The search (SciPy's `least_squares` over centre, widths, frequency and orientation; amplitude
    and phase follow from them) begins at the centroid of the filter's energy, once from each of
    the two highest peaks of its spectrum. The centre stays inside the filter, widths between 0.5
    pixels and twice its longer side, the frequency at most at 1/2. An isolated bump is a Gabor
    function too, of frequency near 0: `orientation_selectivity` tells it from an edge. Random
    filters of 12×12 have an R² of about 0.12. Takes 10 to 30 ms a filter.

    NaN for filters that are zero, uniform or not finite. `InputError` for colour filters, and for
    filters that are not of this shape.

    >>> y, x = np.indices((12, 12))
    >>> stripes = np.cos(2 * np.pi * 0.2 * x) * np.exp(-((x - 5) ** 2 + (y - 6) ** 2) / 18)
    >>> fit = gabor_fit(stripes.reshape(1, -1), (12, 12, 1))
    >>> fit.r_squared.round(3).tolist(), fit.frequency.round(3).tolist()
    ([1.0], [0.2])
    """
    images = filter_images(rows, shape)[..., 0]
    if shape[2] != 1:
        raise InputError(
            f"The filters have {shape[2]} channels; expected grey ones of 1 for a Gabor fit. Give "
            "one channel, or the mean of them."
        )
    scale = np.max(np.abs(np.asarray(rows, np.float64)), axis=1)
    fits = np.array([_best(image) for image in images]).reshape(-1, len(GaborFit._fields))
    fits[:, 1] *= scale
    return GaborFit(*fits.T)


def _best(image: Float[np.ndarray, "h w"]) -> tuple[float, ...]:
    """The numbers of a `GaborFit` for one filter."""
    from scipy.optimize import least_squares  # half a second; only fits wait for it

    spread = np.sum((image - image.mean()) ** 2)
    if not spread > 0:
        return (np.nan,) * len(GaborFit._fields)
    height, width = image.shape
    widest = _WIDEST * max(image.shape)
    low = (-0.5, -0.5, _NARROWEST, _NARROWEST, 0.0, -np.inf)
    high = (width - 0.5, height - 0.5, widest, widest, 0.5, np.inf)
    y, x = np.indices(image.shape, float).reshape(2, -1)
    problem = _Problem(x, y, image.ravel())
    found = [
        least_squares(
            problem.residual,
            np.clip(start, low, high),
            problem.jacobian,
            (low, high),
            ftol=_TOLERANCE,
            x_scale=_SCALE,
        )
        for start in _starts(image)
    ]
    best = min(found, key=lambda fit: fit.cost)
    return (1 - 2 * best.cost / spread, *_described(best.x, problem.at(best.x).weights))


class _Waves(NamedTuple):
    """Cosine and sine under the envelope, and what they make of a filter."""

    u: Float[np.ndarray, " n"]
    v: Float[np.ndarray, " n"]
    waves: Float[np.ndarray, "2 n"]
    inverse: Float[np.ndarray, "2 2"]  # of their products
    weights: Float[np.ndarray, " 2"]  # theirs in the filter, in least squares


class _Problem(NamedTuple):
    """Least squares over x₀, y₀, σ_u, σ_v, f and θ; the weights of the waves follow from these."""

    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    w: Float[np.ndarray, " n"]

    def at(self, point: Float[np.ndarray, " 6"]) -> _Waves:
        x0, y0, along, across, frequency, angle = point
        x, y, cos, sin = self.x - x0, self.y - y0, np.cos(angle), np.sin(angle)
        u, v = x * cos + y * sin, y * cos - x * sin
        turned = 2 * np.pi * frequency * u
        envelope = np.exp(-((u / along) ** 2 + (v / across) ** 2) / 2)
        waves = envelope * np.array([np.cos(turned), np.sin(turned)])
        products = waves @ waves.T
        inverse = np.linalg.inv(products + _RIDGE * np.trace(products) * np.eye(2))
        return _Waves(u, v, waves, inverse, inverse @ (waves @ self.w))

    def residual(self, point: Float[np.ndarray, " 6"]) -> Float[np.ndarray, " n"]:
        found = self.at(point)
        return found.weights @ found.waves - self.w

    def jacobian(self, point: Float[np.ndarray, " 6"]) -> Float[np.ndarray, "n 6"]:
        """That of variable projection in Kaufman's form: derivatives at fixed weights, less what
        other weights would undo."""
        _, _, along, across, frequency, angle = point
        u, v, waves, inverse, weights = self.at(point)
        cos, sin = np.cos(angle), np.sin(angle)
        fit = weights @ waves
        turn = weights[1] * waves[0] - weights[0] * waves[1]  # its derivative in the wave's angle
        by_u = 2 * np.pi * frequency * turn - fit * u / along**2
        by_v = -fit * v / across**2
        rows = np.array(
            [
                sin * by_v - cos * by_u,
                -sin * by_u - cos * by_v,
                fit * u**2 / along**3,
                fit * v**2 / across**3,
                2 * np.pi * u * turn,
                v * by_u - u * by_v,
            ]
        )
        return (rows - rows @ waves.T @ inverse @ waves).T


def _starts(image: Float[np.ndarray, "h w"]) -> list[tuple[float, ...]]:
    """Where the search begins: the energy's centroid and spread, the spectrum's highest peaks."""
    from scipy.ndimage import maximum_filter  # see `_best`

    y, x = np.indices(image.shape)
    energy = image**2 / np.sum(image**2)
    x0, y0 = np.sum(energy * x), np.sum(energy * y)
    width = _START * np.sqrt(np.sum(energy * ((x - x0) ** 2 + (y - y0) ** 2)))
    size = _PADDING * max(image.shape)
    power = np.abs(np.fft.fft2(image, (size, size))) ** 2
    k = np.fft.fftfreq(size)
    frequency, angle = np.hypot(k[:, None], k), np.arctan2(k[:, None], k)
    # k and −k are the same wave: one half of the plane is enough.
    peaks = (power == maximum_filter(power, 3, mode="wrap")) & (frequency <= 0.5) & (angle >= 0)
    highest = np.argsort(np.where(peaks, -power, 0.0), axis=None)[:_PEAKS]
    return [(x0, y0, width, width, frequency.flat[i], angle.flat[i]) for i in highest]


def _described(
    point: Float[np.ndarray, " 6"], weights: Float[np.ndarray, " 2"]
) -> tuple[float, ...]:
    """Amplitude, centre, widths, frequency, orientation and phase of a point of the search."""
    x0, y0, along, across, frequency, angle = point
    turns = np.floor(angle / np.pi)  # u changes its sign with each
    phase = np.arctan2(-weights[1] * (-1) ** turns, weights[0])
    place = (x0, y0, along, across, frequency, angle - turns * np.pi)
    return np.hypot(*weights), *place, phase
