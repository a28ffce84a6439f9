"""The criteria that were replaced: what the first ones decided, and what decides now."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from experiments.evidence.tables import claim_order
from experiments.pipeline.figure import Verdict
from experiments.pipeline.ledger import FIRST_RECORD, standing
from experiments.pipeline.record import decision

__all__ = ["Replaced", "first_record", "replaced"]

_PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


class Replaced(NamedTuple):
    """A claim whose first criterion decides no longer."""

    claim: str
    since: str  # a date
    change: str  # what was replaced and why, in the words of docs/protocol.md
    rows: list[tuple[str, str, list[str], list[str]]]  # scale, data set, first verdicts, today's


def first_record() -> list[tuple[str, str, Verdict]]:
    """The verdicts of the first criteria: (scale, figure, verdict)."""
    rows = json.loads(FIRST_RECORD.read_text(encoding="utf-8"))
    return [(scale, figure, Verdict(*verdict)) for scale, figure, *verdict in rows]


def replaced(verdicts: Iterable[tuple[str, str, Verdict]]) -> list[Replaced]:
    """Every claim whose first criterion was replaced, with its first verdicts and today's.

    "A1, rescaled" was a claim of its own; today it is a part of A1, decided by the same figure.
    S6 has become S6a and S6b.
    """
    today, changes = list(verdicts), _changes()
    first: dict[str, list[tuple[str, str, Verdict]]] = {}
    for row in first_record():
        first.setdefault(row[2].claim, []).append(row)
    found = []
    for claim in sorted(first, key=claim_order):
        stands = standing()[claim]
        if stands.status not in ("revised", "superseded"):
            continue
        figures = {figure for _, figure, _ in first[claim]}
        now = [r for r in today if r[1] in figures and _base(r[2].claim) == _base(claim)]
        places = dict.fromkeys((scale, v.dataset) for scale, _, v in (*first[claim], *now))
        found.append(
            Replaced(
                claim,
                str(stands.since),
                changes[_base(claim)],
                [(*place, _at(first[claim], place), _at(now, place)) for place in places],
            )
        )
    return found


def _base(claim: str) -> str:
    """S6 of S6a, A1 of "A1, rescaled"."""
    return re.match(r"[A-Z]\d+", claim)[0]


def _at(rows: list[tuple[str, str, Verdict]], place: tuple[str, str]) -> list[str]:
    """The decisions at a scale on a data set; of superseded ones that they are."""
    return [
        f"{v.statement}: superseded" if v.verdict == "superseded" else decision(v._asdict())
        for scale, _, v in rows
        if (scale, v.dataset) == place
    ]


def _changes() -> dict[str, str]:
    """The last column of the protocol's tables by claim: of S4a, S4b, … that of the first."""
    changes: dict[str, str] = {}
    for line in _PROTOCOL.read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| ([TASGL]\d+)[^|]*\|.*\| ([^|]+) \|$", line):
            changes.setdefault(row[1], row[2])
    return changes
