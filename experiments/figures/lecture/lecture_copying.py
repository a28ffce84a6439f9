"""Lecture: an over-complete auto-encoder copies any input unless it is regularized.

Shapes: S seeds, K strengths, n inputs, m units.
"""

import numpy as np

from experiments.evidence.claims import by_construction, settle
from experiments.evidence.criteria import Criterion, largest_at_most, mean_at_most, over_seeds
from experiments.figures.lecture.common.copying import (
    CLOSED,
    closed_share,
    probe_copies,
    train_linear,
)
from experiments.figures.lecture.common.errors import lowest
from experiments.figures.lecture.common.training import options
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

CLAIMS = {"L7": "a model with m > n copies its input unless it is regularized"}
SCALES = ("quick", "reduced")
COPIED, FACTOR, SATURATED = 0.01, 5.0, 0.05  # L7's three thresholds
NEAR = 0.01  # linear: largest difference of a trained error share from its closed form
# Data, pixels averaged along a side, hidden units, samples, epochs, digits that validate, seeds.
_SIZES = {
    "quick": ("digits", 1, 128, 1_000, 50, 350, 3),
    "reduced": ("mnist", 2, 400, 5_000, 16, 2_000, 3),
}
_BATCH = 50
RATE = 0.03  # of 0.01 and 0.03 that with which the plain models copy better, on other samples
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # noise variance of DAE, coefficient of CAE
ACTIVATIONS = {"relu": "ReLU", "saturated-linear": "saturated linear"}
KINDS = {"dae": "corruption", "cae": "CAE"}


def runs(plan: Plan) -> list[Study]:
    """A study per activation and objective, and one of linear models on whitened data."""
    dataset, pooled, hidden, samples, epochs, half, seeds = _SIZES[plan.scale_name]
    seeds = max(plan.seeds, seeds)
    trained = options(hidden, epochs, _BATCH, plan.learning_rate or RATE)
    sizes = (("pooled", pooled), ("half", half), ("gaussian", 4_000), ("seeds", seeds), *trained)
    studies = []
    for activation in ACTIVATIONS:
        for objective in ("ae", *KINDS):
            strengths = STRENGTHS if objective in KINDS else (0.0,)
            parts = (("activation", activation), ("objective", objective), ("strengths", strengths))
            work = 10 * seeds * samples * epochs * hidden * 200 * len(strengths)
            study = Study(
                "lecture-copying", dataset, samples, options=(*parts, *sizes), work=float(work)
            )
            studies.append(study)
    linear = (
        ("activation", "identity"),
        ("levels", tuple(level for _, levels in CLOSED.values() for level in levels)),
        ("inputs", 12),
        *options(24, 200, 500, 0.002),
    )
    return [*studies, Study("lecture-copying", samples=2_000, options=linear, work=1e10)]


def compute(study: Study, dataset):
    """Error shares on Gaussian inputs and on validation digits, or those of linear models."""
    return train_linear(study) if dataset is None else probe_copies(study, dataset)


def _by_model(runs) -> dict[tuple[str, str], object]:
    return {
        (study.option("activation"), study.option("objective")): run
        for study, run in runs.items()
        if study.dataset
    }


def chosen(run, by: str = "denoising") -> int:
    """The place of the strength with the lowest mean validation error over the seeds."""
    return lowest(run[by].values.mean(axis=0))


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L7 for each activation and regularizer, or for linear models."""
    if not dataset:
        (run,) = runs.values()
        return [_linear(run)]
    models = _by_model(runs)
    return [_decided(models, dataset, units, kind) for units in ACTIVATIONS for kind in KINDS]


def _decided(models: dict, dataset: str, activation: str, kind: str) -> Verdict:
    plain, run = models[activation, "ae"], models[activation, kind]
    at = chosen(run)
    errors = {"plain": plain["gaussian"].values[:, 0], kind: run["gaussian"].values[:, at]}
    strength = float(run["strength"][at])
    criteria = [
        mean_at_most(errors["plain"], COPIED, "plain model's error share on Gaussian inputs"),
        ratio(f"that with {KINDS[kind]} {strength:g} over the plain one's", errors),
    ]
    statement = f"{ACTIVATIONS[activation]}: copies unless regularized by {KINDS[kind]}"
    verdict = settle("L7", dataset, statement, criteria, len(errors["plain"]))
    clean = chosen(run, "clean")
    told = [
        f"error share {errors[kind].mean():.3f}",
        f"the clean validation error would choose {float(run['strength'][clean]):g} (ratio "
        f"{run['gaussian'].values[:, clean].mean() / errors['plain'].mean():.2f})",
    ]
    if activation == "saturated-linear":
        shares = np.stack([plain["saturated"].values[:, 0], run["saturated"].values[:, at]], axis=1)
        limit = largest_at_most(shares, SATURATED, "saturated")
        told.insert(0, str(limit))
        if not (limit.decided and limit.holds):
            verdict = verdict._replace(verdict="inconclusive")
    return verdict._replace(numbers="; ".join([verdict.numbers, *told]))


def ratio(name: str, errors: dict[str, np.ndarray]) -> Criterion:
    """The regularized model's mean error over the plain one's, from `[S]` each, against L7's."""
    plain, regularized = errors.values()

    def over(seeds: np.ndarray) -> float:
        return float(regularized[seeds].mean() / plain[seeds].mean())

    return over_seeds(name, over, len(plain), FACTOR, -1)


