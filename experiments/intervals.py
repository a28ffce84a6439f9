"""Intervals of groups of models, and whether two of them are disjoint."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.criteria import Criterion

__all__ = ["Interval", "apart", "over_seeds_and_units"]

_RESAMPLES = 2000


class Interval(NamedTuple):
    """A number with the ends of its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def over_seeds_and_units(values: np.ndarray, statistic: Callable = np.median) -> Interval:
    """`statistic` over seeds and units `[S, m]`, NaN left out, with its bootstrap interval.

    Seeds are drawn first, then units within each of them; a single seed only has units to draw.
    """
    rng = np.random.default_rng(0)
    seeds, units = values.shape

    def once() -> float:
        rows = rng.integers(seeds, size=seeds)
        drawn = values[rows[:, None], rng.integers(units, size=(seeds, units))]
        return _known(statistic, drawn)

    low, high = np.nanpercentile([once() for _ in range(_RESAMPLES)], [2.5, 97.5])
    return Interval(_known(statistic, values), float(low), float(high))


def _known(statistic: Callable, values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(statistic(finite)) if finite.size else np.nan


def apart(name: str, lower: Interval, upper: Interval) -> Criterion:
    """`upper` lies above `lower`: decided where their intervals are disjoint, whichever is higher.

    Value: the difference of the estimates; interval [upper.low − lower.high,
    upper.high − lower.low].
    """
    ends = (upper.low - lower.high, upper.high - lower.low)
    return Criterion(name, upper.value - lower.value, 0.0, -1, ends, strict=True)
