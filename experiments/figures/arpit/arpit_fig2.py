"""Arpit Figure 2: activation fraction against σ², ReLU, free rows."""

import numpy as np

from experiments.drawing import panels
from experiments.drawing.panels import draw_panels
from experiments.evidence import claims, criteria
from experiments.evidence.curves import collect, only
from experiments.figures.arpit.common import (
    OBJECTIVES,
    at_common_rate,
    directions_differ,
    spans,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A2": "ReLU, unconstrained rows: CAE and mDAE depend on the data, DAE keeps its fraction above "
    f"{claims.FREE_FLOOR:g}"
}
_CONTROL = "control, rows of length 1: flat on both by construction (A1)"


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives with unconstrained rows."""
    return needed(plan, OBJECTIVES, activation="relu", constraint="free")


def also(plan: Plan) -> list[GridSpec]:
    """CAE and mDAE at the common rate, where that is not the data set's own."""
    return at_common_rate(plan, "relu", "free")


def draw(runs, plan: Plan):
    """Digit data left, colour patches right; below at the common rate, where that is stored."""
    return draw_panels(collect(runs), plan, "Activation fraction, ReLU, unconstrained rows")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(runs, plan)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A2 on one data set: how sparse DAE gets."""
    dae = only(collect(runs), dataset=dataset, objective="dae")
    floor = criteria.stays_above(dae, claims.FREE_FLOOR)
    return [claims.decide("A2", f"DAE stays at {claims.FREE_FLOOR:g} or more", floor, [dae])]


def explain(runs, verdict: Verdict) -> list[str]:
    """The curves behind the directions, or how low DAE gets."""
    if verdict.dataset == "both":
        return spans(runs, verdict)
    dae = only(collect(runs), dataset=verdict.dataset, objective="dae")
    fraction, dead = dae.mean, dae.dead.mean(axis=0)
    i = int(np.nanargmin(fraction))
    return [
        f"DAE's fraction with unconstrained rows is lowest at σ² = {dae.strengths[i]:g}: "
        f"{fraction[i]:.4f}, with {dead[i]:.1%} of the units dead; at σ² = {dae.strengths[-2]:g} "
        f"it is {fraction[-2]:.4f}."
    ]


def joint(runs) -> list[Verdict]:
    """A2 across the data sets: CAE and mDAE behave differently on them."""
    return [
        verdict._replace(numbers=f"{verdict.numbers}; {_CONTROL}")
        if verdict.verdict != "not run"
        else verdict
        for verdict in directions_differ("A2", collect(runs))
    ]


FIGURE = Figure(
    about=__doc__,
    place="Figure 2",
    says=(
        "Without the length constraint the trend of CAE and mDAE with ReLU becomes "
        "unpredictable: it differs between the data sets. DAE does not go below a fraction of "
        "0.1 (section 3.1)."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    joint=joint,
    explain=explain,
    also=also,
)
