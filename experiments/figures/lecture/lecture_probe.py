"""Lecture: digits recognized from pixels, principal components and auto-encoders' codes."""

from typing import NamedTuple

import numpy as np

from aesparse.errors import InputError
from experiments.evidence.bootstrap import Interval, resampled_mean
from experiments.evidence.claims import settle
from experiments.evidence.criteria import Criterion
from experiments.figures.lecture.common.probe import fit_encoders, labels, probe
from experiments.figures.lecture.common.training import options
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

CLAIMS = {"L4": "codes beat raw pixels, the best with less than 3% error"}
RAW = (0.074, 0.079)  # L4: error of logistic regression on pixels where it was first measured
BEST = 0.03  # L4: the best codes stay below
# Strengths: components of PCA, q of masking, λ of a penalty.
_CODES = {
    "raw": ("raw pixels", (0.0,)),
    "pca": ("PCA", (50.0, 150.0)),
    "ae": ("AE", (0.0,)),
    "dae": ("DAE, masking", (0.25, 0.5)),
    "cae": ("CAE", (0.01, 0.1)),
    "sae": ("SAE, KL to 0.05", (0.1, 1.0)),
    "satae": ("SATAE", (0.03, 0.3)),
}
_TRAINED = ("ae", "dae", "cae", "sae", "satae")
# Of the model: units, samples without labels, epochs.
_SIZES = {
    "quick": {
        "data": ("digits", 1_400),
        "probe": (("few", 900), ("validation", 400), ("max_iter", 100)),
        "model": (128, 1_000, 60),
    },
    "reduced": {
        "data": ("mnist-labelled", None),
        "probe": (("few", 10_000), ("validation", 10_000), ("max_iter", 100)),
        "model": (800, 10_000, 6),
    },
    "paper": {
        "data": ("mnist-labelled", None),
        "probe": (("few", 50_000), ("validation", 10_000), ("max_iter", 100)),
        "model": (800, 60_000, 6),
    },
}
_INPUTS = {"digits": 64, "mnist-labelled": 784}
# KL to a mean activation needs units between 0 and 1.
_UNITS = {code: "sigmoid" if code == "sae" else "relu" for code in _TRAINED}
# Of 0.01 and 0.03 (ReLU), 0.03 and 0.1 (sigmoid) the one with a denoising model's lower
# reconstruction error, or the smaller where they are within 1%; no label plays a part.
_RATES = {"relu": 0.01, "sigmoid": 0.03}
# scikit-learn's C, and what is added to a feature's deviation, as a share of the mean one.
_PROBE = (("costs", (0.02, 0.1)), ("softening", 0.1))

_NOTE = {"textcoords": "offset points"}


def runs(plan: Plan) -> list[Study]:
    """A study per code, those of models for the plan's first seed."""
    size = _SIZES[plan.scale_name]
    dataset, samples = size["data"]
    studies = []
    for code, (_, strengths) in _CODES.items():
        if dataset == "digits" and code == "pca":
            strengths = (20.0, 40.0)  # of 64 pixels
        chosen = (("code", code), ("strengths", strengths), *_PROBE, *size["probe"])
        work = 1e7 * dict(size["probe"])["few"]
        if code in _TRAINED:
            rate = plan.learning_rate or _RATES[_UNITS[code]]
            hidden, unlabelled, epochs = size["model"]
            chosen += (("units", _UNITS[code]), ("unlabelled", unlabelled))
            chosen += options(hidden, epochs, 50, rate)
            work += 12 * len(strengths) * unlabelled * epochs * hidden * _INPUTS[dataset]
        seed = plan.first_seed if code in _TRAINED else 0
        studies.append(Study("lecture-probe", dataset, samples, seed, chosen, work))
    return studies


def also(plan: Plan) -> list[Study]:
    """The models of the plan's other seeds; `--first-seed` trains one of them."""
    return [
        study._replace(seed=seed)
        for study in runs(plan)
        if study.option("code") in _TRAINED
        for seed in plan.seed_numbers[1:]
    ]


