"""Arpit section 3: do mean pre-activations, moved by the bias, decide the activation fraction?"""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.drawing import style
from experiments.evidence import claims, criteria, curves
from experiments.evidence.curves import cells, collect
from experiments.figures.arpit.common import OBJECTIVES
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A8": "the mean pre-activation decides a model's fraction",
    "A10": "Theorem 1's condition is met",
}
ACTIVATIONS = ("relu", "sigmoid", "softplus")
GROUP = ("dataset", "activation")
# The share of models with the lowest E[a_j] that get a strip of their own where all others need
# less than 1/4 of the axis; the strip's distance from them, in widths of the rest.
_OUTSIDE, _STRETCHED, _STRIP = 0.1, 4, 0.08
_ALSO = ("edae", "dae-antithetic", "dae2", "dae2-kink", "cae-h")


def runs(plan: Plan) -> list[GridSpec]:
    """The unit-row runs of Figures 1 and 4 and of the softplus figure."""
    return [s for a in ACTIVATIONS for s in needed(plan, OBJECTIVES, a, "unit")]


def also(plan: Plan) -> list[GridSpec]:
    """The unit-row runs of other figures: A8 is said of all such cells."""
    return [s for a in ACTIVATIONS for s in needed(plan, _ALSO, a, "unit")]


def _present(runs: Mapping, dataset: str, activation: str) -> list[str]:
    """The objectives whose runs are here."""
    here = {s.objective for s in runs if (s.dataset, s.activation) == (dataset, activation)}
    return [name for name in (*OBJECTIVES, *_ALSO) if name in here]


def _by_objective(
    runs: Mapping,
    dataset: str,
    activation: str,
    name: str,
    objectives: Sequence[str] | None = None,
) -> dict:
    """A variable of the unit-row models of a data set and activation, flagged ones NaN; [S, K]."""
    parts: dict[str, np.ndarray] = {}
    for objective in objectives or _present(runs, dataset, activation):
        where = (dataset, activation, objective)
        specs = [s for s in runs if (s.dataset, s.activation, s.objective) == where]
        values, lost = (cells(runs, specs, n) for n in (name, "flagged_epoch"))
        finite = np.where(lost >= 0, np.nan, values)
        parts |= {"ae": finite[:, :1], objective: finite[:, 1:]}  # the shared cell once
    return parts


def _rank(
    runs: Mapping, dataset: str, activation: str, objectives: Sequence[str] | None = None
) -> criteria.Criterion:
    """A8's criterion over all unit-row models, or those of some objectives."""
    mean, fraction = (
        np.hstack(list(_by_objective(runs, dataset, activation, name, objectives).values()))
        for name in ("preactivation_mean", "activation_fraction")
    )
    return criteria.rank_correlation(mean, fraction, claims.BIAS_RANK)


def _parts(runs: Mapping, dataset: str, activation: str) -> str:
    """Whose cells these are, and the number over Figure 1's objectives alone."""
    present = _present(runs, dataset, activation)
    text = f"; models of {'; '.join(map(style.label, ('ae', *present)))}"
    if len(present) > len(OBJECTIVES):
        of_figure_1 = _rank(runs, dataset, activation, OBJECTIVES).measured
        text += f"; over Figure 1's objectives alone {of_figure_1}"
    return text


def _flagged_strengths(runs: Mapping, dataset: str, activation: str, objectives) -> int:
    """Of the one of these objectives that loses cells at the most strengths."""
    here = [c for c in collect(runs) if (c.dataset, c.activation) == (dataset, activation)]
    return max(curve.flagged_strengths for curve in here if curve.objective in objectives)


