"""Arpit eq. 5: mean pre-activation, row length and fraction against the strength."""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import style
from experiments.drawing.means import ACTIVATIONS, COLUMNS, ROWS, draw_table
from experiments.evidence import criteria, momentum
from experiments.evidence.claims import decide, not_run
from experiments.evidence.curves import mean_over_seeds
from experiments.evidence.trends import (
    Sweep,
    fall_verdict,
    follows,
    lacking,
    rank,
    sweeps,
)
from experiments.figures.arpit.common import OBJECTIVES
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import COMMON_RATE, DATA
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A14": "unit rows: E[a_j] falls with the strength",
    "A16": "unconstrained rows, CAE and mDAE: rows shorten with the strength, and "
    "(E[a_j] − a_min)/sd(a_j) says how often units are active",
    "A21": "rows of length 1, CAE: E[a_j] falls with softplus and does not depend on λ with ReLU",
}
GROUP = ("dataset", "activation", "constraint", "learning_rate", "momentum")
# A14: what it says of which pairs, by activation.
_BACKED = {"relu": ("sae",), "sigmoid": ("sae",), "softplus": ("sae", "cae")}
_SHORTENED = ("cae", "mdae")  # A16
_EMPIRICAL = {"relu": (), "sigmoid": ("dae", "cae"), "softplus": ("dae",)}


def runs(plan: Plan) -> list[GridSpec]:
    """All objectives, activations and constraints; for A21, ReLU CAE with less momentum too."""
    common = needed(plan._replace(learning_rate=COMMON_RATE), ("cae",), "relu", "unit-rescale")
    without = [
        spec._replace(momentum=0.0, learning_rate=round(10 * spec.learning_rate, 9))
        for spec in needed(plan, ("cae",), "relu", "unit-rescale")
    ]
    return list(dict.fromkeys([*_usual(plan), *common, *without]))


def _usual(plan: Plan) -> list[GridSpec]:
    return [s for c in ROWS for a in ACTIVATIONS for s in needed(plan, OBJECTIVES, a, c)]


def _said(spec: GridSpec) -> str:
    model = f"{style.label(spec.objective)} with {ACTIVATIONS[spec.activation]}"
    return f"{model}, {ROWS[spec.constraint]} rows"


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
    if spec.constraint == "free" and spec.objective in _SHORTENED:
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
        else not_run(claim, spec.dataset, statement, sweep.count)
        for claim, statement, decider in asked
    ]


def _a14(claim: str, statement: str, sweep: Sweep) -> Verdict:
    """E[a_j] falls; beside it the measured sign of ∂R/∂b_j."""
    verdict = fall_verdict(claim, statement, sweep)
    positive = sweep.values("pushed_down")
    if verdict.verdict == "not run" or positive is None:
        return verdict
    shares = mean_over_seeds(positive[:, 1:])  # of the regularized models
    shares = shares[np.isfinite(shares)]
    if not len(shares):
        return verdict
    number = (
        f"share of units with ∂R/∂b_j > 0 after training {shares.mean():.3f} "
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
        return lacking(claim, statement, sweep, "threshold_distance")
    curve = sweep.curve
    together = follows(distance, curve, "rank correlation")
    moves = criteria.moves(curve, "range of the fraction")
    verdict = decide(claim, statement, [together], [curve], given=moves)
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
        return lacking(claim, statement, sweep, "preactivation_deviation")
    curve = sweep.curve
    acts = momentum.effective(curve, momentum.feedback(sweep.runs, curve))
    counted = momentum.counted(sweep.runs, curve)
    kept = np.where(np.isnan(counted.fraction), np.nan, means)
    shift, alive = criteria.largest_shift(kept, deviations), criteria.active(curve)
    verdict = decide(claim, statement, [shift], [counted], given=alive)
    largest = curve.strengths[np.isfinite(counted.fraction).all(axis=0)].max(initial=0.0)
    return verdict._replace(
        numbers=f"{verdict.numbers}; over the models up to λ = {largest:g}, with an effective "
        f"momentum of at most {momentum.COUNTED:g} (at λ = 1: {np.max(acts[:, -1]):.3f})"
    )


def _ends(values: np.ndarray) -> tuple[float, float]:
    """The mean over seeds at the first and the last strength where it is finite."""
    mean = mean_over_seeds(values)
    finite = mean[np.isfinite(mean)]
    return (finite[0], finite[-1]) if len(finite) else (np.nan, np.nan)


def draw(runs: Mapping, plan: Plan):
    """A block per data set: a row per activation and constraint, a column per quantity."""
    return draw_table(_drawn(runs, plan), plan.scale.datasets, OBJECTIVES)


def _drawn(runs: Mapping, plan: Plan) -> list[Sweep]:
    """The sweeps at the usual rate and momentum of which some seed is stored."""
    usual = {spec: runs.get(spec) for spec in _usual(plan)}
    stored = [sweep.stored for sweep in sweeps(usual)]
    return [sweep for sweep in stored if sweep.runs]


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows, and how far mean biases are from E[a_j]."""
    found, scale = _drawn(runs, plan), plan.scale
    rates = ", ".join(
        f"{DATA[d].title} {plan.learning_rate or DATA[d].learning_rate:g}" for d in scale.datasets
    )
    gaps = [np.abs(s.values("bias_mean") - s.values("preactivation_mean")) for s in found]
    gap = max((np.nanmax(g) for g in gaps if np.isfinite(g).any()), default=np.nan)
    total = len(scale.datasets) * len(OBJECTIVES) * len(ACTIVATIONS) * len(ROWS)
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
                + "; ".join(_course(sweep, name, title) for name, title in COLUMNS.items())
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
    place="Section 2.1.1, mean pre-activations",
    says=(
        "An update changes E[a_j] by −η times the bias gradients of reconstruction and "
        "penalty (eq. 5). With rows of fixed length a larger λ should therefore lower E[a_j] "
        "where the penalty's bias gradient is positive, and not change it where that is zero; "
        "with unconstrained rows λ acts through the rows' lengths, unpredictably."
    ),
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
