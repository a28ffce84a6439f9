"""Arpit eq. 5: mean pre-activation, row length and fraction against the strength."""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import style
from experiments.evidence.claims import decide
from experiments.evidence.curves import mean_over_seeds
from experiments.evidence.trends import (
    Sweep,
    fall_verdict,
    follows,
    range_of,
    rank,
    shift,
    sweeps,
)
from experiments.figures.arpit.common import OBJECTIVES
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import COMMON_RATE, DATA, STRENGTHS
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A14": "unit rows: E[a_j] falls with the strength",
    "A16": "unconstrained rows, CAE and mDAE: rows shorten with the strength, and "
    "(E[a_j] − a_min)/sd(a_j) says how often units are active",
    "A21": "rows of length 1, CAE: E[a_j] falls with softplus and does not depend on λ with ReLU",
}
ACTIVATIONS = ("relu", "sigmoid", "softplus")
CONSTRAINTS = ("unit", "unit-rescale", "free")
GROUP = ("dataset", "activation", "constraint", "learning_rate", "momentum")
# A14: what it says of which pairs, by activation.
_BACKED = {"relu": ("sae",), "sigmoid": ("sae",), "softplus": ("sae", "cae")}
_EMPIRICAL = {"relu": (), "sigmoid": ("dae", "cae"), "softplus": ("dae",)}
_LENGTHENED = {"cae": 2, "mdae": 4}  # radial gradient along a unit row, in slopes squared
_STABLE = 0.92  # largest effective momentum of the models that A1 counts
_ROWS = {"unit": "unit rows", "unit-rescale": "rescaled rows", "free": "unconstrained rows"}
_SHORT = {"unit": "unit", "unit-rescale": "rescaled", "free": "unconstrained"}
_NAMES = {"relu": "ReLU", "sigmoid": "sigmoid", "softplus": "softplus"}
_COLUMNS = {
    "preactivation_mean": "mean E[a_j]",
    "activation_fraction": "activation fraction",
    "row_length_mean": "mean row length",
}
_TICKS = {
    "preactivation_mean": ([-3, -1, 0, 1], ["−3", "−1", "0", "1"]),
    "activation_fraction": ([0, 0.5, 1], ["0", "0.5", "1"]),
    "row_length_mean": ([0.3, 1, 3], ["0.3", "1", "3"]),
}


def runs(plan: Plan) -> list[GridSpec]:
    """All objectives, activations and constraints; for A21, ReLU CAE with less momentum too."""
    common = needed(plan._replace(learning_rate=COMMON_RATE), ("cae",), "relu", "unit-rescale")
    without = [
        spec._replace(momentum=0.0, learning_rate=round(10 * spec.learning_rate, 9))
        for spec in needed(plan, ("cae",), "relu", "unit-rescale")
    ]
    return list(dict.fromkeys([*_usual(plan), *common, *without]))


def _usual(plan: Plan) -> list[GridSpec]:
    return [s for c in CONSTRAINTS for a in ACTIVATIONS for s in needed(plan, OBJECTIVES, a, c)]


def _said(spec: GridSpec) -> str:
    return f"{style.label(spec.objective)} with {_NAMES[spec.activation]}, {_ROWS[spec.constraint]}"


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """A14, A16 and A21 for the objectives of one activation, constraint and rate."""
    return [verdict for sweep in sweeps(runs) for verdict in _of_sweep(sweep)]


