"""Arpit Figure 1, read otherwise: rows rescaled after every step, momentum as it is."""

import numpy as np

from experiments import curves, style
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
    """As for Figure 1; for CAE and mDAE, what their radial gradients do to a step."""
    if "CAE" not in verdict.statement and "mDAE" not in verdict.statement:
        return arpit_fig1.explain(found, verdict)
    ends = [_end(found, verdict.dataset, objective) for objective in ("ae", "cae", "mdae")]
    return [
        f"E[a_j] and reconstruction error at the largest σ²: {', '.join(ends)}. The gradients of "
        "both penalties point along the rows: rescaling turns them into longer steps along the "
        "sphere, the more so as they stay in the momentum after a row has turned; A1 removes them."
    ]


def _end(found, dataset: str, objective: str) -> str:
    """The last cell's mean E[a_j] and error, over the seeds in which it is not flagged."""
    ends = [
        (float(run["preactivation_mean"][-1]), float(run["history_reconstruction"][-1, -1]))
        for s, run in found.items()
        if (s.dataset, s.objective) == (dataset, objective) and run["flagged_epoch"][-1] < 0
    ]
    told = "{:.2f} and {:.2f}".format(*np.mean(ends, axis=0)) if ends else "flagged"
    return f"{style.label(objective)} {told}"


def verdicts(found, dataset: str) -> list[Verdict]:
    """A1 under the other reading of the length constraint."""
    return arpit_fig1.statements(CLAIMS[0], dataset, collect(found))
