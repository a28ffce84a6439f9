"""Arpit Figure 3: activation fraction against σ², eDAE, ReLU, unit rows."""

from experiments.evidence import claims, criteria, curves
from experiments.evidence.claims import Verdict
from experiments.evidence.curves import collect, draw_panels, needed, only
from experiments.pipeline.protocol import Plan
from experiments.pipeline.store import RunSpec

CLAIMS = {"A3": "eDAE, the first-order term alone, decreasing"}


def runs(plan: Plan) -> list[RunSpec]:
    """DAE cut after its first-order term, and the shared strength-0 model."""
    return needed(plan, ("edae",), activation="relu", constraint="unit")


def draw(found, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(found), plan, "Activation fraction, eDAE, ReLU, unit rows")


def caption(found, plan: Plan) -> str:
    """What the picture shows."""
    return curves.caption(found, plan)


def verdicts(found, dataset: str) -> list[Verdict]:
    """A3 on one data set; what it depends on is `arpit-rates`' subject."""
    edae = only(collect(found), dataset=dataset)
    return [claims.decide("A3", "eDAE decreasing", criteria.decreasing(edae), [edae])]
