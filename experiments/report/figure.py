"""A figure's section: its picture, and its claims with statements, numbers and explanations."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from experiments.pages.answers import Answer, answer
from experiments.pipeline.figure import Verdict
from experiments.pipeline.ledger import CONSTRUCTED, DECIDED
from experiments.pipeline.protocol import SCALES, title
from experiments.pipeline.registry import get_figure
from experiments.report import markup
from experiments.report.drawn import Picture
from experiments.report.markup import Text, details

__all__ = ["Rows", "anchor", "explained", "heading", "of_claims", "section", "statements", "whole"]

_KINDS = (*DECIDED, CONSTRUCTED, "measured", "superseded", "not run")
Rows = Sequence[tuple[str, Verdict]]  # (scale, verdict)


def heading(name: str) -> str:
    """What a figure is called: its place in the paper, or its title."""
    figure = get_figure(name)
    return figure.place or figure.title.rstrip(".")


def anchor(figure: str, claim: str) -> str:
    """Where a claim stands on the page of its figure."""
    return f"{figure}.{markup.slug(claim)}"


def of_claims(rows: Rows) -> dict[str, Rows]:
    """The verdicts of each claim, the largest scale first."""
    claims: dict[str, list[tuple[str, Verdict]]] = {}
    for scale, v in sorted(rows, key=lambda row: -list(SCALES).index(row[0])):
        claims.setdefault(v.claim, []).append((scale, v))
    return claims


def section(name: str, rows: Rows, pictures: Sequence[Picture], say: Text) -> str:
    """All of a figure; `rows` are its verdicts."""
    figure, shown = get_figure(name), sorted(pictures, key=_partial)
    parts = [f'<section class="figure" id="{name}">', f"<h2>{say(heading(name))}</h2>"]
    if one := answer(name, [(scale, name, v) for scale, v in rows]):
        parts.append(_answer(one, say))
    if figure.says:
        parts.append(f"<p><b>The paper:</b> {say(' '.join(figure.says.split()))}</p>")
    if shown:
        parts.append(_picture(shown[0], say))
    else:
        parts.append(f"<p>Not drawn. <code>python -m experiments {name}</code> draws it.</p>")
    if shown[1:]:
        others = "\n".join(_picture(one, say) for one in shown[1:])
        parts.append(details(f"Also drawn: {', '.join(map(_named, shown[1:]))}", others))
    parts += [_claim(name, claim, of, say) for claim, of in of_claims(rows).items()]
    return "\n".join([*parts, "</section>"])


def _answer(one: Answer, say: Text) -> str:
    counted = f": {one.holding} of {one.counting} statements hold" if one.counting else ""
    missing = f"; not run at any size: {', '.join(one.missing)}" if one.missing else ""
    where = f" {one.where}" if one.where else ""
    return f"<p><b>Answer:</b> {markup.outcome(one.outcome)}{say(where + counted + missing)}.</p>"


def _partial(picture: Picture) -> bool:
    """Whether it was drawn without some of its runs."""
    return picture.record["command"].endswith(" --stored")


def _named(picture: Picture) -> str:
    _, *options = picture.record["command"].removesuffix(" --stored").split(" --")
    other = [one for one in options if one.split()[0] not in ("scale", "data-dir")]
    return escape(", ".join([f"scale {picture.scale}", *other]))


def _picture(picture: Picture, say: Text) -> str:
    record, name = picture.record, escape(picture.record["title"])
    parents = list(record["runs"].values())
    made = "; ".join(
        f"{field} {' / '.join(sorted({str(p[field]) for p in parents}))}"
        for field in ("device", "jax", "revision")
    )
    path = f"../{picture.path}"
    hours = sum(p["wall_seconds"] for p in parents) / 3600
    how = (
        f"<pre>{escape(record['command'])}</pre>"
        f"<p>{len(parents)} runs, {hours:.1f} hours of training; {escape(made)}.</p>"
    )
    return (
        f'<figure id="{picture.anchor}"><a href="{path}"><img loading="lazy" '
        f'src="{path}" alt="{name}" width="{picture.width}" height="{picture.height}"></a>'
        f"<figcaption>{say(record['title'].rstrip('.'))} ({_named(picture)})"
        + details("Caption", f"<p>{say(record['caption'])}</p>")
        + details("How it was made", how)
        + "</figcaption></figure>"
    )


def _claim(name: str, claim: str, rows: Rows, say: Text) -> str:
    place, why = anchor(name, claim), explained(rows, say)
    decided = sum(v.verdict != "not run" for _, v in rows)
    parts = [
        f'<article class="claim" id="{place}">',
        f"<h3>{escape(claim)}: {say(get_figure(name).claims[claim])}</h3>",
        whole(rows, say),
        details(
            f"Statements and numbers ({decided} of {len(rows)} run)",
            statements(rows, say),
            f"{place}.numbers",
        ),
    ]
    if why:
        count = sum(bool(v.why) for _, v in rows)
        summary = f"Explanations ({count} statement{'s' * (count > 1)})"
        parts.append(details(summary, why, f"{place}.why"))
    back = markup.link(f"#{name}", "↑ Figure")
    overview = markup.link(f"../index.html#{markup.slug(claim)}", "Overview")
    return "\n".join([*parts, f'<p class="links">{back} {overview}</p>', "</article>"])


class _Place(NamedTuple):
    scale: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.scale}, {title(self.dataset)}" if self.dataset else self.scale


def _by_place(rows: Rows) -> dict[_Place, list[Verdict]]:
    places: dict[_Place, list[Verdict]] = {}
    for scale, v in rows:
        places.setdefault(_Place(scale, v.dataset), []).append(v)
    return places


def whole(rows: Rows, say: Text) -> str:
    """How many statements got which verdict, a line for all scales and data sets with the same."""
    lines: dict[str, list[str]] = {}
    for place, verdicts in _by_place(rows).items():
        lines.setdefault(_counted([v.verdict for v in verdicts]), []).append(str(place))
    told = (f"<li>{say('; '.join(places))}: {said}</li>" for said, places in lines.items())
    return f'<ul class="whole">{"".join(told)}</ul>'


def _counted(words: Sequence[str]) -> str:
    kinds = sorted(set(words), key=_KINDS.index)
    return ", ".join(
        markup.verdict(kind, kind if len(kinds) == 1 else f"{kind} in {words.count(kind)}")
        for kind in kinds
    )


def statements(rows: Rows, say: Text) -> str:
    """Every statement with its verdict and numbers, by scale and data set."""
    parts = []
    for place, verdicts in _by_place(rows).items():
        parts.append(f"<h4>{say(str(place))}</h4>\n<ul>")
        parts += [_statement(v, say) for v in verdicts if v.verdict != "not run"]
        missing: dict[str, list[str]] = {}
        for v in verdicts:
            if v.verdict == "not run":
                missing.setdefault(v.numbers, []).append(v.statement)
        for numbers, names in missing.items():
            of = say("; ".join(names))
            parts.append(f"<li>{markup.verdict('not run')} ({say(numbers)}): {of}</li>")
        parts.append("</ul>")
    return "\n".join(parts)


def _statement(v: Verdict, say: Text) -> str:
    rests = f" <small>({say(v.rests_on)})</small>" if v.rests_on else ""
    return (
        f"<li>{markup.verdict(v.verdict)} {say(v.statement)}{rests}"
        f'<p class="numbers">{say(v.numbers)}</p></li>'
    )


def explained(rows: Rows, say: Text) -> str:
    """What was looked at, once for all statements of which it says the same; "" for nothing."""
    reasons: dict[tuple[str, ...], list[str]] = {}
    for place, verdicts in _by_place(rows).items():
        for v in verdicts:
            if v.why:
                said = f"{markup.verdict(v.verdict)} {say(f'{place}: {v.statement}')}"
                reasons.setdefault(v.why, []).append(said)
    return "\n".join(
        f'<p class="of">{"<br>".join(of)}</p>' + "".join(f"<p>{say(line)}</p>" for line in why)
        for why, of in reasons.items()
    )
