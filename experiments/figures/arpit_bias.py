"""Arpit section 3: do mean pre-activations, moved by the bias, decide the activation fraction?"""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from experiments import claims, criteria, style
from experiments.claims import Verdict
from experiments.curves import cells, collect, needed
from experiments.figures.arpit_fig1 import OBJECTIVES
from experiments.protocol import DATA, Plan
from experiments.runs import RunSpec

CLAIMS = ("A8", "A10")
ACTIVATIONS = ("relu", "sigmoid", "softplus")
GROUP = ("dataset", "activation")
_FURTHER = ("edae", "dae-antithetic", "dae2", "dae2-kink", "cae-h")  # trained for other figures


def runs(plan: Plan) -> list[RunSpec]:
    """The unit-row runs of Figures 1 and 4 and of the softplus figure."""
    return [s for a in ACTIVATIONS for s in needed(plan, OBJECTIVES, a, "unit")]


def further(plan: Plan) -> list[RunSpec]:
    """The unit-row runs of other figures, which `explain` sees where they are stored."""
    return [s for a in ACTIVATIONS for s in needed(plan, _FURTHER, a, "unit")]


def _by_objective(
    found: Mapping, dataset: str, activation: str, name: str, objectives=OBJECTIVES
) -> dict:
    """A variable of the unit-row cells of a data set and activation, flagged ones NaN; [S, K]."""
    parts: dict[str, np.ndarray] = {}
    for objective in objectives:
        where = (dataset, activation, objective)
        specs = [s for s in found if (s.dataset, s.activation, s.objective) == where]
        values, lost = (cells(found, specs, n) for n in (name, "flagged_epoch"))
        kept = np.where(lost >= 0, np.nan, values)
        parts |= {"ae": kept[:, :1], objective: kept[:, 1:]}  # the shared cell once
    return parts


def _rank(found: Mapping, dataset: str, activation: str, objectives=OBJECTIVES):
    """A8's criterion over all unit-row cells of these objectives."""
    mean, fraction = (
        np.hstack(list(_by_objective(found, dataset, activation, name, objectives).values()))
        for name in ("preactivation_mean", "activation_fraction")
    )
    return criteria.rank_correlation(mean, fraction, claims.BIAS_RANK)


def _flagged_strengths(found: Mapping, dataset: str, activation: str) -> int:
    """Of the objective that loses cells at the most strengths."""
    chosen = {s: r for s, r in found.items() if (s.dataset, s.activation) == (dataset, activation)}
    return max(curve.flagged_strengths for curve in collect(chosen))


def _matched(found: Mapping, dataset: str, activation: str) -> str:
    """How far each fraction comes back to AE's with moved biases, where the runs tell.

    Seeds whose model is flagged at σ² = 1, or whose unregularized model is, tell nothing.
    """
    told, own = [], {}
    for objective in OBJECTIVES:
        chosen = [
            s
            for s, run in found.items()
            if (s.dataset, s.activation, s.objective) == (dataset, activation, objective)
            and "matched_activation_fraction" in run
            and max(r["flagged_epoch"].values[-1] for r in (run, found[s.baseline])) < 0
        ]
        if chosen:
            before, after = (
                np.mean([float(found[s][n][-1]) for s in chosen])
                for n in ("activation_fraction", "matched_activation_fraction")
            )
            told.append(f"{style.label(objective)} {before:.3f} → {after:.3f}")
            own |= {s: float(found[s.baseline]["activation_fraction"][0]) for s in chosen}
    if not told:
        return "; with AE's E[a_j] by moved biases: not measured"
    plain = np.mean(list(own.values()))
    return f"; with AE's E[a_j] by moved biases at σ² = 1 (AE {plain:.3f}): {', '.join(told)}"


def draw(found, plan: Plan):
    """Fraction against the cell's mean E[a_j], a panel per data set and activation."""
    figure, axes = style.table(2, len(ACTIVATIONS), sharex=False)
    figure.set_size_inches(9, 6.2)
    for row, dataset in enumerate(plan.scale.datasets):
        for column, activation in enumerate(ACTIVATIONS):
            axis = axes[row][column]
            x, y = (
                _by_objective(found, dataset, activation, n)
                for n in ("preactivation_mean", "activation_fraction")
            )
            for objective in (*OBJECTIVES, "ae"):  # AE's few marks above the others
                style.draw_cells(axis, objective, x[objective], y[objective])
            axis.set_title(f"{DATA[dataset].title}, {activation}", fontsize=9)
            axis.margins(x=0.08)
            axis.xaxis.set_major_locator(style.few_ticks())
            axis.set_xlabel("mean E[a_j] of the cell" if row else "", fontsize=8)
        axes[row][0].set_ylabel("activation fraction", fontsize=8)
    axes[0][0].set_ylim(-0.03, 1.03)
    names = axes[0][0].get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=len(names[1]), frameon=False)
    return figure


