"""The pages of the papers and the answers, derived once more from the statements they print.

The rule is the one printed in docs/results/index.md; no code that writes the pages is used.
"""

import re
from pathlib import Path
from typing import NamedTuple

from oracle_page import Statement, rows_of

SIZES = ("paper", "reduced", "quick")
COUNTED = ("holds", "fails", "inconclusive")
WORDS = {"paper": "at the paper's sizes", "reduced": "at reduced sizes", "quick": ""}
PHRASES = {
    "reproduces in part": "in part",
    "reproduce in part": "in part",
    "does not reproduce": "does not reproduce",
    "do not reproduce": "does not reproduce",
    "reproduces": "reproduces",
    "reproduce": "reproduces",
    "is open": "open",
    "are open": "open",
    "holds by construction": "by construction",
    "hold by construction": "by construction",
    "is measured only": "measured",
    "are measured only": "measured",
    "is not run": "not run",
    "are not run": "not run",
}


class Figure(NamedTuple):
    """A part of a paper's page."""

    place: str
    name: str
    answer: str  # "in part at reduced sizes"; "" where no claim is decided
    counts: str  # in parentheses after the answer
    rows: list[Statement]
    text: str


def figures(page: Path) -> list[Figure]:
    """The parts of a paper's page that show a figure."""
    parts = re.split(r"(?m)^## ", page.read_text(encoding="utf-8"))[1:]
    found = []
    for part in parts:
        command = re.search(r"`python -m experiments ([\w-]+)", part)
        if command:
            answer = re.search(r"\*\*Answer: (.+?)\*\*(?: \((.+)\))?\.", part)
            said = answer.groups("") if answer else ("", "")
            place = part.splitlines()[0]
            found.append(Figure(place, command[1], *said, rows_of(part.splitlines()), part))
    return found


def derived(rows: list[Statement]) -> tuple[str, str, int, int, int]:
    """Outcome, sizes in words, how many hold of how many, and how many by construction."""
    counting = at_the_largest(rows, COUNTED)
    verdicts = [row.verdict for row in counting]
    if not counting:
        kinds = {row.verdict for row in rows}
        outcome = next((k for k in ("by construction", "measured") if k in kinds), "not run")
    elif set(verdicts) == {"holds"}:
        outcome = "reproduces"
    elif "holds" in verdicts:
        outcome = "in part"
    else:
        outcome = "does not reproduce" if "fails" in verdicts else "open"
    words = []
    for size in SIZES:
        of_size = [row for row in counting if row.scale == size]
        if of_size:
            notes = ["one seed"] * ("one seed" in " ".join(row.numbers for row in of_size))
            notes += basis([row.rests_on for row in of_size])
            words.append(WORDS[size] + (f" ({', '.join(notes)})" if notes else ""))
    constructed = len(at_the_largest(rows, ("by construction",)))
    return outcome, " and ".join(words).strip(), verdicts.count("holds"), len(verdicts), constructed


def basis(rests_on: list[str]) -> list[str]:
    """Which runs decide: those seen before a criterion outweigh all others."""
    kinds = [kind for kind in rests_on if kind not in ("", "by construction")]
    seen = [kind for kind in kinds if "seen before" in kind]
    if seen:
        whole = seen == kinds and "partly" not in " ".join(seen)
        return ["runs seen before" if whole else "runs partly seen before"]
    if any(kind.startswith("unseen") for kind in kinds):
        return ["unseen runs"]
    return ["criterion fixed first"] if kinds else []


def at_the_largest(rows: list[Statement], kinds: tuple[str, ...]) -> list[Statement]:
    """Statements of some kinds: per claim and data set those of the largest size."""
    of_kind = [row for row in rows if row.verdict in kinds]
    kept = []
    for row in of_kind:
        sizes = {r.scale for r in of_kind if (r.claim, r.data) == (row.claim, row.data)}
        if row.scale == next(size for size in SIZES if size in sizes):
            kept.append(row)
    return kept


def told(line: str) -> tuple[dict[str, tuple[str, str]], dict[str, int]]:
    """A line of answers: (outcome, sizes) by place, and how many further ones by outcome."""
    numbered, _, further = line.partition(" Further experiments: ")
    phrases = "|".join(sorted(PHRASES, key=len, reverse=True))
    said = {}
    for clause in numbered.strip().rstrip(".").split("; "):
        names, phrase, where = re.fullmatch(rf"(.+?) ({phrases})(?: (at .+|\(.+))?", clause).groups(
            ""
        )
        for place in _places(names):
            said[place] = (PHRASES[phrase], where)
    counts = {}
    for number, phrase in re.findall(rf"(\d+) ({phrases})", further):
        counts[PHRASES[phrase]] = int(number)
    return said, counts


def _places(names: str) -> list[str]:
    """`Figures 1, 3 and 4` and `Part 1 (copying) and Part 2 (filters)` one by one."""
    figures = re.match(r"Figures? ((?:\d+(?:, | and (?=\d))?)+)", names)
    numbers = re.findall(r"\d+", figures[1]) if figures else []
    others = re.findall(r"((?:Part|Section) [\d.]+) \(([^)]+)\)", names)
    return [*(f"Figure {n}" for n in numbers), *(f"{where}, {what}" for where, what in others)]
