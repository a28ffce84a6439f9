"""What the stored paths decide: S4a to S4h, S8, S9 and S10 of docs/protocol.md."""

from collections.abc import Iterator, Mapping

import numpy as np

from experiments.evidence.bootstrap import mean_interval
from experiments.evidence.claims import not_run, settle
from experiments.evidence.criteria import (
    Criterion,
    apart,
    largest_at_most,
    mean_at_least,
    mean_at_most,
    over_seeds,
)
from experiments.figures.satae.common.panels import Panel, panel_of
from experiments.figures.satae.common.studies import (
    along,
    grows_with_penalty,
    lettered,
    named,
    span,
    trend,
    unsaturated,
)
from experiments.pipeline.figure import Verdict
from experiments.pipeline.spec import Study

__all__ = ["FIGURE_4", "activity", "comparisons", "filters_of", "unknown"]

FIGURE_4 = {  # what each claim says
    "S4a": "soft threshold, binary MNIST: strokes and parts of digits",
    "S4b": "saturated-linear units, binary MNIST: the identity, on which no penalty acts",
    "S4c": "soft threshold, natural patches: Gabor filters",
    "S4d": "saturated-linear units, natural patches: edges and gratings",
    "S4e": "soft threshold, CIFAR-10: local filters at a small penalty",
    "S4f": "soft threshold, CIFAR-10: filters spread with the penalty",
    "S4g": "saturated-linear units, CIFAR-10: the identity at a small penalty",
    "S4h": "saturated-linear units, CIFAR-10: filters spread with the penalty",
    "S8": "activity falls and saturation rises with the penalty",
    "S9": "filters of more units are more local",
    "S10": "ReLU learns filters like those of soft threshold",
}

STROKES, STROKES_CONTROL, SMOOTH = 0.45, 0.35, 0.7  # S4a: win7 of path and control, neighbours
MATCH, PIXEL = 0.02, 0.5  # S4b: PR with and without penalty; share of the largest pixel
GABOR, GABOR_CONTROL, ORIENTED = 0.6, 0.3, 0.5  # S4c: R² of path and control, selectivity
RELU = 0.1  # S10: of win7

_SAY = {
    "a": "strokes and parts of digits",
    "b": "identity-like filters, on which the penalty has no effect",
    "c": "Gabor filters",
    "d": "filters at α = 0.6 twice as spread as at 0.1, and as without penalty",
    "e": "filters at α = 0.5 twice as spread as at 0.1, and as without penalty",
    "f": "filters at α = 0.5 twice as spread as at 0.1, and as without penalty",
    "g": "filters at α = 0.6 twice as spread as at 0.1, and as without penalty",
    "h": "filters at α = 0.6 twice as spread as at 0.1, and as without penalty",
}


def _end(run, name: str, which: int = 0) -> np.ndarray:
    """A variable at the end of the path or of its control, `[S]`."""
    return along(run, name, which)[:, -1]


def _strokes(study: Study, run) -> tuple[list[Criterion], list[Criterion]]:
    criteria = [
        mean_at_least(_end(run, "win7"), STROKES, "win7"),
        mean_at_least(
            _end(run, "neighbour_correlation"), SMOOTH, "correlation of neighbouring pixels"
        ),
    ]
    if panel_of(study).control:
        control = _end(run, "win7", 1)
        criteria.append(mean_at_most(control, STROKES_CONTROL, "win7 of the control"))
    return [], criteria


def _identity(study: Study, run) -> tuple[list[Criterion], list[Criterion]]:
    peak = along(run, "peak_share")[:, 0]
    apart_by = np.abs(along(run, "participation") - along(run, "participation", 1))
    return (
        [mean_at_least(peak, PIXEL, "share of the largest pixel at α = 0")],
        [largest_at_most(apart_by, MATCH, "largest difference of PR from the control's over α")],
    )


def _gabors(study: Study, run) -> tuple[list[Criterion], list[Criterion]]:
    r_squared = run["gabor_r2"].values.astype(float)
    selectivity = _end(run, "orientation_selectivity")
    criteria = [
        mean_at_least(r_squared[:, 0], GABOR, "R² of a Gabor fit"),
        mean_at_least(selectivity, ORIENTED, "orientation selectivity"),
        mean_at_most(r_squared[:, 1], GABOR_CONTROL, "R² of the control"),
    ]
    return [], criteria


