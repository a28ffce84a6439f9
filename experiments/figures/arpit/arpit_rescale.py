"""Arpit Figure 1, read otherwise: rows rescaled after every step, momentum as it is."""

import numpy as np

from experiments.drawing import panels, style
from experiments.drawing.panels import draw_panels
from experiments.evidence.curves import collect
from experiments.figures.arpit.common import OBJECTIVES, explain_dead_units, statements
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import COMMON_RATE, RATES
from experiments.pipeline.spec import GridSpec

_CLAIM = "A1, rescaled"
CLAIMS = {_CLAIM: "A1 with rows rescaled only"}
CONSTRAINT = "unit-rescale"
RATE_RATIO = 10  # 1/(1 − momentum)
RADIAL = {"cae": 2, "mdae": 4}  # the gradient of s'²‖W‖² and s'²‖W‖⁴ along a unit row, by s'²

_LOST = "diverged or collapsed"


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives under plain rescaling; CAE and mDAE also with less momentum.

    That is at the common rate, and at momentum 0 with `RATE_RATIO` times the rate, which moves as
    far per update.
    """
    own = needed(plan, OBJECTIVES, "relu", CONSTRAINT)
    common = needed(plan._replace(learning_rate=COMMON_RATE), tuple(RADIAL), "relu", CONSTRAINT)
    without = [
        spec._replace(momentum=0.0, learning_rate=round(RATE_RATIO * spec.learning_rate, 9))
        for spec in needed(plan, tuple(RADIAL), "relu", CONSTRAINT)
    ]
    return list(dict.fromkeys([*own, *common, *without]))


def further(plan: Plan) -> list[GridSpec]:
    """AE at every rate, seed 0, which `explain` sees where stored: faster turns as by the rate."""
    return [
        spec
        for dataset in plan.scale.datasets
        for rate in RATES
        for spec in plan._replace(seeds=1, learning_rate=rate).specs(dataset, "ae", "relu", "unit")
    ]


def draw(runs, plan: Plan):
    """Two panels: digit data left, colour patches right."""
    return draw_panels(collect(runs), plan, "Activation fraction, ReLU, rows rescaled")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return panels.caption(runs, plan)


def explain(runs, verdict: Verdict) -> list[str]:
    """As for Figure 1; for CAE and mDAE, what their radial gradients do to a step."""
    if "CAE" not in verdict.statement and "mDAE" not in verdict.statement:
        return explain_dead_units(runs, verdict)
    of_it = {s: run for s, run in runs.items() if s.constraint == CONSTRAINT}
    ends = [_end(of_it, objective) for objective in ("ae", "cae", "mdae")]
    fed = {name: _largest_feedback(of_it, name) for name in RADIAL}
    parts = ", ".join(f"{f:.2f} ({style.label(name)})" for name, f in fed.items() if f is not None)
    sentences = [
        f"Fraction, E[a_j] and reconstruction error: {ends[0]}; at σ² = 1 {', '.join(ends[1:])}. "
        "The gradients of both penalties point along the rows. A1 projects them out; here they "
        "shorten a row and remain in the momentum while the row turns, so that a steady turn feeds "
        "back a part f of itself and is 1/(1 − f) times as fast. With the largest share of active "
        f"units over the epochs, f at σ² = 1: {parts or _LOST}."
    ]
    by_rate = {
        spec.learning_rate: float(run["activation_fraction"][0])
        for spec, run in runs.items()
        if spec not in of_it and run["flagged_epoch"][0] < 0
    }
    if len(by_rate) > 1:
        fractions = ", ".join(f"{fraction:.3f} at {rate:g}" for rate, fraction in by_rate.items())
        sentences.append(f"Faster steps alone change AE's fraction, by learning rate: {fractions}.")
    return sentences


def feedback(spec: GridSpec, objective: str, active: float) -> float:
    """What the penalty's gradient adds to a row's turn, at σ² = 1 and a share of active units."""
    from aesparse.training.optimizers import radial_feedback

    pull = RADIAL[objective] * active
    return radial_feedback(pull, learning_rate=spec.learning_rate, momentum=spec.momentum)


def _largest_feedback(runs, objective: str) -> float | None:
    """Over the epochs and seeds of the cells at σ² = 1 by their share active; None: all flagged."""
    feedbacks = [
        feedback(s, objective, float(run["history_activation_fraction"][-1].max()))
        for s, run in runs.items()
        if s.objective == objective and run["flagged_epoch"][-1] < 0
    ]
    return max(feedbacks, default=None)


def _end(runs, objective: str) -> str:
    """The last cell's fraction, mean E[a_j] and error, over the seeds where it is not flagged."""
    ends = [
        (
            float(run["activation_fraction"][-1]),
            float(run["preactivation_mean"][-1]),
            float(run["history_reconstruction"][-1, -1]),
        )
        for s, run in runs.items()
        if s.objective == objective and run["flagged_epoch"][-1] < 0
    ]
    end = (
        "{:.2f}, {:.2f} and {:.2f}".format(*np.mean(ends, axis=0))
        if ends
        else "diverged or collapsed"
    )
    return f"{style.label(objective)} {end}"


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A1 under the other reading of the length constraint."""
    return statements(_CLAIM, dataset, collect(runs))


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    further=further,
)
