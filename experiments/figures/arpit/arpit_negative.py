"""Arpit section 2.1.1: tanh and maxout, for which the paper expects no sparsity, with SAE."""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import style
from experiments.drawing.panels import spread
from experiments.evidence import claims
from experiments.evidence.criteria import Criterion, over_seeds
from experiments.evidence.curves import (
    FLAT,
    MONOTONE,
    cells,
    curve_range,
    mean_over_seeds,
    spearman,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA, STRENGTHS
from experiments.pipeline.spec import GridSpec, Spec, Study

CLAIMS = {"A20": "SAE with tanh and with maxout: E[h] falls, and codes do not become sparse"}
SCALES = ("quick", "reduced")
PIECES = 3
_HISTORY = 500  # samples of a history that nobody reads
_LOOKS = {"tanh": ("#0072B2", "s", "-"), "maxout": ("#D55E00", "X", (0, (4, 2)))}


def runs(plan: Plan) -> list[Spec]:
    """SAE and AE with tanh, and a study of SAE with maxout for each seed; unit rows."""
    grids = needed(plan, ("sae",), "tanh", "unit")
    return [*grids, *(_study(spec) for spec in grids if spec != spec.baseline)]


def _study(spec: GridSpec) -> Study:
    """The same data, sizes, rate and strengths as a grid's, with maxout units."""
    names = ("epsilon", "hidden", "batch_size", "epochs", "learning_rate", "momentum")
    return Study(
        "arpit-negative",
        spec.dataset,
        spec.samples,
        spec.seed,
        options=(
            *((name, getattr(spec, name)) for name in names),
            ("pieces", PIECES),
            ("strengths", STRENGTHS),
        ),
        work=PIECES * spec.cost,
    )


def compute(study: Study, dataset):
    """SAE with maxout units at all strengths of one seed, rows of every piece of length 1."""
    import jax
    import xarray as xr

    import aesparse as ae
    from aesparse.models.maxout import Maxout

    option, statistics = study.option, ae.metrics.code_statistics
    X = ae.data.standardize(dataset.train, option("epsilon"))(dataset.train)
    result = ae.fit(
        X,
        Maxout(option("hidden"), option("pieces")),
        "sae",
        sweep={"strength": option("strengths"), "seed": study.seed},
        optimizer=ae.sgd(option("learning_rate"), option("momentum")),
        constraint="unit",
        measure={"sizes": ae.metrics.code_sizes, "statistics": statistics},
        key=jax.random.key(0),
        epochs=option("epochs"),
        batch_size=option("batch_size"),
        history_samples=min(_HISTORY, len(X)),
    )
    sizes = result.final["sizes"]
    return xr.Dataset(
        {
            "code_mean": ("strength", sizes.mean.mean(axis=-1)),
            "code_small": ("strength", sizes.small.mean(axis=-1)),
            "reconstruction": ("strength", result.final["statistics"].reconstruction),
            "flagged_epoch": ("strength", result.diverged_epoch),
        },
        {"strength": np.array(option("strengths"))},
    )


def _values(runs: Mapping, dataset: str, name: str) -> dict[str, np.ndarray]:
    """A stored variable by activation, of the runs that have it; diverged models NaN; [S, G]."""
    known = {s for s, run in runs.items() if s.dataset == dataset and name in run}
    here = sorted(known, key=lambda spec: spec.seed)
    grids = [s for s in here if s.kind == "grid" and s != s.baseline and s.baseline in known]
    studies = [s for s in here if s.kind == "study"]

    def stacked(variable: str) -> dict[str, np.ndarray]:
        both = {}
        if grids:
            both["tanh"] = cells(runs, grids, variable)
        if studies:
            both["maxout"] = np.stack([runs[s][variable].values for s in studies])
        return both

    diverged = stacked("flagged_epoch")
    return {k: np.where(diverged[k] >= 0, np.nan, v) for k, v in stacked(name).items()}


def _over(name: str, statistic, values: np.ndarray, threshold: float, sign: int) -> Criterion:
    """A number of the curve over strengths, the mean over seeds of `[S, G]`."""

    def of_curve(seeds: np.ndarray) -> float:
        return float(statistic(np.array(STRENGTHS), mean_over_seeds(values[seeds])))

    return over_seeds(name, of_curve, len(values), threshold, sign)


def _no_direction(name: str, values: np.ndarray, sign: int) -> tuple[Criterion, str]:
    """`values [S, G]` do not rise (`sign` 1) or fall (−1) with the strength, and both numbers.

    A curve without a direction has a rank correlation short of 0.9 or a range of at most 0.05.
    The criterion is one of these that surely holds, else one in doubt, else one that fails.
    """
    rank = _over(f"Spearman of λ and {name}", spearman, values, sign * MONOTONE, sign)
    wide = _over(f"range of {name}", curve_range, values, FLAT, 1)
    rank = rank._replace(strict=True)
    first, second = sorted((rank, wide), key=lambda c: (not (c.decided and c.holds), c.decided))
    return first, second.measured


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A20 for the runs of one activation."""
    mean, small = (_values(runs, dataset, name) for name in ("code_mean", "code_small"))
    if not small:
        absent = "the stored runs lack the share with |h| ≤ 0.1"
        return [Verdict("A20", dataset, "tanh does not become sparse", "not run", absent)]
    ((activation, values),) = small.items()
    if activation == "tanh":
        statement = "tanh: the share of units with |h| > 0.1 does not fall with λ"
        criterion, also = _no_direction("that share", 1 - values, -1)
        needs = [criterion]
    else:
        statement = "maxout: E[h] falls with λ, and |h| ≤ 0.1 on no more samples"
        criterion, also = _no_direction("the share with |h| ≤ 0.1", values, 1)
        needs = [_over("Spearman of λ and E[h]", spearman, mean[activation], -MONOTONE, 1)]
        needs.append(criterion)
    verdict = claims.settle("A20", dataset, statement, needs, len(values))
    course = f"{also}; {_course(mean[activation], values)}"
    verdict = verdict._replace(numbers=f"{verdict.numbers}; {course}")
    return [claims.unless_flagged(verdict, int(np.isnan(values).any(axis=0).sum()))]


def _course(mean: np.ndarray, small: np.ndarray) -> str:
    """The ends of the two curves."""
    parts = []
    for name, values in (("E[h]", mean), ("share with |h| > 0.1", 1 - small)):
        curve = mean_over_seeds(values)
        parts.append(f"{name} {curve[0]:.3f} at λ = 0 and {curve[-1]:.3f} at λ = 1")
    return ", ".join(parts)


def draw(runs, plan: Plan):
    """E[h] and the share of codes away from 0 against λ, a column per data set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 5.6), layout="constrained")
    axes = figure.subplots(2, len(plan.scale.datasets), sharex=True, sharey="row", squeeze=False)
    for row, name in zip(axes, ("code_mean", "code_small"), strict=True):
        for axis, dataset in zip(row, plan.scale.datasets, strict=True):
            by_activation = _values(runs, dataset, name)
            for activation, values in by_activation.items():
                shown = np.ma.masked_invalid(values)
                _draw(axis, activation, 1 - shown if name == "code_small" else shown)
            absent = [name for name in _LOOKS if name not in by_activation]
            if absent:
                style.remark(axis, f"not run: {', '.join(absent)}", "")
            style.strength_axis(axis, np.array(STRENGTHS))
            axis.set_xlabel(
                "λ, spaced by its square root" if name == "code_small" else "", fontsize=9
            )
            axis.set_title(DATA[dataset].title if name == "code_mean" else "", fontsize=10)
            axis.grid(alpha=0.25, linewidth=0.5)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("mean code E[h]", fontsize=9)
    axes[1][0].set_ylabel("share with |h| > 0.1", fontsize=9)
    axes[1][0].set_ylim(-0.03, 1.03)
    handles = {
        label: h
        for axis in axes.flat
        for h, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw(axis, activation: str, values) -> None:
    """The mean over seeds, and a band from the smallest to the largest."""
    colour, marker, line = _LOOKS[activation]
    label = f"maxout, {PIECES} pieces" if activation == "maxout" else activation
    look = {"color": colour, "marker": marker, "linestyle": line, "markersize": 5}
    axis.plot(STRENGTHS, values.mean(axis=0), label=label, **look)
    ends = values.min(axis=0), values.max(axis=0)
    axis.fill_between(STRENGTHS, *ends, color=colour, alpha=0.18, linewidth=0)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    scale = plan.scale
    reconstructed = [
        f"{DATA[dataset].title} {activation} {first:.2f} and {last:.2f}"
        for dataset in scale.datasets
        for activation, values in _values(runs, dataset, "reconstruction").items()
        for first, last in [mean_over_seeds(values)[[0, -1]]]
    ]
    return (
        scale.caveat
        + "SAE, −λ Σ log(1 − E[h_j]), which also pushes negative means down, for two activations "
        "that do not tend to 0 on the left: tanh, and units that give the largest of "
        f"{PIECES} affine pieces and decode by the mean of their rows. Rows of length 1, of every "
        "piece. Above: the mean over units and training samples of h; below: the share of pairs "
        f"(sample, unit) with |h| > 0.1. m = {scale.hidden}, N = {scale.samples}, "
        f"{scale.epochs} epochs; {spread(plan)}. Reconstruction error at λ = 0 and 1: "
        f"{'; '.join(reconstructed) or 'not run'}."
    )


FIGURE = Figure(
    about=__doc__,
    place="Section 2.1.2, tanh and maxout",
    says=(
        "Maxout and tanh do not saturate at 0 for large negative pre-activations, so that a "
        "fall of E[a_j] does not make their codes sparse; they are outside of the theory."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    partial=True,
    scales=SCALES,
    group=("dataset", "kind"),
)
