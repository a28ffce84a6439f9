"""Lecture: the inputs that excite units most, for plain and denoising auto-encoders."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from experiments.drawing import filters
from experiments.evidence.bootstrap import Interval, over_seeds_and_units
from experiments.evidence.claims import settle
from experiments.evidence.criteria import apart
from experiments.figures.lecture.common.training import options, train
from experiments.pipeline.contents import failed
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

CLAIMS = {"L3": "masking widens filters"}
MASKED = (0.0, 0.25, 0.5)  # L3: q of the slides; 0 is the plain auto-encoder
VARIANCE = 1.0  # of the slide's Gaussian noise, x + N(0, 1)
GAINS = (1.0, 4.0)  # of the starting weights, times Glorot's; the lecture names none
TILES = 25
# Digits and patches; hidden units, samples, epochs.
_SIZES = {
    "quick": (("digits", "natural"), 64, 1_400, 20),
    "reduced": (("mnist", "natural-cifar10"), 144, 10_000, 30),
    "paper": (("mnist", "natural-cifar10"), 144, 50_000, 30),
}
_INPUTS = {"digits": 64, "natural": 144, "mnist": 784, "natural-cifar10": 144}
# The largest rates tried at which no model diverged: cross-entropy on digits, squared error on
# patches.
_RATES = {"masking": 0.1, "gaussian": 0.1, "patches": 0.02}
_MEASURED = {
    "half_width": "half-width of the autocorrelation, px",
    "width": "participation ratio",
    "frequency": "mean frequency, cycles/px",
    "selectivity": "orientation selectivity",
}


def runs(plan: Plan) -> list[Study]:
    """Masking, all q and seeds in one program, from two starts; then Gaussian noise."""
    (digits, patches), hidden, samples, epochs = _SIZES[plan.scale_name]
    kinds = [(digits, "masking", MASKED, gain) for gain in GAINS]
    kinds += [(digits, "gaussian", (VARIANCE,), GAINS[0])]
    kinds += [(patches, "patches", (0.0, VARIANCE), GAINS[0])]
    studies = []
    for dataset, kind, levels, gain in kinds:
        rate = plan.learning_rate or _RATES[kind]
        chosen = (
            ("noise", "masking" if kind == "masking" else "gaussian"),
            ("levels", levels),
            ("gain", gain),
            ("seeds", tuple(plan.seed_numbers)),
            ("tiles", TILES),
            *options(hidden, epochs, 20, rate, momentum=0.0),
        )
        work = 30 * plan.seeds * samples * epochs * hidden * _INPUTS[dataset] * len(levels)
        studies.append(Study("lecture-filters", dataset, samples, options=chosen, work=work))
    return studies


def compute(study: Study, dataset):
    """Trains the models of a kind of noise; shapes of all units and a few maximizing inputs."""
    import xarray as xr

    from aesparse.losses.objectives import composed

    X, error = dataset.train, "cross-entropy"
    if _is_patches(study):
        X, error = prepared(X), "squared"
    objective = composed(error=error, corrupt=study.option("noise"))
    levels, seeds, gain = (study.option(name) for name in ("levels", "seeds", "gain"))
    result = train(study, X, "sigmoid", objective, levels, seeds=seeds, gain=gain)
    weight = np.asarray(result.params.weight)  # [S, G, m, n]
    bad = failed(result.final, result.diverged_epoch)
    grid = ("seed", "level")
    found = {
        name: ((*grid, "unit"), np.where(bad[..., None], np.nan, values).astype(np.float32))
        for name, values in shapes(weight, dataset.shape).items()
    }
    found |= {
        "dark": (grid, dark_share(weight, dataset.train).astype(np.float32)),
        "reconstruction": (grid, result.final.reconstruction),
        "flagged": (grid, bad.astype(np.int8)),
        "tile": (("level", "shown", "input"), signed_bytes(weight[0, :, : study.option("tiles")])),
    }
    return xr.Dataset(found, attrs={"shape": dataset.shape})


def _is_patches(study: Study) -> bool:
    return study.dataset.startswith("natural")


def prepared(X: np.ndarray) -> np.ndarray:
    """Patches without their means, divided by the standard deviation of all that is left."""
    from aesparse.data.transforms import remove_patch_mean

    patches = remove_patch_mean(X)
    return (patches / patches.std(dtype=float)).astype(np.float32)


def shapes(weight: np.ndarray, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """What is measured of every filter `[..., m, n]`: the names of `_MEASURED`, each `[..., m]`."""
    import jax.numpy as jnp

    from aesparse.filters import (
        autocorrelation_half_width,
        mean_frequency,
        orientation_selectivity,
        participation_ratio,
    )

    rows = weight.reshape(-1, weight.shape[-1])
    measured = {
        "half_width": autocorrelation_half_width(rows, shape),
        "width": np.asarray(participation_ratio(jnp.asarray(rows))),
        "frequency": mean_frequency(rows, shape),
        "selectivity": orientation_selectivity(rows, shape),
    }
    return {name: values.reshape(weight.shape[:-1]) for name, values in measured.items()}


def dark_share(weight: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Mean over units of the share of ‖W_j‖² on pixels black in more than 99% of the samples."""
    dark = (X > 0).mean(axis=0) < 0.01
    squared = weight**2
    return (squared[..., dark].sum(-1) / squared.sum(-1)).mean(-1)


