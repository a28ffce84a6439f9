"""Arpit footnote 4: activation fraction against σ², softplus, unit rows."""

from experiments.drawing import panels, style
from experiments.drawing.panels import draw_panels
from experiments.evidence import claims
from experiments.evidence.curves import collect, only
from experiments.figures.arpit.common import OBJECTIVES, same_penalty
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A6": "softplus and sigmoid, unit rows: the same direction, where both move"}


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives with softplus units, and Figure 4's runs with sigmoid ones."""
    return [
        *needed(plan, OBJECTIVES, activation="softplus", constraint="unit"),
        *needed(plan, OBJECTIVES, activation="sigmoid", constraint="unit"),
    ]


def _softplus(runs) -> dict:
    return {spec: run for spec, run in runs.items() if spec.activation == "softplus"}


def draw(runs, plan: Plan):
    """Two panels of softplus units: digit data left, colour patches right."""
    shown = collect(_softplus(runs))
    return draw_panels(shown, plan, "Activation fraction, softplus, unit rows")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(_softplus(runs), plan)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A6 on one data set: mDAE is CAE, and each of the others goes the way it does with sigmoid."""
    shown = collect(runs)
    agreed = [same_penalty("A6", dataset, shown, activation="softplus")]
    for objective in ("dae", "cae", "sae"):
        pair = [
            only(shown, dataset=dataset, objective=objective, activation=activation)
            for activation in ("softplus", "sigmoid")
        ]
        statement = f"{style.label(objective)} goes the same way as with sigmoid"
        agreed.append(claims.directions_agree("A6", statement, *pair))
    return agreed


FIGURE = Figure(
    about=__doc__,
    place="Figure 4, softplus",
    says=(
        "Softplus has trends similar to sigmoid's; its plots are left out for lack of space "
        "(footnote 4)."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
)
