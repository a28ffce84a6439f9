"""Readings of SATAE that were tried for a panel, with the numbers of their stored runs."""

from collections.abc import Mapping

from experiments.figures.satae.common.decisions import filters_of
from experiments.figures.satae.common.panels import panel_of
from experiments.figures.satae.common.studies import saturated_before
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
        if panel.role == "shown":
            said += [
                f"Tried beside: {other.statement}: {other.numbers}."
                for other in filters_of(study, run, verdict.dataset)
                if other.claim == verdict.claim
            ]
    return said
