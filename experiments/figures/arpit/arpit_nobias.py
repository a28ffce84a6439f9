"""Arpit section 2.1.1: DAE and SAE with the encoding bias frozen at 0, ReLU, unit rows."""

import numpy as np

from experiments.drawing import panels, style
from experiments.drawing.panels import draw_panels
from experiments.evidence import claims, criteria
from experiments.evidence.curves import Curve, collect, only
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A7": "without encoding biases DAE and SAE stay less sparse"}
OBJECTIVES = ("dae", "sae")
FROZEN = "unit-frozen-bias"


def runs(plan: Plan) -> list[GridSpec]:
    """Both objectives with and without a trained bias."""
    constraints = (FROZEN, "unit")
    return [s for c in constraints for s in needed(plan, OBJECTIVES, "relu", c)]


def _name(curve) -> str:
    return panels.named(curve) + (", b = 0" if curve.constraint == FROZEN else "")


def draw(runs, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(runs), plan, "Without encoding bias: ReLU, unit rows", _name)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return f"{panels.caption(runs, plan, _name)} {_reversed(collect(runs))}"


def _reversed(shown) -> str:
    """Where the model without a bias is the sparser one."""
    parts = []
    for frozen in shown:
        if frozen.constraint == FROZEN:
            biased = only(
                shown, dataset=frozen.dataset, objective=frozen.objective, constraint="unit"
            )
            sparser = frozen.mean < biased.mean
            where = ", ".join(f"{s:g}" for s in frozen.strengths[sparser])
            parts.append(f"{_name(frozen)} on {DATA[frozen.dataset].title}: {where or 'nowhere'}")
    return f"Strengths at which the model without bias is the sparser one: {'; '.join(parts)}."


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A7 on one data set."""
    shown, decided = collect(runs), []
    for objective in OBJECTIVES:
        frozen, biased = (
            only(shown, dataset=dataset, objective=objective, constraint=c)
            for c in (FROZEN, "unit")
        )
        needs = criteria.lower(biased, frozen, claims.FROZEN_BIAS, where="at its lowest")
        statement = f"{style.label(objective)} less sparse without its bias"
        verdict = claims.decide("A7", statement, needs, [frozen, biased])
        lowest = "; ".join(_lowest(runs, curve) for curve in (frozen, biased))
        decided.append(verdict._replace(numbers=f"{verdict.numbers}; {lowest}"))
    return decided


def _lowest(runs, curve: Curve) -> str:
    """Where a curve is lowest, and how much of eq. 13 is its tangent there at the end."""
    text = f"{_name(curve)} lowest nowhere"
    if np.isfinite(curve.mean).any():
        strength = curve.strengths[int(np.nanargmin(curve.mean))]
        text = f"{_name(curve)} lowest, {np.nanmin(curve.mean):.3f}, at σ² = {strength:g}"
        shares = [
            float(run["loss_tangent_share"].sel(strength=strength)[-1])
            for spec, run in runs.items()
            if (spec.dataset, spec.objective, spec.constraint)
            == (curve.dataset, curve.objective, curve.constraint)
            and "loss_tangent_share" in run
            and strength in spec.strengths
            and run["flagged_epoch"].sel(strength=strength) < 0
        ]
        if shares:
            text += f" ({np.mean(shares):.0%} of units on the tangent there)"
    return text


FIGURE = Figure(
    about=__doc__,
    place="Section 2.1.1, no encoding bias",
    says=(
        "Without the encoding bias E[a_j] stays zero on data of mean zero, which limits how "
        "sparse a unit can become; the bias has to be trained."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
)
