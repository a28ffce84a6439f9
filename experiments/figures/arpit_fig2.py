"""Arpit Figure 2: activation fraction against σ², ReLU, free rows."""

import numpy as np

from experiments import claims, criteria, curves
from experiments.claims import Verdict
from experiments.curves import collect, draw_panels, needed, only
from experiments.figures.arpit_fig1 import OBJECTIVES
from experiments.protocol import DATA, Plan
from experiments.runs import RunSpec

CLAIMS = {
    "A2": "ReLU, unconstrained rows: CAE and mDAE depend on the data, DAE less sparse than with "
    "unit rows"
}


def runs(plan: Plan) -> list[RunSpec]:
    """Figure 1's objectives with free rows, and DAE under unit rows beside them."""
    return [
        *needed(plan, OBJECTIVES, activation="relu", constraint="free"),
        *needed(plan, ("dae",), activation="relu", constraint="unit"),
    ]


def _name(curve) -> str:
    return curves.named(curve) + (", unit rows" if curve.constraint == "unit" else "")


def draw(found, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    shown = collect(found)
    return draw_panels(shown, plan, "Activation fraction, ReLU, unconstrained rows", _name)


def caption(found, plan: Plan) -> str:
    """What the picture shows."""
    return curves.caption(found, plan, _name)


def verdicts(found, dataset: str) -> list[Verdict]:
    """A2 on one data set: how sparse DAE gets with free rows, and with unit rows."""
    free, unit = (
        only(collect(found), dataset=dataset, objective="dae", constraint=c)
        for c in ("free", "unit")
    )
    floor = criteria.stays_above(free, claims.FREE_FLOOR)
    return [
        claims.decide("A2", f"DAE stays at {claims.FREE_FLOOR:g} or more", floor, [free]),
        claims.decide(
            "A2", "DAE lower with unit rows", criteria.sparser_alive(unit, free), [unit, free]
        ),
    ]


def explain(found, verdict: Verdict) -> list[str]:
    """The curves behind a class, or how low DAE gets."""
    if verdict.dataset == "both":
        return spans(found, verdict, constraint="free")
    dae = only(collect(found), dataset=verdict.dataset, objective="dae", constraint="free")
    fraction, dead = dae.mean, dae.dead.mean(axis=0)
    i = int(np.nanargmin(fraction))
    return [
        f"DAE's fraction with unconstrained rows is lowest at σ² = {dae.strengths[i]:g}: "
        f"{fraction[i]:.4f}, with {dead[i]:.1%} of the units dead; at σ² = {dae.strengths[-2]:g} "
        f"it is {fraction[-2]:.4f}."
    ]


def spans(found, verdict: Verdict, **fields) -> list[str]:
    """The ends of the two curves whose classes are compared, and how much either moves."""
    objective = "mdae" if verdict.statement.startswith("mDAE") else "cae"
    told = []
    for curve in collect(found):
        chosen = all(getattr(curve, k) == v for k, v in fields.items())
        if curve.objective == objective and chosen:
            mean = curve.mean
            told.append(
                f"{DATA[curve.dataset].title} {mean[0]:.3f} → {mean[-1]:.3f} (between "
                f"{np.nanmin(mean):.3f} and {np.nanmax(mean):.3f})"
            )
    return [f"Fractions at σ² = 0 and 1: {', '.join(told)}."]


def joint(found) -> list[Verdict]:
    """A2 across the data sets: CAE and mDAE behave differently on them."""
    return classes_differ("A2", found, constraint="free")


def classes_differ(claim: str, found, **fields) -> list[Verdict]:
    """For CAE and for mDAE: the class of the curve differs between the two data sets."""
    shown = collect(found)
    datasets = [name for name in DATA if any(c.dataset == name for c in shown)]
    return [
        claims.classes_differ(
            claim,
            f"{label} behaves differently on the two",
            *(only(shown, dataset=d, objective=objective, **fields) for d in datasets),
        )
        for objective, label in (("cae", "CAE"), ("mdae", "mDAE"))
    ]
