"""Arpit Figure 1, read otherwise: rows rescaled after every step, momentum as it is."""

from experiments import curves
from experiments.claims import Verdict
from experiments.curves import collect, draw_panels, needed
from experiments.figures import arpit_fig1
from experiments.protocol import Plan
from experiments.runs import RunSpec

CLAIMS = ("A1, rescaled",)


def runs(plan: Plan) -> list[RunSpec]:
    """Figure 1's objectives under plain rescaling."""
    return needed(plan, arpit_fig1.OBJECTIVES, activation="relu", constraint="unit-rescale")


def draw(found, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(found), plan, "Activation fraction, ReLU, rows rescaled")


def caption(found, plan: Plan) -> str:
    """What the picture shows."""
    return curves.caption(found, plan)


def explain(found, verdict: Verdict) -> list[str]:
    """As for Figure 1."""
    return arpit_fig1.explain(found, verdict)


def verdicts(found, dataset: str) -> list[Verdict]:
    """A1 under the other reading of the length constraint."""
    return arpit_fig1.statements(CLAIMS[0], dataset, collect(found))