def compute(study: Study, dataset):
    """Validation errors [strength, C], and what the chosen probe gets wrong on the test samples.

    Strength and C are those with the lowest error on the last training samples of probes that
    saw only the first ones; the final probe sees all training samples. `InputError` if no model
    of a trained code is left.
    """
    import xarray as xr

    train_labels, test_labels = labels(dataset)
    few, held = dataset.train[: study.option("few")], dataset.train[-study.option("validation") :]
    encoders, costs = fit_encoders(study, dataset.train), study.option("costs")
    errors = np.full((len(encoders), len(costs)), np.nan)  # of models that were lost
    for i, code in enumerate(encoders):
        if code is None:
            continue
        seen = code(few), train_labels[: len(few)], code(held), train_labels[-len(held) :]
        errors[i] = [np.mean(probe(*seen, c, study)[0]) for c in costs]
    if np.isnan(errors).all():
        raise InputError(
            f"Every model of the code '{study.option('code')}' diverged or died at learning rate "
            f"{study.option('learning_rate'):g}; give a smaller --learning-rate."
        )
    best, cheapest = np.unravel_index(np.nanargmin(errors), errors.shape)
    code, cost = encoders[best], costs[cheapest]
    wrong, steps = probe(
        code(dataset.train), train_labels, code(dataset.heldout), test_labels, cost, study
    )
    return xr.Dataset(
        {
            "validation": (("strength", "cost"), errors),
            "wrong": ("sample", wrong.astype(np.int8)),
            "steps": steps,
            "chosen": int(best),
            "chosen_cost": float(cost),
        }
    )


class _Code(NamedTuple):
    """The studies of a kind of code and their runs, one per seed."""

    studies: list[Study]
    runs: list

    @property
    def wrong(self) -> np.ndarray:
        """In which share of the seeds each test sample is wrong."""
        return np.mean([run["wrong"].values for run in self.runs], axis=0)

    @property
    def validation(self) -> float:
        """The lowest validation error, mean over seeds."""
        return float(np.mean([run["validation"].values.min() for run in self.runs]))


def _by_code(runs) -> dict[str, _Code]:
    codes: dict[str, _Code] = {}
    for study, run in runs.items():
        code = codes.setdefault(study.option("code"), _Code([], []))
        code.studies.append(study)
        code.runs.append(run)
    return codes


def _error(code: _Code) -> tuple[float, float, float]:
    """Test error, mean over seeds, with the 95% binomial (Wilson) interval of one such error."""
    from scipy.stats import binomtest

    wrong = code.wrong
    ends = binomtest(round(wrong.sum()), len(wrong)).proportion_ci(method="wilson")
    return float(wrong.mean()), float(ends.low), float(ends.high)


