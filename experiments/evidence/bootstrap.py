"""Bootstrap intervals: how seeds, units or samples are resampled, and the 95% interval of it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

__all__ = [
    "SEEDS_FOR_INTERVAL",
    "Interval",
    "bootstrap",
    "mean_interval",
    "over_seeds_and_units",
    "resampled_mean",
    "resamples",
]

SEEDS_FOR_INTERVAL = 3
_RESAMPLES = 2000


class Interval(NamedTuple):
    """A number with the ends of its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def bootstrap(
    statistic: Callable[..., float], samples: Iterable, times: np.ndarray | None = None
) -> tuple[float, float] | None:
    """The 2.5th and the 97.5th percentile of a statistic over resamples.

    `times` says how often each of `samples` was drawn, once by default. Values that are not
    finite say nothing and are left out; None if no other is there.
    """
    values = np.array([statistic(sample) for sample in samples])
    values = values if times is None else np.repeat(values, times)
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def resamples(seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct bootstrap samples of the seeds, and how often each was drawn.

    Below `SEEDS_FOR_INTERVAL` seeds, the seeds themselves, once.
    """
    if seeds < SEEDS_FOR_INTERVAL:
        return np.arange(seeds)[None], np.ones(1, int)
    drawn = np.sort(np.random.default_rng(0).choice(seeds, (_RESAMPLES, seeds)), axis=1)
    return np.unique(drawn, axis=0, return_counts=True)


def mean_interval(values: np.ndarray) -> Interval:
    """The mean over seeds `[S]` with its bootstrap interval; below three seeds the mean alone."""
    ends = bootstrap(lambda seeds: float(values[seeds].mean()), *resamples(len(values)))
    return Interval(float(values.mean()), *(ends or (np.nan, np.nan)))


def over_seeds_and_units(values: np.ndarray, statistic: Callable = np.median) -> Interval:
    """`statistic` over seeds and units `[S, m]`, NaN left out, with its bootstrap interval.

    Seeds are drawn first, then units within each of them; a single seed only has units to draw.
    """
    rng = np.random.default_rng(0)
    seeds, units = values.shape

    def drawn(_) -> np.ndarray:
        rows = rng.integers(seeds, size=seeds)
        return values[rows[:, None], rng.integers(units, size=(seeds, units))]

    def known(sample: np.ndarray) -> float:
        finite = sample[np.isfinite(sample)]
        return float(statistic(finite)) if finite.size else np.nan

    ends = bootstrap(known, map(drawn, range(_RESAMPLES)))
    return Interval(known(values), *(ends or (np.nan, np.nan)))


def resampled_mean(values: np.ndarray) -> Interval:
    """The mean of samples `[N]` of few different values, with its bootstrap interval."""
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    drawn = np.random.default_rng(0).multinomial(n, counts / n, size=_RESAMPLES)
    return Interval(float(values.mean()), *bootstrap(lambda mean: mean, drawn @ distinct / n))
