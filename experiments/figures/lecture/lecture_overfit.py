"""Lecture: over-fitting of over-complete auto-encoders, and what regularization does against it.

Shapes: S seeds, K strengths, E epochs.
"""

import numpy as np

from experiments.evidence.bootstrap import Interval, mean_interval
from experiments.evidence.claims import settle
from experiments.evidence.criteria import Criterion, apart, over_seeds
from experiments.figures.lecture.common.errors import (
    errors_over_epochs,
    stopped,
)
from experiments.figures.lecture.common.training import options
from experiments.figures.lecture.common.views import draw_curves, draw_errors, draw_final
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study

CLAIMS = {
    "L5": "weight decay, tied weights, CAE and SAE reduce over-fitting",
    "L6": "over-complete auto-encoders over-fit more than under-complete ones",
}
SCALES = ("quick", "reduced")
# Data, hidden units of the over- and of the under-complete model, samples, epochs, batch size,
# digits of each held-out half, seeds (L5 asks for 5). The rate is the data set's own one.
_SIZES = {
    "quick": ("digits", 128, 16, 200, 150, 20, 175, 3),
    "reduced": ("mnist", 1_000, 100, 500, 150, 50, 1_000, 5),
}
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # four decades, of every penalty
# Every kind differs in one thing from the plain one: size, decoder or penalty.
_PENALTIES = {"decay": "weight decay", "cae": "CAE", "sae": "SAE"}
NAMES = {"plain": "plain", "small": "under-complete", "tied": "tied weights", **_PENALTIES}
SIZES = {"plain": "over-complete", "small": "under-complete"}
PARTS = ("train", "validation", "heldout")
RIVALS = ("decay", "tied", "cae", "sae")  # L5 compares each with the plain model


def runs(plan: Plan) -> list[Study]:
    """A study per kind of model, all strengths and seeds in one program."""
    dataset, hidden, few, samples, epochs, batch, half, seeds = _SIZES[plan.scale_name]
    seeds = max(plan.seeds, seeds)
    rate = plan.learning_rate or DATA[dataset].learning_rate
    studies = []
    for kind in NAMES:
        strengths = STRENGTHS if kind in _PENALTIES else (0.0,)
        units = few if kind == "small" else hidden
        shared = options(units, epochs, batch, rate)
        parts = (("kind", kind), ("strengths", strengths), ("seeds", seeds), ("half", half))
        work = 12 * seeds * samples * epochs * units * DATA[dataset].inputs * len(strengths)
        studies.append(
            Study("lecture-overfit", dataset, samples, options=(*parts, *shared), work=work)
        )
    return studies


def all_parameters(forward, eps):
    """‖θ‖² as the slide has it: every weight and bias, no factor ½."""
    import jax
    import jax.numpy as jnp

    del eps
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(forward.params))


def compute(study: Study, dataset):
    """Errors on the training samples and on two held-out halves; with penalties only at the end."""
    from aesparse.losses.objectives import composed

    kind = study.option("kind")
    penalty = {"decay": all_parameters, "sae": "sae"}.get(kind, "cae")  # at 0 for the others
    every = study.option("epochs") if kind in _PENALTIES else 1
    objective = composed(terms={"strength": penalty})
    return errors_over_epochs(study, dataset, objective, tied=kind == "tied", every=every)


def _by_kind(runs) -> dict[str, tuple[Study, object]]:
    return {study.option("kind"): (study, run) for study, run in runs.items()}


