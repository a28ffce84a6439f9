"""SATAE Figure 4: filters of shrink and saturated-linear units at small and large penalties."""

import numpy as np

from experiments.drawing import filters
from experiments.evidence.claims import by_construction, settle
from experiments.evidence.criteria import Criterion, largest_at_most, mean_at_least
from experiments.figures.satae.common.paths import follow, identity_numbers, normalized
from experiments.figures.satae.common.studies import (
    ALPHAS,
    SHOWN,
    WIDTH,
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

CLAIMS = {
    "S4": "filters more local at small penalties; on binary data no penalty is needed",
    "S8": "activity falls and saturation rises with the penalty",
}
SCALES = ("quick", "reduced")

MATCH = 0.02  # S4: with and without penalty on binary digits, in mean participation ratio
ZERO = 1e-6  # S4: loss and penalty of the scaled identity, per sample
PIXELS = 717  # S4: units it needs on MNIST

_BINARY = ("digits", "mnist-binary")
_NAMES = {"shrink": "shrink", "saturated-linear": "SL"}
_DRAWN = (16, 9)  # tiles in a panel of the upper and of the lower row
_BELOW = (
    ("shrink", "active"),
    ("saturated-linear", "flat"),
    ("shrink", "participation"),
    ("saturated-linear", "participation"),
)
_LABELS = {
    "active": "share active",
    "flat": "share saturated",
    "participation": "participation ratio",
}
_LOOKS = (("#000000", "o", "-"), ("#0072B2", "s", "--"), ("#CC3311", "^", "-."))


def runs(plan: Plan) -> list[Study]:
    """A path over α per data set and nonlinearity, all seeds in one program; the identity."""
    paths = path_studies(plan)
    binary = next(path.dataset for path in paths if path.dataset in _BINARY)
    return [*paths, Study("satae-fig4", binary, options=(("part", "identity"),), work=1e10)]


def compute(study: Study, dataset):
    """The path over α of a data set and nonlinearity, or the scaled identity's numbers."""
    X = normalized(dataset.train, binary=study.dataset in _BINARY)
    if study.option("part") == "identity":
        return identity_numbers(X)
    return follow(study, X).assign_attrs(shape=dataset.shape)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S4 for saturated-linear units, S8 for both nonlinearities, on one data set."""
    decided = []
    for study, run in runs.items():
        if study.option("part") == "identity":
            decided.append(_identity(run, dataset))
        elif study.option("nonlinearity") == "shrink":
            decided.append(_activity(run, dataset))
        else:
            decided += [_locality(study, run, dataset), _saturation(run, dataset)]
    return decided


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
    return by_construction(settle("S4", dataset, statement, criteria, 0))


def _locality(study: Study, run, dataset: str) -> Verdict:
    """The penalty has no effect on binary data; on other data it makes filters less local."""
    spread, control = along(run, "participation"), along(run, "participation", 1)
    if dataset in _BINARY:
        units = study.option("hidden")
        statement = f"trained with and without penalty {units} SL filters are equally local"
        name = "largest difference of participation ratios over α"
        criterion = largest_at_most(np.abs(spread - control), MATCH, name)
    else:
        small, large = (ALPHAS.index(alpha) for alpha in study.option("shown"))
        change = spread[:, large] - spread[:, small]
        statement = "SL filters are more local at small α than at large α"
        name = f"participation ratio at α = {ALPHAS[large]:g} minus at {ALPHAS[small]:g}"
        criterion = mean_at_least(change, 0.0, name)._replace(strict=True)
    verdict = settle("S4", dataset, statement, [criterion], len(spread))
    if dataset in _BINARY and units < PIXELS:
        verdict = verdict._replace(
            verdict="inconclusive",
            numbers=f"asked of {PIXELS} units or more, which were not trained; {verdict.numbers}",
        )
    course = f"from α = 0 to 1 {span(spread)}, with as many updates without penalty {span(control)}"
    return verdict._replace(numbers=f"{verdict.numbers}; {course}")


def explain(runs, verdict: Verdict) -> list[str]:
    """SL: how saturated the units are before any penalty, and how many units there are."""
    if "SL" not in verdict.statement:
        return []
    return [
        sentence
        for study, run in runs.items()
        if study.dataset == verdict.dataset
        and study.option("part") != "identity"
        and study.option("nonlinearity") != "shrink"
        for sentence in saturated_before(study, run)
    ]


def _activity(run, dataset: str) -> Verdict:
    active = 1 - along(run, "flat")
    falls = trend("the share of active units", active, +1)
    verdict = settle("S8", dataset, "activity of shrink units falls with α", [falls], len(active))
    course = f"{span(active)}; no control without penalty was trained"
    return verdict._replace(numbers=f"{verdict.numbers}; {course}")


def _saturation(run, dataset: str) -> Verdict:
    flat, control = along(run, "flat"), along(run, "flat", 1)
    rises = trend("the saturated share", flat, -1)
    verdict = settle("S8", dataset, "saturation of SL units rises with α", [rises], len(flat))
    course = f"{span(flat)}, with as many updates without penalty {span(control)}"
    return verdict._replace(numbers=f"{verdict.numbers}; {course}")


def caption(runs, plan: Plan) -> str:
    """Sizes, rates and what is drawn."""
    first, seeds = next(iter(runs)), next(iter(runs)).option("seeds")
    return (
        plan.scale.caveat
        + "Decoder columns of the first units (seed 0; each scaled by its largest entry, grey is "
        f"0) of saturating auto-encoders with shrink (width {WIDTH:g}, untied decoder with columns "
        "of unit length) and saturated-linear units (SL, tied weights), and, mean and range over "
        f"{seeds} seed{'s' * (seeds > 1)}, the share of active shrink units, the share of SL "
        "pre-activations at or beyond ±1, and the filters' mean participation ratio, the share of "
        "inputs they spread over; dotted: SL with as many updates on the same batches without "
        "penalty. "
        "Data less its mean, over its standard deviation, one number each; "
        f"m = {first.option('hidden')} (the paper: 100, in b, g and h 300), α from 0 to 1 in steps "
        f"of 0.1 with warm starts, {first.option('epochs')} epochs each, batch "
        f"{first.option('batch_size')}, no momentum. {_rates(runs)}"
    )


def _rates(runs) -> str:
    """The learning rate and the samples of each path."""
    paths = [(study, run) for study, run in runs.items() if study.option("part") == "path"]
    tried = {title(study.dataset): study.option("rates") for study, _ in paths}
    common = min(tried.values(), key=len)
    smaller = {where: rates[len(common) :] for where, rates in tried.items() if rates != common}
    also = "".join(f" (for {where} also {_listed(rates)})" for where, rates in smaller.items())
    taken = ", ".join(
        f"{float(run['rate']):g} ({_NAMES[study.option('nonlinearity')]}, {title(study.dataset)}, "
        f"N = {study.samples})"
        for study, run in paths
    )
    return (
        f"Learning rates, the largest of {_listed(common)}{also} at which no model of the path "
        f"is lost (not finite, or 99% of its units dead): {taken}."
    )


def _listed(rates) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)


def draw(runs, plan: Plan):
    """Eight panels of filters as in the paper; below, activity, saturation and locality."""
    from matplotlib.figure import Figure

    paths = {
        (study.dataset, study.option("nonlinearity")): (study, run)
        for study, run in runs.items()
        if study.option("part") == "path"
    }
    datasets = list(dict.fromkeys(dataset for dataset, _ in paths))
    figure = Figure(figsize=(9, 8.2), layout="constrained")
    grid = figure.add_gridspec(3, 4, height_ratios=(1, 1, 0.9))
    panels = [(d, name, 1) for d in datasets[:2] for name in SHOWN]
    panels += [(datasets[2], name, size) for name in SHOWN for size in (0, 1)]
    for i, (dataset, name, size) in enumerate(panels):
        axis = figure.add_subplot(grid[divmod(i, 4)])
        _tiles(axis, f"({'abcdefgh'[i]}) ", *paths[dataset, name], size, _DRAWN[i // 4])
    for column, (name, variable) in enumerate(_BELOW):
        axis = figure.add_subplot(grid[2, column])
        _curves(axis, {d: paths[d, name][1] for d in datasets}, name, variable)
    figure.legend(
        handles=axis.lines[:4], loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    return figure


def _tiles(axis, letter: str, study: Study, run, size: int, count: int) -> None:
    """The first filters of a path at its small (0) or large (1) α."""
    rows, shape = run["tile"].values[size, :count].astype(float), tuple(run.attrs["shape"])
    alpha, name = study.option("shown")[size], _NAMES[study.option("nonlinearity")]
    heading = f"{letter}{name}, α = {alpha:g}\n{title(study.dataset)}"
    filters.show(axis, rows, shape, round(count**0.5), heading)
    axis.get_images()[0].set_interpolation("none")  # an SVG then keeps its few pixels


def _curves(axis, by_dataset: dict, name: str, variable: str) -> None:
    """A number along α on every data set; its control dotted."""
    for (dataset, run), (colour, marker, line) in zip(by_dataset.items(), _LOOKS, strict=True):
        values = along(run, "flat" if variable == "active" else variable)
        values = 1 - values if variable == "active" else values
        look = {"color": colour, "label": title(dataset)}
        axis.plot(ALPHAS, values.mean(axis=0), marker=marker, markersize=4, linestyle=line, **look)
        axis.fill_between(ALPHAS, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2)
    for run, (colour, _, _) in zip(by_dataset.values(), _LOOKS, strict=True):
        if run.sizes["arm"] > 1:
            control = along(run, variable, 1).mean(axis=0)
            axis.plot(
                ALPHAS, control, color=colour, linestyle=":", label="no penalty, as many updates"
            )
    axis.set_title(f"{_NAMES[name]}: {_LABELS[variable]}", fontsize=9)
    axis.set_xlabel("α", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


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