def _matched(runs: Mapping, dataset: str, activation: str) -> str:
    """How far each fraction comes back to AE's with moved biases, where the runs tell.

    Seeds whose model is flagged at σ² = 1, or whose unregularized model is, tell nothing.
    """
    moves, own = [], {}
    for objective in _present(runs, dataset, activation):
        chosen = [
            s
            for s, run in runs.items()
            if (s.dataset, s.activation, s.objective) == (dataset, activation, objective)
            and "matched_activation_fraction" in run
            and max(r["flagged_epoch"].values[-1] for r in (run, runs[s.baseline])) < 0
        ]
        if chosen:
            before, after = (
                np.mean([float(runs[s][n][-1]) for s in chosen])
                for n in ("activation_fraction", "matched_activation_fraction")
            )
            moves.append(f"{style.label(objective)} {before:.3f} → {after:.3f}")
            own |= {s: float(runs[s.baseline]["activation_fraction"][0]) for s in chosen}
    if not moves:
        return "; biases moved so that E[a_j] is AE's: not measured"
    plain = np.mean(list(own.values()))
    return f"; biases moved so that E[a_j] is AE's, at σ² = 1 (AE {plain:.3f}): {'; '.join(moves)}"


def draw(runs, plan: Plan):
    """Fraction against the model's mean E[a_j], a panel per data set and activation."""
    figure, axes = style.table(2, len(ACTIVATIONS), sharex=False)
    figure.set_size_inches(8.4, 6)
    for row, dataset in enumerate(plan.scale.datasets):
        for column, activation in enumerate(ACTIVATIONS):
            axis = axes[row][column]
            _draw_panel(axis, runs, dataset, activation)
            name = style.activation_label(activation)
            axis.set_title(f"{DATA[dataset].title}, {name}", fontsize=10)
            axis.set_xlabel("mean E[a_j] of the model" if row else "", fontsize=9)
        axes[row][0].set_ylabel("activation fraction", fontsize=9)
    axes[0][0].set_ylim(-0.03, 1.03)
    marks = {}
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
        marks |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(
        marks.values(), marks, loc="outside lower center", ncols=min(len(marks), 5), frameon=False
    )
    return figure


