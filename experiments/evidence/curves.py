"""Curves of activation fraction over strengths, from stored runs, and their directions.

A curve is the final average activation fraction, mean over seeds, over the strengths, diverged
and collapsed models left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from aesparse.errors import InputError
from experiments.pipeline.protocol import MOMENTUM
from experiments.pipeline.spec import GridSpec

__all__ = [
    "CURVE_FIELDS",
    "Curve",
    "cells",
    "collect",
    "curve_drop",
    "curve_range",
    "described",
    "direction",
    "distance",
    "mean_over_seeds",
    "of_curve",
    "only",
    "over_epochs",
    "same_directions",
    "spearman",
]

FLAT = 0.05  # flat: range (max − min) at most this; a larger one moves
MONOTONE = 0.9  # decreasing: it moves, and Spearman(σ², fraction) is at most minus this
DROP = 0.10  # a direction is strong if the range is above this
MAX_FLAGGED = 2  # strengths; more make a curve inconclusive
# What a curve takes over from its runs' specs.
CURVE_FIELDS = (
    "dataset", "objective", "activation", "constraint", "learning_rate", "momentum", "batch_size",
    "samples",
)  # fmt: skip


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
    momentum: float = MOMENTUM
    batch_size: int = 50
    samples: int = 10_000  # on which units are counted as dead

    def of_seeds(self, seeds: np.ndarray) -> "Curve":
        """The curve of some of its seeds."""
        parts = {name: getattr(self, name)[seeds] for name in ("fraction", "dead", "flagged")}
        return self._replace(**parts)

    @property
    def valid(self) -> np.ndarray:
        """The fraction, that of diverged and collapsed models as NaN."""
        return np.where(self.flagged, np.nan, self.fraction)

    @property
    def mean(self) -> np.ndarray:
        """The mean of `valid` over seeds; NaN where all diverged or collapsed."""
        return mean_over_seeds(self.valid)

    @property
    def flagged_strengths(self) -> int:
        """At how many strengths a model diverged or collapsed."""
        return int(self.flagged.any(axis=0).sum())


def collect(runs: Mapping[GridSpec, object]) -> list[Curve]:
    """Joins each objective's runs with the shared strength-0 ones, over seeds.

    A run whose strength-0 run is not among them is left out.
    """
    grouped: dict[GridSpec, dict[int, GridSpec]] = {}
    for spec in runs:
        if spec != spec.baseline and spec.baseline in runs:
            grouped.setdefault(spec._replace(seed=0), {})[spec.seed] = spec
    return [
        Curve(
            strengths=cells(runs, by_seed.values(), "strength")[0],
            fraction=cells(runs, by_seed.values(), "activation_fraction"),
            dead=cells(runs, by_seed.values(), "dead_fraction"),
            flagged=cells(runs, by_seed.values(), "flagged_epoch") >= 0,
            **{name: getattr(first, name) for name in CURVE_FIELDS},
        )
        for first, by_seed in grouped.items()
    ]


def cells(runs: Mapping[GridSpec, object], specs: Iterable[GridSpec], name: str) -> np.ndarray:
    """A stored variable of one objective, the strength-0 model first; [S, G, ...] by seed."""
    rows = []
    for spec in sorted(specs, key=lambda spec: spec.seed):
        parts = [runs[spec.baseline][name].values, runs[spec][name].values]
        rows.append(np.concatenate(parts).astype(float))
    return np.stack(rows)


def only(curves: Iterable[Curve], **fields) -> Curve:
    """The one curve with these fields; `InputError` if there is none or more than one."""
    matching = [c for c in curves if all(getattr(c, k) == v for k, v in fields.items())]
    if len(matching) != 1:
        raise InputError(f"{len(matching)} curves have {fields}; expected one.")
    return matching[0]


def over_epochs(runs: Mapping[GridSpec, object], objective: str, name: str) -> np.ndarray:
    """A history variable of one objective and AE, of the first seed that is stored; [G, E + 1]."""
    specs = [s for s in runs if s.objective == objective]
    return cells(runs, specs, f"history_{name}")[0]


def of_curve(runs: Mapping[GridSpec, object], curve: Curve, name: str) -> np.ndarray | None:
    """A stored variable of a curve's runs, `[S, G, ...]` as in `cells`; None if one lacks it."""
    specs = [
        spec
        for spec in runs
        if spec != spec.baseline
        and all(getattr(spec, field) == getattr(curve, field) for field in CURVE_FIELDS)
    ]
    if any(name not in runs[s] for spec in specs for s in (spec, spec.baseline)):
        return None
    return cells(runs, specs, name)


def direction(curve: Curve) -> str:
    """flat, decreasing, increasing or irregular; inconclusive if too many models diverged."""
    if curve.flagged_strengths > MAX_FLAGGED:
        return "inconclusive"
    if curve_range(curve.strengths, curve.mean) <= FLAT:
        return "flat"
    correlation = spearman(curve.strengths, curve.mean)
    if abs(correlation) >= MONOTONE:
        return "increasing" if correlation > 0 else "decreasing"
    return "irregular"


def described(curve: Curve) -> str:
    """The curve's direction; "strongly" so if its range is above `DROP`."""
    name = direction(curve)
    strong = curve_range(curve.strengths, curve.mean) > DROP
    return f"strongly {name}" if strong and name in ("decreasing", "increasing") else name


def same_directions(first: Sequence[Curve], second: Sequence[Curve]) -> np.ndarray:
    """Which curves have the same direction as which others; bool `[len(first), len(second)]`.

    Two irregular ones do where they are nowhere further apart than the range of a flat one.
    """
    rows, columns = ([direction(c) for c in curves] for curves in (first, second))
    same = np.array(rows)[:, None] == np.array(columns)
    irregular = np.array(rows) == "irregular"
    for i, j in np.argwhere(same & irregular[:, None]):
        same[i, j] = distance(first[i].strengths, first[i].mean, second[j].mean) <= FLAT
    return same


def mean_over_seeds(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis, NaN left out; NaN where all are."""
    count = np.sum(~np.isnan(values), axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


def curve_range(strengths: np.ndarray, mean: np.ndarray) -> float:
    """max − min of a curve; NaN if nothing of it is finite."""
    return np.ptp(mean[np.isfinite(mean)]) if np.isfinite(mean).any() else np.nan


def curve_drop(strengths: np.ndarray, mean: np.ndarray) -> float:
    """The first minus the last finite value; NaN if there is none."""
    finite = mean[np.isfinite(mean)]
    return finite[0] - finite[-1] if len(finite) else np.nan


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation where y is finite; 0 for a constant, NaN for a single point."""
    from scipy.stats import spearmanr

    finite = np.isfinite(y)
    if finite.sum() < 2:
        return np.nan
    if np.ptp(y[finite]) == 0 or np.ptp(x[finite]) == 0:
        return 0.0  # undefined for a constant curve, which is neither rising nor falling
    return round(spearmanr(x[finite], y[finite]).statistic, 12)  # 0.9 exactly, where it is that


def distance(strengths: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of two curves where both are finite; NaN if that is nowhere."""
    both = np.isfinite(a) & np.isfinite(b)
    return np.max(np.abs(a - b)[both]) if both.any() else np.nan