def paired_gain(raw: np.ndarray, wrong: np.ndarray) -> Interval:
    """Error on pixels minus error on codes, the same samples drawn: a paired bootstrap."""
    return resampled_mean(raw - wrong)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L4: every kind of code better than pixels, the best one below its limit.

    With it, whether the error on pixels is what was expected: a check of the set-up.
    """
    codes, steps = _by_code(runs), []
    for code in _TRAINED:
        gain, *ends = paired_gain(codes["raw"].wrong, codes[code].wrong)
        steps.append(
            Criterion(f"raw minus {_CODES[code][0]}", gain, 0.0, -1, tuple(ends), strict=True)
        )
    best = min(_TRAINED, key=lambda code: codes[code].validation)
    error, *ends = _error(codes[best])
    name = f"error of the codes best on validation ({_CODES[best][0]})"
    steps.append(Criterion(name, error, BEST, +1, tuple(ends), strict=True))
    verdict = settle("L4", dataset, "logistic regression on codes beats raw pixels", steps, 0)
    by_code = ", ".join(f"{_CODES[code][0]} {_error(of)[0]:.2%}" for code, of in codes.items())
    expected = f"raw pixels expected at {RAW[0]:.1%} to {RAW[1]:.1%}"
    numbers = f"{verdict.numbers}; test errors: {by_code} ({expected}); {_seeds(codes)}"
    return [verdict._replace(numbers=numbers)]


def _seeds(codes: dict[str, _Code]) -> str:
    """How many seeds the models have."""
    counts = {_CODES[code][0]: len(codes[code].runs) for code in _TRAINED}
    if len(set(counts.values())) == 1:
        return f"{counts['AE']} seeds" if counts["AE"] > 1 else "one seed"
    return "seeds: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def caption(runs, plan: Plan) -> str:
    """The probe, the codes and how a strength is chosen."""
    codes = _by_code(runs)
    study, run = codes["dae"].studies[0], codes["dae"].runs[0]
    limit = study.option("max_iter")
    stopped = sum(int(run["steps"]) >= limit for run in runs.values())
    expected = "; grey: expected of pixels, dotted: the limit for the best codes"
    return (
        plan.scale.caveat
        + f"Logistic regression (scikit-learn, lbfgs, at most {limit:g} iterations, reached by "
        f"{stopped} of {len(runs)} final fits) on {title(study.dataset)}; features centred and "
        "divided by their standard deviation plus a tenth of the mean one. Left: error on "
        f"{len(run['wrong'])} test digits after fitting {study.samples or 'all'} training digits, "
        "with 95% binomial (Wilson) intervals, at the strength and C chosen on validation digits"
        + (expected if plan.scale.evidence else "")
        + f". Right: error on the last {study.option('validation'):g} training digits after "
        f"fitting the first {study.option('few'):g}, for each strength and C. "
        + _training(study, codes["sae"].studies[0])
        + f", {_seeds(codes)}."
        + " Errors are means over seeds, grey crosses those of single seeds; right: the first seed."
        * any(len(code.runs) > 1 for code in codes.values())
    )


def _training(study: Study, sae: Study) -> str:
    hidden, unlabelled, epochs, batch, rate = map(
        study.option, ("hidden", "unlabelled", "epochs", "batch_size", "learning_rate")
    )
    return (
        "Pixels in [0, 1], masked ones black; ReLU units (SAE: sigmoid), tied weights, decoder "
        f"bias, cross-entropy, m = {hidden}, {unlabelled} digits without labels, {epochs} epochs, "
        f"batch {batch}, learning rate {rate:g} (SAE: {sae.option('learning_rate'):g})"
    )


def draw(runs, plan: Plan):
    """Test errors with intervals; validation errors of every strength and C."""
    from matplotlib.figure import Figure

    codes = _by_code(runs)
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for row, code in enumerate(codes.values()):
        study, run, (error, low, high) = code.studies[0], code.runs[0], _error(code)
        if len(code.runs) > 1:
            single = [float(each["wrong"].mean()) for each in code.runs]
            left.plot(single, [row + 0.25] * len(single), "x", color="#777777", markersize=4)
        left.plot((low, high), (row, row), color="#000000", marker="|", linewidth=2)
        left.plot(error, row, "o", color="#0072B2", markersize=6, zorder=3)
        clear = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        left.annotate(f"{error:.2%}", (high, row), (5, -3), **_NOTE, fontsize=8, bbox=clear)
        _draw_validation(right, row, study.option("strengths"), run)
    if plan.scale.evidence:
        left.axvspan(*RAW, color="#999999", alpha=0.25, linewidth=0)
        left.axvline(BEST, color="#000000", linestyle=":")
    left.set_yticks(range(len(codes)), [_CODES[code][0] for code in codes])
    left.set_ylim(len(codes) - 0.5, -0.7)
    left.set_xlabel("test error")
    right.set_xlabel("validation error (numbers: components, q or λ)")
    for axis in (left, right):
        axis.set_xlim(left=0)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.spines[["top", "right"]].set_visible(False)
    for cost, marker in zip(study.option("costs"), "ox", strict=True):
        right.plot([], [], marker, color="#000000", markersize=4.5, label=f"C = {cost:g}")
    right.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _draw_validation(axis, row: int, strengths: tuple[float, ...], run) -> None:
    for i, strength in enumerate(strengths):
        errors, height = run["validation"].values[i], row + 0.3 * (i - (len(strengths) - 1) / 2)
        for error, marker in zip(errors, "ox", strict=True):
            axis.plot(error, height, marker, color="#000000", markersize=4.5)
        if len(strengths) > 1:
            axis.annotate(f"{strength:g}", (errors.max(), height), (6, -3), **_NOTE, fontsize=7)


FIGURE = Figure(
    about=__doc__,
    place="Part 2, classification",
    says=(
        "Digits are to be recognized: first from raw pixels, then by a classifier on top of "
        "the codes that an auto-encoder learned from the data. The slides show the two "
        "approaches; their text states no error."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    also=also,
)
