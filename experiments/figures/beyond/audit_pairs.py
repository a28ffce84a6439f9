"""Audit: 24 activation-penalty pairs, predicted and trained."""

import functools

from aesparse.data import load, standardize
from aesparse.losses.penalties import get_penalty
from aesparse.models.activations import get_activation
from aesparse.theory.audit import audit
from aesparse.theory.conclusion import INDIFFERENT, NO_EFFECT, NOT_GUARANTEED, SPARSIFIES, Audit
from experiments.drawing import style
from experiments.evidence.curves import Curve, collect, direction
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA, STRENGTHS
from experiments.pipeline.spec import GridSpec

CLAIMS = {"audit": "what the audit predicts of a pair happens"}
SCALES = ("quick",)
DATASET = "digits"
ACTIVATIONS = ("relu", "softplus", "sigmoid", "gelu", "elu+1", "hard-sigmoid")
PENALTIES = ("cae", "sae", "mean-square", "weight-decay")
# What a prediction must meet; "not guaranteed" abstains.
EXPECTED = {SPARSIFIES: "decreasing", INDIFFERENT: "flat", NO_EFFECT: "flat"}


def runs(plan: Plan) -> list[GridSpec]:
    """Every pair on digits under unit rows, and the shared strength-0 models."""
    return [
        spec
        for activation in ACTIVATIONS
        for spec in needed(plan, PENALTIES, activation, "unit", datasets=(DATASET,))
    ]


@functools.cache
def audits(samples: int) -> dict[tuple[str, str], Audit]:
    """What is said of every pair from its activation, its penalty and the training data."""
    pixels = load(DATASET, samples=samples).train
    X = standardize(pixels, DATA[DATASET].epsilon)(pixels)
    return {
        (s, r): audit(get_activation(s), get_penalty(r), X, largest_strength=max(STRENGTHS))
        for s in ACTIVATIONS
        for r in PENALTIES
    }


def _curves(runs) -> dict[tuple[str, str], Curve]:
    return {(c.activation, c.objective): c for c in collect(runs)}


def _outcome(conclusion: str, curve: Curve) -> str:
    if conclusion == NOT_GUARANTEED:
        return "abstained"
    kind = direction(curve)
    if kind == "inconclusive":
        return kind
    return "right" if kind == EXPECTED[conclusion] else "wrong"


def verdicts(runs, dataset: str) -> list[Verdict]:
    """One line a pair: predicted, trained, and whether they agree."""
    said = audits(next(iter(runs)).samples)
    return [
        Verdict(
            "audit",
            dataset,
            f"{s} with {style.label(r)}: predicted {said[s, r].conclusion}",
            _outcome(said[s, r].conclusion, curve),
            f"trained {direction(curve)}: fraction {_span(curve)}; {said[s, r].reason}",
        )
        for (s, r), curve in _curves(runs).items()
    ]


def _span(curve: Curve) -> str:
    mean = curve.mean
    return f"{mean[0]:.3f} → {mean[-1]:.3f}"


def caption(runs, plan: Plan) -> str:
    """What the picture shows, with the count of right predictions."""
    outcomes = [v.verdict for v in verdicts(runs, DATASET)]
    said = outcomes.count("right") + outcomes.count("wrong")
    first = next(iter(runs))
    return (
        f"Average activation fraction (thick, mean and min–max over {plan.seeds} seeds) and dead "
        f"units (thin) against the strength for 24 pairs on {DATA[DATASET].title}; rows of unit "
        f"length, m = {first.hidden}, N = {first.samples}, {first.epochs} epochs, learning rate "
        f"{first.learning_rate:g}. The audit, which trains nothing, abstained on "
        f"{outcomes.count('abstained')} pairs and was right on {outcomes.count('right')} of the "
        f"other {said}."
    )


def draw(runs, plan: Plan):
    """Activations in columns, penalties in rows; the prediction above, wrong ones framed."""
    figure, axes = style.table(len(PENALTIES), len(ACTIVATIONS))
    for (s, r), curve in _curves(runs).items():
        axis = axes[PENALTIES.index(r)][ACTIVATIONS.index(s)]
        style.draw_curve(axis, curve, style.label(r))
        conclusion = audits(plan.scale.samples)[s, r].conclusion
        outcome = _outcome(conclusion, curve)
        style.remark(axis, f"{conclusion.split(':')[0]}\n{outcome}", outcome)
    for column, s in enumerate(ACTIVATIONS):
        axes[0][column].set_title(s, fontsize=9)
        axes[-1][column].set_xlabel("strength", fontsize=8)
    for row, r in enumerate(PENALTIES):
        axes[row][0].set_ylabel(f"{style.label(r)}\nshare active", fontsize=8)
    return figure


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