class _Model(NamedTuple):
    """The models of one level of noise and all seeds."""

    study: Study
    run: object
    at: int  # of its level

    @property
    def level(self) -> float:
        return self.study.option("levels")[self.at]

    @property
    def name(self) -> str:
        if self.study.option("noise") == "masking":
            return f"masking, q = {self.level:g}" if self.level else "plain, q = 0"
        return f"Gaussian, σ² = {self.level:g}" if self.level else "plain, σ² = 0"

    def median(self, measured: str) -> Interval:
        return over_seeds_and_units(self.run[measured].values[:, self.at].astype(float))


def _models(runs) -> Iterator[_Model]:
    for study, run in runs.items():
        for at in range(len(study.option("levels"))):
            yield _Model(study, run, at)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L3 for each start: half-widths ordered by q, disjoint intervals; Gaussian noise measured."""
    found = []
    for study, run in runs.items():
        models = list(_models({study: run}))
        told = "; ".join(_told(models, measured) for measured in _MEASURED)
        if study.option("noise") == "masking":
            found.append(_widen(models, dataset, told))
        else:
            statement = f"shape of filters, {', '.join(m.name for m in models)}"
            found.append(Verdict("L3", dataset, statement, "measured", told))
    return found


def _widen(models: list[_Model], dataset: str, told: str) -> Verdict:
    study = models[0].study
    steps = [
        apart(
            f"median half-width q = {wide.level:g} minus q = {narrow.level:g}",
            narrow.median("half_width"),
            wide.median("half_width"),
        )
        for narrow, wide in itertools.pairwise(models)
    ]
    statement = f"filters widen with the share of masked inputs, {_start(study)}"
    verdict = settle("L3", dataset, statement, steps, len(study.option("seeds")))
    return verdict._replace(numbers=f"{verdict.numbers}; {told}")


def _start(study: Study) -> str:
    gain = study.option("gain")
    return "Glorot's start" if gain == 1 else f"start of {gain:g} × Glorot"


def _told(models: list[_Model], measured: str) -> str:
    """The medians of a measure, for people."""
    medians = ", ".join(f"{m.median(measured)} ({m.name})" for m in models)
    return f"{_MEASURED[measured]}: {medians}"


def explain(runs, verdict: Verdict) -> list[str]:
    """The filters' energy on pixels that are almost always black: start that did not decay."""
    return [
        f"With {_start(study)} the share of ‖W_j‖² on pixels that are black in more than 99% of "
        f"the digits is {dark} at q = {', '.join(f'{q:g}' for q in study.option('levels'))}."
        for study, run in runs.items()
        if study.option("noise") == "masking"
        for dark in [", ".join(f"{value:.2f}" for value in run["dark"].values.mean(axis=0))]
    ]


