"""The generated pages: they are what the record says, by the code and by an oracle of it."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import stored_runs
import tiny
from commands import command, refusal
from oracle_answers import derived, figures, told
from oracle_page import statements

from experiments import pages
from experiments.pages.answers import answer
from experiments.pages.papers import anchor, figures_of, papers
from experiments.pages.statements import page as page_of_statements
from experiments.pipeline.damage import Damage
from experiments.pipeline.figure import Verdict
from experiments.pipeline.record import read_pictured
from experiments.pipeline.registry import get_figure
from experiments.pipeline.seal import changed_page, sealed_page

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
README = ROOT / "README.md"
PAPERS = ("arpit", "saturating", "generalized-sparse", "lecture")
BEGIN = "<!-- answers: python -m experiments pages -->"
END = "<!-- end of answers -->"


def answers_of(path: Path) -> dict[str, str]:
    """The line of answers of each paper by its page."""
    lines = re.findall(r"(?m)^\* \*\*\[.+\]\((.+)\.md\)\*\*: (.+)$", path.read_text("utf-8"))
    return {link.rpartition("/")[2]: line for link, line in lines}


def parts():
    return [(page, one) for page in PAPERS for one in figures(RESULTS / f"{page}.md")]


@pytest.mark.long
def test_every_generated_page_and_the_answers_are_what_the_record_says():
    damage = Damage()
    made, answers = pages.generated(ROOT / "figures", ROOT, damage)
    assert not list(damage)
    assert {p.name for p in RESULTS.glob("*.md")} == made.keys()
    for name, text in made.items():
        assert (RESULTS / name).read_text(encoding="utf-8") == sealed_page(text), name
    assert f"{BEGIN}\n\n{answers}\n\n{END}" in README.read_text(encoding="utf-8")


def test_the_papers_pages_print_each_statement_of_the_whole_table_once():
    """The whole table is compared with the stored runs in `test_oracle_verdicts`."""
    whole = Counter(r for r in statements(RESULTS / "statements.md") if r.verdict != "not run")
    shown = Counter(row for _, one in parts() for row in one.rows)
    assert shown == whole
    assert whole.total() > 250


def test_a_figure_shows_the_statements_that_its_record_decides():
    compared = 0
    for _, one in parts():
        claims, told = set(), set()
        for path in (ROOT / "figures").glob(f"*/{one.name}*.json"):
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["figure"] == one.name:
                claims |= {v["claim"] for v in record["verdicts"]}
                told |= {
                    (v["claim"], path.parent.name, v["verdict"], v["numbers"].replace("|", r"\|"))
                    for v in record["verdicts"]
                }
        drawn = {(r.claim, r.scale, r.verdict, r.numbers) for r in one.rows}
        assert {row.claim for row in one.rows} <= claims, one.name
        assert not one.rows or drawn & told, one.name
        compared += len(drawn & told)
    assert compared > 200


def test_each_answer_follows_from_the_statements_by_the_printed_rule():
    for page, one in parts():
        outcome, where, holding, counting, constructed = derived(one.rows)
        if not one.rows:
            assert one.answer == "", one.name
            continue
        assert one.answer == f"{outcome} {where}".strip(), (page, one.place)
        said = re.findall(r"(\d+)(?= of \d+ hold| by construction)", one.counts)
        assert said == [str(n) for n, of in ((holding, counting), (constructed, constructed)) if of]
        if counting:
            assert f"{holding} of {counting} hold" in one.counts


@pytest.mark.parametrize("path", [README, RESULTS / "index.md"], ids=["README", "index"])
def test_the_answers_of_a_paper_are_those_of_its_figures(path):
    lines = answers_of(path)
    assert lines.keys() == set(PAPERS)
    for page in PAPERS:
        expected = {
            one.place: derived(one.rows)[:2] for p, one in parts() if p == page and one.rows
        }
        said, further = told(lines[page])
        assert said == {place: expected.pop(place) for place in said}
        assert Counter(further) == Counter(outcome for outcome, _ in expected.values())
        assert f"**{lines[page]}**" in (RESULTS / f"{page}.md").read_text(encoding="utf-8")


def test_the_overview_has_each_figure_with_its_answer_and_a_link_to_it():
    text = (RESULTS / "index.md").read_text(encoding="utf-8").split("\n## Claim by claim")[0]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| [")]
    shown = {link.strip("| "): said for link, said, *_ in rows}
    expected = {
        f"[{one.place}]({page}.md#{anchor(one.place)})": " ".join(derived(one.rows)[:2]).strip()
        for page, one in parts()
        if one.rows
    }
    assert shown == expected
    assert len(shown) > 30


def test_a_fresh_reader_finds_figure_4_within_a_line():
    said, _ = told(answers_of(README)["arpit"])
    assert "Figure 4" in said


def test_each_paper_is_told_in_its_order_and_each_figure_says_what_the_paper_says():
    assert {paper.page for paper in papers()} == set(PAPERS)
    for paper in papers():
        places = [get_figure(name).place for name in figures_of(paper)]
        assert len(set(map(anchor, places))) == len(places)
        numbered = [p for p in places if p.startswith("Figure")]
        assert places[: len(numbered)] == numbered
        assert [re.findall(r"\d+", p) for p in numbered] == sorted(
            re.findall(r"\d+", p) for p in numbered
        )
        for name in figures_of(paper):
            assert len(get_figure(name).says) > 80, name
        text = (RESULTS / f"{paper.page}.md").read_text(encoding="utf-8")
        assert re.findall(r"(?m)^## (.+)$", text)[:-1] == places
        for row in paper.open:
            assert row.keys() == {"point", "here", "why"}
            assert all(row.values())


def test_every_abbreviation_is_spelled_out_on_its_page():
    names = {"MNIST", "CIFAR", "DATA", "JAX", "AMD", "EPYC", "ICML", "CS", "IIT", "II", "SGD"}
    for path in RESULTS.glob("*.md"):
        text = re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*-->", " ", path.read_text(encoding="utf-8"))
        used = set(re.findall(r"\b[a-z]?[A-Z]{2,}\b", text))
        spelled = re.search(r"\*\*Abbreviations\.\*\* (.+)", text)[1]
        for word in used - names:
            assert re.search(rf"\b(L-)?{word}(-2)?: ", spelled), (path.name, word)


def slugs(text: str) -> set[str]:
    """The names under which GitHub makes a page's headings addressable."""
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", [*sorted(RESULTS.glob("*.md")), README], ids=lambda p: p.name)
def test_links_and_pictures_of_the_pages_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    if path == README:
        text = text.split(BEGIN)[1].split(END)[0]
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    for target in targets:
        name, _, heading = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if heading:
            assert heading in slugs(linked.read_text(encoding="utf-8")), target
    if path.stem in PAPERS:
        pictures = re.findall(r"!\[([^\]]{15,})\]\(([^)]+\.png)\)", text)
        drawn = {
            p.name.split("-first-seed")[0].split(".")[0]
            for p in (ROOT / "figures").glob("[!.]*/*.png")
        }
        names = {one.name for one in figures(path)} & drawn
        assert {
            Path(picture).name.split("-first-seed")[0].split(".")[0] for _, picture in pictures
        } == names


