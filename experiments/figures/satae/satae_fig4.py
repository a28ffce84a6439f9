"""SATAE Figure 4: filters of soft-threshold and saturated-linear units, in eight panels."""

from experiments.evidence.claims import by_construction, settle
from experiments.evidence.criteria import Criterion
from experiments.figures.satae.common.decisions import (
    FIGURE_4,
    activity,
    comparisons,
    filters_of,
    unknown,
)
from experiments.figures.satae.common.drawn import CHOSEN, curves, place, tiles
from experiments.figures.satae.common.identity import identity_numbers
from experiments.figures.satae.common.panels import panel_of, panel_studies
from experiments.figures.satae.common.paths import follow
from experiments.figures.satae.common.prepare import inputs_of, prepare
from experiments.figures.satae.common.readings import readings
from experiments.figures.satae.common.studies import named, units_of
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

CLAIMS = FIGURE_4

ZERO = 1e-6  # S4b: loss and penalty of the scaled identity, per sample
PIXELS = 717  # S4b: units it needs on MNIST

_BELOW = (
    ("acef", "active", "soft threshold: share active"),
    ("bdgh", "flat", "SL: share saturated"),
    ("acef", "participation", "soft threshold: PR"),
    ("bdgh", "participation", "SL: PR"),
)


def runs(plan: Plan) -> list[Study]:
    """The paths that decide or are compared, all seeds of each in one program; the identity.

    That is a closed form without seeds: it belongs to the first of them.
    """
    paths = panel_studies(plan, "decides", "compared")
    if plan.first_seed:
        return paths
    binary = next(s for s in paths if panel_of(s).preparation == "binary")
    identity = binary._replace(options=(("part", "identity"),), work=1e10)
    return [*paths, identity]


def further(plan: Plan) -> list[Study]:
    """The paths from identity-like starts and on other data: readings that were tried."""
    return panel_studies(plan, "shown")


def compute(study: Study, dataset):
    """The path over α of a panel, or the scaled identity's numbers."""
    if study.option("part") == "identity":
        return identity_numbers(prepare(dataset.train, "binary"))
    return follow(study, inputs_of(panel_of(study), dataset.train), dataset.shape)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S4 and S8 of the panels on one data set, S9 and S10 against what is compared with them.

    Of a panel whose run is None, not stored, the claims are "not run".
    """
    decided = []
    for study, run in runs.items():
        if run is None:
            decided += unknown(study, dataset)
            continue
        if study.option("part") == "identity":
            decided.append(_identity(run, dataset))
        elif panel_of(study).role == "decides":
            decided += [*filters_of(study, run, dataset), activity(study, run, dataset)]
    stored = {s: r for s, r in runs.items() if r is not None}
    paths = {s: r for s, r in stored.items() if s.option("part") == "path"}
    return [*decided, *comparisons(paths, dataset)]


def _identity(run, dataset: str) -> Verdict:
    criteria = [
        Criterion("loss", float(run["reconstruction"]), ZERO, +1, None),
        Criterion("penalty", float(run["saturation"]), ZERO, +1, None),
        Criterion("units", float(run["units"]), PIXELS, +1, None),
        Criterion(
            "contrast, half the gap in standard deviations", float(run["half_gap"]), 1, -1, None
        ),
    ]
    statement = "a scaled identity reconstructs binary data without penalty, SL"
    return by_construction(settle("S4b", dataset, statement, criteria, 0))


def explain(runs, verdict: Verdict) -> list[str]:
    """The readings of the paper that were tried for a panel, with their numbers."""
    return readings(runs, verdict)


def caption(runs, plan: Plan) -> str:
    """What is drawn, and the settings of each panel."""
    decide = {panel_of(s): s for s in runs if s.option("part") == "path"}
    decide = {panel: s for panel, s in decide.items() if panel.role == "decides"}
    seeds = len(next(iter(decide.values())).option("seeds"))
    settings = "; ".join(
        f"({', '.join(panel.letters)}) {title(panel.dataset)}"
        f"{'' if panel.preparation == 'binary' else f' ({panel.preparation})'}, {named(panel)}, "
        f"N = {panel.samples:,}, batch {panel.batch_size}, rate {panel.rate:g}/{panel.divisor:g}, "
        f"{panel.epochs} epoch{'s' * (panel.epochs > 1)} at each α"
        f"{f' ({panel.first_epochs} at α = 0)' * (panel.first_epochs != panel.epochs)}"
        f"{f', penalty {panel.penalty:g}α' * (panel.penalty != 1)}"
        for panel in decide
    )
    return (
        plan.scale.caveat
        + f"Decoder columns of saturating auto-encoders: {CHOSEN}; from random starts. Below, "
        f"mean and range over {seeds} seed{'s' * (seeds > 1)} along α, which grows from 0 to 1 in "
        "steps of 0.1, each from the last; dotted: as many updates on the same batches at α = 0; "
        "PR: participation ratio, the share of inputs that a filter spreads over. "
        "Data less its mean, over its standard deviation, one number each; of SL (saturated-"
        "linear, tied) also over T; raw: nothing else was done; white: means of patches removed, "
        "ZCA, contrast normalized. Soft threshold: untied, decoder columns of length 1 after "
        "every 10th update. No momentum; a rate r/k is that of eq. 2, averaged over the batch, "
        f"with both terms divided by k. {settings}."
    )


def draw(runs, plan: Plan):
    """Eight panels of filters as in the paper; below, activity, saturation and locality."""
    from matplotlib.figure import Figure

    paths = {panel_of(s): run for s, run in runs.items() if s.option("part") == "path"}
    paths = {panel: run for panel, run in paths.items() if panel.role == "decides"}
    panels = sorted((letter, panel) for panel in paths for letter in panel.letters)
    figure = Figure(figsize=(9, 7.8), layout="constrained")
    grid = figure.add_gridspec(3, 4, height_ratios=(1, 1, 0.9))
    for letter, panel in panels:
        at = place(panel, letter)
        heading = f"({letter}) {units_of(panel)}\n{title(panel.dataset)}\nα = "
        axis = figure.add_subplot(grid[divmod("abcdefgh".index(letter), 4)])
        tiles(axis, paths[panel], at, f"{heading}{panel.shown[at]:g}")
    for column, (letters, variable, heading) in enumerate(_BELOW):
        of_these = {p.letters: run for p, run in paths.items() if p.letters in letters}
        by_label = {f"({', '.join(name)})": run for name, run in sorted(of_these.items())}
        curves(figure.add_subplot(grid[2, column]), by_label, variable, heading)
    return figure


FIGURE = Figure(
    about=__doc__,
    place="Figure 4",
    says=(
        "Filters in eight panels (sections 3.2 to 3.4): soft threshold gives strokes and "
        "parts of digits on binary MNIST (a) and Gabor-like filters on natural patches (c); "
        "saturated-linear units learn the identity on MNIST, whatever the penalty (b), and a "
        "more varied basis on natural patches (d). On CIFAR-10 the filters of soft threshold "
        "become less localized from α = 0.1 (e) to 0.5 (f), and those of saturated-linear "
        "units turn from the identity at 0.1 (g) into filters aligned with the data at 0.6 "
        "(h). More units make the features more localized (section 4); rectified linear units "
        "give nearly the same as shrink (section 3.2)."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    further=further,
    partial=True,
    partly=True,
)
