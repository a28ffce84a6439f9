"""Arpit Figure 1: activation fraction against σ², ReLU, unit rows."""

from experiments import claims, curves
from experiments.claims import Curve, Verdict
from experiments.curves import collect, draw_panels, needed
from experiments.protocol import Plan
from experiments.runs import RunSpec

OBJECTIVES = ("dae", "cae", "mdae", "sae")


def runs(plan: Plan) -> list[RunSpec]:
    """DAE, CAE, mDAE and SAE with ReLU under unit rows, and the shared strength-0 model."""
    return needed(plan, OBJECTIVES, activation="relu", constraint="unit")


def draw(found, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(found), plan, "Activation fraction, ReLU, unit rows")


def caption(found, plan: Plan) -> str:
    """What the picture shows."""
    return curves.caption(found, plan)


def verdicts(found, plan: Plan) -> list[Verdict]:
    """A1 on each data set."""
    found_curves = collect(found)
    return [v for dataset in plan.scale.datasets for v in _a1(dataset, found_curves)]


def _a1(dataset: str, by_name: dict[tuple[str, str], Curve]) -> list[Verdict]:
    dae, cae, mdae, sae = (by_name[dataset, name] for name in OBJECTIVES)
    parts = [
        ("CAE flat", claims.flat(cae), [cae]),
        ("mDAE flat", claims.flat(mdae), [mdae]),
        ("CAE and mDAE agree", claims.agree(cae, mdae), [cae, mdae]),
        ("DAE decreasing", claims.decreasing(dae), [dae]),
        ("SAE decreasing", claims.decreasing(sae), [sae]),
        ("DAE sparse before units die", claims.alive_above(dae), [dae]),
    ]
    return [claims.decide("A1", statement, criteria, used) for statement, criteria, used in parts]
