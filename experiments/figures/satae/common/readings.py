"""Readings of SATAE that were tried for a panel, with the numbers of their stored runs."""

from collections.abc import Iterator, Mapping

from experiments.figures.satae.common.decisions import filters_of
from experiments.figures.satae.common.panels import ALPHAS, panel_of
from experiments.figures.satae.common.studies import along, lettered, saturated_before, units_of
from experiments.pipeline.figure import Verdict
from experiments.pipeline.spec import Study

__all__ = ["readings"]


def readings(runs: Mapping, verdict: Verdict) -> list[str]:
    """Sentences for a panel's claim that is not decided, or fails, on a data set.

    `runs` are those of the data set. S4: whether the model that decides starts saturated, and the
    numbers of the other starts; S9 and S10: the course of both paths.
    """
    paths = {study: run for study, run in runs.items() if study.option("part") == "path"}
    if verdict.claim in _COURSES:
        course = _COURSES[verdict.claim]
        return [course(study, run) for study, run in paths.items() if _compared(study, verdict)]
    if not verdict.claim.startswith("S4"):
        return []
    letter = verdict.claim[2:]
    of_panel = {s: run for s, run in paths.items() if letter in panel_of(s).letters}
    return [said for study, run in of_panel.items() for said in _reading(study, run, verdict)]


def _reading(study: Study, run, verdict: Verdict) -> Iterator[str]:
    """Of the model that decides, what its criteria do not say; of others, their numbers."""
    panel = panel_of(study)
    if panel.role == "shown":
        for other in filters_of(study, run, verdict.dataset):
            if other.claim == verdict.claim:
                yield f"Also tried: {other.statement}: {other.numbers}."
    elif panel.role == "decides" and panel.tied:
        if panel.letters != "b":  # an identity on binary data saturates
            yield from saturated_before(study, run)
        if "gabor_r2" in run:
            yield _gabor(run)


def _compared(study: Study, verdict: Verdict) -> bool:
    """Whether a path is one of the two that S9 or S10 compares."""
    panel = panel_of(study)
    if panel.role == "shown" or f"{lettered(panel)}," not in verdict.statement:
        return False
    relu = panel.activation == "relu"
    other = relu if verdict.claim == "S10" else not relu
    return panel.role == "decides" or other


def _gabor(run) -> str:
    """How Gabor-like the filters of grey patches are at the end, which no criterion of SL asks."""
    path, control = run["gabor_r2"].values.mean(axis=0)
    selectivity = [along(run, "orientation_selectivity", which)[:, -1].mean() for which in (0, 1)]
    return (
        f"At the end of the path the median R² of a Gabor fit is {path:.3f} (without penalty "
        f"{control:.3f}), orientation selectivity {selectivity[0]:.3f} ({selectivity[1]:.3f})."
    )


def _course(study: Study, run) -> str:
    """Locality over the last step of α: whether filters still change there."""
    spread, window = along(run, "participation").mean(axis=0), along(run, "win7")[:, -1].mean()
    return (
        f"With {panel_of(study).hidden} units PR goes from {spread[-2]:.3f} at α = 0.9 to "
        f"{spread[-1]:.3f} at 1, after as many updates; win7 is {window:.3f} there."
    )


def _windows(study: Study, run) -> str:
    """Windowed energy at the start, in the middle and at the end of the path."""
    start, middle, end = along(run, "win7").mean(axis=0)[[0, len(ALPHAS) // 2, -1]]
    return (
        f"With {units_of(panel_of(study))} win7 is {start:.3f} at α = 0, {middle:.3f} at "
        f"{ALPHAS[len(ALPHAS) // 2]:g} and {end:.3f} at 1."
    )


_COURSES = {"S9": _course, "S10": _windows}
