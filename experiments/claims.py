"""Claims about curves: thresholds fixed in advance, classes, and verdicts with their numbers.

A curve is the final average activation fraction, mean over seeds, over the strengths, flagged
cells left out. With three or more seeds every deciding number carries a 95% bootstrap interval
over seeds, and a threshold inside it makes the verdict inconclusive.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = [
    "Criterion",
    "Curve",
    "Verdict",
    "agree",
    "alive_above",
    "classify",
    "decreasing",
    "flat",
]

FLAT = 0.05  # flat: max − min at most this
MONOTONE = 0.9  # decreasing: Spearman(σ², fraction) at most minus this …
DROP = 0.10  # … and first − last at least this
AGREE = 0.02  # two curves agree: nowhere further apart than this
MAX_FLAGGED = 2  # strengths; more make a curve inconclusive
SPARSE, DEAD = 0.05, 0.01  # cells with at least this fraction have at most this share dead
_SEEDS_FOR_INTERVAL, _RESAMPLES = 3, 2000


class Curve(NamedTuple):
    """Final fraction and dead share over strengths, per seed; [S, G]."""

    dataset: str
    objective: str
    strengths: np.ndarray
    fraction: np.ndarray
    dead: np.ndarray
    flagged: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """The fraction with flagged cells as NaN."""
        return np.where(self.flagged, np.nan, self.fraction)

    @property
    def flagged_strengths(self) -> int:
        """How many strengths have a flagged cell."""
        return int(self.flagged.any(axis=0).sum())


class Criterion(NamedTuple):
    """A number against its threshold: it holds where sign·value <= sign·threshold."""

    name: str
    value: float
    threshold: float
    sign: int
    interval: tuple[float, float] | None

    @property
    def decided(self) -> bool:
        """Whether the value and its whole interval (if any) lie on one side of the threshold."""
        points = (self.value, *(self.interval or ()))
        sides = {self.sign * point <= self.sign * self.threshold for point in points}
        return bool(np.isfinite(points).all()) and len(sides) == 1

    @property
    def holds(self) -> bool:
        """Whether the value is on the right side."""
        return self.sign * self.value <= self.sign * self.threshold

    def __str__(self) -> str:
        relation = "≤" if self.sign > 0 else "≥"
        span = "" if self.interval is None else " [{:.3f}, {:.3f}]".format(*self.interval)
        return f"{self.name} {self.value:.3f}{span} (needs {relation} {self.threshold:g})"


class Verdict(NamedTuple):
    """A claim on a data set: holds, fails or inconclusive, and why."""

    claim: str
    dataset: str
    statement: str
    verdict: str
    numbers: str


def decide(
    claim: str, statement: str, criteria: Sequence[Criterion], curves: Sequence[Curve]
) -> Verdict:
    """All criteria hold → holds; one fails beyond its interval → fails; else inconclusive."""
    numbers = "; ".join(map(str, criteria))
    seeds = len(curves[0].fraction)
    numbers += f"; {seeds} seeds" if seeds > 1 else "; one seed"
    if any(c.flagged_strengths > MAX_FLAGGED for c in curves):
        verdict, numbers = "inconclusive", f"more than {MAX_FLAGGED} flagged strengths; {numbers}"
    elif any(c.decided and not c.holds for c in criteria):
        verdict = "fails"
    elif all(c.decided and c.holds for c in criteria):
        verdict = "holds"
    else:
        verdict = "inconclusive"
    return Verdict(claim, curves[0].dataset, statement, verdict, numbers)


def flat(curve: Curve) -> list[Criterion]:
    """max − min of the curve is small."""
    return [_criterion("max − min", _range, [curve], FLAT, +1)]


def decreasing(curve: Curve) -> list[Criterion]:
    """The fraction falls with the strength, in rank and in size."""
    return [
        _criterion("Spearman", _rank_correlation, [curve], -MONOTONE, +1),
        _criterion("first − last", _drop, [curve], DROP, -1),
    ]


def agree(a: Curve, b: Curve) -> list[Criterion]:
    """The two curves are nowhere far apart."""
    return [_criterion("largest difference", _distance, [a, b], AGREE, +1)]


def alive_above(curve: Curve) -> list[Criterion]:
    """Cells that are not yet sparse have almost no dead units."""

    def worst(seeds: np.ndarray) -> float:
        cells = (curve.kept >= SPARSE)[seeds]
        return float(curve.dead[seeds][cells].max(initial=0.0))

    return [_with_interval(f"most dead units at fraction ≥ {SPARSE}", worst, curve, DEAD, +1)]


def classify(curve: Curve) -> str:
    """flat, decreasing, increasing, irregular, or inconclusive with too many flagged cells."""
    if curve.flagged_strengths > MAX_FLAGGED:
        return "inconclusive"
    mean = _mean(curve.kept)
    if _range(curve.strengths, mean) <= FLAT:
        return "flat"
    correlation, drop = _rank_correlation(curve.strengths, mean), _drop(curve.strengths, mean)
    if correlation <= -MONOTONE and drop >= DROP:
        return "decreasing"
    if correlation >= MONOTONE and -drop >= DROP:
        return "increasing"
    return "irregular"


def _criterion(
    name: str, statistic: Callable, curves: Sequence[Curve], threshold: float, sign: int
) -> Criterion:
    def over(seeds: np.ndarray) -> float:
        means = [_mean(c.kept[seeds]) for c in curves]
        return float(statistic(curves[0].strengths, *means))

    return _with_interval(name, over, curves[0], threshold, sign)


def _with_interval(
    name: str, over: Callable[[np.ndarray], float], curve: Curve, threshold: float, sign: int
) -> Criterion:
    seeds, interval = np.arange(len(curve.fraction)), None
    if len(seeds) >= _SEEDS_FOR_INTERVAL:
        drawn = np.sort(np.random.default_rng(0).choice(seeds, (_RESAMPLES, len(seeds))), axis=1)
        distinct, times = np.unique(drawn, axis=0, return_counts=True)
        values = np.repeat([over(sample) for sample in distinct], times)
        known = values[np.isfinite(values)]  # a resample of flagged seeds alone says nothing
        if len(known):
            low, high = np.percentile(known, [2.5, 97.5])
            interval = (float(low), float(high))
    return Criterion(name, over(seeds), threshold, sign, interval)


def _mean(kept: np.ndarray) -> np.ndarray:
    count = np.sum(np.isfinite(kept), axis=0)
    return np.where(count > 0, np.nansum(kept, axis=0) / np.maximum(count, 1), np.nan)


def _range(strengths: np.ndarray, mean: np.ndarray) -> float:
    return np.ptp(mean[np.isfinite(mean)]) if np.isfinite(mean).any() else np.nan


def _drop(strengths: np.ndarray, mean: np.ndarray) -> float:
    finite = mean[np.isfinite(mean)]
    return finite[0] - finite[-1] if len(finite) else np.nan


def _distance(strengths: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    return np.max(np.abs(a - b)[both]) if both.any() else np.nan


def _rank_correlation(strengths: np.ndarray, mean: np.ndarray) -> float:
    from scipy.stats import spearmanr

    finite = np.isfinite(mean)
    if finite.sum() < 2:
        return np.nan
    if np.ptp(mean[finite]) == 0:
        return 0.0  # undefined for a constant curve, which is neither rising nor falling
    return spearmanr(strengths[finite], mean[finite]).statistic
