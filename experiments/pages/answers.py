"""Whether a figure reproduces: one word from its verdicts, and one line a paper."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from experiments.pages.papers import Paper, figures_of
from experiments.pipeline.figure import Verdict
from experiments.pipeline.ledger import CONSTRUCTED, DECIDED, FIXED, SEEN
from experiments.pipeline.protocol import SCALES, title
from experiments.pipeline.registry import get_figure

__all__ = ["RULE", "Answer", "answer", "line"]

RULE = """* Of each claim on each data set, the statements at the **largest size** at which any of
  them is decided count; those of smaller sizes, and statements that are not run, do not. What
  is not run at any size is named.
* A figure **reproduces** if all statements that count hold, **in part** if some hold, and **does
  not reproduce** if none holds and one fails. It is **open** if all are inconclusive.
* What holds **by construction** (an identity, a closed form, a projection) or is only **measured**
  is no evidence; it is the answer where a figure has nothing else.
* A figure is decided by its own command. Other readings of it and other settings have answers of
  their own.
* **One seed** is said where a statement that counts rests on one; it has no interval. The runs on
  which the statements rest are *unseen*, made after the criterion; *seen before* it, in part or all
  of them, which is no test of a criterion that was revised; or the *criterion was fixed first*.
  Where **no size** is named, the figure exists at one size: a closed form, or a toy problem."""

_VERBS = {
    "reproduces": ("reproduces", "reproduce"),
    "in part": ("reproduces in part", "reproduce in part"),
    "does not reproduce": ("does not reproduce", "do not reproduce"),
    "open": ("is open", "are open"),
    CONSTRUCTED: ("holds by construction", "hold by construction"),
    "measured": ("is measured only", "are measured only"),
    "not run": ("is not run", "are not run"),
}
_NUMBERED = r"Figure \d+"
_SIZES = {
    "paper": "at the paper's sizes",
    "reduced": "at reduced sizes",
    "quick": "",  # which decides what exists at no other size
}


class Answer(NamedTuple):
    """What the stored runs say of a figure as a whole."""

    place: str
    outcome: str  # a key of `_VERBS`
    holding: int  # of the statements that count
    counting: int
    constructed: int  # statements besides, which hold by construction
    missing: tuple[str, ...]  # claims on data sets of which nothing is decided at any size
    where: str  # the sizes in words, the largest first, with the runs
    rests_on: tuple[str, ...]  # the runs, in the ledger's words
    open_: tuple[int, int]  # statements that count and fail, and that are inconclusive

    @property
    def said(self) -> str:
        """Outcome and sizes."""
        return f"{self.outcome} {self.where}".rstrip()

    @property
    def counted(self) -> str:
        """`6 of 8 hold, 1 fails, 1 is inconclusive, besides 2 by construction`."""
        holding = [f"{self.holding} of {self.counting} hold"] if self.counting else []
        fail, unclear = self.open_
        holding += [f"{fail} fail{'s' * (fail == 1)}"] if fail else []
        holding += [f"{unclear} {'are' if unclear > 1 else 'is'} inconclusive"] if unclear else []
        holding = [", ".join(holding)] if holding else []
        constructed = [f"{self.constructed} by construction"] if self.constructed else []
        return ", besides ".join([*holding, *constructed])


def answer(name: str, verdicts: Iterable[tuple[str, str, Verdict]]) -> Answer | None:
    """The answer of a figure by `RULE`, from the verdicts (scale, figure, verdict) of all.

    None for a figure that decides no claim of a paper.
    """
    figure = get_figure(name)
    if not any(claim[0].isupper() for claim in figure.claims):
        return None
    rows = [(scale, v) for scale, of, v in verdicts if of == name]
    counting = _largest([row for row in rows if row[1].verdict in DECIDED])
    said = [v.verdict for _, v in counting]
    holding = said.count("holds")
    if not said:
        others = {v.verdict for _, v in rows}
        outcome = next((v for v in (CONSTRUCTED, "measured") if v in others), "not run")
    elif holding:
        outcome = "reproduces" if holding == len(said) else "in part"
    else:
        outcome = "does not reproduce" if "fails" in said else "open"
    return Answer(
        figure.place,
        outcome,
        holding,
        len(said),
        len(_largest([row for row in rows if row[1].verdict == CONSTRUCTED])),
        _missing(rows),
        _where(counting),
        tuple(sorted({v.rests_on for _, v in counting} - {""})),
        (said.count("fails"), said.count("inconclusive")),
    )


def _missing(rows: list[tuple[str, Verdict]]) -> tuple[str, ...]:
    """`A15 on MNIST`."""
    places: dict[tuple[str, str], set[str]] = {}
    for _, v in rows:
        places.setdefault((v.claim, v.dataset), set()).add(v.verdict)
    open_ = [place for place, said in places.items() if said == {"not run"}]
    return tuple(f"{claim} on {title(dataset)}" for claim, dataset in open_)


def _where(counting: list[tuple[str, Verdict]]) -> str:
    """`at the paper's sizes (one seed, runs seen before) and at reduced sizes (unseen runs)`."""
    sizes = []
    for size, words in _SIZES.items():
        of_size = [v for scale, v in counting if scale == size]
        if of_size:
            notes = ["one seed"] * any("one seed" in v.numbers for v in of_size)
            notes = ", ".join([*notes, *_basis({v.rests_on for v in of_size})])
            sizes.append(f"{words} ({notes})" if notes else words)
    return " and ".join(sizes).strip()


def _basis(rests_on: set[str]) -> list[str]:
    """Of what kind the runs are, in a few words; nothing of what holds by construction."""
    rests_on = rests_on - {"", CONSTRUCTED}
    seen = {SEEN, f"partly {SEEN}"} & rests_on
    if seen:
        return [f"runs {SEEN if rests_on == {SEEN} else f'partly {SEEN}'}"]
    if rests_on - {FIXED}:
        return ["unseen runs"]
    return ["criterion fixed first"] if rests_on else []


def _largest(rows: list[tuple[str, Verdict]]) -> list[tuple[str, Verdict]]:
    """Of each claim on each data set the verdicts at the largest scale."""
    order = list(SCALES)
    largest: dict[tuple[str, str], str] = {}
    for scale, v in rows:
        place = v.claim, v.dataset
        largest[place] = max(largest.get(place, scale), scale, key=order.index)
    return [(scale, v) for scale, v in rows if largest[v.claim, v.dataset] == scale]


def line(paper: Paper, verdicts: Sequence[tuple[str, str, Verdict]]) -> str:
    """A paper's answers as one sentence: its numbered figures, then all else.

    A paper with fewer than two numbered figures is told by all it shows.
    """
    answers = [a for a in (answer(n, verdicts) for n in figures_of(paper)) if a is not None]
    numbered = [a for a in answers if re.fullmatch(_NUMBERED, a.place)]
    if len(numbered) < 2:
        return f"{_sentence(answers)}."
    others = [a for a in answers if a not in numbered]
    counts = {outcome: [a.outcome for a in others].count(outcome) for outcome in _VERBS}
    failed = [a.place for a in others if a.outcome == "does not reproduce"]
    rest = [
        f"{n} {_VERBS[kind][n > 1]}"
        + f" ({', '.join(map(_within, failed))})" * (kind == "does not reproduce")
        for kind, n in counts.items()
        if n
    ]
    further = f" Further experiments: {_listed(rest)}." if others else ""
    return f"{_sentence(numbered)}.{further}"


def _sentence(answers: list[Answer]) -> str:
    """Figures with one outcome at the same sizes together, in the order of `_VERBS`."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in sorted(answers, key=lambda a: list(_VERBS).index(a.outcome)):
        groups.setdefault((one.outcome, one.where), []).append(one.place)
    return "; ".join(
        f"{_names(places)} {_VERBS[outcome][len(places) > 1]} {where}".rstrip()
        for (outcome, where), places in groups.items()
    )


def _within(place: str) -> str:
    """`section 3.1.1: why DAE is sparse`, in the middle of a sentence."""
    where, _, what = place.partition(", ")
    return f"{where[0].lower()}{where[1:]}: {what}"


def _names(places: list[str]) -> str:
    """`Figures 1, 3 and 4`; `Part 1 (copying) and Part 2 (filters)`."""
    figures = [p.split()[1] for p in places if re.fullmatch(_NUMBERED, p)]
    first = [f"Figure{'s' * (len(figures) > 1)} {_listed(figures)}"] if figures else []
    others = [p.split(", ", 1) for p in places if not re.fullmatch(_NUMBERED, p)]
    return _listed([*first, *(f"{where} ({what})" for where, what in others)])


def _listed(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
