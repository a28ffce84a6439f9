"""Sparse distributed codes: on how many samples each unit of a sparse model is active."""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import style
from experiments.evidence import claims
from experiments.evidence.criteria import DEAD, SPARSE, over_seeds
from experiments.figures.arpit.common import OBJECTIVES
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A19": "sparse models' units are alive, each active on 0.1% to 30% of the samples"}
ACTIVATIONS = ("relu", "sigmoid")
_LESS_SPARSE = 0.1  # the largest fraction of the models of which A19 speaks; the least is `SPARSE`
_RARELY_ACTIVE = 0.9  # the share of their units that must be rarely active
_OFTEN = 0.3  # the share of samples above which a unit is not rarely active
_SMALLEST, _LARGEST = 1e-4, 10  # of the axis of shares of units; above 1 are remarks
_LINE_TOP = 0.82  # of the axis' height: the line ends below the remarks
_LINES = {"dae": "-", "cae": (0, (5, 1, 1, 1)), "mdae": (0, (1, 1.5)), "sae": (0, (4, 2))}


def runs(plan: Plan) -> list[GridSpec]:
    """The unit-row runs of Figures 1 and 4."""
    return [s for a in ACTIVATIONS for s in needed(plan, OBJECTIVES, a, "unit")]


def _of(runs: Mapping, dataset: str, activation: str, objective: str) -> list[GridSpec]:
    """The runs of one objective, by seed."""
    where = (dataset, activation, objective)
    here = [s for s in runs if (s.dataset, s.activation, s.objective) == where]
    return sorted(here, key=lambda spec: spec.seed)


def _values(runs: Mapping, specs: list[GridSpec], name: str) -> np.ndarray:
    """A stored variable; [S, G, ...]."""
    return np.stack([runs[spec][name].values for spec in specs]).astype(float)


def _alive(runs: Mapping, specs: list[GridSpec]) -> np.ndarray:
    """The fraction of the models with at most 1% dead units; NaN for all others; [S, G]."""
    fraction, dead, lost = (
        _values(runs, specs, name)
        for name in ("activation_fraction", "dead_fraction", "flagged_epoch")
    )
    return np.where((dead <= DEAD) & (lost < 0), fraction, np.nan)


