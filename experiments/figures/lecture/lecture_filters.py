"""Lecture: the inputs that excite units most, for a plain and three denoising auto-encoders."""

import numpy as np

from experiments.drawing import filters
from experiments.evidence.bootstrap import Interval, over_seeds_and_units
from experiments.evidence.claims import settle
from experiments.evidence.criteria import apart
from experiments.figures.lecture.common.training import options, train
from experiments.pipeline.contents import failed
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

CLAIMS = {"L3": "masking widens filters"}
SCALES = ("quick", "reduced")
MASKED = (0.0, 0.25, 0.5)  # L3: q of the slides; 0 is the plain auto-encoder
VARIANCE = 1.0  # of the slide's Gaussian noise, x + N(0, 1)
TILES = 25
# Data, hidden units, samples, epochs.
_SIZES = {"quick": ("digits", 64, 1_400, 60), "reduced": ("mnist", 144, 10_000, 15)}
# Of 0.003, 0.01, 0.03 and 0.1 those with the lowest reconstruction error of clean digits after six
# epochs: of the plain auto-encoder, which the masking ones share, and of the Gaussian one.
_RATES = {"masking": 0.1, "gaussian": 0.01}


def runs(plan: Plan) -> list[Study]:
    """Masking, all q and seeds in one program; then Gaussian noise."""
    dataset, hidden, samples, epochs = _SIZES[plan.scale_name]
    work = 12 * plan.seeds * samples * epochs * hidden * DATA[dataset].inputs
    studies = []
    for noise, levels in (("masking", MASKED), ("gaussian", (VARIANCE,))):
        rate = plan.learning_rate or _RATES[noise]
        chosen = (("noise", noise), ("levels", levels), ("seeds", plan.seeds), ("tiles", TILES))
        chosen = (*chosen, *options(hidden, epochs, 50, rate))
        studies.append(
            Study("lecture-filters", dataset, samples, options=chosen, work=work * len(levels))
        )
    return studies


def compute(study: Study, dataset):
    """Trains the models of a kind of noise; widths of all units and a few maximizing inputs."""
    import jax.numpy as jnp
    import xarray as xr

    from aesparse.filters import participation_ratio
    from aesparse.losses.objectives import composed

    objective = composed(error="cross-entropy", corrupt=study.option("noise"))
    levels, seeds = study.option("levels"), study.option("seeds")
    result = train(study, dataset.train, "sigmoid", objective, levels, seeds=range(seeds))
    weight = result.params.weight  # [S, G, m, n]
    bad = failed(result.final, result.diverged_epoch)
    width = np.where(bad[..., None], np.nan, participation_ratio(jnp.asarray(weight)))
    grid = ("seed", "level")
    return xr.Dataset(
        {
            "width": ((*grid, "unit"), width.astype(np.float32)),
            "dark": (grid, dark_share(weight, dataset.train).astype(np.float32)),
            "reconstruction": (grid, result.final.reconstruction),
            "flagged": (grid, bad.astype(np.int8)),
            "tile": (
                ("level", "shown", "input"),
                signed_bytes(weight[0, :, : study.option("tiles")]),
            ),
        },
        attrs={"shape": dataset.shape},
    )


