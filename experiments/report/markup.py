"""Pieces of HTML: text that spells out short names, verdicts with their marks, folded parts."""

import html
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

from experiments.pipeline.ledger import DECIDED

__all__ = ["Text", "details", "glossary", "link", "outcome", "page", "slug", "verdict"]

_FOLDER = Path(__file__).parent
_MARKS = dict(zip(DECIDED, "✓✗?", strict=True))
_OF_FIGURES = {"reproduces": "✓", "in part": "◐", "does not reproduce": "✗", "open": "?"}


class Text:
    """Plain text as HTML: escaped, code in backquotes as code, short names spelled out.

    `names` are short names and what they stand for; `used` are those that occurred.

    >>> say = Text({"DAE": "denoising auto-encoder"})
    >>> say("DAE < `x`")
    '<abbr title="denoising auto-encoder">DAE</abbr> &lt; <code>x</code>'
    >>> say.used
    {'DAE': 'denoising auto-encoder'}
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self.used: dict[str, str] = {}
        longest = sorted(names, key=len, reverse=True)
        short = "|".join(re.escape(html.escape(name)) for name in longest) or r"(?!)"
        self._short = re.compile(rf"(?<![\w-])(?:{short})(?!\w)")

    def __call__(self, plain: str) -> str:
        escaped = self._short.sub(self._spelled, html.escape(plain))
        return re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)

    def _spelled(self, found: re.Match) -> str:
        name = html.unescape(found[0])
        self.used[name] = self._names[name]
        return f'<abbr title="{html.escape(self._names[name])}">{found[0]}</abbr>'


def glossary(say: Text) -> str:
    """The short names of a page, spelled out; nothing if it has none."""
    if not say.used:
        return ""
    names = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(meaning)}</dd>"
        for name, meaning in sorted(say.used.items(), key=lambda item: item[0].lower())
    )
    return f'<h2 id="names">Short names</h2>\n<dl class="names">{names}</dl>'


def verdict(word: str, said: str = "") -> str:
    """A verdict's word with its mark; `said` is how it reads, the word itself by default."""
    mark = f"{_MARKS[word]} " if word in _MARKS else ""
    kind = word.replace(" ", "-")
    return f'<span class="verdict {kind}">{mark}{html.escape(said or word)}</span>'


def outcome(word: str) -> str:
    """Whether a figure reproduces, with a mark."""
    mark = f"{_OF_FIGURES[word]} " if word in _OF_FIGURES else ""
    return f'<span class="verdict {slug(word)}">{mark}{html.escape(word)}</span>'


def details(summary: str, content: str, name: str = "") -> str:
    """A folded part; `summary` and `content` are HTML, `name` its anchor."""
    anchor = f' id="{name}"' if name else ""
    return f"<details{anchor}><summary>{summary}</summary>\n{content}\n</details>"


def link(target: str, content: str) -> str:
    """A link; `content` is HTML."""
    return f'<a href="{html.escape(target)}">{content}</a>'


def slug(name: str) -> str:
    """A name as part of an anchor.

    >>> slug("A3, rates and batches")
    'A3-rates-and-batches'
    """
    return re.sub(r"\W+", "-", name)


def page(title: str, pages: Mapping[str, str], current: str, main: str, script: str = "") -> str:
    """A whole page; `pages` are all of them by path, for the links at its top."""
    links = []
    for file, name in pages.items():
        shown = html.escape(name)
        target = posixpath.relpath(file, posixpath.dirname(current))
        links.append(f"<strong>{shown}</strong>" if file == current else link(target, shown))
    return Template((_FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        pages=" ".join(links),
        main=main,
        script=(_FOLDER / "page.js").read_text(encoding="utf-8") + script,
    )
