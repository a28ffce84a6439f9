"""What the figures of Arpit et al. share: Figure 1's objectives, and statements about curves."""

from collections.abc import Sequence

import numpy as np

from experiments.drawing import style
from experiments.evidence import claims, criteria
from experiments.evidence.curves import Curve, collect, only
from experiments.pipeline.figure import Verdict
from experiments.pipeline.protocol import DATA

__all__ = [
    "OBJECTIVES",
    "all_decreasing",
    "classes_differ",
    "explain_dead_units",
    "spans",
    "statements",
]

OBJECTIVES = ("dae", "cae", "mdae", "sae")


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


def statements(claim: str, dataset: str, curves: Sequence[Curve]) -> list[Verdict]:
    """A1's six statements on one data set."""
    dae, cae, mdae, sae = (only(curves, dataset=dataset, objective=o) for o in OBJECTIVES)
    parts = [
        ("CAE flat", criteria.flat(cae), [cae]),
        ("mDAE flat", criteria.flat(mdae), [mdae]),
        ("CAE and mDAE agree", criteria.agree(cae, mdae), [cae, mdae]),
        ("DAE decreasing", criteria.decreasing(dae), [dae]),
        ("SAE decreasing", criteria.decreasing(sae), [sae]),
        ("DAE sparse before units die", criteria.alive_above(dae), [dae]),
    ]
    return [claims.decide(claim, statement, needs, used) for statement, needs, used in parts]


def spans(runs, verdict: Verdict, **fields) -> list[str]:
    """The ends of the two curves whose classes are compared, and how much either moves."""
    objective = "mdae" if verdict.statement.startswith("mDAE") else "cae"
    courses = []
    for curve in collect(runs):
        chosen = all(getattr(curve, k) == v for k, v in fields.items())
        if curve.objective == objective and chosen:
            mean = curve.mean
            courses.append(
                f"{DATA[curve.dataset].title} {mean[0]:.3f} → {mean[-1]:.3f} (between "
                f"{np.nanmin(mean):.3f} and {np.nanmax(mean):.3f})"
            )
    return [f"Fractions at σ² = 0 and 1: {', '.join(courses)}."]


def classes_differ(claim: str, runs, **fields) -> list[Verdict]:
    """For CAE and for mDAE: the class of the curve differs between the two data sets."""
    shown = collect(runs)
    datasets = [name for name in DATA if any(c.dataset == name for c in shown)]
    return [
        claims.classes_differ(
            claim,
            f"{label} behaves differently on the two",
            *(only(shown, dataset=d, objective=objective, **fields) for d in datasets),
        )
        for objective, label in (("cae", "CAE"), ("mdae", "mDAE"))
    ]


def all_decreasing(claim: str, runs, dataset: str) -> list[Verdict]:
    """DAE, CAE, mDAE and SAE fall, each a statement of its own."""
    shown = [only(collect(runs), dataset=dataset, objective=o) for o in OBJECTIVES]
    return [
        claims.decide(claim, f"{style.label(c.objective)} decreasing", criteria.decreasing(c), [c])
        for c in shown
    ]
