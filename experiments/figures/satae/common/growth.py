"""How the energy of saturated-linear units grows outside their linear region (SATAE section 3.1).

Shapes: S starts, K rays, n inputs.
"""

from collections.abc import Sequence

import numpy as np

from experiments.figures.satae.common.plane import energy, half_variance

__all__ = ["edges", "grown", "log_slope"]

_POINTS = 21  # along a ray, evenly spaced in the logarithm of their distance


def grown(params, activation, X: np.ndarray, directions: int, distances: Sequence[float]):
    """Log–log slope of the energy against the distance from the linear region, α = 0; `[S, K]`.

    Along rays from the middle of the samples `[N, 2]`, between the two `distances` from the
    region's edge; and the energy at the edge over the half-variance, `[S, K]`. `params` are those
    of models `[S, 2, ...]`, of which the first one has no penalty. NaN where the middle lies
    outside the region.
    """
    angles = 2 * np.pi * (np.arange(directions) + 0.5) / directions
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    start, steps = X.mean(axis=0, dtype=float), np.geomspace(*distances, _POINTS)
    slopes, at_edges = [], []
    for seed in range(len(params.bias)):
        one = type(params)(
            *(None if p is None else np.asarray(p[seed : seed + 1, :1]) for p in params)
        )
        edge = edges(one.weight[0, 0], one.bias[0, 0], start, rays)
        along = edge[:, None] + np.concatenate([[0.0], steps])
        points = (start + along[..., None] * rays[:, None]).astype(np.float32)
        found = energy(one, points.reshape(-1, 2), activation).reshape(directions, -1)
        at_edges.append(found[:, 0] / half_variance(X))
        slopes.append(log_slope(steps, found[:, 1:]))
    return np.stack(slopes), np.stack(at_edges)


def log_slope(distances: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """The slope of a straight line through (log d, log E), for each row of `[K, D]`."""
    known = np.isfinite(energies).all(axis=1)
    slopes = np.full(len(energies), np.nan)
    slopes[known] = np.polyfit(np.log(distances), np.log(energies[known]).T, 1)[0]
    return slopes


def edges(weight: np.ndarray, bias: np.ndarray, start: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """How far along each ray `[K, n]` the first unit leaves (−1, 1); NaN if one is outside."""
    a, speed = weight @ start + bias, rays @ weight.T
    if np.abs(a).max() >= 1:
        return np.full(len(rays), np.nan)
    with np.errstate(divide="ignore"):
        return ((np.sign(speed) - a) / speed).min(axis=1)
