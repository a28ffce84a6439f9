"""Numbers against thresholds that were fixed in advance.

With three or more seeds every deciding number carries a 95% bootstrap interval over seeds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.evidence.bootstrap import SEEDS_FOR_INTERVAL, Interval, bootstrap, resamples
from experiments.evidence.curves import (
    DROP,
    FLAT,
    MONOTONE,
    Curve,
    curve_drop,
    curve_range,
    mean_over_seeds,
    spearman,
)

__all__ = [
    "Criterion",
    "agree",
    "alive_above",
    "apart",
    "decreasing",
    "flat",
    "largest_at_most",
    "lower",
    "mean_at_least",
    "mean_at_most",
    "over_seeds",
    "rank_correlation",
    "sparser_alive",
    "stays_above",
]

AGREE = 0.02  # two curves agree: nowhere further apart than this
SPARSE, DEAD = 0.05, 0.01  # models with at least this fraction have at most this share dead
_SMALL = 5e-4


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
    return [_criterion("max − min", curve_range, [curve], FLAT, +1)]


def decreasing(curve: Curve) -> list[Criterion]:
    """The fraction falls with the strength, in rank and in size."""
    return [
        _criterion("Spearman", spearman, [curve], -MONOTONE, +1),
        _criterion("first − last", curve_drop, [curve], DROP, -1),
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
            alive = mean_over_seeds(np.where(curve.flagged, np.nan, curve.dead)) <= DEAD
            lowest.append(np.min(curve.mean[alive], initial=1.0))
        return lowest[1] - lowest[0]

    name = f"lower where at most {DEAD:.0%} are dead on {a.samples:,} samples by"
    return [over_seeds(name, gap, len(a.fraction), 0.0, -1)._replace(strict=True)]


def alive_above(curve: Curve) -> list[Criterion]:
    """Models that are not yet sparse have almost no dead units."""

    def worst(seeds: np.ndarray) -> float:
        cells = (curve.valid >= SPARSE)[seeds]
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
        means = mean_over_seeds(values[seeds])
        return float(np.nanmax(means)) if not np.isnan(means).all() else np.nan

    return over_seeds(name, over, len(values), threshold, +1)


def _criterion(
    name: str, statistic: Callable, curves: Sequence[Curve], threshold: float, sign: int
) -> Criterion:
    def over(seeds: np.ndarray) -> float:
        means = [mean_over_seeds(c.valid[seeds]) for c in curves]
        return float(statistic(curves[0].strengths, *means))

    return over_seeds(name, over, len(curves[0].fraction), threshold, sign)


def over_seeds(
    name: str, over: Callable[[np.ndarray], float], seeds: int, threshold: float, sign: int
) -> Criterion:
    """A criterion on `over(seed indices)`; from three seeds on with its bootstrap interval.

    It holds where sign·value <= sign·threshold.
    """
    interval = bootstrap(over, *resamples(seeds)) if seeds >= SEEDS_FOR_INTERVAL else None
    return Criterion(name, float(over(np.arange(seeds))), threshold, sign, interval)


def apart(name: str, lower: Interval, upper: Interval) -> Criterion:
    """`upper` lies above `lower`: decided where their intervals are disjoint, whichever is higher.

    Value: difference of the estimates; interval: [upper.low − lower.high, upper.high − lower.low].
    """
    ends = (upper.low - lower.high, upper.high - lower.low)
    return Criterion(name, upper.value - lower.value, 0.0, -1, ends, strict=True)


def _distance(strengths: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    return np.max(np.abs(a - b)[both]) if both.any() else np.nan