def _draw_panel(axis, runs: Mapping, dataset: str, activation: str) -> None:
    """A mark per model; those far to the left stand in a strip of their own, with their number."""
    x, y = (
        _by_objective(runs, dataset, activation, n)
        for n in ("preactivation_mean", "activation_fraction")
    )
    every = np.concatenate([values.ravel() for values in x.values()])
    least, right = np.nanmin(every), np.nanmax(every)
    left = np.nanquantile(every, _OUTSIDE)
    axis.margins(x=0.08)
    if right - least > _STRETCHED * (right - left):
        strip = left - _STRIP * (right - left)
        x = {name: np.where(values < left, strip, values) for name, values in x.items()}
        text = f"← {np.sum(every < left)} models, to {least:.0f}".replace("-", "−")
        axis.axvline((left + strip) / 2, ymax=0.88, color="#000000", linewidth=0.8, linestyle=":")
        axis.text(0.02, 0.97, text, transform=axis.transAxes, va="top", fontsize=9)
    for objective in (*_present(runs, dataset, activation), "ae"):  # AE's few on top
        style.draw_cells(axis, objective, x[objective], y[objective])
    axis.xaxis.set_major_locator(style.few_ticks())


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    scale, seeds = plan.scale, f"{plan.seeds} seed{'s' * (plan.seeds > 1)}"
    return (
        scale.caveat
        + f"Activation fraction of all stored models with unit rows (12 strengths; {seeds}) "
        "against the mean over its units of E[a_j], one mark each; without models that diverged or "
        f"collapsed. Where {_OUTSIDE:.0%} of the models would take most of the axis, they stand "
        "left of the dotted line, at their fraction, and their number is given. "
        f"m = {scale.hidden}, N = {scale.samples}, {scale.epochs} epochs."
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A8 and A10 on one data set, for each activation."""
    decided = []
    for activation in dict.fromkeys(spec.activation for spec in runs):
        rank, met = _rank(runs, dataset, activation), _condition(runs, dataset, activation)
        statement = f"fraction follows E[a_j] over all unit-row models, {activation}"
        verdict = claims.settle("A8", dataset, statement, [rank], len(met))
        lost, first = (
            _flagged_strengths(runs, dataset, activation, objectives)
            for objectives in (_present(runs, dataset, activation), OBJECTIVES)
        )
        verdict = claims.unless_flagged(verdict, lost)
        details = _parts(runs, dataset, activation) + _matched(runs, dataset, activation)
        decided.append(verdict._replace(numbers=verdict.numbers + details))
        share = criteria.mean_at_least(
            met, claims.CONDITION_MET, "share of (model, unit, epoch) that meet it"
        )
        statement = f"Theorem 1's condition is met in these runs, {activation}"
        condition = claims.settle("A10", dataset, statement, [share], len(met))
        condition = claims.unless_flagged(condition, first)
        whose = "; ".join(map(style.label, OBJECTIVES))
        decided.append(condition._replace(numbers=f"{condition.numbers}; models of {whose}"))
    return decided


def explain(runs, verdict: Verdict) -> list[str]:
    """A8: the correlation in parts; A10: how far Theorem 1's condition is away."""
    activation = verdict.statement.rsplit(", ", 1)[1]
    where = (verdict.dataset, activation)
    if verdict.claim == "A10":
        largest = []
        for objective in OBJECTIVES:
            ratios = [
                (run["history_pressure_largest"].values, run["flagged_epoch"].values >= 0)
                for s, run in runs.items()
                if (s.dataset, s.activation, s.objective) == (*where, objective)
            ]
            finite = [np.where(lost[:, None], np.nan, values) for values, lost in ratios]
            largest.append(f"{style.label(objective)} {np.nanmax(finite):.2g}")
        return [
            "The largest ratio, over units, strengths, seeds and recorded epochs, of λ∂R/∂b_j to "
            "Theorem 1's bound, both on the first 1,000 training samples (for DAE with one noise "
            f"draw); the condition requires a ratio above 1: {', '.join(largest)}."
        ]
    correlations = []
    means, fractions = (
        _by_objective(runs, *where, n) for n in ("preactivation_mean", "activation_fraction")
    )
    present = _present(runs, *where)
    for objective in present:
        mean, fraction = (np.hstack([v["ae"], v[objective]]) for v in (means, fractions))
        rank = criteria.rank_correlation(mean, fraction, claims.BIAS_RANK).value
        wide = np.nanmax(fraction) - np.nanmin(fraction)
        correlations.append(f"{style.label(objective)} {rank:.3f} (fractions over {wide:.3f})")
    sentences = [
        f"Over the models of one objective alone the rank correlation is {'; '.join(correlations)}."
    ]
    here = [c for c in collect(runs) if (c.dataset, c.activation) == where]
    flat = {c.objective for c in here if curves.direction(c) == "flat"}
    moving = [objective for objective in present if objective not in flat]
    if 0 < len(moving) < len(present):
        names = "; ".join(style.label(o) for o in present if o in flat)
        without = _rank(runs, *where, moving).measured
        sentences.append(f"Without {names}, whose curves are flat: {without}.")
    by_seed = [
        f"{curves.spearman(x, y):.3f}"
        for x, y in zip(*(np.hstack(list(v.values())) for v in (means, fractions)), strict=True)
    ]
    if len(by_seed) > 1:
        sentences.append(
            f"Over all models of one seed alone: {', '.join(by_seed)}; pooling adds differences "
            "between seeds."
        )
    return sentences


def _condition(runs: Mapping, dataset: str, activation: str) -> np.ndarray:
    """The share of units that meet Theorem 1's condition; flagged cells NaN; [S, K, E + 1]."""
    by_seed: dict[int, list] = {}
    for spec, run in runs.items():
        if (spec.dataset, spec.activation) == (
            dataset,
            activation,
        ) and spec.objective in OBJECTIVES:
            lost = run["flagged_epoch"].values >= 0
            met = run["history_pressure_share"].values
            by_seed.setdefault(spec.seed, []).append(np.where(lost[:, None], np.nan, met))
    return np.stack([np.concatenate(parts) for _, parts in sorted(by_seed.items())]).astype(float)


FIGURE = Figure(
    about=__doc__,
    place="Section 3, the bias gradient dominates",
    says=(
        "The bias gradient of the penalty dominates the sparsity of the units, rather than "
        "the directions of the rows (sections 3.1, 3.2 and 4, point a). Theorem 1 gives a "
        "sufficient condition under which E[a_j] falls with every update."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    also=also,
    group=GROUP,
)
