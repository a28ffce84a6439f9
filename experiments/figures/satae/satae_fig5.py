"""SATAE Figure 5: two filters of saturated-linear units as the penalty grows."""

import numpy as np

from experiments.drawing import filters
from experiments.evidence.claims import settle
from experiments.figures.satae.common.drawn import curves
from experiments.figures.satae.common.panels import ALPHAS, Panel, panel_of, panel_studies
from experiments.figures.satae.common.studies import (
    along,
    grows_with_penalty,
    named,
    saturated_before,
    span,
    unsaturated,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

CLAIMS = {
    "S5": "an identity element becomes an edge, an edge becomes a template",
}
# The paper's rows of tiles: from an identity element to an edge, from an edge to a template.
_ROWS = ((0.1, 0.5), (0.5, 1.0))


def runs(plan: Plan) -> list[Study]:
    """Panels g and h of SATAE Figure 4: from the start that decides, and identity-like ones."""
    paths = {study: panel_of(study) for study in panel_studies(plan, "decides", "shown")}
    return [
        study
        for study, panel in paths.items()
        if panel.letters == "gh" and (panel.role == "decides" or panel.local_start)
    ]


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S5 by the criterion of S4g; of the identity-like start the numbers alone."""
    return [_verdict(study, run, dataset) for study, run in runs.items()]


def _verdict(study: Study, run, dataset: str) -> Verdict:
    panel, spread = panel_of(study), along(run, "participation")
    small, large = panel.shown
    statement = (
        f"filters spread from α = {small:g} to {large:g}: PR doubles, and is twice that without "
        f"penalty ({named(panel)})"
    )
    criteria = grows_with_penalty(study, run)
    verdict = settle("S5", dataset, statement, criteria, len(spread), unsaturated(study, run))
    course = (
        f"PR from α = 0 to 1 {span(spread)}, with as many updates without penalty "
        f"{span(along(run, 'participation', 1))}"
    )
    verdict = verdict._replace(numbers=f"{verdict.numbers}; {course}")
    return verdict if panel.role == "decides" else verdict._replace(verdict="measured")


def explain(runs, verdict: Verdict) -> list[str]:
    """Whether the model that decides starts saturated, and the numbers of the other start."""
    said = []
    for study, run in runs.items():
        if panel_of(study).role == "decides":
            said += saturated_before(study, run)
        else:
            other = _verdict(study, run, verdict.dataset)
            said.append(f"Also tried: {other.statement}: {other.numbers}.")
    return said


def caption(runs, plan: Plan) -> str:
    """Sizes, how the two units are chosen, and which starts are identity-like."""
    panels = {panel_of(study): study for study in runs}
    ((decides, study),) = ((p, s) for p, s in panels.items() if p.role == "decides")
    bumps = " and ".join(
        f"{panel.sigma:g} (T = {panel.width:g}, {title(panel.dataset)})"
        for panel in panels
        if panel.local_start
    )
    seeds = len(study.option("seeds"))
    return (
        plan.scale.caveat
        + "Two filters of saturating auto-encoders with saturated-linear units at every α (the "
        "first seed; each tile scaled by its largest entry, grey is 0). From identity-like starts, "
        f"one Gaussian bump per unit with a standard deviation in pixels of {bumps}, which "
        "presuppose the identity at α = 0 and decide nothing, with the same units after as many "
        f"updates on the same batches at α = 0; and from a random start (T = {decides.width:g}, "
        f"{title(decides.dataset)}), which decides. The units are chosen by the paper's words, of "
        "the half that is the more local at α = 0.5: first the one whose direction turns most from "
        "α = 0.1 to 0.5 (in the paper from an identity element to an edge), then the one whose "
        "participation ratio grows most from 0.5 to 1 (from an edge to a template); framed, the α "
        "that the paper shows. Curves: mean participation ratio over units (1: all inputs alike), "
        f"mean and range over {seeds} seed{'s' * (seeds > 1)}; dotted: without penalty. Tied "
        f"weights, linear up to T standard deviations of the data, m = {decides.hidden} (the "
        f"paper: 300), N = {_samples(panels)}, batch {decides.batch_size}, warm starts, "
        f"{decides.epochs} epoch{'s' * (decides.epochs > 1)} at each α, rate {decides.rate:g}/"
        f"{decides.divisor:g}."
    )


def _samples(panels) -> str:
    """The number of samples, of each data set where there are several."""
    by_dataset = {panel.dataset: panel.samples for panel in panels}
    return " and ".join(f"{n:,} ({title(dataset)})" for dataset, n in by_dataset.items())


def draw(runs, plan: Plan):
    """The followed units along α, and the participation ratios on each data set."""
    from matplotlib.figure import Figure

    paths = [(panel_of(study), run) for study, run in runs.items()]
    drawn = sorted((p for p in paths if p[0].local_start), key=lambda p: -p[0].width)
    drawn += [p for p in paths if p[0].role == "decides"]
    heights = [4.2 if panel.local_start else 2.2 for panel, _ in drawn]
    figure = Figure(figsize=(9, 0.76 * sum(heights) + 2.6), layout="constrained")
    figure.get_layout_engine().set(rect=(0.04, 0, 0.95, 1))  # else labels of rows are cut off
    grid = figure.add_gridspec(len(drawn) + 1, 1, height_ratios=[*heights, 3.2])
    for i, (panel, run) in enumerate(drawn):
        start, which = ("a random start, which decides", (0,))
        if panel.local_start:
            start, which = ("an identity-like start, which decides nothing", (0, 1))
        heading = f"{title(panel.dataset)}, T = {panel.width:g}, from {start}"
        _rows(figure.add_subplot(grid[i]), run, which, heading)
    datasets = list(dict.fromkeys(panel.dataset for panel, _ in drawn))
    below = grid[len(drawn)].subgridspec(1, len(datasets))
    for i, dataset in enumerate(datasets):
        labelled = {_start(panel): run for panel, run in paths if panel.dataset == dataset}
        heading = f"{title(dataset)}: participation ratio"
        curves(figure.add_subplot(below[i]), labelled, "participation", heading)
    return figure


def _start(panel: Panel) -> str:
    return "identity-like start" if panel.local_start else "random start"


def _rows(axis, run, which: tuple[int, ...], heading: str) -> None:
    """Both units along α: of the path (0), and below each of its control (1) where asked for."""
    shape = tuple(int(size) for size in run.attrs["shape"])
    followed = run["followed"].values[:, list(which)].astype(float)
    filters.show(axis, followed.reshape(-1, followed.shape[-1]), shape, len(ALPHAS), heading)
    axis.get_images()[0].set_interpolation("none")  # an SVG then keeps its few pixels
    axis.set_axis_on()
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=8)
    axis.tick_params(axis="x", pad=6)
    down, across = shape[0] + 1, shape[1] + 1  # a tile and the gap behind it
    axis.set_xticks(across * np.arange(len(ALPHAS)) + shape[1] / 2, [f"{a:g}" for a in ALPHAS])
    names = [
        name
        for unit in ("first unit", "second unit")
        for name in (unit, "no penalty")[: len(which)]
    ]
    axis.set_yticks(down * np.arange(len(names)) + shape[0] / 2, names)
    for unit, ends in enumerate(_ROWS):
        first, last = (ALPHAS.index(alpha) for alpha in ends)
        corner = (first * across - 1, unit * len(which) * down - 1)
        _frame(axis, corner, (last - first + 1) * across, down)


def _frame(axis, corner: tuple[float, float], width: float, height: float) -> None:
    from matplotlib.patches import Rectangle

    axis.add_patch(Rectangle(corner, width, height, fill=False, linewidth=1.8, clip_on=False))


FIGURE = Figure(
    about=__doc__,
    place="Figure 5",
    says=(
        "As α grows, each stage starting from the one before, an element of the identity (α = "
        "0.1) turns into a localized edge (0.5), and a localized edge (0.5) into a template "
        "of a horse (1), with saturated-linear units on CIFAR-10 (section 3.4)."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
)