def _linear(run) -> Verdict:
    """Trained linear models against their closed forms: by construction, unless one is off."""
    far = np.abs(run["trained"].values - run["closed"].values)
    largest = {
        f"{name}: largest difference of error shares": far[run["kind"].values == kind].max()
        for kind, (name, _) in CLOSED.items()
    }
    criteria = [Criterion(name, float(value), NEAR, +1, None) for name, value in largest.items()]
    untied = {
        "untied CAE: error share of a copy with W/1000": (run["untied"], 1e-9),
        "its penalty over that of W": (run["untied_penalty"], 1e-5),
    }
    criteria += [Criterion(name, float(v), limit, +1, None) for name, (v, limit) in untied.items()]
    statement = "linear models on whitened data: closed forms"
    return by_construction(settle("L7", "", statement, criteria, 0))


def explain(runs, verdict: Verdict) -> list[str]:
    """The error shares on Gaussian inputs and on corrupted digits at every strength."""
    told = []
    for (activation, kind), run in _by_model(runs).items():
        if kind in KINDS and ACTIVATIONS[activation] in verdict.statement:
            each = ", ".join(
                f"{float(strength):g}: {g:.4f} ({d:.3f})"
                for strength, g, d in zip(
                    run["strength"], *(run[n].mean("seed") for n in ("gaussian", "denoising")),
                    strict=True,
                )
            )  # fmt: skip
            told.append(f"{KINDS[kind]} {each}")
    return [f"Error share on Gaussian inputs (on corrupted digits): {'; '.join(told)}."]


def caption(runs, plan: Plan) -> str:
    """Data, models, and how the strength is chosen."""
    study = next(s for s in runs if s.dataset)
    variance = float(runs[study]["noise"])
    inputs = int(runs[study]["inputs"])
    pooled = study.option("pooled")
    size = f", averaged over {pooled}×{pooled} pixels" if pooled > 1 else ""
    return (
        plan.scale.caveat
        + "Error on Gaussian inputs with the digits' mean and covariance, as a share of their "
        "variance, of models trained on digits: against the noise variance of DAE and the "
        "coefficient of CAE; horizontal: the plain model; grey: L7's 1%. Ringed: the strength "
        f"with the lowest error on {study.option('half')} validation digits with noise of variance "
        f"{variance:.3g}, the pixels' mean variance (the lecture's unit noise); the error without "
        "noise would always choose the smallest strength, as copying minimizes it. Right: linear "
        "models on whitened data, trained (marks) and in closed form (lines). "
        f"{title(study.dataset)}{size}, centred; tied weights, decoder bias, n = {inputs}, "
        f"m = {study.option('hidden')}, N = {study.samples}, {study.option('epochs')} epochs, "
        f"batch {study.option('batch_size')}, learning rate {study.option('learning_rate'):g}; "
        f"{study.option('seeds')} seeds (bands: smallest to largest)."
    )


def draw(runs, plan: Plan):
    """Error shares against strength for both activations, and linear models."""
    from matplotlib.figure import Figure

    models = _by_model(runs)
    linear = next(run for study, run in runs.items() if not study.dataset)
    figure = Figure(figsize=(7.8, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[1].sharey(axes[0])
    for axis, activation in zip(axes, ACTIVATIONS, strict=False):
        _draw_shares(axis, {kind: models[activation, kind] for kind in ("ae", *KINDS)})
        axis.set_title(ACTIVATIONS[activation], fontsize=10)
    axes[0].set_ylabel("error share on Gaussian inputs")
    axes[0].legend(frameon=False, fontsize=8)
    _draw_linear(axes[2], linear)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_shares(axis, models: dict) -> None:
    plain = models["ae"]["gaussian"].values[:, 0].mean()
    for kind, colour, marker, line in (("dae", "#000000", "o", "-"), ("cae", "#0072B2", "s", "--")):
        run = models[kind]
        x, values = run["strength"], run["gaussian"].values
        mean, at = values.mean(axis=0), chosen(run)
        look = {"color": colour, "marker": marker, "linestyle": line}
        axis.plot(x, mean, markersize=5, label={"dae": "DAE, σ²", "cae": "CAE, λ"}[kind], **look)
        axis.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
        axis.plot(x[at], mean[at], "o", color=colour, markersize=12, markerfacecolor="none")
    axis.axhline(plain, color="#CC3311", linestyle="-.", linewidth=1.2, label="plain")
    axis.axhline(COPIED, color="#777777", linewidth=0.8, label="1%")
    axis.set(xscale="log", yscale="log", xlabel="strength (ringed: chosen)")


def _draw_linear(axis, run) -> None:
    looks = (("#000000", "o", "-"), ("#CC3311", "^", "-."), ("#0072B2", "s", "--"))
    for (kind, (name, _)), (colour, marker, line) in zip(CLOSED.items(), looks, strict=True):
        of = run["kind"].values == kind
        x = run["level"].values[of]
        through = np.linspace(x[0], x[-1], 50)
        axis.plot(through, closed_share(kind, through), linestyle=line, color=colour)
        look = {"color": colour, "markerfacecolor": "none", "label": name}
        axis.plot(x, run["trained"].values[of], marker, **look)
    axis.set_title("linear, whitened data", fontsize=10)
    axis.set(xlabel="strength: σ², q or λ", ylabel="error share on clean inputs")
    axis.legend(frameon=False, fontsize=8)


FIGURE = Figure(
    about=__doc__,
    place="Part 1, copying",
    says=(
        "An over-complete auto-encoder can simply copy the input to the code and the code to "
        "the output. Denoising and contraction prevent it: copying a corrupted input no "
        "longer minimizes the objective."
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
