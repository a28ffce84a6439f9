"""Arpit Figure 3: activation fraction against σ², eDAE, ReLU, unit rows."""

from experiments.drawing import panels
from experiments.drawing.panels import draw_panels
from experiments.evidence import claims, criteria
from experiments.evidence.curves import collect, only
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A3": "eDAE, the first-order term alone, decreasing"}


def runs(plan: Plan) -> list[GridSpec]:
    """DAE cut after its first-order term, and the shared strength-0 model."""
    return needed(plan, ("edae",), activation="relu", constraint="unit")


def draw(runs, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(runs), plan, "Activation fraction, eDAE, ReLU, unit rows")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(runs, plan)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A3 on one data set; what it depends on is `arpit-rates`' subject."""
    edae = only(collect(runs), dataset=dataset)
    return [claims.decide("A3", "eDAE decreasing", criteria.decreasing(edae), [edae])]


FIGURE = Figure(
    about=__doc__,
    place="Figure 3",
    says=(
        "eDAE, which trains the first-order term of DAE's Taylor expansion alone, becomes "
        "sparser with σ². The paper takes it as the confirmation that this term contributes "
        "to sparsity with ReLU (section 3.1.1)."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
)