ROWS = {
    "reproduces": [("paper", "holds"), ("reduced", "fails")],
    "in part": [("paper", "holds"), ("paper", "fails")],
    "does not reproduce": [("paper", "inconclusive"), ("paper", "fails"), ("reduced", "holds")],
    "open": [("paper", "inconclusive"), ("reduced", "holds"), ("paper", "by construction")],
    "by construction": [("paper", "by construction"), ("paper", "not run"), ("paper", "measured")],
    "measured": [("reduced", "measured"), ("paper", "not run")],
    "not run": [("reduced", "not run")],
}


@pytest.mark.parametrize("outcome", ROWS)
def test_the_answer_of_planted_verdicts(outcome):
    rows = [
        (scale, "arpit-fig4", Verdict("A4", "mnist", "it falls", verdict, "0.5; one seed"))
        for scale, verdict in ROWS[outcome]
    ]
    found = answer("arpit-fig4", rows)
    assert found.outcome == outcome
    assert found.missing == (("A4 on MNIST",) if outcome == "not run" else ())
    assert found.where == ("at the paper's sizes (one seed)" if found.counting else "")
    assert answer("arpit-fig3", rows).outcome == "not run"


def test_a_claim_on_another_data_set_counts_at_its_own_largest_size():
    rows = [
        ("paper", "arpit-fig4", Verdict("A4", "mnist", "it falls", "holds", "0.5; one seed")),
        ("reduced", "arpit-fig4", Verdict("A4", "mnist", "it falls", "fails", "0.5; 3 seeds")),
        ("reduced", "arpit-fig4", Verdict("A4", "cifar10", "it falls", "fails", "0.5; 3 seeds")),
    ]
    found = answer("arpit-fig4", rows)
    assert (found.outcome, found.holding, found.counting) == ("in part", 1, 2)
    assert found.where == "at the paper's sizes (one seed) and at reduced sizes"


