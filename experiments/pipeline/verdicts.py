"""A figure's verdicts from its runs; "not run" where some of them are missing.

`decided` applies a figure's criteria to its runs; `judged` also asks the ledger on which runs each
of its claims may be decided, and says on which it was.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aesparse.errors import InputError
from experiments.pipeline.damage import Damage
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.ledger import (
    CONSTRUCTED,
    DECIDED,
    FIXED,
    UNCHANGED,
    Standing,
    is_unseen,
    rests_on,
    standing,
)
from experiments.pipeline.provenance import parentage
from experiments.pipeline.spec import Spec

__all__ = ["decided", "judged"]


class _Part(NamedTuple):
    """Runs that are decided together, None where one is missing, and their verdicts."""

    group: tuple  # () across all groups
    runs: Mapping[Spec, object]
    verdicts: list[Verdict]

    def subject(self, figure: Figure) -> str:
        fields = zip(figure.group[1:], self.group[1:], strict=False)  # none across all groups
        named = (f"{field.replace('_', ' ')} {value}" for field, value in fields)
        return ", ".join([figure.title.rstrip("."), *named])

    @property
    def stored(self) -> int:
        return sum(run is not None for run in self.runs.values())

    @property
    def complete(self) -> bool:
        return self.stored == len(self.runs)


def decided(
    figure: Figure, runs: Mapping[Spec, object], damage: Damage | None = None
) -> list[Verdict]:
    """A figure's verdicts, if any, by its criteria alone: per group of its runs, then across all.

    `runs` has None for a run that is not stored; the claims that need it are "not run": all those
    of its group, or, of a figure that decides `partly`, those that it names.
    Runs of one data set that were trained on different data are an `InputError`; with `damage`,
    which gets the sentence, all claims of the figure are "not run".
    """
    return [verdict for part in _parts(figure, runs, damage) for verdict in part.verdicts]


def judged(
    figure: Figure,
    scale: str,
    *plans: Mapping[Spec, object],
    damage: Damage | None = None,
) -> list[tuple[Verdict, int]]:
    """A figure's verdicts as the ledger allows them, each with the number of its plan in `plans`.

    `plans` are the runs of one or more plans, as in `decided`; the first one decides unless the
    ledger asks for unseen runs. A claim whose criterion was revised is decided on unseen runs where
    these are complete, else by the first plan; a new one on unseen runs or not at all. A verdict by
    a superseded criterion, or of what holds by construction, is marked so.
    """
    parts = [{p.group: p for p in _parts(figure, runs, damage)} for runs in plans]
    rows = []
    for group, first in parts[0].items():
        alike = [(i, of_plan[group]) for i, of_plan in enumerate(parts) if group in of_plan]
        unseen = [(i, part) for i, part in alike if is_unseen(scale, part.runs)]
        unseen.sort(key=lambda one: -one[1].stored / len(one[1].runs))
        for claim in dict.fromkeys(verdict.claim for verdict in first.verdicts):
            stands = standing().get(claim, Standing())
            of_claim = [(v, 0) for v in first.verdicts if v.claim == claim]
            if stands.status in ("revised", "new"):
                if unseen and (unseen[0][1].complete or figure.partly):
                    of_claim = list(_moved(claim, first, *unseen[0], stands.status))
                elif stands.status == "new":
                    told = [v for v, _ in of_claim]
                    waiting = _waiting(told, first.subject(figure), *unseen[:1])
                    of_claim = [(v, 0) for v in waiting]
            rows += [(_marked(v, stands, scale, dict(alike)[i]), i) for v, i in of_claim]
    return rows


def _moved(
    claim: str, first: _Part, number: int, unseen: _Part, status: str
) -> Iterator[tuple[Verdict, int]]:
    """The verdicts on a claim by unseen runs, of the plan with this number.

    What these leave open, the first plan says where it may: of a criterion that was revised, and
    what decides nothing.
    """
    by_first = {v.statement: v for v in first.verdicts if v.claim == claim}
    for verdict in (v for v in unseen.verdicts if v.claim == claim):
        other = by_first.get(verdict.statement, verdict)
        may = other.verdict != "not run" and (status == "revised" or other.verdict not in DECIDED)
        yield (other, 0) if verdict.verdict == "not run" and may else (verdict, number)


def _waiting(verdicts: list[Verdict], subject: str, *unseen: tuple[int, _Part]) -> list[Verdict]:
    """Verdicts on runs seen before: those that decide nothing, and one for the others, not run."""
    rest = [v for v in verdicts if v.verdict not in (*DECIDED, "not run")]
    others = [v for v in verdicts if v not in rest]
    numbers = "its runs were seen before"
    for _, part in unseen:
        numbers = f"{part.stored} of {len(part.runs)} unseen runs stored"
    changes = {"statement": subject, "verdict": "not run", "numbers": numbers}
    return [*rest, *(verdict._replace(**changes) for verdict in others[:1])]


def _marked(verdict: Verdict, stands: Standing, scale: str, part: _Part) -> Verdict:
    """The verdict with what it rests on, as far as it decides or measures anything."""
    status = stands.status
    if status == CONSTRUCTED and verdict.verdict == "holds":
        verdict = verdict._replace(verdict=CONSTRUCTED)
    if status == "superseded" and verdict.verdict in DECIDED:
        numbers = f"{verdict.verdict} by the first criterion: {verdict.numbers}"
        verdict = verdict._replace(verdict=status, numbers=numbers)
    if not status or verdict.verdict not in (*DECIDED, "measured"):
        return verdict
    if status == UNCHANGED and stands.before_runs:
        return verdict._replace(rests_on=FIXED)
    return verdict._replace(
        rests_on=status if status == CONSTRUCTED else rests_on(scale, part.runs)
    )


def _parts(figure: Figure, runs: Mapping[Spec, object], damage: Damage | None) -> list[_Part]:
    """The groups of a figure's runs, then all of them, as far as the figure decides on either."""
    groups: dict[tuple, dict] = {}
    for spec, run in runs.items():
        groups.setdefault(figure.group_of(spec), {})[spec] = run
    other_data = _of_other_data({spec: run for spec, run in runs.items() if run is not None})
    if other_data:
        if damage is None:
            raise InputError(other_data)
        damage(other_data)
    parts = [_Part(group, of_group, []) for group, of_group in groups.items() if figure.verdicts]
    if figure.joint:
        parts.append(_Part((), runs, []))
    for part in parts:
        dataset = part.group[0] if part.group else "both"
        if other_data or not (part.complete or (figure.partly and part.group)):
            subject = part.subject(figure)
            numbers = f"{part.stored} of {len(part.runs)} runs stored"
            part.verdicts.extend(
                Verdict(claim, dataset, subject, "not run", numbers) for claim in figure.claims
            )
        elif part.group:
            part.verdicts.extend(figure.verdicts(part.runs, dataset))
        else:
            part.verdicts.extend(figure.joint(part.runs))
    return parts


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