def caption(found, plan: Plan) -> str:
    """What the picture shows."""
    scale = plan.scale
    return (
        scale.caveat
        + "Activation fraction of the unit-row cells of AE, DAE, CAE, mDAE, SAE (12 strengths; "
        f"{plan.seeds} seed{'s' * (plan.seeds > 1)}) against the mean over its units of E[a_j], "
        f"one mark each; flagged cells left out; m = {scale.hidden}, N = {scale.samples}, "
        f"{scale.epochs} epochs."
    )


def verdicts(found, dataset: str) -> list[Verdict]:
    """A8 and A10 on one data set, for each activation."""
    decided = []
    for activation in dict.fromkeys(spec.activation for spec in found):
        rank, met = _rank(found, dataset, activation), _condition(found, dataset, activation)
        names = ", ".join(map(style.label, ("ae", *OBJECTIVES)))
        statement = f"fraction follows E[a_j] over the cells of {names}, {activation}"
        verdict = claims.settle("A8", dataset, statement, [rank], len(met))
        lost = _flagged_strengths(found, dataset, activation)
        verdict = claims.unless_flagged(verdict, lost)
        numbers = verdict.numbers + _matched(found, dataset, activation)
        decided.append(verdict._replace(numbers=numbers))
        share = criteria.mean_at_least(
            met, claims.CONDITION_MET, "share of (cell, unit, epoch) that meet it"
        )
        statement = f"Theorem 1's condition is met in these runs, {activation}"
        condition = claims.settle("A10", dataset, statement, [share], len(met))
        decided.append(claims.unless_flagged(condition, lost))
    return decided


def explain(found, verdict: Verdict) -> list[str]:
    """A8: the correlation in parts; A10: how far Theorem 1's condition is away."""
    activation = verdict.statement.rsplit(", ", 1)[1]
    where = (verdict.dataset, activation)
    if verdict.claim == "A10":
        told = []
        for objective in OBJECTIVES:
            runs = [
                (run["history_pressure_largest"].values, run["flagged_epoch"].values >= 0)
                for s, run in found.items()
                if (s.dataset, s.activation, s.objective) == (*where, objective)
            ]
            kept = [np.where(lost[:, None], np.nan, values) for values, lost in runs]
            told.append(f"{style.label(objective)} {np.nanmax(kept):.2g}")
        return [
            "The largest ratio, over units, strengths, seeds and recorded epochs, of λ∂R/∂b_j to "
            "Theorem 1's bound, both on the first 1,000 training samples (for a DAE with one draw "
            f"of its noise); the condition asks for more than 1: {', '.join(told)}."
        ]
    told = []
    means, fractions = (
        _by_objective(found, *where, n) for n in ("preactivation_mean", "activation_fraction")
    )
    for objective in OBJECTIVES:
        mean, fraction = (np.hstack([v["ae"], v[objective]]) for v in (means, fractions))
        rank = criteria.rank_correlation(mean, fraction, claims.BIAS_RANK).value
        wide = np.nanmax(fraction) - np.nanmin(fraction)
        told.append(f"{style.label(objective)} {rank:.3f} (fractions over {wide:.3f})")
    sentences = [
        f"Over the cells of one objective alone the rank correlation is {', '.join(told)}."
    ]
    here = [c for c in collect(found) if (c.dataset, c.activation) == where]
    flat = {c.objective for c in here if criteria.classify(c) == "flat"}
    moving = [objective for objective in OBJECTIVES if objective not in flat]
    if 0 < len(moving) < len(OBJECTIVES):
        names = ", ".join(style.label(o) for o in OBJECTIVES if o in flat)
        without = _rank(found, *where, moving).measured
        sentences.append(f"Without {names}, whose curves are flat: {without}.")
    by_seed = [
        f"{criteria.spearman(x, y):.3f}"
        for x, y in zip(*(np.hstack(list(v.values())) for v in (means, fractions)), strict=True)
    ]
    if len(by_seed) > 1:
        sentences.append(
            f"Over all cells of one seed alone: {', '.join(by_seed)}; where seeds are pooled their "
            "offsets count too."
        )
    stored = Counter(s.objective for s in found if (s.dataset, s.activation) == where)
    others = [name for name in _FURTHER if stored[name] == stored[OBJECTIVES[0]]]
    if others:
        rank = _rank(found, *where, (*OBJECTIVES, *others))
        names = "; ".join(map(style.label, others))
        sentences.append(f"With the unit-row cells of {names}: {rank.measured}.")
    return sentences


def _condition(found: Mapping, dataset: str, activation: str) -> np.ndarray:
    """The share of units that meet Theorem 1's condition; flagged cells NaN; [S, K, E + 1]."""
    by_seed: dict[int, list] = {}
    for spec, run in found.items():
        if (spec.dataset, spec.activation) == (dataset, activation) and spec != spec.baseline:
            lost = run["flagged_epoch"].values >= 0
            met = run["history_pressure_share"].values
            by_seed.setdefault(spec.seed, []).append(np.where(lost[:, None], np.nan, met))
    return np.stack([np.concatenate(parts) for _, parts in sorted(by_seed.items())]).astype(float)
