"""Arpit Figure 1: activation fraction against σ², ReLU, unit rows."""

from collections.abc import Sequence

import numpy as np

from experiments import claims, criteria, curves
from experiments.claims import Verdict
from experiments.criteria import Curve
from experiments.curves import collect, draw_panels, needed, only
from experiments.protocol import Plan
from experiments.runs import RunSpec

CLAIMS = {
    "A1": "ReLU, unit rows: CAE and mDAE flat and alike, DAE and SAE decreasing, DAE alive",
    "A12": "DAE sparser than mDAE",
}
OBJECTIVES = ("dae", "cae", "mdae", "sae")


def runs(plan: Plan) -> list[RunSpec]:
    """DAE, CAE, mDAE and SAE with ReLU under unit rows, and the shared strength-0 model."""
    return needed(plan, OBJECTIVES, activation="relu", constraint="unit")


def draw(found, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(found), plan, "Activation fraction, ReLU, unit rows")


def caption(found, plan: Plan) -> str:
    """What the picture shows."""
    return curves.caption(found, plan)


def verdicts(found, dataset: str) -> list[Verdict]:
    """A1, and A12: DAE ends sparser than mDAE."""
    found_curves = collect(found)
    dae, mdae = (only(found_curves, dataset=dataset, objective=o) for o in ("dae", "mdae"))
    sparser = criteria.lower(dae, mdae, 0.0, where="at the end")
    return [
        *statements("A1", dataset, found_curves),
        claims.decide("A12", "DAE sparser than mDAE at σ² = 1", sparser, [dae, mdae]),
    ]


def explain(found, verdict: Verdict) -> list[str]:
    """Where DAE's units die, and how sparse it is before any does."""
    if "before units die" not in verdict.statement:
        return []
    dae = only(collect(found), dataset=verdict.dataset, objective="dae")
    dying = dae.dead > criteria.DEAD
    alive = np.min(dae.kept[~dying & ~dae.flagged], initial=np.inf)
    sparsest = f"the sparsest has a fraction of {alive:.3f}" if alive < np.inf else "there are none"
    beyond = np.where((dae.kept >= criteria.SPARSE) & dying, dae.dead, 0)
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


def statements(claim: str, dataset: str, found: Sequence[Curve]) -> list[Verdict]:
    """A1's six statements on one data set."""
    dae, cae, mdae, sae = (only(found, dataset=dataset, objective=o) for o in OBJECTIVES)
    parts = [
        ("CAE flat", criteria.flat(cae), [cae]),
        ("mDAE flat", criteria.flat(mdae), [mdae]),
        ("CAE and mDAE agree", criteria.agree(cae, mdae), [cae, mdae]),
        ("DAE decreasing", criteria.decreasing(dae), [dae]),
        ("SAE decreasing", criteria.decreasing(sae), [sae]),
        ("DAE sparse before units die", criteria.alive_above(dae), [dae]),
    ]
    return [claims.decide(claim, statement, needs, used) for statement, needs, used in parts]
