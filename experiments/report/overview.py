"""The first page: for each paper which figures reproduce, then its claims, to be searched."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import PurePosixPath
from typing import NamedTuple

from experiments.evidence import tables
from experiments.pages.answers import RULE, answer
from experiments.pipeline.figure import Verdict
from experiments.pipeline.ledger import Standing, standing
from experiments.pipeline.registry import get_figure
from experiments.report import figure, markup
from experiments.report.markup import Text, details

__all__ = ["Section", "answers", "search", "sections"]

_NUMBERED = re.compile(r"Figure \d+")
Verdicts = Sequence[tuple[str, str, Verdict]]


class Section(NamedTuple):
    """A paper's part of the report."""

    file: str
    name: str
    title: str
    figures: list[str]


def sections(of: Sequence[Section], verdicts: Verdicts, say: Text) -> str:
    """The main part of the first page."""
    digest, others = tables.digest(verdicts)
    lines = "".join(f"<li>{say(line)}.</li>" for line in others)
    return "\n".join(
        [
            "<h1>Do the papers’ figures reproduce?</h1>",
            "<p>Papers on the sparsity of regularized auto-encoders: their figures drawn anew, and "
            "their claims decided, from stored runs.</p>",
            search(),
            *(_section(one, verdicts, say) for one in of),
            '<h2 id="more">More</h2>',
            details("How an answer follows from the statements", _rule(say)),
            details(
                "All statements, by the runs that decide them",
                f"{_counts(digest, say)}\n<ul>{lines}</ul>",
            ),
            markup.glossary(say),
        ]
    )


def search() -> str:
    """The field in which one types, shown where scripts run."""
    return (
        '<p class="search" hidden><label>Search claims <input type="search" id="search" '
        'placeholder="A4, tanh, denoising …"></label> <output id="matches"></output></p>'
    )


def answers(names: Sequence[str], file: str, verdicts: Verdicts, say: Text) -> str:
    """Some figures of a page as links, each with whether it reproduces if it has claims."""
    lines = []
    for name in names:
        one, told, where = answer(name, verdicts), say(figure.heading(name)), ""
        if one is not None:
            told = f"{markup.outcome(one.outcome)} {told}"
            where = f" <small>{say(one.where)}</small>"
        lines.append(f"<li>{markup.link(f'{file}#{name}', told)}{where}</li>")
    return f'<ul class="answers">{"".join(lines)}</ul>'


def _section(one: Section, verdicts: Verdicts, say: Text) -> str:
    first = [name for name in one.figures if _NUMBERED.fullmatch(get_figure(name).place)]
    first = first if len(first) > 1 else one.figures
    parts = [
        f'<section data-group id="{PurePosixPath(one.file).stem}">',
        f"<h2>{markup.link(one.file, say(one.name))}</h2>",
        f"<p>{say(one.title)}</p>",
        answers(first, one.file, verdicts, say),
    ]
    if rest := [name for name in one.figures if name not in first]:
        decided = filter(None, (answer(name, verdicts) for name in rest))
        counted = "; ".join(
            f"{markup.outcome(word)}: {count}"
            for word, count in Counter(a.outcome for a in decided).items()
        )
        summary = f"{len(rest)} further experiments ({counted})"
        parts.append(details(summary, answers(rest, one.file, verdicts, say)))
    if claims := _claims(one, verdicts, say):
        parts.append(details(f"{len(claims)} claims", "\n".join(claims)))
    return "\n".join([*parts, "</section>"])


def _rule(say: Text) -> str:
    """How an answer follows: the rule's list, in which what is bold stands between asterisks."""
    points = (" ".join(point.split()) for point in RULE.removeprefix("* ").split("\n* "))
    lines = (re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", say(point)) for point in points)
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def _claims(one: Section, verdicts: Verdicts, say: Text) -> list[str]:
    claims: dict[str, dict[str, list[tuple[str, Verdict]]]] = {}
    for scale, name, v in verdicts:
        if name in one.figures:
            claims.setdefault(v.claim, {}).setdefault(name, []).append((scale, v))
    return [_claim(claim, of, one.file, say) for claim, of in claims.items()]


def _claim(claim: str, of: Mapping[str, figure.Rows], file: str, say: Text) -> str:
    """A card: what a claim says, its verdicts, and where its figures and explanations are."""
    said = "; ".join(dict.fromkeys(get_figure(name).claims[claim] for name in of))
    rows = [row for name in of for row in of[name]]
    words = " ".join(dict.fromkeys(v.statement for _, v in rows))
    (in_order,) = figure.of_claims(rows).values()
    links = "".join(f"<li>{_links(claim, name, of[name], file, say)}</li>" for name in of)
    return (
        f'<article class="claim" id="{markup.slug(claim)}" data-search="{escape(words)}">'
        f"<h3>{escape(claim)}: {say(said)}</h3>{figure.whole(in_order, say)}"
        f"<p><small>Criterion {escape(standing().get(claim, Standing()).status)}.</small></p>"
        f'<ul class="links">{links}</ul></article>'
    )


def _links(claim: str, name: str, rows: figure.Rows, file: str, say: Text) -> str:
    place = f"{file}#{figure.anchor(name, claim)}"
    links = [
        markup.link(f"{file}#{name}", say(figure.heading(name))),
        markup.link(f"{place}.numbers", "numbers"),
    ]
    if any(v.why for _, v in rows):
        links.append(markup.link(f"{place}.why", "explanation"))
    return ", ".join(links)


def _counts(digest: list[tuple[str, ...]], say: Text) -> str:
    """The digest as a list: a table of three verdicts would be too wide for a phone."""
    (_, *verdicts), *rows = digest
    parts = []
    for basis, *cells in rows:
        lines = "".join(
            f"<li>{markup.verdict(v)} {say(cell)}</li>"
            for v, cell in zip(verdicts, cells, strict=True)
        )
        parts.append(f"<h3>{say(basis[:1].upper() + basis[1:])}</h3>\n<ul>{lines}</ul>")
    return "\n".join(parts)
