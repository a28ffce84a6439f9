"""SATAE Figure 4 from other starts: identity-like ones, and what they had before any penalty."""

from experiments.figures.satae.common.decisions import FIGURE_4, activity, filters_of, unknown
from experiments.figures.satae.common.drawn import CHOSEN, place, tiles
from experiments.figures.satae.common.panels import panel_of, panel_studies
from experiments.figures.satae.common.studies import named, units_of
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

CLAIMS = {claim: says for claim, says in FIGURE_4.items() if claim.startswith(("S4", "S8"))}
SCALES = ("reduced", "paper")


def runs(plan: Plan) -> list[Study]:
    """The panels that decide nothing: from identity-like starts, or on other data."""
    return panel_studies(plan, "shown")


def verdicts(runs, dataset: str) -> list[Verdict]:
    """The numbers of S4 and S8, each with its control's: what decides nothing is measured.

    Of a panel whose run is None, not stored, they are "not run".
    """
    measured = []
    for study, run in runs.items():
        if run is None:
            measured += unknown(study, dataset)
        else:
            measured += [*filters_of(study, run, dataset), activity(study, run, dataset)]
    return measured


def caption(runs, plan: Plan) -> str:
    """What is drawn, and which starts are identity-like."""
    panels = [panel_of(study) for study in runs]
    bumps = "; ".join(
        f"({', '.join(p.letters)}) {title(p.dataset)}, {units_of(p)}, N = {p.samples:,}, "
        f"σ = {p.sigma:g} pixels, rate {p.rate:g}/{p.divisor:g}"
        for p in panels
        if p.local_start
    )
    others = "; ".join(
        f"({', '.join(p.letters)}) {title(p.dataset)}, {named(p)}, N = {p.samples:,}, "
        f"rate {p.rate:g}/{p.divisor:g}"
        for p in panels
        if not p.local_start
    )
    return (
        plan.scale.caveat
        + f"Left of each pair, decoder columns at the α named: {CHOSEN}; right, the same units "
        "after as many updates on the same batches at α = 0 (a: none). Identity-like starts, at "
        "which each unit sees one Gaussian bump of pixels, presuppose part of what the paper "
        f"claims and decide nothing: {bumps}. Other settings shown: {others}. All else as in "
        "satae-fig4."
    )


def draw(runs, plan: Plan):
    """A pair for each panel: the filters at its α, and those of its control."""
    from matplotlib.figure import Figure

    paths = [(panel_of(study), run) for study, run in runs.items()]
    each = sorted((letter, i) for i, (panel, _) in enumerate(paths) for letter in panel.letters)
    rows = -(-len(each) // 2)
    figure = Figure(figsize=(9, 2.6 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, 4)
    for i, (letter, number) in enumerate(each):
        panel, run = paths[number]
        row, column = i // 2, i % 2 * 2
        at = place(panel, letter)
        start = "identity-like start" if panel.local_start else "random start"
        heading = f"({letter}) {title(panel.dataset)}\n{start}, α = {panel.shown[at]:g}"
        tiles(figure.add_subplot(grid[row, column]), run, at, heading)
        if panel.control:
            axis = figure.add_subplot(grid[row, column + 1])
            tiles(axis, run, at, "the same units,\nas many updates at α = 0", 1)
    return figure


FIGURE = Figure(
    about=__doc__,
    place="Figure 4, other starts",
    says=(
        "Without a penalty saturated-linear units are said to learn the identity on all data "
        "sets (section 3.3); from which initial state is not said. Here the models start near "
        "the identity, one bump of pixels per unit."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
    partly=True,
)
