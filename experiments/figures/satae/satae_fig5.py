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
# The paper's two rows, and the α that it shows of each.
_FOLLOWED = (("an element\nto an edge", (0.1, 0.5)), ("an edge to\na template", (0.5, 1.0)))


def runs(plan: Plan) -> list[Study]:
    """Panels g and h of SATAE Figure 4: from the start that decides, and an identity-like one."""
    studies = panel_studies(plan, "decides", "shown")
    (decides,) = (s for s in studies if _is_ours(panel_of(s)) and panel_of(s).role == "decides")
    return [s for s in studies if _is_ours(panel_of(s)) and s.dataset == decides.dataset]


def _is_ours(panel: Panel) -> bool:
    return panel.letters == "gh"


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S5 by the criterion of S4g; of the identity-like start the numbers alone."""
    return [_verdict(study, run, dataset) for study, run in runs.items()]


def _verdict(study: Study, run, dataset: str) -> Verdict:
    panel, spread = panel_of(study), along(run, "participation")
    small, large = panel.shown
    statement = (
        f"filters spread from α = {small:g} to {large:g}, as an identity element that becomes an "
        f"edge and a template does ({named(panel)})"
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
        elif verdict.verdict != "measured":
            other = _verdict(study, run, verdict.dataset)
            said.append(f"Tried beside: {other.statement}: {other.numbers}.")
    return said


def caption(runs, plan: Plan) -> str:
    """Sizes, how the two units are chosen, and which start is identity-like."""
    study = next(study for study in runs if panel_of(study).role == "decides")
    local = next(panel_of(study) for study in runs if panel_of(study).local_start)
    panel, seeds = panel_of(study), len(study.option("seeds"))
    return (
        plan.scale.caveat
        + f"Two filters of a saturating auto-encoder with saturated-linear units on "
        f"{title(study.dataset)} at every α (the first seed; each tile scaled by its largest "
        "entry, grey is 0), above from an identity-like start, one Gaussian bump per unit of σ = "
        f"{local.sigma:g} pixels, which presupposes the identity at α = 0 and decides nothing, "
        "each with the same unit after as many updates on the same batches at α = 0; below from a "
        "random start, which decides. The units are chosen by the paper's words, of the half that "
        "is the more local at α = 0.5: the one whose direction turns most from α = 0.1 to 0.5, and "
        "the one whose participation ratio grows most from 0.5 to 1; framed, the α that the paper "
        "shows. Curves: mean participation ratio over units (0: one input, 1: all inputs "
        f"alike), mean and range over {seeds} seed{'s' * (seeds > 1)}; dotted: without penalty. "
        f"Tied weights, T = {panel.width / panel.deviation:g} standard deviations of the inputs "
        f"(inputs divided by {1 / panel.deviation:g}, T = {panel.width:g}), m = {panel.hidden} "
        f"(the paper: 300, on 32×32×3), N = {study.samples:,}, batch {panel.batch_size}, warm "
        f"starts, {panel.epochs} epoch{'s' * (panel.epochs > 1)} at each α, rate "
        f"{panel.rate:g}/{panel.divisor:g}."
    )


def draw(runs, plan: Plan):
    """The followed units of both starts along α, and the participation ratios."""
    from matplotlib.figure import Figure

    by_start = {panel_of(study).local_start: run for study, run in runs.items()}
    local, random = by_start[True], by_start[False]
    figure = Figure(figsize=(9, 8.6), layout="constrained")
    grid = figure.add_gridspec(3, 1, height_ratios=(4, 2, 2.6))
    axis = figure.add_subplot(grid[0])
    _rows(axis, local, (0, 1), "from an identity-like start: decides nothing")
    _rows(figure.add_subplot(grid[1]), random, (0,), "from a random start: decides")
    labelled = {"random start": random, "identity-like start": local}
    axis = figure.add_subplot(grid[2])
    curves(axis, labelled, "participation", "mean participation ratio (dotted: no penalty)")
    return figure


def _rows(axis, run, which: tuple[int, ...], heading: str) -> None:
    """Both units along α: of the path (0), and below each of its control (1) where asked for."""
    shape = tuple(int(size) for size in run.attrs["shape"])
    followed = run["followed"].values[:, list(which)].astype(float)
    filters.show(axis, followed.reshape(-1, followed.shape[-1]), shape, len(ALPHAS), heading)
    axis.get_images()[0].set_interpolation("none")  # an SVG then keeps its few pixels
    axis.set_axis_on()
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=8)
    down, across = shape[0] + 1, shape[1] + 1  # a tile and the gap behind it
    axis.set_xticks(across * np.arange(len(ALPHAS)) + shape[1] / 2, [f"{a:g}" for a in ALPHAS])
    names = [name if i == 0 else "no penalty" for name, _ in _FOLLOWED for i in which]
    axis.set_yticks(down * np.arange(len(names)) + shape[0] / 2, names)
    for unit, (_, ends) in enumerate(_FOLLOWED):
        first, last = (ALPHAS.index(alpha) for alpha in ends)
        _frame(axis, first * across - 1, unit * len(which) * down - 1, (last - first + 1, 1), shape)


def _frame(axis, left: float, top: float, tiles: tuple[int, int], shape) -> None:
    """A frame around so many tiles, across and down."""
    from matplotlib.patches import Rectangle

    across, down = tiles
    width, height = across * (shape[1] + 1), down * (shape[0] + 1)
    axis.add_patch(Rectangle((left, top), width, height, fill=False, linewidth=1.8, clip_on=False))


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
)
