"""Sensitivity: activation fraction against σ² at several learning rates and batch sizes, ReLU."""

import numpy as np

from aesparse.errors import InputError
from experiments.drawing import style
from experiments.drawing.panels import spread
from experiments.evidence import claims
from experiments.evidence.criteria import decreasing
from experiments.evidence.curves import MAX_FLAGGED, Curve, collect, direction, only
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA, RATES, STRENGTHS
from experiments.pipeline.spec import GridSpec

_CLAIM = "A3, rates and batches"
CLAIMS = {_CLAIM: "A3 at three learning rates and three batch sizes"}
SCALES = ("reduced",)
OBJECTIVES = ("dae", "cae", "mdae", "sae", "edae")
BATCHES = (25, 200)  # besides the protocol's
_MOSTLY_DEAD = 0.9
_TICKS = (0, 0.04, 0.16, 0.36, 0.64, 1)
_GREY = "#E4E4E4"  # of a panel without a curve
_BATCH_LINES = ((0, (1, 1)), "-", (0, (5, 2)))


def runs(plan: Plan) -> list[GridSpec]:
    """Five objectives at every rate, eDAE at every batch size; unit rows."""
    if plan.learning_rate is not None:
        raise InputError(
            f"--learning-rate {plan.learning_rate:g} is given, but arpit-rates goes through "
            f"{', '.join(map(str, RATES))} itself; leave the option out."
        )
    swept = [
        spec
        for rate in RATES
        for spec in needed(plan._replace(learning_rate=rate), OBJECTIVES, "relu", "unit")
    ]
    own = needed(plan, ("edae",), "relu", "unit")
    batches = [spec._replace(batch_size=size) for size in BATCHES for spec in own]
    return list(dict.fromkeys([*swept, *own, *batches]))


def _by_batch(shown: list[Curve], plan: Plan, dataset: str) -> list[Curve]:
    sizes = sorted({*BATCHES, plan.scale.batch_size})
    rate = DATA[dataset].learning_rate
    return [
        only(shown, dataset=dataset, objective="edae", learning_rate=rate, batch_size=size)
        for size in sizes
    ]


def draw(runs, plan: Plan):
    """A row per learning rate, and one with eDAE's batch sizes; a column per data set."""
    datasets, usual = plan.scale.datasets, plan.scale.batch_size
    figure, axes = style.table(len(RATES) + 1, len(datasets))
    figure.set_size_inches(6.4, 9.6)
    shown = collect(runs)
    axes[0][0].set_ylim(-0.03, 1.03)
    for column, dataset in zip(axes.T, datasets, strict=True):
        here, title = [c for c in shown if c.dataset == dataset], DATA[dataset].title
        for axis, rate in zip(column, RATES, strict=False):
            at_rate = [c for c in here if (c.learning_rate, c.batch_size) == (rate, usual)]
            for curve in sorted(at_rate, key=lambda c: OBJECTIVES.index(c.objective)):
                if _has_curve(curve):
                    style.draw_curve(axis, curve, style.label(curve.objective))
                else:
                    _draw_models(axis, curve)
            _say_lost(axis, at_rate)
            axis.set_title(f"{title}, rate {rate:g}", fontsize=9)
        for curve, line in zip(_by_batch(shown, plan, dataset), _BATCH_LINES, strict=True):
            style.draw_curve(column[-1], curve, f"batch {curve.batch_size}", line=line)
        column[-1].set_title(f"{title}, eDAE, rate {DATA[dataset].learning_rate:g}", fontsize=9)
    axes[-1][-1].legend(fontsize=8, frameon=False)  # free there
    for axis in axes.flat:
        style.strength_axis(axis, np.array(STRENGTHS))
        axis.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS], fontsize=8)
        axis.set_xlabel("σ²" if axis in axes[-1] else "", fontsize=9)
    for row in axes:
        row[0].set_ylabel("share (pairs or units)", fontsize=9)
    style.legend(figure, axes[0][0], any(c.flagged.any() and _has_curve(c) for c in shown))
    return figure


def _has_curve(curve: Curve) -> bool:
    """Whether so few models diverged or collapsed that the mean over seeds says something."""
    return curve.flagged_strengths <= MAX_FLAGGED


def _draw_models(axis, curve: Curve) -> None:
    """A mark for each model that neither diverged nor collapsed."""
    strengths = np.broadcast_to(curve.strengths, curve.fraction.shape)
    style.draw_cells(axis, curve.objective, strengths, curve.valid)


