"""A figure's verdicts from its runs; "not run" where some of them are missing."""

from collections.abc import Mapping

from aesparse.errors import InputError
from experiments.pipeline.damage import Damage
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.provenance import parentage
from experiments.pipeline.spec import Spec

__all__ = ["decided"]


def decided(
    figure: Figure, runs: Mapping[Spec, object], damage: Damage | None = None
) -> list[Verdict]:
    """A figure's verdicts, if any: for each group of its runs, then across all of them.

    `runs` has None for a run that is not stored; the claims that need it are "not run": all those
    of its group, or, of a figure that decides `partly`, those that it names.
    Runs of one data set that were trained on different data are an `InputError`; with `damage`,
    which gets the sentence, all claims of the figure are "not run".
    """
    groups: dict[tuple, dict] = {}
    for spec, run in runs.items():
        groups.setdefault(figure.group_of(spec), {})[spec] = run
    other_data = _of_other_data({spec: run for spec, run in runs.items() if run is not None})
    if other_data:
        if damage is None:
            raise InputError(other_data)
        damage(other_data)
    verdicts = []
    for (dataset, *others), of_group in groups.items() if figure.verdicts else ():
        if (figure.partly or _complete(of_group)) and not other_data:
            verdicts += figure.verdicts(of_group, dataset)
        else:
            subject = ", ".join([figure.title.rstrip("."), *map(str, others)])
            verdicts += _not_run(figure, dataset, subject, of_group)
    if figure.joint and _complete(runs) and not other_data:
        verdicts += figure.joint(runs)
    elif figure.joint:
        verdicts += _not_run(figure, "both", figure.title.rstrip("."), runs)
    return verdicts


def _complete(runs: Mapping) -> bool:
    return all(run is not None for run in runs.values())


def _not_run(figure: Figure, dataset: str, subject: str, runs: Mapping) -> list[Verdict]:
    stored = sum(run is not None for run in runs.values())
    numbers = f"{stored} of {len(runs)} runs stored"
    return [Verdict(claim, dataset, subject, "not run", numbers) for claim in figure.claims]


def _of_other_data(runs: Mapping) -> str:
    """A sentence if runs of one data set were trained on different data, or "".

    Equal specs on files in another order are other data; they do not share a figure.
    """
    first: dict[tuple, tuple[str, str]] = {}
    for spec, run in runs.items():
        its = parentage(run)["data_sha256"]
        key, seen = first.setdefault((spec.dataset, spec.samples), (spec.key, its))
        if seen != its:
            return (
                f"The stored runs {key} and {spec.key} were trained on different data (checksums "
                f"{seen[:12]}… and {its[:12]}…). Use one source of '{spec.dataset}', and "
                "delete the runs of the other."
            )
    return ""