def _growing(study: Study, run) -> tuple[list[Criterion], list[Criterion]]:
    return unsaturated(study, run), grows_with_penalty(study, run)


_CRITERIA = {"a": _strokes, "b": _identity, "c": _gabors}  # of all others `_growing`


def filters_of(study: Study, run, dataset: str) -> list[Verdict]:
    """S4 for the letters of a panel; "measured" unless the panel decides."""
    panel = panel_of(study)
    given, criteria = _CRITERIA.get(panel.letters, _growing)(study, run)
    return [
        _as_role(panel, settle(f"S4{letter}", dataset, statement, criteria, len(run.seed), given))
        for letter in panel.letters
        for statement in [f"{_SAY[letter]} ({named(panel)})"]
    ]


def unknown(study: Study, dataset: str) -> list[Verdict]:
    """The claims that need a run which is not stored."""
    if study.option("part") == "identity":
        return [not_run("S4b", dataset, "a scaled identity", "its run is not stored")]
    panel = panel_of(study)
    claims = [*(f"S4{letter}" for letter in panel.letters), "S8"]
    if panel.role == "compared":
        claims = ["S10" if panel.activation == "relu" else "S9"]
    statement = f"{lettered(panel)}, {named(panel)}"
    return [not_run(claim, dataset, statement, "its run is not stored") for claim in claims]


def _as_role(panel: Panel, verdict: Verdict) -> Verdict:
    """Only a panel that decides has a verdict; of others the numbers are told."""
    return verdict if panel.role == "decides" else verdict._replace(verdict="measured")


def activity(study: Study, run, dataset: str) -> Verdict:
    """S8: the activity of soft-threshold units falls with α, the saturation of SL units rises."""
    panel, flat = panel_of(study), along(run, "flat")
    if panel.tied:
        statement, told = "saturation of SL units rises with α", flat
        criteria = [trend("the saturated share", flat, -1)]
    else:
        statement, told = "activity of soft-threshold units falls with α", 1 - flat
        criteria = [trend("the share of active units", told, +1)]
    statement = f"{statement}: {lettered(panel)}, {named(panel)}"
    verdict = settle("S8", dataset, statement, criteria, len(flat), unsaturated(study, run))
    course = span(told)
    if panel.control:
        control = along(run, "flat", 1)
        control = control if panel.tied else 1 - control
        course += f", with as many updates without penalty {span(control)}"
    return _as_role(panel, verdict._replace(numbers=f"{verdict.numbers}; {course}"))


def comparisons(runs: Mapping, dataset: str) -> Iterator[Verdict]:
    """S9 and S10: panels that decide against the same with more units, and with ReLU."""
    panels = {panel_of(study): run for study, run in runs.items()}
    for panel, run in panels.items():
        if panel.role != "decides":
            continue
        for other, of_other in panels.items():
            if other.role == "compared" and other.letters == panel.letters:
                compare = _more_units if other.hidden != panel.hidden else _relu
                yield compare(panel, run, other, of_other, dataset)


def _more_units(panel: Panel, run, more: Panel, of_more, dataset: str) -> Verdict:
    few, many = _end(run, "participation"), _end(of_more, "participation")
    criterion = apart(
        f"PR of {panel.hidden} units minus that of {more.hidden}",
        mean_interval(many),
        mean_interval(few),
    )
    statement = f"filters of {more.hidden} units are more local than those of {panel.hidden}: "
    statement += f"{lettered(panel)}, {named(panel)}"
    verdict = settle("S9", dataset, statement, [criterion], len(few))
    numbers = f"{verdict.numbers}; PR {few.mean():.3f} and {many.mean():.3f}"
    return verdict._replace(numbers=numbers)


def _relu(panel: Panel, run, relu: Panel, of_relu, dataset: str) -> Verdict:
    shrink, other = _end(run, "win7"), _end(of_relu, "win7")

    def apart_by(seeds: np.ndarray) -> float:
        return float(abs(other[seeds].mean() / shrink[seeds].mean() - 1))

    name = "difference of win7 over that of soft threshold"
    criterion = over_seeds(name, apart_by, len(shrink), RELU, +1)
    statement = f"ReLU has the windowed energy of soft threshold: {lettered(panel)}, "
    statement += named(panel)
    verdict = settle("S10", dataset, statement, [criterion], len(shrink))
    numbers = f"{verdict.numbers}; win7 {other.mean():.3f} and {shrink.mean():.3f}"
    return verdict._replace(numbers=numbers)
