"""Arpit Figure 1, read otherwise: rows rescaled after every step, momentum as it is."""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import panels, style
from experiments.drawing.panels import draw_panels
from experiments.evidence import momentum
from experiments.evidence.curves import Curve, collect, mean_over_seeds, only
from experiments.figures.arpit.common import (
    OBJECTIVES,
    explain_dead_units,
    independence,
    regularized,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import COMMON_RATE, RATES
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A1": "ReLU, rows rescaled: the fraction of CAE and mDAE does not depend on λ; DAE and SAE "
    "decreasing, DAE alive",
    "A15": "ReLU, rows rescaled: E[a_j] of CAE and mDAE does not depend on λ",
}
CONSTRAINT = "unit-rescale"
GROUP = ("dataset", "learning_rate", "momentum")
RATE_RATIO = 10  # 1/(1 − momentum)

_LOST = "diverged or collapsed"


def runs(plan: Plan) -> list[GridSpec]:
    """Figure 1's objectives under plain rescaling; CAE and mDAE also with less momentum.

    That is at the common rate, and at momentum 0 with `RATE_RATIO` times the rate, which moves as
    far per update.
    """
    few = tuple(momentum.RADIAL)
    own = needed(plan, OBJECTIVES, "relu", CONSTRAINT)
    common = needed(plan._replace(learning_rate=COMMON_RATE), few, "relu", CONSTRAINT)
    without = [
        spec._replace(momentum=0.0, learning_rate=round(RATE_RATIO * spec.learning_rate, 9))
        for spec in needed(plan, few, "relu", CONSTRAINT)
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
    """A row per setting: digit data left, colour patches right; rings where models do not count."""
    return draw_panels(
        collect(runs),
        plan,
        "Activation fraction, ReLU, rows rescaled",
        ringed=lambda curve: _away(runs, curve),
        rings=f"μ/(1 − V) > {momentum.COUNTED:g}: does not decide",
    )


def _away(runs, curve: Curve) -> np.ndarray:
    """At which strengths a model of CAE or mDAE does not decide; `[G]`."""
    if curve.objective not in momentum.RADIAL:
        return np.zeros(len(curve.strengths), bool)
    acting = momentum.effective(curve, momentum.feedback(runs, curve))
    return (acting > momentum.COUNTED).any(axis=0)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return (
        f"{panels.caption(runs, plan)} A ring: the momentum that acts on a turning row, "
        "μ/(1 − V), is above "
        f"{momentum.COUNTED:g} there (V = c η λ p/(1 − μ), c = 2 for CAE and 4 for mDAE, p the "
        "largest share of active units at any epoch); such models do not decide A1 and A15."
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A1 and A15 in one setting: of CAE and mDAE, and at the own rate of DAE and SAE."""
    shown = [curve for curve in collect(runs) if curve.constraint == CONSTRAINT]
    decided = []
    for curve in shown:
        if curve.objective in momentum.RADIAL:
            decided += _independence(runs, curve, _setting(shown))
    if any(curve.objective == "dae" for curve in shown):
        decided += regularized("A1", dataset, shown, _setting(shown))
    return decided


def _setting(shown: list[Curve]) -> str:
    """How statements name the setting of some curves, which is one: DAE is in that of the rate."""
    if shown[0].momentum == 0:
        return ", rescaled, momentum 0"
    own = any(curve.objective == "dae" for curve in shown)
    return f", rescaled, {'own rate' if own else f'rate {shown[0].learning_rate:g}'}"


def _independence(runs, curve: Curve, how: str) -> list[Verdict]:
    """A1 and A15 by the models that count, with V, and with what fails over all models alone."""
    counting = momentum.counted(runs, curve)
    diverged = (curve.flagged & ~counting.flagged).any()
    decided = []
    for verdict, over_all in zip(
        independence(runs, counting, how), independence(runs, curve, how), strict=True
    ):
        if verdict.verdict == "not run":
            decided.append(verdict)
            continue
        numbers = f"{verdict.numbers}; {_acting(runs, curve)}"
        if verdict.verdict != "fails" and (over_all.verdict == "fails" or diverged):
            numbers += f"; momentum artefact: over all λ {over_all.numbers}"
        decided.append(verdict._replace(numbers=numbers))
    return decided


def _acting(runs, curve: Curve) -> str:
    """The rate, V and the momentum that acts at the largest λ, and which models decide."""
    v = momentum.feedback(runs, curve)
    largest, acting = (mean_over_seeds(x)[-1] for x in (v, momentum.effective(curve, v)))
    away = _away(runs, curve)
    which = "all λ"
    if away.any():
        which = f"λ ≤ {curve.strengths[~away].max():g} alone, larger λ left out"
    return (
        f"rate {curve.learning_rate:g}, at λ = {curve.strengths[-1]:g} V = {largest:.3f} and "
        f"μ/(1 − V) = {acting:.3f}; decided by {which}"
    )


def explain(runs, verdict: Verdict) -> list[str]:
    """As for Figure 1; for CAE and mDAE, what their radial gradients do to a step."""
    shown = [
        curve
        for curve in collect(runs)
        if curve.constraint == CONSTRAINT and curve.dataset == verdict.dataset
    ]
    settings: dict[tuple, list[Curve]] = {}
    for curve in shown:
        settings.setdefault((curve.learning_rate, curve.momentum), []).append(curve)
    (its,) = (key for key, of in settings.items() if verdict.statement.endswith(_setting(of)))
    of_it = {
        spec: run
        for spec, run in runs.items()
        if spec.constraint == CONSTRAINT and (spec.learning_rate, spec.momentum) == its
    }
    if "CAE" not in verdict.statement and "mDAE" not in verdict.statement:
        return explain_dead_units(of_it, verdict)
    ends = [_end(of_it, objective) for objective in ("ae", *momentum.RADIAL)]
    radial = {name: only(settings[its], objective=name) for name in momentum.RADIAL}
    fed = {name: _largest_feedback(of_it, curve) for name, curve in radial.items()}
    parts = ", ".join(f"{f:.2f} ({style.label(name)})" for name, f in fed.items() if f is not None)
    sentences = [
        f"Fraction, E[a_j] and reconstruction error: {ends[0]}; at σ² = 1 {', '.join(ends[1:])}. "
        "The gradients of both penalties point along the rows. `unit` projects them out; here they "
        "shorten a row and remain in the momentum while the row turns, so that a steady turn feeds "
        "back a part f of itself and is 1/(1 − f) times as fast. With the largest share of active "
        f"units over the epochs, f at σ² = 1: {parts or _LOST}."
    ]
    by_rate = {
        spec.learning_rate: float(run["activation_fraction"][0])
        for spec, run in runs.items()
        if spec.constraint != CONSTRAINT and run["flagged_epoch"][0] < 0
    }
    if len(by_rate) > 1:
        fractions = ", ".join(f"{fraction:.3f} at {rate:g}" for rate, fraction in by_rate.items())
        sentences.append(f"Faster steps alone change AE's fraction, by learning rate: {fractions}.")
    return sentences


def _largest_feedback(runs: Mapping, curve: Curve) -> float | None:
    """The largest share of a turn that is fed back at σ² = 1, over seeds; None: all diverged."""
    of_turn = momentum.feedback(runs, curve)[:, -1] / (1 - curve.momentum)
    return max(of_turn[~curve.flagged[:, -1]], default=None)


def _end(runs: Mapping, objective: str) -> str:
    """The last model's fraction, mean E[a_j] and error, over the seeds where it did not diverge."""
    ends = [
        (
            float(run["activation_fraction"][-1]),
            float(run["preactivation_mean"][-1]),
            float(run["history_reconstruction"][-1, -1]),
        )
        for s, run in runs.items()
        if s.objective == objective and run["flagged_epoch"][-1] < 0
    ]
    end = "{:.2f}, {:.2f} and {:.2f}".format(*np.mean(ends, axis=0)) if ends else _LOST
    return f"{style.label(objective)} {end}"


FIGURE = Figure(
    about=__doc__,
    place="Figure 1, rows only rescaled",
    says=(
        "The rows are constrained to length one (section 3.1); how the constraint is combined "
        "with the momentum is not said. This is the other reading of Figure 1: rows are "
        "rescaled after every update, and the stored momentum is left as it is."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    further=further,
    partial=True,
    group=GROUP,
)
