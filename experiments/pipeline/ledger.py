"""The ledger: how each claim's criterion stands to the runs, and which runs were seen before it.

`experiments/evidence/ledger.toml` says what it holds, `docs/protocol.md` by which rules.
"""

import functools
import tomllib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from experiments.pipeline.protocol import SCALES
from experiments.pipeline.spec import Spec

__all__ = [
    "CONSTRUCTED",
    "DECIDED",
    "FIRST_RECORD",
    "FIXED",
    "SEEN",
    "UNCHANGED",
    "Standing",
    "first_revision",
    "is_unseen",
    "rests_on",
    "seen_before",
    "standing",
]

DECIDED = ("holds", "fails", "inconclusive")  # the verdicts that count
CONSTRUCTED = "by construction"  # the verdict, and the status, of what is no evidence
UNCHANGED = "unchanged"
FIXED = "criterion fixed before its runs"
SEEN = "seen before"
_EVIDENCE = Path(__file__).parents[1] / "evidence"
FIRST_RECORD = _EVIDENCE / "first_record.json"


class Standing(NamedTuple):
    """The status of a claim's criterion, and since when it has been another than the first."""

    status: str = ""  # unchanged, revised, new, superseded, by construction; "": not in the ledger
    since: date | None = None
    before_runs: bool = True  # of the first criterion: whether it was committed before its runs


@functools.cache
def _ledger() -> dict:
    return tomllib.loads((_EVIDENCE / "ledger.toml").read_text(encoding="utf-8"))


def standing() -> dict[str, Standing]:
    """Every claim of the papers in the ledger."""
    return {
        claim: Standing(
            criteria["status"], criteria.get("since"), criteria.get("before_runs", True)
        )
        for criteria in _ledger()["criteria"]
        for claim in criteria["claims"]
    }


def first_revision() -> str:
    """The revision of the code that decided by the first criteria."""
    return _ledger()["first_revision"]


@functools.cache
def seen_before() -> frozenset[str]:
    """The runs stored when the criteria were revised, as `scale/key`."""
    return frozenset((_EVIDENCE / "seen.txt").read_text(encoding="utf-8").split())


def is_unseen(scale: str, specs: Iterable[Spec]) -> bool:
    """Whether none of these runs was seen before, the shared models of strength 0 aside."""
    return not any(_was_seen(scale, spec) for spec in _own(specs))


def rests_on(scale: str, specs: Iterable[Spec]) -> str:
    """Which runs a verdict rests on: seen before, partly so, or unseen, and what is new in them.

    New seeds of settings that were seen test whether a number is stable; new settings, whether
    a claim holds beyond what suggested its criterion. Shared models of strength 0 do not count.
    """
    own = list(_own(specs))
    seen = [_was_seen(scale, spec) for spec in own]
    if any(seen):
        return SEEN if all(seen) else f"partly {SEEN}"
    seeds = range(SCALES[scale].seeds)
    known = [any(_was_seen(scale, spec._replace(seed=s)) for s in seeds) for spec in own]
    return f"unseen {'seeds' if all(known) else 'seeds and settings' if any(known) else 'settings'}"


def _own(specs: Iterable[Spec]) -> Iterable[Spec]:
    return (spec for spec in specs if spec.kind != "grid" or spec != spec.baseline)


def _was_seen(scale: str, spec: Spec) -> bool:
    return f"{scale}/{spec.key}" in seen_before()
