"""SATAE Figure 5: two filters of saturated-linear units as the penalty grows."""

import numpy as np

from experiments.drawing import filters
from experiments.evidence.claims import settle
from experiments.figures.satae.common.studies import (
    ALPHAS,
    along,
    path_studies,
    saturated_before,
    span,
    trend,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

CLAIMS = {  # Spearman's correlation of mean locality and α at most −0.9, as S8's in Figure 4
    "S5": "filters grow less local with the penalty",
}
SCALES = ("quick", "reduced")
# The rows of the paper: the most local unit up to α = 0.5, a turning one from there.
_ROWS = (
    ("the most local unit at α = 0.1", slice(1, 6)),
    ("the unit that turns most from α = 0.5 to 1", slice(5, 11)),
)


def runs(plan: Plan) -> list[Study]:
    """The path of SATAE Figure 4 whose filters are followed."""
    return [study for study in path_studies(plan) if study.option("tracked")]


def locality(run, arm: int = 0) -> np.ndarray:
    """1 − mean participation ratio, `[S, stages]`: 0 for filters spread evenly over all inputs."""
    return 1 - along(run, "participation", arm)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S5: mean locality falls with α; beside it, that of models trained without penalty."""
    decided = []
    for run in runs.values():
        local, control = locality(run), locality(run, 1)
        falls = trend("mean locality, 1 − participation ratio", local, +1)
        verdict = settle("S5", dataset, "SL filters become less local with α", [falls], len(local))
        of_control = trend("", control, +1).value
        course = (
            f"{span(local)}, with as many updates without penalty {span(control)} (Spearman "
            f"{of_control:.3f}); penalty at α = 1 "
            f"{along(run, 'saturation')[:, -1].mean():.3g}, reconstruction error "
            f"{along(run, 'reconstruction')[:, -1].mean():.3g}"
        )
        decided.append(verdict._replace(numbers=f"{verdict.numbers}; {course}"))
    return decided


def explain(runs, verdict: Verdict) -> list[str]:
    """As for Figure 4."""
    return [s for study, run in runs.items() for s in saturated_before(study, run)]


def caption(runs, plan: Plan) -> str:
    """Sizes, and how the two units are chosen."""
    ((study, run),) = runs.items()
    seeds = study.option("seeds")
    return (
        plan.scale.caveat
        + f"Two filters of a saturating auto-encoder with saturated-linear units on "
        f"{title(study.dataset)} (seed 0; each tile scaled by its largest entry, grey is 0) at "
        "every α: the unit whose filter is the most local at α = 0.1, and of the others the one "
        "whose direction turns most between α = 0.5 and 1; framed, the part that the paper shows. "
        f"Below, locality, 1 − participation ratio: mean over units, mean and range over {seeds} "
        f"seed{'s' * (seeds > 1)}. Tied weights; m = {study.option('hidden')} (the paper: 300), "
        f"N = {study.samples}, warm starts, {study.option('epochs')} epochs at each α, batch "
        f"{study.option('batch_size')}, learning rate {float(run['rate']):g}."
    )


def draw(runs, plan: Plan):
    """Two rows of tiles along α, and mean locality with and without penalty."""
    from matplotlib.figure import Figure

    ((_, run),) = runs.items()
    figure = Figure(figsize=(9, 5), layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=(1, 1, 2.2))
    for row, (name, shown) in enumerate(_ROWS):
        axis = figure.add_subplot(grid[row])
        tiles = run["tracked"].values[row].astype(float)
        filters.show(axis, tiles, tuple(run.attrs["shape"]), len(tiles), name)
        _label_tiles(axis, run.attrs["shape"][1], shown)
    _curves(figure.add_subplot(grid[2]), run)
    return figure


def _label_tiles(axis, width: int, shown: slice) -> None:
    """α below each tile, and a frame around those of the paper."""
    from matplotlib.patches import Rectangle

    step = (axis.get_images()[0].get_size()[1] + 1) / len(ALPHAS)  # a tile and the gap behind it
    axis.set_axis_on()
    axis.spines[:].set_visible(False)
    axis.set_xticks(step * np.arange(len(ALPHAS)) + (width - 1) / 2, [f"{a:g}" for a in ALPHAS])
    axis.set(yticks=[])
    axis.tick_params(length=0, labelsize=8)
    height, count = axis.get_images()[0].get_size()[0], shown.stop - shown.start
    corner, gap = (shown.start * step - 1, -1), 1
    frame = Rectangle(corner, count * step, height + gap, fill=False, linewidth=1.5, clip_on=False)
    axis.add_patch(frame)


def _curves(axis, run) -> None:
    looks = (
        ("growing α", "#CC3311", "^", "-"),
        ("no penalty, as many updates", "#000000", "", ":"),
    )
    for arm, (name, colour, marker, line) in enumerate(looks):
        values = locality(run, arm)
        axis.plot(
            ALPHAS, values.mean(axis=0), color=colour, marker=marker, linestyle=line, label=name
        )
        axis.fill_between(ALPHAS, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15)
    axis.set(xlabel="α", ylabel="mean locality\n(1 − participation ratio)", xticks=ALPHAS)
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