def _of_sweep(sweep: Sweep) -> list[Verdict]:
    """What is claimed of one sweep; "not run" where runs or variables are missing."""
    spec = sweep.spec
    asked = []
    if spec.constraint == "unit":
        for kind, pairs in (("backed by a corollary", _BACKED), ("empirical", _EMPIRICAL)):
            if spec.objective in pairs[spec.activation]:
                asked.append(("A14", f"E[a_j] falls, {_said(spec)} ({kind})", _a14))
    if spec.constraint == "free" and spec.objective in _LENGTHENED:
        asked += [
            ("A16", f"rows shorten, {_said(spec)}", _a16_length),
            ("A16", f"(E[a_j] − a_min)/sd(a_j) orders the fractions, {_said(spec)}", _a16_distance),
        ]
    if spec.objective == "cae" and spec.constraint != "free":
        if spec.activation == "softplus":
            asked.append(("A21", f"E[a_j] falls, {_said(spec)}", fall_verdict))
        if spec.activation == "relu" and spec.constraint == "unit-rescale":
            rate = f"rate {spec.learning_rate:g}, momentum {spec.momentum:g}"
            asked.append(("A21", f"E[a_j] does not depend on λ, {_said(spec)}, {rate}", _a21_relu))
    return [
        decider(claim, statement, sweep)
        if sweep.complete
        else Verdict(claim, spec.dataset, statement, "not run", sweep.count)
        for claim, statement, decider in asked
    ]


def _not_stored(claim: str, statement: str, sweep: Sweep, name: str) -> Verdict:
    return Verdict(claim, sweep.spec.dataset, statement, "not run", f"the runs do not store {name}")


def _a14(claim: str, statement: str, sweep: Sweep) -> Verdict:
    """E[a_j] falls; beside it the measured sign of ∂R/∂b_j."""
    verdict = fall_verdict(claim, statement, sweep)
    positive = sweep.values("history_pressure_positive")
    if verdict.verdict == "not run" or positive is None:
        return verdict
    shares = mean_over_seeds(positive[:, 1:, -1])  # of the regularized models
    shares = shares[np.isfinite(shares)]
    if not len(shares):
        return verdict
    number = (
        f"share of units with ∂R/∂b_j > 0 at the last epoch {shares.mean():.3f} "
        f"({shares.min():.3f} to {shares.max():.3f} over λ)"
    )
    return verdict._replace(numbers=f"{verdict.numbers}; {number}")


def _a16_length(claim: str, statement: str, sweep: Sweep) -> Verdict:
    curve, lengths = sweep.curve, sweep.values("row_length_mean")
    verdict = decide(claim, statement, [rank(curve.strengths, lengths)], [curve])
    first, last = _ends(lengths)
    return verdict._replace(numbers=f"{verdict.numbers}; mean length {first:.3f} → {last:.3f}")


def _a16_distance(claim: str, statement: str, sweep: Sweep) -> Verdict:
    """Decided where the fraction moves; a unit with constant a_j leaves its model out."""
    distance = sweep.values("threshold_distance")
    if distance is None:
        return _not_stored(claim, statement, sweep, "threshold_distance")
    curve = sweep.curve
    moves, together = range_of(curve), follows(distance, curve, "rank correlation")
    verdict = decide(claim, statement, [moves, together], [curve])
    if not (moves.decided and moves.holds):
        verdict = verdict._replace(verdict="inconclusive")
    first, last = _ends(distance)
    numbers = f"{verdict.numbers}; (E[a_j] − a_min)/sd(a_j) {first:.3f} → {last:.3f}"
    lost = int(np.sum(~np.isfinite(distance) & ~curve.flagged))
    if lost:
        numbers += f"; without {lost} models in which a unit has a constant a_j"
    return verdict._replace(numbers=numbers)


def _a21_relu(claim: str, statement: str, sweep: Sweep) -> Verdict:
    """A1's criterion for E[a_j], on the models whose effective momentum is near the usual one."""
    means, deviations = sweep.values("preactivation_mean"), sweep.values("preactivation_deviation")
    if deviations is None:
        return _not_stored(claim, statement, sweep, "preactivation_deviation")
    curve = sweep.curve
    momentum = effective_momentum(sweep.spec, curve.strengths, curve.fraction)
    counted = momentum <= _STABLE
    change = shift(np.where(counted, means, np.nan), deviations)
    verdict = decide(claim, statement, [change], [curve])
    largest = curve.strengths[counted.all(axis=0)].max(initial=0.0)
    return verdict._replace(
        numbers=f"{verdict.numbers}; over the models up to λ = {largest:g}, with an effective "
        f"momentum of at most {_STABLE:g} (at λ = 1: {np.nanmax(momentum[:, -1]):.3f})"
    )


