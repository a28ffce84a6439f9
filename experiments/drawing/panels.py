"""Panels of activation fraction over strengths, and their captions."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aesparse.models.activations import get_activation
from experiments.drawing import style
from experiments.evidence.curves import CURVE_FIELDS, Curve, classify, collect
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, STRENGTHS
from experiments.pipeline.spec import GridSpec

__all__ = ["caption", "draw_panels", "named", "spread"]


def spread(plan: Plan) -> str:
    """What a caption says of the seeds behind a curve and its band."""
    return f"mean and min–max over {plan.seeds} seeds" if plan.seeds > 1 else "one seed"


def named(curve: Curve) -> str:
    """A curve's name in a legend where curves differ by objective alone."""
    return style.label(curve.objective)


def draw_panels(
    curves: Sequence[Curve], plan: Plan, title: str, name: Callable[[Curve], str] = named
):
    """Fraction against σ², its spread over seeds, dead units lighter, diverged models marked."""
    figure, axes = style.panels(len(plan.scale.datasets), title)
    for axis, dataset in zip(axes, plan.scale.datasets, strict=True):
        for curve in curves:
            if curve.dataset == dataset:
                comparison = curve.constraint != curves[0].constraint
                style.draw_curve(axis, curve, name(curve), comparison=comparison)
        style.strength_axis(axis, np.array(STRENGTHS))
        axis.set_title(DATA[dataset].title)
    style.legend(figure, axes[0], any(c.flagged.any() for c in curves))
    return figure


def caption(
    runs: Mapping[GridSpec, object], plan: Plan, name: Callable[[Curve], str] = named
) -> str:
    """What a picture of curves shows, generated from the specs and the runs."""
    curves, specs = collect(runs), list(runs)
    first, scale = specs[0], plan.scale
    by_dataset = {DATA[s.dataset].title: s.learning_rate for s in specs}
    rates = ", ".join(f"{title} {rate:g}" for title, rate in by_dataset.items())
    on_tangent = [_on_tangent(runs, curve, name(curve)) for curve in curves]
    on_tangent = [sentence for sentence in on_tangent if sentence]
    flagged = [
        f"{name(c)} on {DATA[c.dataset].title} at σ² = "
        + ", ".join(f"{s:g}" for s in c.strengths[c.flagged.any(axis=0)])
        for c in curves
        if c.flagged.any()
    ]
    classes = [f"{DATA[c.dataset].title} {name(c)} {classify(c)}" for c in curves]
    constraints = " and ".join(dict.fromkeys(s.constraint for s in specs))
    return (
        scale.caveat
        + f"Average activation fraction (thick) and units active on none of the {scale.samples} "
        f"training samples (thin) after {scale.epochs} epochs against σ²; {first.activation}, "
        f"active where h > {get_activation(first.activation).threshold:g}, "
        f"rows: {constraints}, m = {scale.hidden}, N = {scale.samples}, "
        f"batch {scale.batch_size}, learning rate {rates}; {spread(plan)}. "
        + (
            f"Diverged or collapsed models: {'; '.join(flagged)}. "
            if flagged
            else "No model diverged or collapsed. "
        )
        + (
            "Largest share over strengths and seeds of units beyond the tangent start of eq. 13, "
            f"in any epoch and in the last: {'; '.join(on_tangent)}. "
            if on_tangent
            else ""
        )
        + f"Classes: {'; '.join(classes)}."
    )


def _on_tangent(runs: Mapping[GridSpec, object], curve: Curve, name: str) -> str:
    """The share of a curve's units whose penalty is not eq. 13 itself, where it has such a one."""
    shares = [
        run["loss_tangent_share"].values
        for spec, run in runs.items()
        if "loss_tangent_share" in run
        and all(getattr(spec, k) == getattr(curve, k) for k in CURVE_FIELDS)
    ]
    if not shares:
        return ""
    largest, last = np.max(shares), np.max(np.array(shares)[..., -1])
    return f"{name} on {DATA[curve.dataset].title} {largest:.1%} and {last:.1%}"
