"""Arpit Figure 1: activation fraction against σ², ReLU, unit rows."""

from experiments.drawing import panels
from experiments.drawing.panels import draw_panels
from experiments.evidence import claims, criteria
from experiments.evidence.curves import collect, only
from experiments.figures.arpit.common import (
    OBJECTIVES,
    explain_dead_units,
    independence,
    regularized,
    same_penalty,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A1": "ReLU, unit rows: CAE and mDAE flat and alike, DAE and SAE decreasing, DAE alive",
    "A12": "DAE sparser than mDAE",
    "A15": "ReLU, unit rows: E[a_j] of CAE and mDAE does not depend on λ",
}


def runs(plan: Plan) -> list[GridSpec]:
    """DAE, CAE, mDAE and SAE with ReLU under unit rows, and the shared strength-0 model."""
    return needed(plan, OBJECTIVES, activation="relu", constraint="unit")


def draw(runs, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(runs), plan, "Activation fraction, ReLU, unit rows")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(runs, plan)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A1, A15 and A12; of CAE and mDAE, whose gradients are projected out, by construction."""
    shown = collect(runs)
    dae, cae, mdae = (only(shown, dataset=dataset, objective=o) for o in ("dae", "cae", "mdae"))
    sparser = criteria.lower(dae, mdae, 0.0, where="at the end")
    return [
        *(claims.by_construction(v) for curve in (cae, mdae) for v in independence(runs, curve)),
        same_penalty("A1", dataset, shown),
        *regularized("A1", dataset, shown),
        claims.decide("A12", "DAE sparser than mDAE at σ² = 1", sparser, [dae, mdae]),
    ]


def explain(runs, verdict: Verdict) -> list[str]:
    """Where DAE's units die, and how sparse it is before any does."""
    return explain_dead_units(runs, verdict)


FIGURE = Figure(
    about=__doc__,
    place="Figure 1",
    says=(
        "With ReLU and rows of length one the fraction of CAE and mDAE does not change with "
        "σ², since their penalties give no bias gradient; the fraction of DAE falls steadily, "
        "and its units begin to die only once the fraction is near 0.05 (section 3.1). The "
        "caption names MNIST and CIFAR-10; footnote 3 says that CAE and mDAE coincide for "
        "rows of length one."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
)
