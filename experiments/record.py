"""The record: every claim's verdicts at every scale that decides, from stored runs alone."""

import re
from collections import Counter
from pathlib import Path

from aesparse.errors import InputError
from aesparse.files import replacing
from experiments.claims import Verdict
from experiments.making import decided
from experiments.protocol import SCALES, title
from experiments.reasons import reasons
from experiments.registry import decides, figure_names, gathered, get_figure, stored_plan
from experiments.runs import RunStore

__all__ = ["collect_verdicts", "lines", "summary", "table", "write_between_markers"]

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


def table(found: list[tuple[str, str, Verdict]]) -> str:
    """Their count, the verdicts as a Markdown table, and why some do not hold."""
    head = ["| claim | scale | data | statement | verdict | numbers |", "|---|---|---|---|---|---|"]
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
        [f"In all: {summary(found)}.", "", *head, *rows, *(below if explained else [])]
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def write_between_markers(path: Path, text: str) -> None:
    """Replaces what stands between the markers of a file; `InputError` if it has none."""
    begin, end = MARKERS
    content = path.read_text() if path.is_file() else ""
    if content.count(begin) != 1 or content.count(end) != 1:
        raise InputError(
            f"{path} does not hold the markers {begin} and {end} once each; add them where the "
            "table belongs."
        )
    before, rest = content.split(begin)
    _, after = rest.split(end)
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
