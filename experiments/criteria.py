"""Curves, their classes, and numbers against thresholds that were fixed in advance.

A curve is the final average activation fraction over the strengths, a mean over seeds without the
models that diverged or collapsed. With three or more seeds every deciding number carries a 95%
bootstrap interval over seeds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = [
    "DROP",
    "Criterion",
    "Curve",
    "agree",
    "alive_above",
    "classify",
    "decreasing",
    "flat",
    "largest_at_most",
    "lower",
    "mean_at_least",
    "mean_at_most",
    "over_seeds",
    "rank_correlation",
    "resamples",
    "sparser_alive",
    "spearman",
    "stays_above",
]

FLAT = 0.05  # flat: max − min at most this
MONOTONE = 0.9  # decreasing: Spearman(σ², fraction) at most minus this …
DROP = 0.10  # … and first − last at least this
AGREE = 0.02  # two curves agree: nowhere further apart than this
MAX_FLAGGED = 2  # strengths; more make a curve inconclusive
SPARSE, DEAD = 0.05, 0.01  # models with at least this fraction have at most this share dead
SEEDS_FOR_INTERVAL = 3
_RESAMPLES = 2000
_SMALL = 5e-4


class Curve(NamedTuple):
    """Final fraction and dead share over strengths, per seed; [S, G]."""

    dataset: str
    objective: str
    strengths: np.ndarray
    fraction: np.ndarray
    dead: np.ndarray
    flagged: np.ndarray
    activation: str = "relu"
    constraint: str = "unit"
    learning_rate: float = 0.001
    batch_size: int = 50
    samples: int = 10_000  # on which units are counted as dead

    def of_seeds(self, seeds: np.ndarray) -> "Curve":
        """The curve of some of its seeds."""
        parts = {name: getattr(self, name)[seeds] for name in ("fraction", "dead", "flagged")}
        return self._replace(**parts)

    @property
    def kept(self) -> np.ndarray:
        """The fraction, NaN where the model diverged or collapsed."""
        return np.where(self.flagged, np.nan, self.fraction)

    @property
    def mean(self) -> np.ndarray:
        """The mean of `kept` over seeds; NaN where all models diverged or collapsed."""
        return _mean(self.kept)

    @property
    def flagged_strengths(self) -> int:
        """The number of strengths at which a model diverged or collapsed."""
        return int(self.flagged.any(axis=0).sum())


class Criterion(NamedTuple):
    """A number against its threshold: it holds where sign·value <= sign·threshold."""

    name: str
    value: float
    threshold: float
    sign: int
    interval: tuple[float, float] | None
    strict: bool = False  # a strict inequality

    @property
    def decided(self) -> bool:
        """Whether the value and its whole interval (if any) lie on one side of the threshold."""
        points = (self.value, *(self.interval or ()))
        sides = {self._meets(point) for point in points}
        return bool(np.isfinite(points).all()) and len(sides) == 1

    @property
    def holds(self) -> bool:
        """Whether the value is on the right side."""
        return self._meets(self.value)

    def _meets(self, value: float) -> bool:
        gap = self.sign * (self.threshold - value)
        return gap > 0 if self.strict else gap >= 0

    @property
    def measured(self) -> str:
        """The number and its interval, without the threshold, where nothing is decided by it."""
        span = ""
        if self.interval is not None:
            span = " [{}, {}]".format(*map(self._told, self.interval))
        return f"{self.name} {self._told(self.value)}{span}"

    def __str__(self) -> str:
        relation = ("<" if self.sign > 0 else ">") if self.strict else "≤≥"[self.sign < 0]
        return f"{self.measured} (needs {relation} {self.threshold:g})"

    def _told(self, value: float) -> str:
        """Three decimals, or as many as show a small number or on which side it lies."""
        if value != 0 and abs(value) < _SMALL:
            return f"{value:.1e}"
        rounded = f"{value:.3f}"
        return rounded if self._meets(float(rounded)) == self._meets(value) else f"{value:.5f}"


def flat(curve: Curve) -> list[Criterion]:
    """max − min of the curve is small."""
    return [_criterion("max − min", _range, [curve], FLAT, +1)]


def decreasing(curve: Curve) -> list[Criterion]:
    """The fraction falls with the strength, in rank and in size."""
    return [
        _criterion("Spearman", spearman, [curve], -MONOTONE, +1),
        _criterion("first − last", _drop, [curve], DROP, -1),
    ]


def agree(a: Curve, b: Curve) -> list[Criterion]:
    """The two curves are nowhere far apart."""
    return [_criterion("largest difference", _distance, [a, b], AGREE, +1)]


def lower(a: Curve, b: Curve, by: float, *, where: str) -> list[Criterion]:
    """The first curve's fraction is lower than the second's by at least `by`, if 0 at all.

    `where` is "at its lowest", each at a strength of its own, or "at the end", at the largest one.
    """
    at = {"at its lowest": np.nanmin, "at the end": lambda mean: mean[-1]}[where]

    def gap(strengths: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return at(b) - at(a) if np.isfinite(a).any() and np.isfinite(b).any() else np.nan

    return [_criterion(f"lower {where} by", gap, [a, b], by, -1)._replace(strict=by == 0)]


def stays_above(curve: Curve, level: float) -> list[Criterion]:
    """The fraction is nowhere below a level."""

    def smallest(strengths: np.ndarray, mean: np.ndarray) -> float:
        return np.nanmin(mean) if np.isfinite(mean).any() else np.nan

    return [_criterion("smallest fraction", smallest, [curve], level, -1)]


def sparser_alive(a: Curve, b: Curve) -> list[Criterion]:
    """Where almost no units are dead, the first curve reaches the lower fraction.

    A curve without such a strength reaches no fraction below 1.
    """

    def gap(seeds: np.ndarray) -> float:
        lowest = []
        for curve in (a.of_seeds(seeds), b.of_seeds(seeds)):
            alive = _mean(np.where(curve.flagged, np.nan, curve.dead)) <= DEAD
            lowest.append(np.min(curve.mean[alive], initial=1.0))
        return lowest[1] - lowest[0]

    name = f"lower where at most {DEAD:.0%} are dead on {a.samples:,} samples by"
    return [over_seeds(name, gap, len(a.fraction), 0.0, -1)._replace(strict=True)]


def alive_above(curve: Curve) -> list[Criterion]:
    """Models that are not yet sparse have almost no dead units."""

    def worst(seeds: np.ndarray) -> float:
        cells = (curve.kept >= SPARSE)[seeds]
        return float(curve.dead[seeds][cells].max(initial=0.0))

    name = f"most dead units, on {curve.samples:,} samples, at fraction ≥ {SPARSE}"
    return [over_seeds(name, worst, len(curve.fraction), DEAD, +1)]


def rank_correlation(
    x: np.ndarray, y: np.ndarray, threshold: float, name: str = "rank correlation"
) -> Criterion:
    """Spearman's correlation of two quantities over models `[S, K]` reaches a threshold."""

    def over(seeds: np.ndarray) -> float:
        return spearman(x[seeds].ravel(), np.where(np.isnan(x), np.nan, y)[seeds].ravel())

    return over_seeds(name, over, len(x), threshold, -1)