def _chosen(runs: Mapping, specs: list[GridSpec]) -> np.ndarray:
    """Which models A19 speaks of: fraction 0.05 to 0.1, at most 1% dead; [S, G]."""
    fraction = _alive(runs, specs)
    return (fraction >= SPARSE) & (fraction <= _LESS_SPARSE)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A19 for each objective of an activation.

    It is about single models, not about a curve: however many others diverged or collapsed.
    """
    (activation,) = {spec.activation for spec in runs}
    return [_verdict(runs, _of(runs, dataset, activation, o)) for o in OBJECTIVES]


def _verdict(runs: Mapping, specs: list[GridSpec]) -> Verdict:
    first = specs[0]
    statement = (
        f"{style.label(first.objective)}, {first.activation}: units alive, each rarely active"
    )
    if any("rarely_active" not in runs[spec] for spec in specs):
        absent = "the stored runs lack the share of rarely active units"
        return Verdict("A19", first.dataset, statement, "not run", absent)
    chosen = _chosen(runs, specs)
    if not chosen.any():
        none = f"no model is active to {SPARSE} to {_LESS_SPARSE} with at most {DEAD:.0%} dead"
        numbers = f"{none}; {_least_active(runs, specs)}"
        return Verdict("A19", first.dataset, statement, "inconclusive", numbers)
    shares = np.where(chosen, _values(runs, specs, "rarely_active"), np.inf)

    def smallest(seeds: np.ndarray) -> float:
        return float(shares[seeds].min())

    name = "smallest share of units active on 0.1% to 30% of the samples"
    criterion = over_seeds(name, smallest, len(specs), _RARELY_ACTIVE, -1)
    verdict = claims.settle("A19", first.dataset, statement, [criterion], len(specs))
    strengths = runs[first]["strength"].values[chosen.any(axis=0)]
    where = f"{chosen.sum()} models, σ² = {', '.join(f'{s:g}' for s in strengths)}"
    return verdict._replace(numbers=f"{verdict.numbers}; {where}")


def _least_active(runs: Mapping, specs: list[GridSpec]) -> str:
    """The lowest fraction at which units live."""
    alive = _alive(runs, specs)
    if np.isnan(alive).all():
        return "in every model more are dead"
    return f"the lowest fraction with as few dead is {np.nanmin(alive):.3f}"


def explain(runs, verdict: Verdict) -> list[str]:
    """How the units of the model with the smallest share are spread."""
    for objective in OBJECTIVES:
        for activation in ACTIVATIONS:
            if verdict.statement.startswith(f"{style.label(objective)}, {activation}:"):
                specs = _of(runs, verdict.dataset, activation, objective)
                return _spread(runs, specs) if _chosen(runs, specs).any() else []
    return []


def _spread(runs: Mapping, specs: list[GridSpec]) -> list[str]:
    shares = np.where(_chosen(runs, specs), _values(runs, specs, "rarely_active"), np.inf)
    seed, k = np.unravel_index(np.argmin(shares), shares.shape)
    run = runs[specs[seed]]
    counts, low = run["unit_active_histogram"].values[k], run["bin"].values
    often, seldom = counts[low >= _OFTEN - 1e-9].sum() / counts.sum(), counts[0] / counts.sum()
    return [
        f"In the model with the smallest share, at σ² = {run['strength'].values[k]:g}, "
        f"{often:.1%} of the units are active on more than {_OFTEN:.0%} of the samples and "
        f"{seldom:.1%} on at most {low[1]:.0%} of them."
    ]


def draw(runs, plan: Plan):
    """Histograms of the units, a row per data set and a column per activation."""
    from matplotlib.figure import Figure

    datasets = plan.scale.datasets
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.subplots(len(datasets), len(ACTIVATIONS), sharex=True, sharey=True, squeeze=False)
    handles = {}
    for row, dataset in zip(axes, datasets, strict=True):
        for axis, activation in zip(row, ACTIVATIONS, strict=True):
            _draw_panel(axis, runs, dataset, activation)
            name = style.activation_label(activation)
            axis.set_title(f"{DATA[dataset].title}, {name}", fontsize=10)
            handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
        row[0].set_ylabel("share of units", fontsize=9)
    axes[0][0].set_yscale("log")
    axes[0][0].set_ylim(_SMALLEST, _LARGEST)
    axes[0][0].set_yticks([10.0**k for k in range(-4, 1)])
    axes[0][0].set_xscale("function", functions=(_root, np.square))
    axes[0][0].set_xlim(0, 1)
    ticks = (0.02, 0.1, _OFTEN, 0.5, 1)
    for axis in axes[-1]:
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_xlabel("share of samples on which a unit is active", fontsize=9)
    count = max(len(handles), 1)
    style_of = {"loc": "outside lower center", "ncols": count, "frameon": False}
    figure.legend(handles.values(), handles, **style_of)
    return figure


def _root(share):
    return np.sqrt(np.maximum(share, 0))


def _draw_panel(axis, runs: Mapping, dataset: str, activation: str) -> None:
    """AE's histogram grey, over it those of each objective's models of which A19 speaks."""
    plain, absent, not_run = _of(runs, dataset, activation, "ae"), [], []
    if plain:
        shares, edges = _histogram(runs, plain, np.ones((len(plain), 1), bool))
        axis.stairs(shares, edges, fill=True, color="#BBBBBB", label="AE")
    for objective in OBJECTIVES:
        specs = _of(runs, dataset, activation, objective)
        if specs and (chosen := _chosen(runs, specs)).any():
            shares, edges = _histogram(runs, specs, chosen)
            centres, shown = (edges[1:] + edges[:-1]) / 2, np.where(shares > 0, shares, np.nan)
            style.draw_cells(axis, objective, centres, shown)
            colour = axis.lines[-1].get_color()
            axis.plot(centres, shown, color=colour, linestyle=_LINES[objective], linewidth=1)
        elif specs:
            lowest = np.nanmin(_alive(runs, specs), initial=np.inf)
            fraction = f"{lowest:.2f}" if np.isfinite(lowest) else "none alive"
            absent.append(f"{style.label(objective)} {fraction}")
        else:
            not_run.append(style.label(objective))
    remarks = [f"no model at most {_LESS_SPARSE:g}; lowest:\n{', '.join(absent)}"] * bool(absent)
    remarks += [f"not run: {', '.join(not_run)}"] * bool(not_run)
    axis.text(0.02, 0.98, "\n".join(remarks), transform=axis.transAxes, va="top", fontsize=8)
    axis.axvline(_OFTEN, ymax=_LINE_TOP, color="#000000", linewidth=0.8, linestyle=":")
    axis.spines[["top", "right"]].set_visible(False)


def _histogram(runs: Mapping, specs: list[GridSpec], chosen: np.ndarray) -> tuple:
    """The share of the units of the chosen models in each bin, and the bins' edges."""
    counts = _values(runs, specs, "unit_active_histogram")[chosen].sum(axis=0)
    return counts / counts.sum(), np.append(runs[specs[0]]["bin"].values, 1.0)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    scale, seeds = plan.scale, f"{plan.seeds} seed{'s' * (plan.seeds > 1)}"
    shown = []
    for dataset in scale.datasets:
        for activation in ACTIVATIONS:
            for objective in OBJECTIVES:
                specs = _of(runs, dataset, activation, objective)
                count = int(_chosen(runs, specs).sum()) if specs else 0
                if count:
                    where = f"{DATA[dataset].title} {style.activation_label(activation)}"
                    shown.append(f"{where} {style.label(objective)} {count}")
    return (
        scale.caveat
        + "On which share of the training samples the units of a model are active (50 bins, spaced "
        f"by the root): models with a fraction of {SPARSE} to {_LESS_SPARSE} and at most "
        f"{DEAD:.0%} dead units, taken together over strengths and {seeds}, and the unregularized "
        f"AE (grey). Dotted: {_OFTEN:.0%} of the samples, above which a unit is not rarely active. "
        "Where an objective has no such model, the panel says the lowest fraction of its models "
        f"with as few dead units. Unit rows, m = {scale.hidden}, N = {scale.samples}, "
        f"{scale.epochs} epochs. Models shown: {'; '.join(shown) or 'none'}."
    )


FIGURE = Figure(
    about=__doc__,
    place="Section 2.1.1, distributed codes",
    says=(
        "In a sparse distributed code few units are active on a sample, but every unit takes "
        "part: sparsity that comes from dead units does not count, and the units that are "
        "alive should be active on a small fraction of the samples (also section 3)."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    partial=True,
    group=("dataset", "activation"),
)
