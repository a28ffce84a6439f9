"""Arpit Figure 5: activation fraction against σ², sigmoid, free rows."""

from experiments.drawing import panels
from experiments.drawing.panels import draw_panels
from experiments.evidence.curves import Curve, collect
from experiments.figures.arpit.common import (
    COMPARED,
    OBJECTIVES,
    at_common_rate,
    directions_differ,
    spans,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A5": "sigmoid, unconstrained rows: CAE and mDAE depend on the data"}


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives with sigmoid units and unconstrained rows; CAE and mDAE with unit rows.

    The latter are Figure 4's runs, and the control.
    """
    return [
        *needed(plan, OBJECTIVES, activation="sigmoid", constraint="free"),
        *needed(plan, COMPARED, activation="sigmoid", constraint="unit"),
    ]


def also(plan: Plan) -> list[GridSpec]:
    """CAE and mDAE with either kind of rows at the common rate."""
    return [s for rows in ("free", "unit") for s in at_common_rate(plan, "sigmoid", rows)]


def _shown(runs) -> dict:
    """The runs drawn: of those with unit rows CAE's alone, whose curve is mDAE's."""
    return {s: run for s, run in runs.items() if (s.constraint, s.objective) != ("unit", "mdae")}


def _name(curve: Curve) -> str:
    return "CAE = mDAE, unit rows" if curve.constraint == "unit" else panels.named(curve)


def draw(runs, plan: Plan):
    """Digit data left, colour patches right; below at the common rate, where that is stored."""
    title = "Activation fraction, sigmoid, unconstrained rows"
    return draw_panels(collect(_shown(runs)), plan, title, _name)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(_shown(runs), plan, _name)


def explain(runs, verdict: Verdict) -> list[str]:
    """The curves behind the directions."""
    return spans(runs, verdict, constraint="free")


def joint(runs) -> list[Verdict]:
    """A5: CAE and mDAE behave differently on the two data sets; unit rows are the control."""
    free, unit = ([c for c in collect(runs) if c.constraint == rows] for rows in ("free", "unit"))
    return directions_differ("A5", free, unit)


FIGURE = Figure(
    about=__doc__,
    place="Figure 5",
    says=(
        "With sigmoid and unconstrained rows the fraction is not a predictable function of "
        "σ²: mDAE and CAE have different trends on the two data sets (section 3.2)."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    joint=joint,
    explain=explain,
    also=also,
)
