"""Forecasts held against trainings, pair by pair and counted."""

from typing import NamedTuple

import numpy as np

from experiments.figures.beyond.common import pairs
from experiments.figures.beyond.common.pairs import Pair

__all__ = ["WORDS", "Count", "Judged", "judged"]

WORDS = ("falls", "rises", "does not move", "abstains")


class Judged(NamedTuple):
    """A pair with its forecast and its training, from strength 0 to the largest."""

    pair: Pair
    says: str
    forecast: float  # change of the fraction
    trained: float  # the same, mean over seeds; NaN if a model diverged
    forecast_mean: float  # change of E[a_j], in standard deviations of a_j at strength 0
    trained_mean: float

    @property
    def moved(self) -> str:
        """What the fraction did."""
        if abs(self.trained) <= pairs.MOVES:
            return "does not move"
        return "falls" if self.trained < 0 else "rises"

    @property
    def happened(self) -> str:
        """The same with its size, or that a model diverged."""
        if not np.isfinite(self.trained):
            return "until a model diverged"
        return f"{self.moved} by {self.trained:+.3f}"

    @property
    def outcome(self) -> str:
        """Right, wrong, abstained, or undecided where a model diverged."""
        if not np.isfinite(self.trained):
            return "undecided"
        if self.says == "abstains":
            return "abstained"
        return "right" if self.says == self.moved else "wrong"


def judged(runs) -> list[Judged]:
    """Every pair in the order of the list."""
    *trainings, last = runs
    forecasts = runs[last]
    return [
        _judged(pair, runs[study], forecasts.isel(pair=i))
        for i, (pair, study) in enumerate(zip(pairs.pairs(), trainings, strict=True))
    ]


def _judged(pair: Pair, run, said) -> Judged:
    ends = run.isel(strength=[0, -1])
    sound = bool((ends["diverged_epoch"] < 0).all())
    spread = float(run["spread"].mean("seed")[0])

    def change(values) -> float:
        return float(values[-1] - values[0])

    return Judged(
        pair,
        WORDS[int(said["says"])],
        change(said["fraction"]),
        change(run["fraction"].mean("seed")) if sound else np.nan,
        change(said["mean"]) / spread,
        change(run["mean"].mean("seed")) / spread,
    )


class Count(NamedTuple):
    """How a part of the list came out."""

    right: int
    wrong: int
    abstained: int
    undecided: int

    @classmethod
    def of(cls, judged: list[Judged], part: str) -> "Count":
        """The pairs of one part."""
        outcomes = [one.outcome for one in judged if one.pair.part == part]
        return cls(*(outcomes.count(name) for name in cls._fields))

    @property
    def spoken(self) -> int:
        """Pairs of which the audit said something, and training too."""
        return self.right + self.wrong

    @property
    def abstention(self) -> float:
        """The share of the pairs decided by training of which the audit said nothing."""
        return self.abstained / max(self.spoken + self.abstained, 1)

    def __str__(self) -> str:
        from scipy.stats import binomtest

        text = f"right on {self.right} of the {self.spoken} pairs of which it speaks"
        if self.spoken:
            low, high = binomtest(self.right, self.spoken).proportion_ci(method="wilson")
            share = self.right / self.spoken
            text += f" ({share:.1%}, 95% interval {low:.1%} to {high:.1%})"
        text += f", abstained on {self.abstained} ({self.abstention:.1%})"
        return text + (f"; {self.undecided} diverged in training" if self.undecided else "")
