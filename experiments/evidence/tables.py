"""The record: every claim's verdicts at every scale that decides, from stored runs alone."""

import re
from collections import Counter
from itertools import starmap
from pathlib import Path

from aesparse.errors import InputError
from experiments.evidence.explanations import explanations
from experiments.pipeline.damage import Damage, require_folder
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES, title
from experiments.pipeline.record import decision
from experiments.pipeline.registry import (
    figure_names,
    gathered,
    get_figure,
    stored_plan,
    unseen_plan,
)
from experiments.pipeline.store import RunStore
from experiments.pipeline.verdicts import judged

__all__ = ["collect_verdicts", "lines", "overview", "summary"]

_NOT_HOLDING = ("fails", "inconclusive", "not run")


def collect_verdicts(
    out: Path, seeds: int | None = None, damage: Damage | None = None
) -> list[tuple[str, str, Verdict]]:
    """(scale, figure, verdict) for every claim of the papers, in the order of their numbers.

    Every figure is asked for the seeds of its `stored_plan` and, for claims that unseen runs are to
    decide, of its `unseen_plan`; with `seeds` for that many alone. A damaged run counts as one that
    is missing, with a sentence in `damage`; without one it is an `InputError`, as it is if `out`
    holds no runs at all.
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
    return sorted(rows, key=lambda row: (_number(row[2].claim), order.index(row[0])))


def deciding_plans(out: Path, figure: Figure, scale: str, seeds: int | None) -> list[Plan]:
    """The plans whose runs decide a figure's claims, the usual one first."""
    usual = stored_plan(out, figure, scale, seeds)
    unseen = unseen_plan(figure, scale) if seeds is None else None
    return [usual] if unseen is None else [usual, unseen]


def _number(claim: str) -> tuple[str, int, str]:
    letter, number, rest = re.match(r"(\D*)(\d*)(.*)", claim).groups()
    return letter, int(number or 0), rest


def lines(rows: list[tuple[str, str, Verdict]]) -> list[str]:
    """A line per verdict, for a terminal, followed by its explanation."""
    printed = []
    for scale, _, v in rows:
        printed.append(f"{v.claim}  {scale}, {title(v.dataset)}: {decision(v._asdict())}")
        printed += [f"    {sentence}" for sentence in v.why]
    return printed


def summary(rows: list[tuple[str, str, Verdict]]) -> str:
    """How many verdicts of each kind there are."""
    counts = Counter(verdict.verdict for _, _, verdict in rows)
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def overview(rows: list[tuple[str, str, Verdict]]) -> list[tuple[str, ...]]:
    """Rows of a table, its head first: a claim each, with a column per scale that decides any.

    On a data set a claim holds if all of its statements do; else those that do not are counted.
    """
    columns = [scale for scale in reversed(SCALES) if any(scale == s for s, _, _ in rows)]
    said: dict[str, dict[str, None]] = {}
    verdicts: dict[str, dict[str, dict[str, list[str]]]] = {}
    for scale, name, v in rows:
        said.setdefault(v.claim, {})[get_figure(name).claims[v.claim]] = None
        by_scale = verdicts.setdefault(v.claim, {column: {} for column in columns})
        by_scale[scale].setdefault(v.dataset, []).append(v.verdict)
    body = [
        (
            claim,
            "; ".join(said[claim]),
            *("; ".join(starmap(_as_whole, by_scale[c].items())) for c in columns),
        )
        for claim, by_scale in verdicts.items()
    ]
    return [("claim", "what it says", *columns), *body]


def _as_whole(dataset: str, verdicts: list[str]) -> str:
    where, counts = f"{title(dataset)}: " if dataset else "", Counter(verdicts)
    if len(counts) == 1:
        return where + verdicts[0]
    counted = [f"{name} in {counts[name]}" for name in _NOT_HOLDING if name in counts]
    return f"{where}{', '.join(counted)} of {len(verdicts)}"
