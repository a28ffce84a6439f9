"""The record: every claim's verdicts at every scale that decides, from stored runs alone."""

import re
from collections import Counter
from itertools import starmap
from pathlib import Path

from aesparse.errors import InputError
from experiments.evidence.explanations import explanations
from experiments.pipeline.damage import Damage, require_folder
from experiments.pipeline.figure import Verdict
from experiments.pipeline.ledger import (
    CONSTRUCTED,
    DECIDED,
    FIXED,
    SEEN,
    Standing,
    standing,
)
from experiments.pipeline.protocol import SCALES, title
from experiments.pipeline.record import decision
from experiments.pipeline.registry import deciding_plans, figure_names, gathered, get_figure
from experiments.pipeline.store import RunStore
from experiments.pipeline.verdicts import judged

__all__ = ["claim_order", "collect_verdicts", "digest", "lines", "overview"]


def collect_verdicts(
    out: Path, seeds: int | None = None, damage: Damage | None = None
) -> list[tuple[str, str, Verdict]]:
    """(scale, figure, verdict) for every claim of the papers, in the order of their numbers.

    Every figure is asked for the seeds of its `deciding_plans`. A damaged run counts as one that is
    missing, with a sentence in `damage`; without one it is an `InputError`, as it is if `out` holds
    no runs at all.
    """
    require_folder(out)
    if not (out / "runs").is_dir():
        raise InputError(
            f"{out} holds no folder `runs`; give the folder of the figures with --out."
        )
    rows = []
    for scale in SCALES:
        store = RunStore(out, scale, damage)
        for name in figure_names():
            figure = get_figure(name)
            if figure.decides(scale) and all(claim[0].isupper() for claim in figure.claims):
                plans = deciding_plans(out, figure, scale, seeds)
                runs = [gathered(figure, plan, store) for plan in plans]
                for v, i in judged(figure, scale, *runs, damage=damage):
                    why = explanations(out, figure, plans[i], runs[i], v, damage)
                    rows.append((scale, name, v._replace(why=why)))
    order = list(SCALES)
    return sorted(rows, key=lambda row: (claim_order(row[2].claim), order.index(row[0])))


def claim_order(claim: str) -> tuple[str, int, str]:
    """By letter, then number: A2 before A10."""
    letter, number, rest = re.match(r"(\D*)(\d*)(.*)", claim).groups()
    return letter, int(number or 0), rest


def lines(rows: list[tuple[str, str, Verdict]]) -> list[str]:
    """A line per verdict, for a terminal, followed by its explanation."""
    printed = []
    for scale, _, v in rows:
        printed.append(f"{v.claim}  {scale}, {title(v.dataset)}: {decision(v._asdict())}")
        printed += [f"    {sentence}" for sentence in v.why]
    return printed


def digest(rows: list[tuple[str, str, Verdict]]) -> tuple[list[tuple[str, ...]], list[str]]:
    """What became of all statements: a table of those that are decided, its head first; the others.

    A line of the table says on what its statements rest. The others are lines of Markdown: what
    holds by construction, is measured, superseded, or not run.
    """
    named: dict[str, dict[str, list[str]]] = {}
    for _, _, v in rows:
        basis = "unseen" if v.rests_on.startswith("unseen") else v.rests_on
        named.setdefault(basis if v.verdict in DECIDED else "", {}).setdefault(
            v.verdict, []
        ).append(v.claim)
    others = named.pop("", {})
    table = [
        (of_it, *(_counted(named[basis].get(v, [])) for v in DECIDED))
        for basis, of_it in _BASES.items()
        if basis in named
    ]
    lines = [f"{_OTHERS[v]}: {_counted(others[v])}" for v in _OTHERS if v in others]
    return [("statements", *DECIDED), *table], lines


_BASES = {
    "unseen": "decided on unseen runs",
    FIXED: FIXED,
    f"partly {SEEN}": f"on runs partly {SEEN}",
    SEEN: f"on runs {SEEN}",
    CONSTRUCTED: "by a construction",
}
_OTHERS = {
    CONSTRUCTED: "By construction, no evidence",
    "measured": "Measured, without a threshold",
    "superseded": "Superseded, to be decided by another criterion",
    "not run": "Not run",
}


def _counted(claims: list[str]) -> str:
    """How many statements, and how many of each claim: `3: A1 (2); A2`."""
    of = "; ".join(f"{c} ({n})" if n > 1 else c for c, n in Counter(claims).items())
    return f"{len(claims)}: {of}" if claims else "0"


def overview(rows: list[tuple[str, str, Verdict]]) -> list[tuple[str, ...]]:
    """Rows of a table, its head first: a claim each, with a column per scale that decides any.

    On a data set a claim is what all of its statements are; else each kind of verdict is counted.
    """
    columns = [scale for scale in reversed(SCALES) if any(scale == s for s, _, _ in rows)]
    said: dict[str, dict[str, None]] = {}
    verdicts: dict[str, dict[str, dict[str, list[Verdict]]]] = {}
    for scale, name, v in rows:
        said.setdefault(v.claim, {})[get_figure(name).claims[v.claim]] = None
        by_scale = verdicts.setdefault(v.claim, {column: {} for column in columns})
        by_scale[scale].setdefault(v.dataset, []).append(v)
    stands = standing()
    body = [
        (
            claim,
            "; ".join(said[claim]),
            stands.get(claim, Standing()).status,
            *("; ".join(starmap(_as_whole, by_scale[c].items())) for c in columns),
        )
        for claim, by_scale in verdicts.items()
    ]
    return [("claim", "what it says", "criterion", *columns), *body]


def _as_whole(dataset: str, verdicts: list[Verdict]) -> str:
    where, counts = f"{title(dataset)}: " if dataset else "", Counter(v.verdict for v in verdicts)
    whole = verdicts[0].verdict
    if len(counts) > 1:
        counted = [f"{v} in {counts[v]}" for v in (*DECIDED, *_OTHERS) if v in counts]
        whole = f"{', '.join(counted)} of {len(verdicts)}"
    rests = {v.rests_on for v in verdicts} - {"", FIXED, CONSTRUCTED}
    return where + whole + (f" ({', '.join(sorted(rests))})" if rests else "")