def _compared(runs) -> dict[str, tuple[str, dict[str, np.ndarray]]]:
    """Every kind's name, with its λ, and its errors `[S, E]` by part."""
    models = {}
    for kind, (study, run) in _by_kind(runs).items():
        strength = study.option("strengths")[int(run["chosen"])]
        name = f"{NAMES[kind]}, λ = {strength:g}" if kind in _PENALTIES else NAMES[kind]
        models[kind] = name, {part: run[part].values for part in PARTS}
    return models


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L5 for each regularizer; L6."""
    models = _compared(runs)
    plain = models["plain"][1]
    found = [_against_plain(dataset, *models[kind], plain) for kind in RIVALS]
    return [*found, _over_against_under(dataset, plain, models["small"][1])]


def _against_plain(dataset: str, name: str, model: dict, plain: dict) -> Verdict:
    """L5: below the plain model at equal updates, and no worse than the one stopped early."""
    error = model["heldout"][:, -1]
    gains = {
        "at equal updates": plain["heldout"][:, -1] - error,
        "stopped early": stopped(plain) - error,
    }
    criteria = [
        _mean(f"held-out error of the plain model {when} minus that with {name}", gain)
        for when, gain in gains.items()
    ]
    criteria[0] = criteria[0]._replace(strict=True)
    verdict = settle("L5", dataset, f"{name}: lower held-out error", criteria, len(error))
    told = "; ".join(
        f"{who}: held-out {mean_interval(errors['heldout'][:, -1])}, train "
        f"{mean_interval(errors['train'][:, -1])}, gap {mean_interval(_gap(errors))}"
        for who, errors in ((name, model), ("plain", plain))
    )
    return verdict._replace(numbers=f"{verdict.numbers}; {told}")


def _mean(name: str, values: np.ndarray) -> Criterion:
    return over_seeds(name, lambda seeds: float(values[seeds].mean()), len(values), 0.0, -1)


def _gap(errors: dict[str, np.ndarray]) -> np.ndarray:
    return (errors["heldout"] - errors["train"])[:, -1]


def rise(errors: dict[str, np.ndarray]) -> np.ndarray:
    """Final over lowest held-out error, `[S]`: 1 where it does not rise."""
    return errors["heldout"][:, -1] / errors["heldout"].min(axis=1)


def _over_against_under(dataset: str, plain: dict, small: dict) -> Verdict:
    """L6; inconclusive where the intervals overlap, two single points that are equal included."""
    over, under = mean_interval(rise(plain)), mean_interval(rise(small))
    step = apart("final over lowest held-out error, over- minus under-complete", under, over)
    statement = "the over-complete model over-fits more"
    verdict = settle("L6", dataset, statement, [step], len(rise(plain)))
    if under.low <= over.high and over.low <= under.high:
        verdict = verdict._replace(verdict="inconclusive")
    numbers = f"{verdict.numbers}; over-complete {_told(over)}, under-complete {_told(under)}"
    return verdict._replace(numbers=numbers)


def _told(ratio: Interval) -> str:
    return "{:.4f} [{:.4f}, {:.4f}]".format(*ratio)


def explain(runs, verdict: Verdict) -> list[str]:
    """Where the plain models' errors are lowest and how they end; the errors at every λ."""
    models = _compared(runs)
    told = []
    for kind in ("plain", "small"):
        heldout, train = (models[kind][1][part].mean(axis=0) for part in ("heldout", "train"))
        at = int(np.argmin(heldout))
        told.append(
            f"The held-out error of the {SIZES[kind]} model is lowest after {at} of "
            f"{len(heldout) - 1} epochs ({heldout[at]:.2f}; in the end {heldout[-1]:.2f}, on the "
            f"training samples {train[-1]:.2f})."
        )
    return [*told, _grids(runs)] if verdict.claim == "L5" else told


def _grids(runs) -> str:
    """The validation error at every λ, and which λ is at the end of its grid."""
    told = []
    for kind, (study, run) in _by_kind(runs).items():
        if kind in _PENALTIES:
            strengths, errors = study.option("strengths"), run["grid_validation"].values
            each = ", ".join(f"{s:g}: {e:.2f}" for s, e in zip(strengths, errors, strict=True))
            end = int(run["chosen"]) in (0, len(strengths) - 1)
            told.append(f"{NAMES[kind]} {each}" + " (chosen at an end of the grid)" * end)
    return f"Final validation error at every λ, seed 0: {'; '.join(told)}."


def caption(runs, plan: Plan) -> str:
    """Sizes, and the rules that fix λ and the number of updates."""
    study = next(iter(runs))
    few = next(s.option("hidden") for s in runs if s.option("kind") == "small")
    updates = study.option("epochs") * (study.samples // study.option("batch_size"))
    half = study.option("half")
    return (
        plan.scale.caveat
        + "Reconstruction error ‖x − y‖², summed over inputs. Left: over epochs, of the plain "
        "over- and under-complete models, on the training samples and on held-out digits; "
        "triangle: the over-complete model stopped where the validation error is lowest. Middle: "
        "final held-out error of one seed against λ of weight decay λ‖θ‖² (all parameters, no ½), "
        "CAE and SAE (eq. 13). Right: final held-out error at the λ with that seed's lowest "
        "validation error (dots: means with 95% bootstrap intervals over "
        f"{study.option('seeds'):g} seeds, crosses: seeds), training error hollow. "
        f"{title(study.dataset)}, standardized; {half:g} validation digits, {half:g} others held "
        "out; ReLU, linear decoder with bias, untied unless said; "
        f"m = {study.option('hidden')} and {few}, N = {study.samples}, {updates} updates, batch "
        f"{study.option('batch_size')}, learning rate {study.option('learning_rate'):g}. Units, "
        "data scale and number of updates were chosen by the plain model alone, on other digits."
    )


def draw(runs, plan: Plan):
    """Errors over epochs, over λ, and at the λ that validation chooses."""
    from matplotlib.figure import Figure

    models, by_kind = _compared(runs), _by_kind(runs)
    figure = Figure(figsize=(8.2, 4.3), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1, 1.1))
    plain = models["plain"][1]
    draw_curves(left, plain, models["small"][1])
    draw_errors(middle, {NAMES[kind]: by_kind[kind][1] for kind in _PENALTIES}, plain)
    rows = dict(models[kind] for kind in ("plain", *RIVALS))
    early = {"plain, stopped early": stopped(plain)}
    draw_final(right, rows, early)
    for axis in (left, middle, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


FIGURE = Figure(
    about=__doc__,
    place="Part 1, over-fitting",
    says=(
        "Poor generalization happens with under-complete auto-encoders and is worse with "
        "over-complete ones. Remedies: an L2 penalty on all parameters, tying the decoder to "
        "the encoder, and, in later parts, sparse and contractive penalties."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
