"""Readings of SATAE that were tried for a panel, with the numbers of their stored runs."""

from collections.abc import Mapping

from experiments.figures.satae.common.decisions import filters_of
from experiments.figures.satae.common.panels import panel_of
from experiments.figures.satae.common.studies import along, saturated_before
from experiments.pipeline.figure import Verdict

__all__ = ["readings"]


def readings(runs: Mapping, verdict: Verdict) -> list[str]:
    """Sentences for a panel's claim that is not decided, or fails, on a data set.

    `runs` are those of the data set: whether the model that decides starts saturated, and the
    numbers of the other starts.
    """
    paths = {study: run for study, run in runs.items() if study.option("part") == "path"}
    if not verdict.claim.startswith("S4"):
        return []
    letter, said = verdict.claim[2:], []
    for study, run in paths.items():
        panel = panel_of(study)
        if letter not in panel.letters:
            continue
        if panel.role == "decides" and panel.tied:
            said += saturated_before(study, run)
        if panel.role == "decides" and "gabor_r2" in run:
            said.append(_gabor(run))
        if panel.role == "shown":
            said += [
                f"Tried beside: {other.statement}: {other.numbers}."
                for other in filters_of(study, run, verdict.dataset)
                if other.claim == verdict.claim
            ]
    return said


def _gabor(run) -> str:
    """How Gabor-like the filters of grey patches are at the end, which no criterion of SL asks."""
    path, control = run["gabor_r2"].values.mean(axis=0)
    selectivity = [along(run, "orientation_selectivity", which)[:, -1].mean() for which in (0, 1)]
    return (
        f"At the end of the path the median R² of a Gabor fit is {path:.3f} (without penalty "
        f"{control:.3f}), orientation selectivity {selectivity[0]:.3f} ({selectivity[1]:.3f})."
    )
