"""Claims of the papers: their thresholds, fixed in advance, and verdicts with their numbers.

A claim holds if all of its criteria hold and fails if one fails beyond its interval; it is
inconclusive if a threshold lies inside an interval, if too many models diverged or collapsed, or if
what the claim is about does not occur, such as a direction of a curve that does not move.
"""

from collections.abc import Sequence

import numpy as np

from experiments.evidence.bootstrap import SEEDS_FOR_INTERVAL, resamples
from experiments.evidence.criteria import Criterion, moves
from experiments.evidence.curves import MAX_FLAGGED, Curve, described, same_directions
from experiments.pipeline.figure import Verdict
from experiments.pipeline.protocol import title

__all__ = [
    "by_construction",
    "decide",
    "directions_agree",
    "directions_differ",
    "not_run",
    "settle",
    "unless_flagged",
]

FREE_FLOOR = 0.1  # A2: DAE with unconstrained rows stays above this fraction
FROZEN_BIAS = 0.05  # A7: without its bias a model stays this much less sparse
BIAS_RANK = 0.9  # A8: rank correlation of E[a_j] and fraction over models
CONDITION_MET = 0.01  # A10: share of (model, unit, epoch) that meet Theorem 1's condition
RESIDUAL_SHARE, RESIDUAL_EPOCH = 0.1, 5  # A11: of the other terms of DAE-2, from this epoch on …
RESIDUAL_STRENGTH = 0.25  # … up to this σ²
_SURE = 0.95


def decide(
    claim: str,
    statement: str,
    criteria: Sequence[Criterion],
    curves: Sequence[Curve],
    given: Sequence[Criterion] = (),
) -> Verdict:
    """Holds if all criteria hold; fails if one fails beyond its interval; else inconclusive.

    Unless all of `given`, without which the claim says nothing, hold beyond their intervals, the
    verdict is inconclusive.
    """
    first = curves[0]
    verdict = settle(claim, first.dataset, statement, criteria, len(first.fraction), given)
    return _naming_flagged(verdict, curves)


def settle(
    claim: str,
    dataset: str,
    statement: str,
    criteria: Sequence[Criterion],
    seeds: int,
    given: Sequence[Criterion] = (),
) -> Verdict:
    """As `decide`, for criteria on anything; `seeds` is 0 where a number rests on none."""
    numbers = "; ".join([*map(str, (*given, *criteria)), *([_count(seeds)] if seeds else [])])
    if not all(c.decided and c.holds for c in given):
        verdict = "inconclusive"
    elif any(c.decided and not c.holds for c in criteria):
        verdict = "fails"
    elif all(c.decided and c.holds for c in criteria):
        verdict = "holds"
    else:
        verdict = "inconclusive"
    return Verdict(claim, dataset, statement, verdict, numbers)


def by_construction(verdict: Verdict) -> Verdict:
    """For a statement that follows from the construction: where it holds, it is no evidence."""
    return verdict._replace(verdict="by construction") if verdict.verdict == "holds" else verdict


def not_run(claim: str, dataset: str, statement: str, numbers: str) -> Verdict:
    """A statement whose runs are missing, or lack a number that it needs."""
    return Verdict(claim, dataset, statement, "not run", numbers)


def directions_differ(claim: str, statement: str, a: Curve, b: Curve) -> Verdict:
    """Two curves on two data sets have different directions; in 95% of resampled seeds.

    The seeds of either data set are drawn by themselves. Inconclusive unless both curves move.
    """
    (some, share_a), (others, share_b) = _resampled(a), _resampled(b)
    share = 1 - float(share_a @ same_directions(some, others) @ share_b)
    named = [(f"{title(c.dataset)} at rate {c.learning_rate:g}", c) for c in (a, b)]
    differ = not same_directions([a], [b]).all()
    return _by_direction(Verdict(claim, "both", statement, "", "differ"), named, differ, share)


def directions_agree(claim: str, statement: str, a: Curve, b: Curve) -> Verdict:
    """Two activations' curves of the same seeds have one direction; in 95% of resampled seeds.

    Inconclusive unless both curves move.
    """
    (some, shares), (others, _) = _resampled(a), _resampled(b)
    share = float(shares @ np.diag(same_directions(some, others)))
    named = [(c.activation, c) for c in (a, b)]
    agree = bool(same_directions([a], [b]).all())
    return _by_direction(Verdict(claim, a.dataset, statement, "", "agree"), named, agree, share)


def _by_direction(
    asked: Verdict, named: Sequence[tuple[str, Curve]], holds: bool, share: float
) -> Verdict:
    """Whether two curves do what `asked.numbers` says, as they do in a `share` of resamples."""
    curves = [curve for _, curve in named]
    given = [
        criterion
        for name, curve in named
        for criterion in moves(curve, f"{name} {described(curve)}, range")
    ]
    sure = (share if holds else 1 - share) >= _SURE and all(c.decided and c.holds for c in given)
    seeds = len(curves[0].fraction)
    parts = [*map(str, given), _count(seeds)]
    if seeds >= SEEDS_FOR_INTERVAL:
        parts.insert(-1, f"they {asked.numbers} in {share:.0%} of resamples")
    decided = ("holds" if holds else "fails") if sure else "inconclusive"
    return _naming_flagged(asked._replace(verdict=decided, numbers="; ".join(parts)), curves)


def _resampled(curve: Curve) -> tuple[list[Curve], np.ndarray]:
    """The curves of the distinct resamples of its seeds, and the share of draws of each."""
    samples, times = resamples(len(curve.fraction))
    return [curve.of_seeds(sample) for sample in samples], times / times.sum()


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
