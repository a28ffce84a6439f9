"""Arpit footnote 4: activation fraction against σ², softplus, unit rows."""

from experiments.drawing import panels
from experiments.drawing.panels import draw_panels
from experiments.evidence.curves import collect
from experiments.figures.arpit.common import OBJECTIVES, all_decreasing
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A6": "softplus, unit rows: as A4"}


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives with softplus units; the paper describes but does not show them."""
    return needed(plan, OBJECTIVES, activation="softplus", constraint="unit")


def draw(runs, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(runs), plan, "Activation fraction, softplus, unit rows")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(runs, plan)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A6 on one data set."""
    return all_decreasing("A6", runs, dataset)


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
)
