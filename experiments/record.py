"""The record: every claim's verdicts at every scale that decides, from stored runs alone."""

import re
from collections import Counter
from itertools import starmap
from pathlib import Path

from aesparse.errors import InputError
from aesparse.files import replacing
from experiments.claims import Verdict
from experiments.making import decided
from experiments.protocol import SCALES, title
from experiments.reasons import reasons
from experiments.registry import decides, figure_names, gathered, get_figure, stored_plan
from experiments.runs import RunStore

__all__ = ["collect_verdicts", "lines", "overview", "summary", "table", "write_between_markers"]

_NOT_HOLDING = ("fails", "inconclusive", "not run")
MARKERS = ("<!-- verdicts: written by `python -m experiments verdicts` -->", "<!-- /verdicts -->")


def collect_verdicts(out: Path, seeds: int | None = None) -> list[tuple[str, str, Verdict]]:
    """(scale, figure, verdict) for every claim of the papers, in the order of their numbers.

    Every figure is asked for the seeds of its `stored_plan`. `InputError` if `out` holds no runs
    at all.
    """
    if not (out / "runs").is_dir():
        raise InputError(
            f"{out} holds no folder `runs`; give the folder of the figures with --out."
        )
    found = []
    for scale in SCALES:
        store = RunStore(out, scale)
        for name in figure_names():
            figure = get_figure(name)
            if decides(figure, scale) and all(claim[0].isupper() for claim in figure.CLAIMS):
                plan = stored_plan(out, figure, scale, seeds)
                runs = gathered(figure, plan, store)
                found += [
                    (scale, name, v._replace(why=reasons(out, figure, plan, runs, v)))
                    for v in decided(figure, runs)
                ]
    order = list(SCALES)
    return sorted(found, key=lambda row: (_number(row[2].claim), order.index(row[0])))


def _number(claim: str) -> tuple[str, int, str]:
    letter, number, rest = re.match(r"(\D*)(\d*)(.*)", claim).groups()
    return letter, int(number or 0), rest


def lines(found: list[tuple[str, str, Verdict]]) -> list[str]:
    """One line a verdict, for a terminal; below it what explains it."""
    told = []
    for scale, _, v in found:
        where = f"{scale}, {title(v.dataset)}"
        told.append(f"{v.claim}  {where}: {v.statement}: {v.verdict}: {v.numbers}")
        told += [f"    {sentence}" for sentence in v.why]
    return told


def summary(found: list[tuple[str, str, Verdict]]) -> str:
    """How many verdicts of each kind there are."""
    counts = Counter(verdict.verdict for _, _, verdict in found)
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def overview(found: list[tuple[str, str, Verdict]]) -> list[tuple[str, ...]]:
    """Rows of cells, a head first: each claim as a whole, a column per scale that decides any.

    On a data set a claim holds if all of its statements do; else it is told how many do not.
    """
    columns = [scale for scale in reversed(SCALES) if any(scale == s for s, _, _ in found)]
    said: dict[str, dict[str, None]] = {}
    verdicts: dict[str, dict[str, dict[str, list[str]]]] = {}
    for scale, name, v in found:
        said.setdefault(v.claim, {})[get_figure(name).CLAIMS[v.claim]] = None
        by_scale = verdicts.setdefault(v.claim, {column: {} for column in columns})
        by_scale[scale].setdefault(v.dataset, []).append(v.verdict)
    rows = [
        (
            claim,
            "; ".join(said[claim]),
            *("; ".join(starmap(_as_whole, by_scale[c].items())) for c in columns),
        )
        for claim, by_scale in verdicts.items()
    ]
    return [("claim", "what it says", *columns), *rows]


def _as_whole(dataset: str, verdicts: list[str]) -> str:
    where, counts = f"{title(dataset)}: " if dataset else "", Counter(verdicts)
    if len(counts) == 1:
        return where + verdicts[0]
    told = [f"{name} in {counts[name]}" for name in _NOT_HOLDING if name in counts]
    return f"{where}{', '.join(told)} of {len(verdicts)}"


def table(found: list[tuple[str, str, Verdict]]) -> str:
    """The overview, the count and table of all verdicts, why some do not hold; Markdown."""
    head, *wholes = overview(found)
    above = [_row(*head), "|---" * len(head) + "|", *(_row(*cells) for cells in wholes), ""]
    columns = [
        "| claim | scale | data | statement | verdict | numbers |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        _row(v.claim, scale, title(v.dataset), v.statement, v.verdict, v.numbers)
        for scale, _, v in found
    ]
    explained = [
        f"* **{v.claim}, {scale}, {title(v.dataset)}: {v.statement}: {v.verdict}.** "
        + " ".join(v.why)
        for scale, _, v in found
        if v.why
    ]
    below = ["", "What was looked at where a claim does not hold:", "", *explained]
    return "\n".join(
        [
            *above,
            f"In all: {summary(found)}.",
            "",
            "<details><summary>All verdicts</summary>",
            "",
            *columns,
            *rows,
            *(below if explained else []),
            "",
            "</details>",
        ]
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def write_between_markers(path: Path, text: str) -> None:
    """Replaces what stands between the markers of a file; `InputError` if it has none."""
    begin, end = MARKERS
    content = path.read_text(encoding="utf-8") if path.is_file() else ""
    if content.count(begin) != 1 or content.count(end) != 1:
        raise InputError(
            f"{path} does not hold the markers {begin} and {end} once each; add them where the "
            "table belongs."
        )
    before, rest = content.split(begin)
    _, after = rest.split(end)
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
