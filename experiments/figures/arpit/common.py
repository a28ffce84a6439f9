"""What the figures of Arpit et al. share: Figure 1's objectives, and statements about curves."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.drawing import style
from experiments.evidence import claims, criteria
from experiments.evidence.curves import Curve, collect, of_curve, only
from experiments.pipeline.figure import Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import COMMON_RATE, DATA
from experiments.pipeline.spec import GridSpec

__all__ = [
    "COMPARED",
    "OBJECTIVES",
    "at_common_rate",
    "directions_differ",
    "explain_dead_units",
    "independence",
    "regularized",
    "same_penalty",
    "spans",
]

OBJECTIVES = ("dae", "cae", "mdae", "sae")
COMPARED = ("cae", "mdae")  # A2 and A5 compare their courses on the two data sets


def explain_dead_units(runs, verdict: Verdict) -> list[str]:
    """Where DAE's units die, and how sparse it is before any does."""
    if "before units die" not in verdict.statement:
        return []
    dae = only(collect(runs), dataset=verdict.dataset, objective="dae")
    dying = dae.dead > criteria.DEAD
    alive = np.min(dae.valid[~dying & ~dae.flagged], initial=np.inf)
    sparsest = f"the sparsest has a fraction of {alive:.3f}" if alive < np.inf else "there are none"
    beyond = np.where((dae.valid >= criteria.SPARSE) & dying, dae.dead, 0)
    worst = [
        f"σ² = {s:g}: active {dae.fraction[i, k]:.3f}, dead {beyond[i, k]:.1%}"
        for k, (s, i) in enumerate(zip(dae.strengths, beyond.argmax(axis=0), strict=True))
        if beyond[i, k] > 0
    ]
    more = f"; models above {criteria.SPARSE} with more, the worst seed per strength: "
    return [
        f"Among the models with at most {criteria.DEAD:.0%} dead units {sparsest}"
        + (f"{more}{', '.join(worst)}." if worst else f"; none above {criteria.SPARSE} has more.")
    ]


def regularized(claim: str, dataset: str, curves: Sequence[Curve], how: str = "") -> list[Verdict]:
    """What A1 says of DAE and SAE on one data set; `how` tells one setting from others."""
    dae, sae = (only(curves, dataset=dataset, objective=o) for o in ("dae", "sae"))
    parts = [
        ("DAE strongly decreasing", criteria.decreasing(dae), dae),
        ("SAE strongly decreasing", criteria.decreasing(sae), sae),
        ("DAE sparse before units die", criteria.alive_above(dae), dae),
    ]
    return [claims.decide(claim, said + how, needs, [curve]) for said, needs, curve in parts]


def independence(runs, curve: Curve, how: str = "") -> list[Verdict]:
    """A1 and A15 for CAE or mDAE: neither fraction nor E[a_j] depends on λ.

    Models whose fraction in the `curve` is NaN are left out. Where almost no unit is active, the
    penalties have almost no gradient, and nothing is decided. `how` tells one setting from others.
    """
    name, alive = style.label(curve.objective), criteria.active(curve)
    flat = claims.decide("A1", f"{name} flat{how}", criteria.flat(curve), [curve], alive)
    statement = f"{name}: E[a_j] the same at every λ{how}"
    deviation = of_curve(runs, curve, "preactivation_deviation")
    if deviation is None:
        why = "these runs do not store the deviation of a_j"
        return [flat, claims.not_run("A15", curve.dataset, statement, why)]
    mean = np.where(np.isnan(curve.valid), np.nan, of_curve(runs, curve, "preactivation_mean"))
    shift = criteria.largest_shift(mean, deviation)
    return [flat, claims.decide("A15", statement, [shift], [curve], alive)]


def same_penalty(claim: str, dataset: str, curves: Sequence[Curve], **fields) -> Verdict:
    """With rows of length 1 mDAE is CAE, for every activation: by construction."""
    cae, mdae = (only(curves, dataset=dataset, objective=o, **fields) for o in ("cae", "mdae"))
    needs = criteria.agree(cae, mdae)
    return claims.by_construction(claims.decide(claim, "CAE and mDAE agree", needs, [cae, mdae]))


def at_common_rate(plan: Plan, activation: str, constraint: str) -> list[GridSpec]:
    """The runs of CAE and mDAE, and AE's, at the rate at which both data sets can be trained."""
    return needed(plan._replace(learning_rate=COMMON_RATE), COMPARED, activation, constraint)


def directions_differ(
    claim: str, curves: Sequence[Curve], control: Sequence[Curve] = ()
) -> list[Verdict]:
    """CAE and mDAE go different ways on the two data sets; at the own rates and at the common one.

    A data set's own rate is that of its first curve. `control` are the same curves with rows of
    length 1: where these differ too, the rows are not what makes the difference, and nothing is
    decided.
    """
    own = {c.dataset: c.learning_rate for c in reversed(curves)}
    rates = {"": own}
    if any(rate != COMMON_RATE for rate in own.values()):
        rates[f", at rate {COMMON_RATE:g}"] = dict.fromkeys(own, COMMON_RATE)
    decided = []
    for how, rate_of in rates.items():
        for objective in COMPARED:
            statement = f"{style.label(objective)} behaves differently on the two{how}"
            pair = _pair(curves, objective, rate_of)
            if pair is None:
                numbers = f"not all trained at rate {COMMON_RATE:g}"
                decided.append(claims.not_run(claim, "both", statement, numbers))
                continue
            verdict = claims.directions_differ(claim, statement, *pair)
            if control:
                verdict = _controlled(verdict, _pair(control, objective, rate_of))
            decided.append(verdict)
    return decided


def _pair(
    curves: Sequence[Curve], objective: str, rate_of: Mapping[str, float]
) -> list[Curve] | None:
    """An objective's curves on the two data sets, each at a rate; None if one is missing."""
    found = [
        [c for c in curves if (c.dataset, c.objective, c.learning_rate) == (d, objective, rate)]
        for d, rate in sorted(rate_of.items(), key=lambda item: list(DATA).index(item[0]))
    ]
    return [curve for (curve,) in found] if all(found) else None


def _controlled(verdict: Verdict, pair: Sequence[Curve] | None) -> Verdict:
    """The verdict with its control, the same two curves with rows of length 1."""
    said, outcome = "not run", verdict.verdict
    if pair is not None:
        control = claims.directions_differ(verdict.claim, "", *pair)
        said = {
            "holds": "they differ as well, so unconstrained rows are not what makes the difference",
            "fails": "they do not differ",
            "inconclusive": "inconclusive",
        }[control.verdict] + f" ({control.numbers})"
        if (outcome, control.verdict) == ("holds", "holds"):
            outcome = "inconclusive"
    return verdict._replace(
        verdict=outcome, numbers=f"{verdict.numbers}; control, rows of length 1: {said}"
    )


def spans(runs, verdict: Verdict, **fields) -> list[str]:
    """The ends of the two curves whose directions are compared, and how much either moves."""
    objective = "mdae" if verdict.statement.startswith("mDAE") else "cae"
    courses = []
    for curve in collect(runs):
        chosen = all(getattr(curve, k) == v for k, v in fields.items())
        if curve.objective == objective and chosen:
            mean = curve.mean
            courses.append(
                f"{DATA[curve.dataset].title} at rate {curve.learning_rate:g} {mean[0]:.3f} → "
                f"{mean[-1]:.3f} (between {np.nanmin(mean):.3f} and {np.nanmax(mean):.3f})"
            )
    return [f"Fractions at σ² = 0 and 1: {', '.join(courses)}."]