def dark_share(weight: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Mean over units of the share of ‖W_j‖² on pixels black in more than 99% of the samples."""
    dark = (X > 0).mean(axis=0) < 0.01
    squared = weight**2
    return (squared[..., dark].sum(-1) / squared.sum(-1)).mean(-1)


def _cells(runs) -> list[tuple[str, str, Interval, object, int]]:
    """Name, line style, median width, run and index of its level for every kind of cell."""
    named = {
        ("masking", 0.0): ("plain AE, q = 0", "-"),
        ("masking", 0.25): ("masking DAE, q = 0.25", "--"),
        ("masking", 0.5): ("masking DAE, q = 0.5", ":"),
        ("gaussian", VARIANCE): (f"Gaussian DAE, σ² = {VARIANCE:g}", "-."),
    }
    return [
        (
            *named[study.option("noise"), level],
            over_seeds_and_units(run["width"].values[:, i].astype(float)),
            run,
            i,
        )
        for study, run in runs.items()
        for i, level in enumerate(study.option("levels"))
    ]


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L3: medians of the width ordered by q, with disjoint intervals."""
    cells = _cells(runs)
    steps = [
        apart(f"median width q = {MASKED[i + 1]:g} minus q = {MASKED[i]:g}", *_medians(cells, i))
        for i in (0, 1)
    ]
    seeds = next(iter(runs)).option("seeds")
    verdict = settle("L3", dataset, "filters widen with the share of masked inputs", steps, seeds)
    told = "; ".join(f"{name} {median}" for name, _, median, _, _ in cells)
    return [verdict._replace(numbers=f"{verdict.numbers}; medians {told}")]


def explain(runs, verdict: Verdict) -> list[str]:
    """What else is known of the filters' shape: neighbours alike, and ink where no ink is."""
    cells = _cells(runs)
    dark = ", ".join(f"{float(run['dark'][:, i].mean()):.2f}" for *_, run, i in cells)
    smooth = ", ".join(f"{smoothness(run, i):.2f}" for *_, run, i in cells)
    return [
        "Neighbouring pixels of the filters drawn (plain, masking q = 0.25 and 0.5, Gaussian) "
        f"correlate by {smooth}; the share of ‖W_j‖² on pixels that are dark in the data is {dark}."
    ]


def smoothness(run, i: int) -> float:
    """Median over the filters drawn of Σ w_p w_q / Σ w², mean over right and lower neighbours q.

    Near 0 for independent noise, near 1 for broad strokes, however few pixels they fill.
    """
    w = run["tile"].values[i].astype(float).reshape(-1, *run.attrs["shape"][:2])
    products = w[:, :, 1:] * w[:, :, :-1], w[:, 1:] * w[:, :-1]
    return float(np.median(sum(p.sum((1, 2)) for p in products) / 2 / (w**2).sum((1, 2))))


def _medians(cells: list, i: int) -> tuple[Interval, Interval]:
    return cells[i][2], cells[i + 1][2]


def caption(runs, plan: Plan) -> str:
    """Sizes and noise of the four models."""
    study, gaussian = runs
    seeds = study.option("seeds")
    return (
        plan.scale.caveat
        + f"Inputs W_j/‖W_j‖ that excite the first {TILES} units most (seed 0; each scaled by its "
        "largest entry, grey is 0), and the width of all units' filters: their participation "
        f"ratio, the share of pixels they spread over, over {seeds} seed{'s' * (seeds > 1)}. "
        f"{title(study.dataset)} with pixels in [0, 1]; masking sets a pixel to 0, which is black; "
        "Gaussian noise is added to the pixels. Sigmoid units, tied weights, decoder bias, "
        f"cross-entropy; m = {study.option('hidden')}, N = {study.samples}, "
        f"{study.option('epochs')} epochs, batch {study.option('batch_size')}, learning rate "
        f"{study.option('learning_rate'):g} (Gaussian: "
        f"{gaussian.option('learning_rate'):g}). Intervals of medians: bootstrap over seeds, and "
        "over units within each, drawn as bars at one half."
    )


def draw(runs, plan: Plan):
    """Four panels of filters; below, how many units are at most so wide."""
    from matplotlib.figure import Figure

    cells = _cells(runs)
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    grid = figure.add_gridspec(2, len(cells), height_ratios=(1, 0.95))
    below = figure.add_subplot(grid[1, :])
    colours = ("#000000", "#0072B2", "#CC3311", "#777777")
    for column, ((name, line, median, run, i), colour) in enumerate(
        zip(cells, colours, strict=True)
    ):
        rows, shape = run["tile"].values[i].astype(float), tuple(run.attrs["shape"])
        filters.show(figure.add_subplot(grid[0, column]), rows, shape, 5, name)
        width = np.sort(run["width"].values[:, i].ravel())
        share = np.arange(1, len(width) + 1) / len(width)
        below.plot(width, share, color=colour, linestyle=line, label=f"{name}: median {median}")
        below.plot(median[1:], (0.5, 0.5), color=colour, marker="|", markersize=10, linewidth=3)
    below.set(xlabel="filter width (participation ratio)", ylabel="share of units", ylim=(0, 1))
    below.legend(frameon=False, fontsize=8)
    below.spines[["top", "right"]].set_visible(False)
    return figure


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
