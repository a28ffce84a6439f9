"""Arpit Figure 5: activation fraction against σ², sigmoid, free rows."""

from experiments import curves
from experiments.claims import Verdict
from experiments.curves import collect, draw_panels, needed
from experiments.figures.arpit_fig1 import OBJECTIVES
from experiments.figures.arpit_fig2 import classes_differ, spans
from experiments.protocol import Plan
from experiments.runs import RunSpec

CLAIMS = {"A5": "sigmoid, unconstrained rows: CAE and mDAE depend on the data"}


def runs(plan: Plan) -> list[RunSpec]:
    """Figure 1's objectives with sigmoid units and free rows."""
    return needed(plan, OBJECTIVES, activation="sigmoid", constraint="free")


def draw(found, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(found), plan, "Activation fraction, sigmoid, unconstrained rows")


def caption(found, plan: Plan) -> str:
    """What the picture shows."""
    return curves.caption(found, plan)


def explain(found, verdict: Verdict) -> list[str]:
    """The curves behind the classes."""
    return spans(found, verdict)


def joint(found) -> list[Verdict]:
    """A5: CAE and mDAE behave differently on the two data sets."""
    return classes_differ("A5", found)