def mean_at_least(values: np.ndarray, threshold: float, name: str) -> Criterion:
    """The mean over seeds and all else of `[S, ...]`, NaN left out, reaches a threshold."""

    def over(seeds: np.ndarray) -> float:
        chosen = values[seeds]
        return float(np.nanmean(chosen)) if not np.isnan(chosen).all() else np.nan

    return over_seeds(name, over, len(values), threshold, -1)


def mean_at_most(values: np.ndarray, threshold: float, name: str) -> Criterion:
    """The mean over seeds and all else of `[S, ...]`, NaN left out, does not exceed a threshold."""
    reached = mean_at_least(values, threshold, name)
    return reached._replace(sign=+1)


def largest_at_most(values: np.ndarray, threshold: float, name: str) -> Criterion:
    """The largest of the means over seeds of `[S, ...]`, NaN left out, is at most a threshold."""

    def over(seeds: np.ndarray) -> float:
        means = _mean(values[seeds])
        return float(np.nanmax(means)) if not np.isnan(means).all() else np.nan

    return over_seeds(name, over, len(values), threshold, +1)


def classify(curve: Curve) -> str:
    """flat, decreasing, increasing, irregular; inconclusive if too many models diverged."""
    if curve.flagged_strengths > MAX_FLAGGED:
        return "inconclusive"
    mean = curve.mean
    if _range(curve.strengths, mean) <= FLAT:
        return "flat"
    correlation, drop = spearman(curve.strengths, mean), _drop(curve.strengths, mean)
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

    return over_seeds(name, over, len(curves[0].fraction), threshold, sign)


def over_seeds(
    name: str, over: Callable[[np.ndarray], float], seeds: int, threshold: float, sign: int
) -> Criterion:
    """A criterion on `over(seed indices)`; from three seeds on with its bootstrap interval.

    It holds where sign·value <= sign·threshold.
    """
    interval = None
    if seeds >= SEEDS_FOR_INTERVAL:
        distinct, times = resamples(seeds)
        values = np.repeat([over(sample) for sample in distinct], times)
        known = values[np.isfinite(values)]  # a resample of flagged seeds alone says nothing
        if len(known):
            low, high = np.percentile(known, [2.5, 97.5])
            interval = (float(low), float(high))
    return Criterion(name, float(over(np.arange(seeds))), threshold, sign, interval)


def resamples(seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct bootstrap samples of the seeds, and how often each was drawn."""
    if seeds < SEEDS_FOR_INTERVAL:
        return np.arange(seeds)[None], np.ones(1, int)
    drawn = np.sort(np.random.default_rng(0).choice(seeds, (_RESAMPLES, seeds)), axis=1)
    return np.unique(drawn, axis=0, return_counts=True)


def _mean(kept: np.ndarray) -> np.ndarray:
    count = np.sum(~np.isnan(kept), axis=0)
    return np.where(count > 0, np.nansum(kept, axis=0) / np.maximum(count, 1), np.nan)


def _range(strengths: np.ndarray, mean: np.ndarray) -> float:
    return np.ptp(mean[np.isfinite(mean)]) if np.isfinite(mean).any() else np.nan


def _drop(strengths: np.ndarray, mean: np.ndarray) -> float:
    finite = mean[np.isfinite(mean)]
    return finite[0] - finite[-1] if len(finite) else np.nan


def _distance(strengths: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    return np.max(np.abs(a - b)[both]) if both.any() else np.nan


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation where y is finite; 0 for a constant, NaN for a single point."""
    from scipy.stats import spearmanr

    finite = np.isfinite(y)
    if finite.sum() < 2:
        return np.nan
    if np.ptp(y[finite]) == 0 or np.ptp(x[finite]) == 0:
        return 0.0  # undefined for a constant curve, which is neither rising nor falling
    return spearmanr(x[finite], y[finite]).statistic