def _drawn(runs) -> dict:
    """The runs that are drawn: those from Glorot's start."""
    return {study: run for study, run in runs.items() if study.option("gain") == GAINS[0]}


def caption(runs, plan: Plan) -> str:
    """Sizes and noise of the models."""
    masked, *_, patches = _drawn(runs)
    seeds = len(masked.option("seeds"))
    return (
        plan.scale.caveat
        + f"Inputs W_j/‖W_j‖ that excite the first {TILES} units most (first seed; each scaled by "
        "its largest entry, grey is 0), above of digits, below at the right of patches; below at "
        "the left the half-width of the autocorrelation of all digit filters, "
        f"{seeds} seed{'s' * (seeds > 1)}. {title(masked.dataset)} with pixels in [0, 1]; masking "
        "sets a pixel to 0, which is black; Gaussian noise is added to the pixels. Patches: "
        f"{title(patches.dataset)}, their means removed, divided by one standard deviation. "
        "Sigmoid units, tied weights, decoder bias, cross-entropy (patches: squared error); m = "
        f"{masked.option('hidden')}, N = {masked.samples}, {masked.option('epochs')} epochs, batch "
        f"{masked.option('batch_size')}, learning rate {masked.option('learning_rate'):g} "
        f"(patches: {patches.option('learning_rate'):g}), no momentum, Glorot's start. Intervals "
        "of medians: bootstrap over seeds, and over units within each, drawn as bars near one half."
    )


_LOOKS = (("#000000", "-"), ("#0072B2", "--"), ("#CC3311", ":"), ("#777777", "-."))


def draw(runs, plan: Plan):
    """Filters of digits; below, how many of them are at most so wide, and filters of patches."""
    from matplotlib.figure import Figure

    models = list(_models(_drawn(runs)))
    of_digits = [m for m in models if not _is_patches(m.study)]
    of_patches = [m for m in models if _is_patches(m.study)]
    figure = Figure(figsize=(9.4, 5.4), layout="constrained")
    figure.get_layout_engine().set(wspace=0.04)
    grid = figure.add_gridspec(2, len(of_digits))
    places = [grid[0, i] for i in range(len(of_digits))] + [grid[1, -2], grid[1, -1]]
    for place, model in zip(places, of_digits + of_patches, strict=True):
        rows, shape = model.run["tile"].values[model.at], tuple(model.run.attrs["shape"])
        of = "patches: " * _is_patches(model.study)
        filters.show(figure.add_subplot(place), rows.astype(float), shape, 5, of + model.name)
    _draw_widths(figure.add_subplot(grid[1, :-2]), of_digits)
    return figure


def _draw_widths(axis, models: list[_Model]) -> None:
    """How many units' filters are at most so wide; the median's interval as a bar."""
    widest = 0.0
    for i, (model, (colour, line)) in enumerate(zip(models, _LOOKS, strict=True)):
        width, median = model.run["half_width"].values[:, model.at], model.median("half_width")
        width = np.sort(width[np.isfinite(width)])
        share = np.arange(1, len(width) + 1) / len(width)
        label = f"{model.name}: {median.value:.2f}"
        axis.plot(width, share, color=colour, linestyle=line, label=label)
        height = 0.56 - 0.04 * i  # near one half, apart from each other
        axis.plot(median[1:], 2 * (height,), color=colour, marker="|", markersize=8, linewidth=2.5)
        widest = max(widest, np.percentile(width, 99))
    axis.set(xlabel=_MEASURED["half_width"], ylabel="share of units", ylim=(0, 1))
    axis.set_xlim(right=widest)  # the widest hundredth would rule the axis
    axis.legend(frameon=False, fontsize=8, loc="lower right", title="medians", title_fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)


FIGURE = Figure(
    about=__doc__,
    place="Part 2, filters",
    says=(
        "The inputs that excite the units most: those of a plain auto-encoder show few "
        "meaningful patterns, those of denoising ones (masking 25% and 50%) act like "
        "detectors of pen strokes, and become wider with more noise. Gaussian noise is named "
        "as another corruption, used on another data set."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
)
