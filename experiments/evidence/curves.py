"""Curves of activation fraction over strengths, from stored runs, and their classes.

A curve is the final average activation fraction, mean over seeds, over the strengths, diverged
models left out.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from aesparse.errors import InputError
from experiments.pipeline.spec import GridSpec

__all__ = [
    "CURVE_FIELDS",
    "Curve",
    "cells",
    "classify",
    "collect",
    "curve_drop",
    "curve_range",
    "mean_over_seeds",
    "only",
    "over_epochs",
    "spearman",
]

FLAT = 0.05  # flat: max − min at most this
MONOTONE = 0.9  # decreasing: Spearman(σ², fraction) at most minus this …
DROP = 0.10  # … and first − last at least this
MAX_FLAGGED = 2  # strengths; more make a curve inconclusive
# What a curve takes over from its runs' specs.
CURVE_FIELDS = (
    "dataset", "objective", "activation", "constraint", "learning_rate", "batch_size", "samples"
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
    batch_size: int = 50
    samples: int = 10_000  # on which units are counted as dead

    def of_seeds(self, seeds: np.ndarray) -> "Curve":
        """The curve of some of its seeds."""
        parts = {name: getattr(self, name)[seeds] for name in ("fraction", "dead", "flagged")}
        return self._replace(**parts)

    @property
    def valid(self) -> np.ndarray:
        """The fraction with flagged cells as NaN."""
        return np.where(self.flagged, np.nan, self.fraction)

    @property
    def mean(self) -> np.ndarray:
        """The mean of `valid` over seeds; NaN where all are flagged."""
        return mean_over_seeds(self.valid)

    @property
    def flagged_strengths(self) -> int:
        """How many strengths have a flagged cell."""
        return int(self.flagged.any(axis=0).sum())


def collect(runs: Mapping[GridSpec, object]) -> list[Curve]:
    """Joins each objective's runs with the shared strength-0 ones, over seeds."""
    grouped: dict[GridSpec, dict[int, GridSpec]] = {}
    for spec in runs:
        if spec != spec.baseline:
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
    """A stored variable of one objective, the strength-0 cell first; [S, G, ...] in seed order."""
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
    """A history variable of one objective with its shared strength-0 cell, seed 0; [G, E + 1]."""
    specs = [s for s in runs if s.objective == objective and s.seed == 0]
    return cells(runs, specs, f"history_{name}")[0]


def classify(curve: Curve) -> str:
    """flat, decreasing, increasing, irregular, or inconclusive with too many flagged cells."""
    if curve.flagged_strengths > MAX_FLAGGED:
        return "inconclusive"
    mean = curve.mean
    if curve_range(curve.strengths, mean) <= FLAT:
        return "flat"
    correlation, drop = spearman(curve.strengths, mean), curve_drop(curve.strengths, mean)
    if correlation <= -MONOTONE and drop >= DROP:
        return "decreasing"
    if correlation >= MONOTONE and -drop >= DROP:
        return "increasing"
    return "irregular"


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
    return spearmanr(x[finite], y[finite]).statistic