def test_a_bar_in_a_number_stays_inside_its_column():
    verdict = Verdict("L1", "", "one", "holds", "largest |x| 0.1")
    text = page_of_statements([("quick", "lecture-kl", verdict)])
    assert "| largest \\|x\\| 0.1 |\n" in text
    assert "| holds ✓ |" in text


@pytest.fixture
def checkout(tmp_path, tiny_scales):
    """A folder with README's markers, and Figure 3's runs and the theorems in its figures."""
    specs = get_figure("arpit-fig3").runs(tiny.plan())
    stored_runs.store_all(tmp_path / "figures", "reduced", specs)
    for name in ("theorems.json", "theorems.png", "theorems.svg"):
        shutil.copy(ROOT / "figures" / name, tmp_path / "figures")
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    return tmp_path


def arguments(checkout: Path) -> tuple:
    return "pages", "--out", checkout / "figures", "--checkout", checkout


def test_the_command_writes_all_pages_and_readmes_answers(checkout, monkeypatch, capsys):
    out = checkout / "figures"
    assert command(monkeypatch, capsys, "arpit-fig3", "--scale", "reduced", "--out", out)[0] == 0
    code, printed, _ = command(monkeypatch, capsys, *arguments(checkout))
    assert code == 0
    written = {p.stem for p in (checkout / "docs" / "results").glob("*")}
    assert written == {"index", "statements", "superseded", "theorems", *PAPERS}
    assert all(str(checkout / "docs" / "results" / f"{name}.md") in printed for name in written)
    for path in (checkout / "docs" / "results").glob("*"):
        assert changed_page(path) is None
    arpit = checkout / "docs" / "results" / "arpit.md"
    text = arpit.read_text(encoding="utf-8")
    assert re.search(r"(?m)^\| A3 \| reduced \|[^|]+\|[^|]+\| holds ✓ \|", text)
    (picture,) = re.findall(r"\]\(([^)]+\.png)\)", text)  # the one that is drawn
    assert (arpit.parent / picture).resolve() == out / "reduced" / "arpit-fig3.png"
    readme = (checkout / "README.md").read_text(encoding="utf-8")
    assert (readme[:7], readme[-6:]) == ("before\n", "after\n")
    assert told(answers_of(checkout / "README.md")["arpit"])[0]["Figure 3"][0] == "reproduces"
    assert told(answers_of(checkout / "README.md")["arpit"])[0]["Figure 4"][0] == "not run"


def test_the_page_of_theorems_is_the_stored_table():
    rows = read_pictured(ROOT / "figures" / "theorems.json")["rows"]
    text = (RESULTS / "theorems.md").read_text(encoding="utf-8")
    table = [line.split(" | ")[0].strip("| ") for line in text.splitlines() if line[:3] == "| T"]
    assert table == [row["id"] for row in rows]
    for row in rows:
        assert f"| {row['number'].replace('|', chr(92) + '|')} |" in text


def test_a_damaged_record_is_named_and_the_rest_is_written(checkout, monkeypatch, capsys):
    out = checkout / "figures"
    assert command(monkeypatch, capsys, "arpit-fig3", "--scale", "reduced", "--out", out)[0] == 0
    picture = out / "reduced" / "arpit-fig3.png"
    picture.write_bytes(picture.read_bytes()[:-1])
    assert str(picture) in refusal(monkeypatch, capsys, *arguments(checkout))
    text = (checkout / "docs" / "results" / "arpit.md").read_text(encoding="utf-8")
    assert ".png)" not in text
    assert "| A3 | reduced |" in text


@pytest.mark.parametrize("spoil", ["no README", "no markers", "page by hand", "page is a folder"])
def test_what_cannot_be_written_is_refused_before_any_work(checkout, spoil, monkeypatch, capsys):
    monkeypatch.setattr(pages, "collect_verdicts", lambda *_, **__: pytest.fail("work"))
    named = checkout / "README.md"
    if spoil == "no README":
        named.unlink()
    elif spoil == "no markers":
        named.write_text("before\nafter\n", encoding="utf-8")
    else:
        named = checkout / "docs" / "results" / "lecture.md"
        named.parent.mkdir(parents=True)
        if spoil == "page by hand":
            named.write_text("mine\n", encoding="utf-8")
        else:
            named.mkdir()
    assert str(named) in refusal(monkeypatch, capsys, *arguments(checkout))
    assert not (checkout / "docs" / "results" / "index.md").exists()
