"""Curves of activation fraction over strengths: from stored runs to the two-panel picture."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments import style
from experiments.claims import Curve, classify
from experiments.protocol import DATA, STRENGTHS, Plan
from experiments.runs import RunSpec

__all__ = ["caption", "collect", "draw_panels", "needed", "over_epochs"]


def needed(
    plan: Plan,
    objectives: Sequence[str],
    activation: str,
    constraint: str,
    datasets: Sequence[str] | None = None,
) -> list[RunSpec]:
    """The runs of a figure on the scale's data sets, the shared strength-0 models first."""
    return [
        spec
        for dataset in datasets or plan.scale.datasets
        for objective in ("ae", *objectives)
        for spec in plan.specs(dataset, objective, activation, constraint)
    ]


def collect(runs: Mapping[RunSpec, object]) -> dict[tuple[str, str], Curve]:
    """Joins each objective's runs with the shared strength-0 ones, over seeds."""
    grouped: dict[tuple[str, str], dict[int, object]] = {}
    for spec, run in runs.items():
        grouped.setdefault((spec.dataset, spec.objective), {})[spec.seed] = run
    curves = {}
    for (dataset, objective), by_seed in grouped.items():
        if objective == "ae":
            continue
        shared = grouped[dataset, "ae"]

        def joined(name: str, by_seed=by_seed, shared=shared) -> np.ndarray:
            return np.stack(
                [np.concatenate([shared[s][name], by_seed[s][name]]) for s in sorted(by_seed)]
            )

        curves[dataset, objective] = Curve(
            dataset,
            objective,
            strengths=joined("strength")[0],
            fraction=joined("activation_fraction").astype(float),
            dead=joined("dead_fraction").astype(float),
            flagged=joined("flagged_epoch") >= 0,
        )
    return curves


def over_epochs(runs: Mapping[RunSpec, object], objective: str, name: str) -> np.ndarray:
    """A history variable of one objective with its shared strength-0 cell, seed 0; [G, E + 1]."""
    parts = [
        run[f"history_{name}"].values
        for wanted in ("ae", objective)
        for spec, run in runs.items()
        if spec.objective == wanted and spec.seed == 0
    ]
    return np.concatenate(parts)


def draw_panels(curves: Mapping[tuple[str, str], Curve], plan: Plan, title: str):
    """Fraction against σ² with the spread over seeds, dead units lighter, flagged cells marked."""
    figure, axes = style.panels(len(plan.scale.datasets), title)
    for axis, dataset in zip(axes, plan.scale.datasets, strict=True):
        for curve in curves.values():
            if curve.dataset == dataset:
                style.draw_curve(axis, curve)
        style.strength_axis(axis, np.array(STRENGTHS))
        axis.set_title(DATA[dataset].title)
    style.legend(figure, axes[0], any(c.flagged.any() for c in curves.values()))
    return figure


def caption(runs: Mapping[RunSpec, object], plan: Plan) -> str:
    """What a picture of curves shows, generated from the specs and the runs."""
    curves, specs = collect(runs), list(runs)
    first, scale = specs[0], plan.scale
    by_dataset = {DATA[s.dataset].title: s.learning_rate for s in specs}
    rates = ", ".join(f"{title} {rate:g}" for title, rate in by_dataset.items())
    on_tangent = [
        f"{DATA[spec.dataset].title} {_last_epoch(run['loss_tangent_share']):.1%}"
        for spec, run in runs.items()
        if "loss_tangent_share" in run and spec.seed == 0
    ]
    flagged = [
        f"{style.label(c.objective)} on {DATA[c.dataset].title} at σ² = "
        + ", ".join(f"{s:g}" for s in c.strengths[c.flagged.any(axis=0)])
        for c in curves.values()
        if c.flagged.any()
    ]
    seeds = f"mean and min–max over {plan.seeds} seeds" if plan.seeds > 1 else "one seed"
    return (
        ("" if scale.evidence else "A demonstration on small data, not evidence. ")
        + f"Average activation fraction (solid) and units active on none of the {scale.samples} "
        f"training samples (dashed) after {scale.epochs} epochs against σ²; {first.activation}, "
        f"rows: {first.constraint}, m = {scale.hidden}, N = {scale.samples}, "
        f"batch {scale.batch_size}, learning rate {rates}; {seeds}. "
        + (f"Flagged cells: {'; '.join(flagged)}. " if flagged else "No cell was flagged. ")
        + (
            f"Largest share of SAE units beyond the pole of eq. 13, on its tangent, in the last "
            f"epoch (seed 0): {', '.join(on_tangent)}. "
            if on_tangent
            else ""
        )
        + f"Classes: {'; '.join(map(_class_of, curves.values()))}."
    )


def _last_epoch(share) -> float:
    return float(share.isel(trained_epoch=-1).max())


def _class_of(curve: Curve) -> str:
    return f"{DATA[curve.dataset].title} {style.label(curve.objective)} {classify(curve)}"
