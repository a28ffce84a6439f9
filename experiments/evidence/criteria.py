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
    distance,
    mean_over_seeds,
    spearman,
)

__all__ = [
    "Criterion",
    "active",
    "agree",
    "alive_above",
    "apart",
    "apart_by_range",
    "decreasing",
    "falls",
    "flat",
    "largest_at_most",
    "largest_shift",
    "lower",
    "mean_at_least",
    "mean_at_most",
    "moves",
    "over_seeds",
    "rank_correlation",
    "stays_above",
]

AGREE = 0.02  # two curves agree: nowhere further apart than this
TIE = 0.01  # fractions that differ by at most this are tied
SHIFT = 0.1  # A15: E[a_j] does not depend on the strength if it shifts by at most this many sd
OF_RANGE = 0.25  # A13: the largest difference of two curves, of the first one's range
SPARSE, DEAD = 0.05, 0.01  # models with at least this fraction have at most this share dead
_SMALL = 5e-4


class Criterion(NamedTuple):
    """A number against its threshold: it holds where sign·value <= sign·threshold.

    Within `tie` of the threshold, its ends included, nothing is decided.
    """

    name: str
    value: float
    threshold: float
    sign: int
    interval: tuple[float, float] | None
    strict: bool = False  # a strict inequality
    tie: float | None = None

    @property
    def decided(self) -> bool:
        """Whether the value and its whole interval (if any) lie on one side of the threshold."""
        points = (self.value, *(self.interval or ()))
        sides = {self._meets(point) for point in points}
        tied = self.tie is not None and any(abs(p - self.threshold) <= self.tie for p in points)
        return bool(np.isfinite(points).all()) and len(sides) == 1 and not tied

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
        tie = "" if self.tie is None else f"; a tie within {self.tie:g}"
        return f"{self.measured} (needs {relation} {self.threshold:g}{tie})"

    def _told(self, value: float) -> str:
        """Three decimals, or as many as show a small number or on which side it lies."""
        if value != 0 and abs(value) < _SMALL:
            return f"{value:.1e}"
        rounded = f"{value:.3f}"
        return rounded if self._meets(float(rounded)) == self._meets(value) else f"{value:.5f}"


def flat(curve: Curve) -> list[Criterion]:
    """The range of the curve is small."""
    return [_criterion("range", curve_range, [curve], FLAT, +1)]


def moves(curve: Curve, name: str = "range") -> list[Criterion]:
    """The range of the curve is above that of a flat one."""
    return [_criterion(name, curve_range, [curve], FLAT, -1)._replace(strict=True)]


def active(curve: Curve) -> list[Criterion]:
    """Some fraction is above the range of a flat curve, which no lower one could exceed."""

    def largest(strengths: np.ndarray, mean: np.ndarray) -> float:
        return np.nanmax(mean) if np.isfinite(mean).any() else np.nan

    return [_criterion("largest fraction", largest, [curve], FLAT, -1)._replace(strict=True)]


def falls(curve: Curve) -> list[Criterion]:
    """The fraction falls with the strength in rank: of a curve that moves, decreasing."""
    return [_criterion("Spearman", spearman, [curve], -MONOTONE, +1)]


def decreasing(curve: Curve) -> list[Criterion]:
    """Strongly decreasing: the fraction falls with the strength, in rank and in size."""
    return [*falls(curve), _criterion("first − last", curve_drop, [curve], DROP, -1)]


def agree(a: Curve, b: Curve) -> list[Criterion]:
    """The two curves are nowhere far apart."""
    return [_criterion("largest difference", distance, [a, b], AGREE, +1)]


def apart_by_range(a: Curve, b: Curve) -> list[Criterion]:
    """The curves are nowhere further apart than a part of the first one's range."""

    def share(strengths: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        width = curve_range(strengths, a)
        return distance(strengths, a, b) / width if width > 0 else np.nan

    return [_criterion("largest difference over the range", share, [a, b], OF_RANGE, +1)]


def lower(a: Curve, b: Curve, by: float, *, where: str) -> list[Criterion]:
    """The first curve's fraction is lower than the second's: by at least `by`, or by no tie if 0.

    `where` is "at its lowest", each at a strength of its own, or "at the end", at the largest one.
    """
    at = {"at its lowest": np.nanmin, "at the end": lambda mean: mean[-1]}[where]

    def gap(strengths: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return at(b) - at(a) if np.isfinite(a).any() and np.isfinite(b).any() else np.nan

    found = _criterion(f"lower {where} by", gap, [a, b], by, -1)
    return [found if by else found._replace(strict=True, tie=TIE)]


def stays_above(curve: Curve, level: float) -> list[Criterion]:
    """The fraction is nowhere below a level."""

    def smallest(strengths: np.ndarray, mean: np.ndarray) -> float:
        return np.nanmin(mean) if np.isfinite(mean).any() else np.nan

    return [_criterion("smallest fraction", smallest, [curve], level, -1)]


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


def largest_shift(means: np.ndarray, deviations: np.ndarray) -> Criterion:
    """E[a_j] `[S, G]` is nowhere far from that at strength 0, the first one.

    In the deviation of a_j there (`[S, G]`, over samples, mean over units); a mean over seeds, NaN
    left out.
    """
    shifts = (means - means[:, :1]) / deviations[:, :1]

    def largest(seeds: np.ndarray) -> float:
        over_strengths = np.abs(mean_over_seeds(shifts[seeds]))
        return float(np.nanmax(over_strengths)) if not np.isnan(over_strengths).all() else np.nan

    return over_seeds("largest shift of E[a_j], in sd", largest, len(shifts), SHIFT, +1)


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
