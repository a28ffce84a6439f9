"""Writing the report: the first page, one per paper, and one of single models."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aesparse.files import require_writable, write_text
from experiments.pages.papers import figures_of, papers
from experiments.pipeline.damage import Damage
from experiments.pipeline.figure import Verdict
from experiments.pipeline.registry import figure_names
from experiments.pipeline.seal import write_page
from experiments.report import figure, markup, models, overview
from experiments.report.drawn import Picture, collect
from experiments.report.markup import Text
from experiments.report.overview import Section

__all__ = ["write"]

_INDEX, _FOLDER = "index.html", "report"
_MODELS = f"{_FOLDER}/models.html"
_NAME = "aesparse"


def write(
    out: Path,
    verdicts: Sequence[tuple[str, str, Verdict]],
    seeds: int | None = None,
    damage: Damage | None = None,
) -> Path:
    """Writes `out/index.html` and the pages in `out/report` it leads to; returns its path.

    Figures and runs that are damaged are left out, with a sentence each in `damage`. What is no
    longer part of the report is removed from `out/report`.
    """
    require_writable(out)
    pictures, runs = collect(out, seeds, damage or Damage())
    sections, names = _sections({name for _, name, _ in verdicts} | pictures.keys())
    pages = {_INDEX: "Overview", **{s.file: s.name for s in sections}, _MODELS: "Single models"}
    main = {_INDEX: overview.sections(sections, verdicts, Text(names))}
    for one in sections:
        main[one.file] = _paper(one, verdicts, pictures, Text(names))
    main[_MODELS], script, data = models.page(runs, Text(names))
    for file, content in data.items():
        write_text(out / _FOLDER / file, content)
    for file, content in main.items():
        title = _NAME if file == _INDEX else f"{pages[file]}: {_NAME}"
        of_it = script if file == _MODELS else ""
        write_page(out / file, markup.page(title, pages, file, content, of_it))
    written = {out / file for file in main} | {out / _FOLDER / file for file in data}
    for path in {*(out / _FOLDER).glob("*.html"), *(out / _FOLDER).glob("*/*.js")} - written:
        path.unlink()
    return out / _INDEX


def _sections(shown: set[str]) -> tuple[list[Section], dict[str, str]]:
    """The papers' parts, then one of all other figures; short names and what they stand for."""
    sections, names = [], {}
    for paper in papers():
        figures = [name for name in figures_of(paper) if name in shown]
        names |= paper.words
        if figures:
            sections.append(
                Section(f"{_FOLDER}/{paper.page}.html", paper.name, paper.title, figures)
            )
    others = [n for n in figure_names() if n in shown and not any(n in s.figures for s in sections)]
    if others:
        about = "Figures that no paper shows"
        sections.append(Section(f"{_FOLDER}/beyond.html", "Beyond the papers", about, others))
    return sections, names


def _paper(
    one: Section,
    verdicts: Sequence[tuple[str, str, Verdict]],
    pictures: Mapping[str, Sequence[Picture]],
    say: Text,
) -> str:
    """The main part of a paper's page."""
    rows: dict[str, list[tuple[str, Verdict]]] = {name: [] for name in one.figures}
    for scale, name, v in verdicts:
        if name in rows:
            rows[name].append((scale, v))
    contents = overview.answers(one.figures, "", verdicts, say)
    return "\n".join(
        [
            f"<h1>{say(one.name)}: {say(one.title)}</h1>",
            f'<nav aria-label="Contents">{contents}</nav>',
            overview.search() if any(rows.values()) else "",
            '<p hidden><button type="button" id="print">Print, with all pictures</button></p>',
            *(figure.section(name, of, pictures.get(name, ()), say) for name, of in rows.items()),
            markup.glossary(say),
        ]
    )
