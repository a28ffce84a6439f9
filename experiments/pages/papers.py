"""The papers: a text file in each family's folder, and its figures in the paper's order."""

import os
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from experiments.pipeline.ledger import DECIDED
from experiments.pipeline.registry import family_of, figure_names, get_figure

__all__ = [
    "ABBREVIATIONS",
    "Paper",
    "anchor",
    "figures_of",
    "link",
    "marked",
    "papers",
    "spelled_out",
]

ABBREVIATIONS = "<abbreviations>"  # where a page spells them out
_FIGURES = Path(__file__).parents[1] / "figures"
_MARKS = dict(zip(DECIDED, "✓✗?", strict=True))


class Paper(NamedTuple):
    """A paper as `paper.toml` in its family's folder tells it."""

    family: str
    page: str  # the name of its page, without .md
    name: str  # "Arpit et al. 2016"
    title: str
    about: str  # Markdown
    words: dict[str, str]  # abbreviations and what they stand for
    open: list[dict[str, str]]  # what the paper leaves open: `point`, `here`, `why`


def papers() -> list[Paper]:
    """All papers, the one with most figures first."""
    found = []
    for path in _FIGURES.glob("*/paper.toml"):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        found.append(Paper(family=path.parent.name, **content))
    return sorted(found, key=lambda paper: (-len(figures_of(paper)), paper.page))


def figures_of(paper: Paper) -> list[str]:
    """The names of a paper's figures: first its own, in their order, then by section."""
    names = [name for name in figure_names() if family_of(name) == paper.family]
    return sorted(names, key=lambda name: _order(get_figure(name).place))


def _order(place: str) -> tuple:
    numbers = re.match(r"\D*([\d.]*)", place)[1].rstrip(".")
    return not place.startswith("Figure"), [int(n) for n in numbers.split(".") if n], place


def anchor(heading: str) -> str:
    """The name under which GitHub and Sphinx make a heading addressable.

    >>> anchor("Section 2.1.1, no encoding bias")
    'section-211-no-encoding-bias'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(target: Path, folder: Path) -> str:
    """The relative link from a page in `folder` to a file or folder."""
    return Path(os.path.relpath(target, folder)).as_posix()


def marked(verdict: str) -> str:
    """A verdict with its sign.

    >>> marked("holds"), marked("not run")
    ('holds ✓', 'not run')
    """
    return f"{verdict} {_MARKS[verdict]}" if verdict in _MARKS else verdict


def spelled_out(text: str) -> str:
    """A page with the abbreviations that it uses, of all papers, where `ABBREVIATIONS` stands."""
    meanings: dict[str, str] = {}
    for paper in papers():
        meanings |= paper.words
    used = [w for w in meanings if re.search(rf"(?<![\w-]){re.escape(w)}(?![\w+]|-\d)", text)]
    said = "; ".join(f"{word}: {meanings[word]}" for word in used)
    return text.replace(ABBREVIATIONS, f"**Abbreviations.** {said}.")
