"""How quantities other than the fraction move with the strength: falls, in rank and in size."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from experiments.evidence.claims import decide, not_run
from experiments.evidence.criteria import Criterion, over_seeds
from experiments.evidence.curves import (
    MONOTONE,
    Curve,
    cells,
    collect,
    curve_drop,
    mean_over_seeds,
    spearman,
)
from experiments.pipeline.figure import Verdict
from experiments.pipeline.spec import GridSpec

__all__ = [
    "FALL",
    "Sweep",
    "fall",
    "fall_verdict",
    "follows",
    "lacking",
    "rank",
    "sweeps",
]

FALL = 0.1  # A14: E[a_j] falls by at least this many sd
FOLLOWS = 0.9  # A16: rank correlation with the fraction


class Sweep(NamedTuple):
    """The models of one objective in one setting over strengths and seeds, as far as stored.

    The strength-0 models, which all objectives share, come first.
    """

    spec: GridSpec  # of its first seed
    runs: Mapping[GridSpec, object]  # its own and the strength-0 ones; None where not stored

    @property
    def complete(self) -> bool:
        """Whether all of its runs are stored."""
        return all(run is not None for run in self.runs.values())

    @property
    def stored(self) -> "Sweep":
        """Of its seeds those whose runs are both stored."""
        lacking = {spec.seed for spec, run in self.runs.items() if run is None}
        return self._replace(runs={s: r for s, r in self.runs.items() if s.seed not in lacking})

    @property
    def count(self) -> str:
        """How many of its runs are stored."""
        there = sum(run is not None for run in self.runs.values())
        return f"{there} of {len(self.runs)} runs stored"

    @property
    def curve(self) -> Curve:
        """Its curve of activation fraction, if it is complete."""
        return collect(self.runs)[0]

    def raw(self, name: str) -> np.ndarray:
        """A stored variable of a complete sweep, `[S, G, ...]` in the order of seeds."""
        return cells(self.runs, [s for s in self.runs if s != s.baseline], name)

    def values(self, name: str) -> np.ndarray | None:
        """The same with diverged and collapsed models as NaN; None if a run lacks the variable."""
        if any(name not in run for run in self.runs.values()):
            return None
        values, lost = self.raw(name), self.raw("flagged_epoch") >= 0
        return np.where(lost.reshape(lost.shape + (1,) * (values.ndim - 2)), np.nan, values)


def sweeps(runs: Mapping[GridSpec, object]) -> list[Sweep]:
    """The sweeps among some runs, None or absent where one is not stored."""
    found: dict[GridSpec, dict] = {}
    for spec, run in runs.items():
        if spec != spec.baseline:
            joined = found.setdefault(spec._replace(seed=0), {})
            joined |= {spec.baseline: runs.get(spec.baseline), spec: run}
    return [Sweep(next(s for s in of if s != s.baseline), of) for of in found.values()]


def rank(strengths: np.ndarray, values: np.ndarray, name: str = "Spearman") -> Criterion:
    """Spearman's correlation of the strengths `[G]` and the means over seeds of `[S, G]`.

    It holds where it is at most −0.9.
    """

    def over(seeds: np.ndarray) -> float:
        return spearman(strengths, mean_over_seeds(values[seeds]))

    return over_seeds(name, over, len(values), -MONOTONE, +1)


def fall(means: np.ndarray, deviations: np.ndarray) -> Criterion:
    """By how much E[a_j] `[S, G]` falls from strength 0, the first one, to the largest.

    In the deviation of a_j at strength 0 (`[S, G]`; over samples, mean over units); a mean over
    seeds. It holds where it is at least `FALL`.
    """
    scaled = means / deviations[:, :1]

    def over(seeds: np.ndarray) -> float:
        return float(curve_drop(np.empty(0), mean_over_seeds(scaled[seeds])))

    return over_seeds("fall of E[a_j], in sd at λ = 0,", over, len(means), FALL, -1)


def lacking(claim: str, statement: str, sweep: Sweep, name: str) -> Verdict:
    """A statement about runs of an older kind, which lack a variable."""
    return not_run(claim, sweep.spec.dataset, statement, f"the runs do not store {name}")


def fall_verdict(claim: str, statement: str, sweep: Sweep) -> Verdict:
    """A14's criterion on a complete sweep: E[a_j] falls with λ, in rank and in size.

    It holds if Spearman(λ, E[a_j]) <= −0.9 and E[a_j] falls by 0.1 sd, and fails if E[a_j] falls
    by 0.1 sd in another order, or rises by 0.1 sd. A smaller change decides nothing.
    """
    means, deviations = sweep.values("preactivation_mean"), sweep.values("preactivation_deviation")
    if deviations is None:
        return lacking(claim, statement, sweep, "preactivation_deviation")
    curve, size = sweep.curve, fall(means, deviations)
    verdict = decide(claim, statement, [rank(curve.strengths, means), size], [curve])
    points = np.array([size.value, *(size.interval or ())])
    if verdict.verdict == "fails" and not ((points >= FALL).all() or (points <= -FALL).all()):
        verdict = verdict._replace(verdict="inconclusive")
    return verdict


def follows(quantity: np.ndarray, curve: Curve, name: str) -> Criterion:
    """Rank correlation over strengths of a quantity `[S, G]` and the fraction, means over seeds."""
    known = np.where(np.isfinite(quantity) & ~curve.flagged, quantity, np.nan)
    fraction = np.where(np.isnan(known), np.nan, curve.valid)

    def over(seeds: np.ndarray) -> float:
        return spearman(mean_over_seeds(known[seeds]), mean_over_seeds(fraction[seeds]))

    return over_seeds(name, over, len(known), FOLLOWS, -1)
