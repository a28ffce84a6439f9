"""The words that decide, of docs/protocol.md, in NumPy: curves, directions, intervals, verdicts.

Neither this module nor the other oracle modules import the package or the code that decides.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

MOVES = 0.05  # a range above it: the objective moves
TIE = 0.01
MOST_DIVERGED = 2  # strengths
RESAMPLES = 2000
AGREE = 0.95  # of the resamples, for a verdict on a class

HOLDS, FAILS, INCONCLUSIVE, NOT_RUN = "holds", "fails", "inconclusive", "not run"
CONSTRUCTION, MEASURED = "by construction", "measured"


class Decision(NamedTuple):
    """A verdict, the number that decides it, its interval, and the seeds that it rests on."""

    verdict: str
    number: float = float("nan")
    interval: tuple[float, float] = (float("nan"), float("nan"))
    seeds: tuple[int, ...] = ()


class Estimate(NamedTuple):
    """A statistic of all seeds, and its 95% bootstrap interval (a point below three seeds)."""

    value: float
    low: float
    high: float

    def at_most(self, threshold: float) -> str:
        """Holds or fails where the whole interval is on one side of the threshold."""
        if self.high <= threshold:
            return HOLDS
        return FAILS if self.low > threshold else INCONCLUSIVE

    def at_least(self, threshold: float) -> str:
        """As `at_most`, the other way round."""
        return Estimate(-self.value, -self.high, -self.low).at_most(-threshold)


def resamples(seeds: int) -> np.ndarray:
    """Which seeds each bootstrap resample draws, (2000, seeds)."""
    return np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))


def over_resamples(statistic: Callable[[Sequence[int]], float], seeds: int) -> np.ndarray:
    """The statistic on every resample; equal draws are computed once."""
    drawn, index = np.unique(np.sort(resamples(seeds), axis=1), axis=0, return_inverse=True)
    return np.array([statistic(list(d)) for d in drawn])[index.ravel()]


def estimate(statistic: Callable[[Sequence[int]], float], seeds: int) -> Estimate:
    """The statistic of all seeds with its interval; `statistic` takes the indices of seeds."""
    value = float(statistic(list(range(seeds))))
    if seeds < 3:
        return Estimate(value, value, value)
    drawn = over_resamples(statistic, seeds)
    drawn = drawn[~np.isnan(drawn)]  # resamples whose models all diverged have no statistic
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))


def majority(statistic: Callable[[Sequence[int]], bool], seeds: int) -> str:
    """Holds or fails as all seeds together say, if at least 95% of the resamples say the same."""
    value = bool(statistic(list(range(seeds))))
    if seeds >= 3 and np.mean(over_resamples(statistic, seeds) == value) < AGREE:
        return INCONCLUSIVE
    return HOLDS if value else FAILS


def together(*verdicts: str) -> str:
    """A statement of several conditions: one that fails decides, then one inconclusive."""
    return next((v for v in (NOT_RUN, FAILS, INCONCLUSIVE) if v in verdicts), HOLDS)


def construction(verdict: str) -> str:
    """What follows from the construction is no evidence; a construction that breaks shows."""
    return CONSTRUCTION if verdict == HOLDS else verdict


def mean_curve(models: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Mean over the seeds named of (seed, strength), models left out being NaN."""
    drawn = models[list(seeds)]
    there = np.isfinite(drawn)
    counts = there.sum(axis=0)
    sums = np.where(there, drawn, 0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation, equal values sharing their mean rank; 0 where one does not vary."""
    there = np.isfinite(x) & np.isfinite(y)
    if there.sum() < 3:
        return float("nan")
    a, b = (rankdata(v[there]) for v in (np.asarray(x), np.asarray(y)))
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


def largest(values: np.ndarray) -> float:
    """The largest of the models there are; NaN without any."""
    there = values[~np.isnan(values)]
    return float(there.max()) if len(there) else float("nan")


def smallest(values: np.ndarray) -> float:
    """As `largest`, the smallest."""
    return -largest(-values)


def span(curve: np.ndarray) -> float:
    """Range, max − min, of the models there are."""
    return largest(curve) - smallest(curve)


def direction(strengths: np.ndarray, curve: np.ndarray) -> str:
    """Flat, decreasing, increasing or irregular."""
    if span(curve) <= MOVES:
        return "flat"
    rho = spearman(strengths, curve)
    if rho <= -0.9:
        return "decreasing"
    return "increasing" if rho >= 0.9 else "irregular"


def same_direction(strengths: np.ndarray, one: np.ndarray, other: np.ndarray) -> bool:
    """Equal directions; two irregular curves agree if nowhere more than 0.05 apart."""
    first, second = direction(strengths, one), direction(strengths, other)
    if first == second == "irregular":
        return bool(largest(np.abs(one - other)) <= MOVES)
    return first == second
