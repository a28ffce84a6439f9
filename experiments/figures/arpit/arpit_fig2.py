"""Arpit Figure 2: activation fraction against σ², ReLU, free rows."""

import numpy as np

from experiments.drawing import panels
from experiments.drawing.panels import draw_panels
from experiments.evidence import claims, criteria
from experiments.evidence.curves import collect, only
from experiments.figures.arpit.common import OBJECTIVES, classes_differ, spans
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A2": "ReLU, unconstrained rows: CAE and mDAE depend on the data, DAE less sparse than with "
    "unit rows"
}


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives with free rows, and DAE under unit rows beside them."""
    return [
        *needed(plan, OBJECTIVES, activation="relu", constraint="free"),
        *needed(plan, ("dae",), activation="relu", constraint="unit"),
    ]


def _name(curve) -> str:
    return panels.named(curve) + (", unit rows" if curve.constraint == "unit" else "")


def draw(runs, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    shown = collect(runs)
    return draw_panels(shown, plan, "Activation fraction, ReLU, unconstrained rows", _name)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(runs, plan, _name)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A2 on one data set: how sparse DAE gets with free rows, and with unit rows."""
    free, unit = (
        only(collect(runs), dataset=dataset, objective="dae", constraint=c)
        for c in ("free", "unit")
    )
    floor = criteria.stays_above(free, claims.FREE_FLOOR)
    return [
        claims.decide("A2", f"DAE stays at {claims.FREE_FLOOR:g} or more", floor, [free]),
        claims.decide(
            "A2", "DAE lower with unit rows", criteria.sparser_alive(unit, free), [unit, free]
        ),
    ]


def explain(runs, verdict: Verdict) -> list[str]:
    """The curves behind a class, or how low DAE gets."""
    if verdict.dataset == "both":
        return spans(runs, verdict, constraint="free")
    dae = only(collect(runs), dataset=verdict.dataset, objective="dae", constraint="free")
    fraction, dead = dae.mean, dae.dead.mean(axis=0)
    i = int(np.nanargmin(fraction))
    return [
        f"DAE's fraction with unconstrained rows is lowest at σ² = {dae.strengths[i]:g}: "
        f"{fraction[i]:.4f}, with {dead[i]:.1%} of the units dead; at σ² = {dae.strengths[-2]:g} "
        f"it is {fraction[-2]:.4f}."
    ]


def joint(runs) -> list[Verdict]:
    """A2 across the data sets: CAE and mDAE behave differently on them."""
    return classes_differ("A2", runs, constraint="free")


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    joint=joint,
    explain=explain,
)