def _say_lost(axis, curves: list[Curve]) -> None:
    """Which curves a panel does not have, and why; grey where it has none."""
    lost = [c for c in curves if not _has_curve(c)]
    if lost:
        each = [f"{style.label(c.objective)} {c.flagged.sum()} of {c.flagged.size}" for c in lost]
        text = "diverged or collapsed:\n" + "\n".join(each)
        axis.text(0.97, 0.97, text, transform=axis.transAxes, ha="right", va="top", fontsize=7)
    if len(lost) == len(curves):
        axis.set_facecolor(_GREY)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    scale = plan.scale
    lost = [
        f"{style.label(c.objective)} on {DATA[c.dataset].title} at rate {c.learning_rate:g}, batch "
        f"{c.batch_size} ({c.flagged_strengths} of {len(STRENGTHS)} strengths)"
        for c in collect(runs)
        if c.flagged.any()
    ]
    return (
        "Average activation fraction (thick) and dead units (thin) after "
        f"{scale.epochs} epochs against σ², ReLU, unit rows, at three learning rates; below: eDAE "
        f"at three batch sizes. Where models at more than {MAX_FLAGGED} strengths diverged or "
        "collapsed there is no curve, but a mark for each of the others; panels without a curve "
        f"are grey. m = {scale.hidden}, N = {scale.samples}, {spread(plan)}. "
        + (
            f"Diverged or collapsed: {'; '.join(lost)}."
            if lost
            else "No model diverged or collapsed."
        )
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A3 at every rate and batch size: is eDAE decreasing everywhere?"""
    decided = []
    for curve in collect(runs):
        if curve.objective == "edae":
            statement = f"eDAE decreasing, rate {curve.learning_rate:g}, batch {curve.batch_size}"
            verdict = claims.decide(_CLAIM, statement, decreasing(curve), [curve])
            if (kind := direction(curve)) != "inconclusive":
                verdict = verdict._replace(numbers=f"{kind}; {verdict.numbers}")
            decided.append(verdict)
    return decided


def explain(runs, verdict: Verdict) -> list[str]:
    """What the curve does instead, and after how many updates."""
    sentences = []
    for curve in collect(runs):
        named = f"rate {curve.learning_rate:g}, batch {curve.batch_size}"
        if curve.objective == "edae" and verdict.statement.endswith(f", {named}"):
            sentences.append(_course(curve, next(s.epochs for s in runs)))
    return sentences


def _course(curve: Curve, epochs: int) -> str:
    """The lowest and the last fraction, how many units die, how the unregularized model ends."""
    well, strengths, mean = ~curve.flagged[:, 1:], curve.strengths[1:], curve.mean[1:]
    if not well.any():
        return "Every model diverged or collapsed."
    lowest, last = int(np.nanargmin(mean)), int(np.flatnonzero(np.isfinite(mean))[-1])
    dead, updates = curve.dead[:, 1:][well], epochs * (curve.samples // curve.batch_size)
    lost = ", ".join(f"{s:g}" for s in strengths[~well.all(axis=0)])
    flagged = curve.flagged[:, 0]
    most = curve.dead[~flagged, 0].max(initial=0)
    count = flagged.sum()
    plain = f"ends at {curve.mean[0]:.3f} with at most {most:.1%} of its units dead"
    return (
        f"After {updates:,} updates the mean fraction, without models that diverged or collapsed, "
        f"is lowest at σ² = {strengths[lowest]:g}: {mean[lowest]:.3f}, and {mean[last]:.3f} at "
        f"σ² = {strengths[last]:g}. At most {dead.max():.1%} of the units of a model are dead, "
        f"more than {_MOSTLY_DEAD:.0%} in {np.sum(dead > _MOSTLY_DEAD)} of {well.sum()} models. "
        + (f"Diverged or collapsed: {np.sum(~well)} models, at σ² = {lost}. " if lost else "")
        + ("" if flagged.all() else f"The unregularized model {plain}. ")
        + (f"It diverged or collapsed with {count} of {len(flagged)} seeds." if count else "")
    ).rstrip()


FIGURE = Figure(
    about=__doc__,
    place="Figure 3, other rates and batches",
    says=(
        "Learning rates are chosen between 0.001 and 0.005, the batch size is 50 (section 3). "
        "Neither the rate of a single curve nor the effect of the two is stated."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
