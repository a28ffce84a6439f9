"""Panels of activation fraction over strengths, and their captions."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from aesparse.models.activations import get_activation
from experiments.drawing import style
from experiments.evidence.curves import CURVE_FIELDS, Curve, collect, described
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, MOMENTUM, STRENGTHS
from experiments.pipeline.spec import GridSpec

__all__ = ["caption", "draw_panels", "named", "spread"]


def spread(plan: Plan) -> str:
    """What a caption says of the seeds behind a curve and its band."""
    return f"mean and min–max over {plan.seeds} seeds" if plan.seeds > 1 else "one seed"


def named(curve: Curve) -> str:
    """A curve's name in a legend where curves differ by objective alone."""
    return style.label(curve.objective)


def draw_panels(
    curves: Sequence[Curve],
    plan: Plan,
    title: str,
    name: Callable[[Curve], str] = named,
    *,
    ringed: Callable[[Curve], np.ndarray] | None = None,
    rings: str = "",
):
    """Fraction against σ², its spread over seeds, dead units lighter, diverged models marked.

    A row per setting (rate and momentum), that of each data set's first curve on top; digit data
    left, colour patches right. `ringed` says which points of a curve get a ring, `rings` what that
    means.
    """
    datasets, by_setting = plan.scale.datasets, _by_setting(curves)
    figure, axes = style.grid(len(by_setting), len(datasets), title)
    for row, by_dataset in zip(axes, by_setting, strict=True):
        for axis, dataset in zip(row, datasets, strict=True):
            shown = by_dataset.get(dataset, [])
            style.strength_axis(axis, np.array(STRENGTHS))
            if not shown:
                style.empty(axis, _absent(dataset, by_dataset, by_setting[0]))
                continue
            style.draw_curves(axis, shown, name, curves[0].constraint)
            for number, curve in enumerate(shown if ringed else ()):
                style.draw_rings(axis, curve, ringed(curve), 10 + 1.5 * number)
            axis.set_title(_titled(shown[0]), fontsize=11)
    for row in axes[:-1]:
        for axis in row:
            axis.set_xlabel("")
    fullest = max(axes.flat, key=lambda axis: len(axis.get_legend_handles_labels()[0]))
    style.legend(figure, fullest, any(c.flagged.any() for c in curves), rings)
    return figure


def _by_setting(curves: Sequence[Curve]) -> list[dict[str, list[Curve]]]:
    """The curves by setting and data set, each data set's own setting first.

    Settings of two data sets are one if they have one momentum and, where that is the usual one,
    one rate.
    """
    own: dict[str, tuple] = {}
    settings: dict[tuple, dict[str, list[Curve]]] = {}
    for curve in curves:
        setting = (curve.learning_rate, curve.momentum)
        if setting == own.setdefault(curve.dataset, setting):
            key: tuple = ()
        else:
            key = setting if curve.momentum == MOMENTUM else setting[1:]
        settings.setdefault(key, {}).setdefault(curve.dataset, []).append(curve)
    return [settings[key] for key in sorted(settings, key=lambda key: (-len(key) % 3, key))]


def _titled(curve: Curve) -> str:
    """A panel's data set and setting."""
    momentum = _momentum(curve, "\nmomentum ")
    return f"{DATA[curve.dataset].title}{momentum}, rate {curve.learning_rate:g}"


def _absent(dataset: str, row: dict[str, list[Curve]], own: dict[str, list[Curve]]) -> str:
    """Why a row has no curves of a data set; `own` is the first row."""
    here = {(c.learning_rate, c.momentum) for curves in row.values() for c in curves}
    above = any((c.learning_rate, c.momentum) in here for c in own.get(dataset, ()))
    return f"{DATA[dataset].title}:\n{'this rate is its own, above' if above else 'not run'}"


def caption(
    runs: Mapping[GridSpec, object], plan: Plan, name: Callable[[Curve], str] = named
) -> str:
    """What a picture of curves shows, generated from the specs and the runs."""
    curves, specs = collect(runs), list(runs)
    first, scale = specs[0], plan.scale
    rates: dict[str, dict[str, None]] = {}
    for spec in specs:
        rate = f"{spec.learning_rate:g}{_momentum(spec, ' at momentum ')}"
        rates.setdefault(DATA[spec.dataset].title, {})[rate] = None
    by_dataset = ", ".join(f"{title} {' and '.join(of_it)}" for title, of_it in rates.items())
    called = [_called(curve, curves, name) for curve in curves]
    on_tangent = [_on_tangent(runs, c, text) for c, text in zip(curves, called, strict=True)]
    on_tangent = [sentence for sentence in on_tangent if sentence]
    flagged = [
        f"{text} at σ² = " + ", ".join(f"{s:g}" for s in c.strengths[c.flagged.any(axis=0)])
        for c, text in zip(curves, called, strict=True)
        if c.flagged.any()
    ]
    directions = [f"{text} {described(c)}" for c, text in zip(curves, called, strict=True)]
    constraints = " and ".join(dict.fromkeys(s.constraint for s in specs))
    return (
        scale.caveat
        + f"Average activation fraction (thick) and units active on none of the {scale.samples} "
        f"training samples (thin) after {scale.epochs} epochs against σ²; {first.activation}, "
        f"active where h > {get_activation(first.activation).threshold:g}, "
        f"rows: {constraints}, m = {scale.hidden}, N = {scale.samples}, "
        f"batch {scale.batch_size}, learning rate {by_dataset}; {spread(plan)}. "
        "Curves that coincide have their markers at different strengths. "
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
        + f"Directions: {'; '.join(directions)}."
    )


def _called(curve: Curve, curves: Sequence[Curve], name: Callable[[Curve], str]) -> str:
    """A curve's name, its data set, and its setting where that data set has several."""
    text = f"{name(curve)} on {DATA[curve.dataset].title}"
    if len({(c.learning_rate, c.momentum) for c in curves if c.dataset == curve.dataset}) == 1:
        return text
    return f"{text} at rate {curve.learning_rate:g}{_momentum(curve, ' and momentum ')}"


def _momentum(trained: Curve | GridSpec, before: str) -> str:
    """The momentum where it is not the usual one."""
    return "" if trained.momentum == MOMENTUM else f"{before}{trained.momentum:g}"


def _on_tangent(runs: Mapping[GridSpec, object], curve: Curve, called: str) -> str:
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
    return f"{called} {largest:.1%} and {last:.1%}"
