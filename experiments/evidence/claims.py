"""Claims of the papers: their thresholds, fixed in advance, and verdicts with their numbers.

A claim holds if all of its criteria hold and fails if one fails beyond its interval; it is
inconclusive if a threshold lies inside an interval, or if too many models diverged or collapsed.
"""

from collections.abc import Sequence

import numpy as np

from experiments.evidence.bootstrap import SEEDS_FOR_INTERVAL, resamples
from experiments.evidence.criteria import Criterion
from experiments.evidence.curves import MAX_FLAGGED, Curve, classify
from experiments.pipeline.figure import Verdict
from experiments.pipeline.protocol import title

__all__ = [
    "by_construction",
    "classes_agree",
    "classes_differ",
    "decide",
    "settle",
    "unless_flagged",
]

FREE_FLOOR = 0.1  # A2: DAE with unconstrained rows stays above this fraction
FROZEN_BIAS = 0.05  # A7: without its bias a model stays this much less sparse
BIAS_RANK = 0.9  # A8: rank correlation of E[a_j] and fraction over models
CONDITION_MET = 0.01  # A10: share of (model, unit, epoch) that meet Theorem 1's condition
RESIDUAL_SHARE, RESIDUAL_EPOCH = 0.1, 5  # A11: of the other terms of DAE-2, from this epoch on
_SURE = 0.95


def decide(
    claim: str, statement: str, criteria: Sequence[Criterion], curves: Sequence[Curve]
) -> Verdict:
    """Holds if all criteria hold; fails if one fails beyond its interval; else inconclusive."""
    first = curves[0]
    verdict = settle(claim, first.dataset, statement, criteria, len(first.fraction))
    return _naming_flagged(verdict, curves)


def settle(
    claim: str, dataset: str, statement: str, criteria: Sequence[Criterion], seeds: int
) -> Verdict:
    """As `decide`, for criteria on anything; `seeds` is 0 where a number rests on none."""
    numbers = "; ".join([*map(str, criteria), *([_count(seeds)] if seeds else [])])
    if any(c.decided and not c.holds for c in criteria):
        verdict = "fails"
    elif all(c.decided and c.holds for c in criteria):
        verdict = "holds"
    else:
        verdict = "inconclusive"
    return Verdict(claim, dataset, statement, verdict, numbers)


def by_construction(verdict: Verdict) -> Verdict:
    """For a statement that follows from the construction: where it holds, it is no evidence."""
    return verdict._replace(verdict="by construction") if verdict.verdict == "holds" else verdict


def classes_differ(claim: str, statement: str, a: Curve, b: Curve) -> Verdict:
    """The classes of two curves, on two data sets, differ; in 95% of resampled seeds."""
    names = [f"{title(c.dataset)} {classify(c)} at rate {c.learning_rate:g}" for c in (a, b)]
    differ = classify(a) != classify(b)
    shares = [_class_shares(c) for c in (a, b)]
    alike = sum(shares[0].get(k, 0) * shares[1].get(k, 0) for k in shares[0])
    sure = (1 - alike if differ else alike) >= _SURE
    verdict = ("holds" if differ else "fails") if sure else "inconclusive"
    seeds = len(a.fraction)
    numbers = f"{names[0]}, {names[1]}; differ in {1 - alike:.0%} of resamples; {_count(seeds)}"
    if seeds < SEEDS_FOR_INTERVAL:
        numbers = f"{names[0]}, {names[1]}; {_count(seeds)}"
    return _naming_flagged(Verdict(claim, "both", statement, verdict, numbers), (a, b))


def classes_agree(claim: str, statement: str, a: Curve, b: Curve) -> Verdict:
    """Two curves of the same seeds on one data set have one class; in 95% of resampled seeds."""
    samples, times = resamples(len(a.fraction))
    alike = [classify(a.of_seeds(s)) == classify(b.of_seeds(s)) for s in samples]
    share = float(np.average(alike, weights=times))
    agree = classify(a) == classify(b)
    sure = (share if agree else 1 - share) >= _SURE
    verdict = ("holds" if agree else "fails") if sure else "inconclusive"
    seeds = len(a.fraction)
    parts = [f"{classify(a)} and {classify(b)}", _count(seeds)]
    if seeds >= SEEDS_FOR_INTERVAL:
        parts.insert(1, f"alike in {share:.0%} of resamples")
    return _naming_flagged(Verdict(claim, a.dataset, statement, verdict, "; ".join(parts)), (a, b))


def _class_shares(curve: Curve) -> dict[str, float]:
    samples, times = resamples(len(curve.fraction))
    shares: dict[str, float] = {}
    for sample, share in zip(samples, times / times.sum(), strict=True):
        name = classify(curve.of_seeds(sample))
        shares[name] = shares.get(name, 0) + float(share)
    return shares


def _count(seeds: int) -> str:
    return f"{seeds} seeds" if seeds > 1 else "one seed"


def _naming_flagged(verdict: Verdict, curves: Sequence[Curve]) -> Verdict:
    """Adds the strengths at which models diverged; inconclusive if there are too many."""
    lost = np.any([curve.flagged.any(axis=0) for curve in curves], axis=0)
    if lost.any():
        where = ", ".join(f"{strength:g}" for strength in curves[0].strengths[lost])
        verdict = verdict._replace(
            numbers=f"{verdict.numbers}; without models at σ² = {where} that diverged or collapsed"
        )
    return unless_flagged(verdict, max(c.flagged_strengths for c in curves))


def unless_flagged(verdict: Verdict, strengths: int) -> Verdict:
    """The verdict; inconclusive if models diverged at more than `MAX_FLAGGED` strengths."""
    if strengths <= MAX_FLAGGED:
        return verdict
    numbers = (
        f"models at more than {MAX_FLAGGED} strengths diverged or collapsed; {verdict.numbers}"
    )
    return verdict._replace(verdict="inconclusive", numbers=numbers)