def effective_momentum(spec: GridSpec, strengths: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """μ/(1 − V) of CAE or mDAE with ReLU and rows rescaled only; infinite from V = 1 on.

    V = c η λ p/(1 − μ): what a steady turn of a row gains from the radial gradients stored in the
    momentum. `strengths` λ `[G]`, `fraction` p `[S, G]`; returns `[S, G]`.
    """
    rate = _LENGTHENED[spec.objective] * spec.learning_rate
    gain = rate * strengths * fraction / (1 - spec.momentum)
    return np.where(gain < 1, spec.momentum / np.where(gain < 1, 1 - gain, 1), np.inf)


def _ends(values: np.ndarray) -> tuple[float, float]:
    """The mean over seeds at the first and the last strength where it is finite."""
    mean = mean_over_seeds(values)
    finite = mean[np.isfinite(mean)]
    return (finite[0], finite[-1]) if len(finite) else (np.nan, np.nan)


def draw(runs: Mapping, plan: Plan):
    """A block per data set: a row per activation and constraint, a column per quantity."""
    from matplotlib.figure import Figure as Picture
    from matplotlib.text import Text

    found = _drawn(runs, plan)
    settings = [(a, c) for c in CONSTRAINTS for a in ACTIVATIONS]
    picture = Picture(figsize=(6.4, 19.5), layout="constrained")
    blocks = picture.subfigures(len(plan.scale.datasets), 1)
    for block, dataset in zip(blocks, plan.scale.datasets, strict=True):
        block.suptitle(DATA[dataset].title, fontsize=11)
        axes = block.subplots(len(settings), len(_COLUMNS), sharex=True, sharey="col")
        _scales(axes, found)
        for row, (activation, constraint) in zip(axes, settings, strict=True):
            here = (dataset, activation, constraint)
            shown = [
                s for s in found if (s.spec.dataset, s.spec.activation, s.spec.constraint) == here
            ]
            row[0].set_ylabel(f"{_NAMES[activation]}\n{_SHORT[constraint]}", fontsize=8)
            for axis, (name, _) in zip(row, _COLUMNS.items(), strict=True):
                if name == "row_length_mean" and constraint != "free":
                    axis.set_axis_off()
                    _say(axis, 0.5, "rows of length 1")
                else:
                    _draw_panel(axis, shown, name)
    style.legend_of(picture, axes.flat)
    for text in picture.findobj(Text):
        text.set_fontfamily("DejaVu Sans")  # not a list of fonts, with every text of the SVG
    return picture


def _drawn(runs: Mapping, plan: Plan) -> list[Sweep]:
    """The sweeps at the usual rate and momentum of which some seed is stored."""
    usual = {spec: runs.get(spec) for spec in _usual(plan)}
    stored = [sweep.stored for sweep in sweeps(usual)]
    return [sweep for sweep in stored if sweep.runs]


def _shown(sweep: Sweep, name: str) -> np.ndarray:
    """What a panel shows: E[a_j] in deviations of a_j at strength 0, the others as they are."""
    values = sweep.values(name)
    if name == "preactivation_mean":
        values = values / np.sqrt(sweep.values("preactivation_variance")[:, :1])
    return values


def _scales(axes, found: list[Sweep]) -> None:
    """The scales of a block, which all blocks have: σ² across, a quantity per column."""
    style.strength_axis(axes[0][0], np.array(STRENGTHS))
    axes[0][0].set_xticks([0, 0.25, 1], ["0", "0.25", "1"])
    for column, (name, title) in enumerate(_COLUMNS.items()):
        axis = axes[0][column]
        axis.set_title(title, fontsize=8)
        values = [mean_over_seeds(_shown(sweep, name)) for sweep in found]
        known = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
        low, high = (known.min(), known.max()) if len(known) else (1, 1)
        if name == "activation_fraction":
            axis.set_ylim(-0.03, 1.03)
        elif name == "row_length_mean":
            axis.set_yscale("log")
            axis.set_ylim(min(low, 0.5) / 1.3, max(high, 2) * 1.3)
        else:
            axis.set_yscale("asinh", linear_width=0.5)
            axis.set_ylim(1.3 * min(low, -1), 1.3 * max(high, 1))
        axis.set_yticks(*_TICKS[name])
        axis.minorticks_off()
    for axis in axes.flat:
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.tick_params(labelsize=7, left=False)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[:-1].flat:
        axis.xaxis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("σ² (spaced by σ)", fontsize=8)


def _draw_panel(axis, shown: list[Sweep], name: str) -> None:
    """A quantity of the objectives of one setting; missing and diverged ones named."""
    for sweep in shown:
        mean = mean_over_seeds(_shown(sweep, name))
        style.draw_quantity(axis, sweep.spec.objective, sweep.curve.strengths, mean)
    missing = [o for o in OBJECTIVES if o not in {s.spec.objective for s in shown}]
    if len(missing) == len(OBJECTIVES):
        _say(axis, 0.5, "not run")
    elif missing:
        _say(axis, 0.9, f"not run: {', '.join(map(style.label, missing))}")
    lost = [s for s in shown if s.curve.flagged.any()]
    for i, sweep in enumerate(lost):
        where = sweep.curve.strengths[sweep.curve.flagged.any(axis=0)]
        style.mark_diverged(axis, sweep.spec.objective, where, 0.06 + 0.11 * i)


def _say(axis, height: float, text: str) -> None:
    axis.text(
        0.5, height, text, transform=axis.transAxes, ha="center", va="center", fontsize=7,
        color="#555555",
    )  # fmt: skip


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows, and how far mean biases are from E[a_j]."""
    found, scale = _drawn(runs, plan), plan.scale
    rates = ", ".join(
        f"{DATA[d].title} {plan.learning_rate or DATA[d].learning_rate:g}" for d in scale.datasets
    )
    gaps = [np.abs(s.values("bias_mean") - s.values("preactivation_mean")) for s in found]
    gap = max((np.nanmax(g) for g in gaps if np.isfinite(g).any()), default=np.nan)
    total = len(scale.datasets) * len(OBJECTIVES) * len(ACTIVATIONS) * len(CONSTRAINTS)
    return (
        scale.caveat
        + "Mean over units of E[a_j], in root mean square deviations of a_j at σ² = 0 (axis linear "
        "near 0, logarithmic far from it), activation fraction, and mean row length (logarithmic) "
        f"after {scale.epochs} epochs against σ². On data of mean 0 the mean bias is the mean of "
        f"E[a_j] (largest difference {gap:.1g}), so one line shows both. Crosses: strengths at "
        "which a model of the objective named diverged or collapsed; it is left out. "
        f"{len(found)} of {total} combinations are stored. m = {scale.hidden}, "
        f"N = {scale.samples}, batch {scale.batch_size}, learning rate {rates}; "
        f"mean over {plan.seeds} seed{'s' * (plan.seeds > 1)}."
    )


def explain(runs: Mapping, verdict: Verdict) -> list[str]:
    """The quantities at the ends and their extremes in between, of the sweep concerned."""
    for sweep in sweeps(runs):
        if sweep.complete and verdict.statement in {v.statement for v in _of_sweep(sweep)}:
            return [
                "With the strength, "
                + "; ".join(_course(sweep, name, title) for name, title in _COLUMNS.items())
                + "."
            ]
    return []


def _course(sweep: Sweep, name: str, title: str) -> str:
    mean, (first, last) = mean_over_seeds(sweep.values(name)), _ends(sweep.values(name))
    known = mean[np.isfinite(mean)]
    between = f"between {known.min():.3f} and {known.max():.3f}" if len(known) else "all diverged"
    return f"the {title} goes from {first:.3f} to {last:.3f} ({between})"


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    partial=True,
    partly=True,
    group=GROUP,
)
