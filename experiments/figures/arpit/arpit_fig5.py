"""Arpit Figure 5: activation fraction against σ², sigmoid, free rows."""

from experiments.drawing import panels
from experiments.drawing.panels import draw_panels
from experiments.evidence.curves import collect
from experiments.figures.arpit.common import OBJECTIVES, classes_differ, spans
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A5": "sigmoid, unconstrained rows: CAE and mDAE depend on the data"}


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives with sigmoid units and free rows."""
    return needed(plan, OBJECTIVES, activation="sigmoid", constraint="free")


def draw(runs, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(runs), plan, "Activation fraction, sigmoid, unconstrained rows")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(runs, plan)


def explain(runs, verdict: Verdict) -> list[str]:
    """The curves behind the classes."""
    return spans(runs, verdict)


def joint(runs) -> list[Verdict]:
    """A5: CAE and mDAE behave differently on the two data sets."""
    return classes_differ("A5", runs)


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    joint=joint,
    explain=explain,
)
