"""The documentation's Markdown: pages, links, names of files and commands, tables of facts."""

import ast
import itertools
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from markdown import DOCS, ROOT, anchors, blocks, links, pages, table
from test_layering import LAYERS, LIBRARY
from typer.main import get_command

import aesparse
from aesparse.cli.app import app
from experiments.cli import app as experiments_app
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.registry import figure_names

PAGES = pages()
README = PAGES["README.md"]
APPS = {"experiments": experiments_app, "aesparse": app}
FOLDERS = "aesparse|experiments|tests|benchmarks|docs"


def test_the_readme_can_be_read_at_one_sitting():
    assert len(README.splitlines()) <= 150
    assert len(README.encode()) <= 10_000


def test_the_readme_answers_first():
    """Whether Figure 4 reproduces, and how to audit mish, stand in its first 60 lines."""
    first = README.splitlines()[:60]
    (arpit,) = (line for line in first if "results/arpit.md" in line)
    assert re.search(r"Figures?\b[^;.]*\b4\b[^;.]*\b(reproduce|open|not run)", arpit)
    assert any("ae.audit(mish" in line for line in first)
    assert any("aesparse audit" in line and "mish" in line for line in first)


def entries(page: Path) -> list[Path]:
    """The pages in the tables of contents of a page."""
    trees = blocks("{toctree}", page.read_text(encoding="utf-8"))
    names = [line for tree in trees for line in tree.split() if not line.startswith(":")]
    names = [name for name in names if not name.isdigit()]  # a depth
    return [(page.parent / f"{name}.md").resolve() for name in names]


def test_every_page_is_in_one_table_of_contents():
    found, waiting = [DOCS / "index.md"], [DOCS / "index.md"]
    while waiting:
        below = entries(waiting.pop())
        found += below
        waiting += below
    every = sorted(ROOT / page for page in PAGES if page.startswith("docs/"))
    assert sorted(found) == every
    assert len(every) > 20


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_lead_somewhere(page):
    for target in links(PAGES[page]):
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), target


def test_a_broken_link_and_a_repeated_heading_would_be_seen():
    text = "# One two\n\n## Again\n\n[a](b.md#c) ![d](e.png) <https://f.org>\n\n## Again\n"
    assert links(f"{text}\n```text\n[g](h.md)\n```\n[i](https://j.org)") == ["b.md#c", "e.png"]
    assert anchors(text) == {"one-two", "again", "again-1"}


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_that_are_named_exist(page):
    for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", PAGES[page]):
        placeholder = re.search(r"[A-Z]{3}|my_figure", path)
        assert placeholder or (ROOT / path).exists(), path


def test_extras_that_are_named_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for page, text in PAGES.items():
        for extras in re.findall(r"pip install (?:-\w+ )*'[.\w]*\[([\w,]+)\]'", text):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), page


def test_no_page_has_a_path_of_one_machine():
    others = [DOCS / "conf.py", ROOT / "CITATION.cff"]
    texts = PAGES | {path.name: path.read_text(encoding="utf-8") for path in others}
    for page, text in texts.items():
        assert not re.search(r"(?<![\w.:/])/(?:work|tmp|home|root|Users|opt)/", text), page


def commands():
    """Each command that pages name, in code blocks and in running text."""
    for page, text in PAGES.items():
        code = [*blocks("bash", text), *re.findall(r"`(python -m [^`]*)`", text)]
        if page != "CHANGELOG.md":
            for line in "\n".join(code).splitlines():
                yield page, shlex.split(line, comments=True)


def known_options(typer_app, name):
    return {o for p in get_command(typer_app).commands[name].params for o in p.opts}


def test_every_command_and_option_exists():
    named = set()
    for page, words in commands():
        for program, typer_app in APPS.items():
            if program in words and words[words.index(program) - 1] == "-m":
                name, *options = words[words.index(program) + 1 :] or ["figure"]
                command = "figure" if name in figure_names() or name == "my-figure" else name
                assert command in get_command(typer_app).commands, (page, words)
                given = {word for word in options if word.startswith("--")}
                assert given <= known_options(typer_app, command), (page, words)
                scales = {s for o, s in itertools.pairwise(options) if o == "--scale"}
                assert scales <= set(SCALES)
                named.add(command)
        for script in (word for word in words if word.startswith("benchmarks/")):
            assert (ROOT / script).exists(), (page, words)
    assert named >= {"figure", "all", "status", "verdicts", "report", "audit", "plan", "doctor"}


def test_every_figure_is_listed():
    rows = table("| command | what it shows |", PAGES["docs/develop/figures.md"])
    listed = {name for cells in rows for name in re.findall(r"`([a-z][\w-]+)`", cells[0])}
    listed |= {f"arpit-fig{i}" for i in range(1, 6)} & set(figure_names())  # "fig1 to fig5"
    assert listed == set(figure_names())


def test_the_design_has_the_layers_that_the_imports_keep():
    """`tests/test_layering.py` compares the same lists with the actual imports."""
    head = "| layer | what it has |"
    _, library, experiments = PAGES["docs/develop/design.md"].split(f"{head}\n")
    named = [
        [re.findall(r"`(\w+)`", cells[0]) for cells in table(head, f"{head}\n{part}")]
        for part in (library, experiments)
    ]
    inner = [[name for name in names if name] for names in LIBRARY]
    assert named[0] == inner  # the package itself, "", has the public names
    assert [name for names in named[1] for name in names] == LAYERS


def imported(path: Path) -> set[str]:
    """The top names of what a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {a.name.split(".")[0] for n in nodes if isinstance(n, ast.Import) for a in n.names}
    return plain | {n.module.split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom)}


def test_every_oracle_is_imported_where_the_page_says():
    text = PAGES["docs/how-we-know/oracles.md"]
    rows = re.findall(r"(?m)^\| [^|]+ \| [^|]+ \| `(test_\w+\.py)` \| `(\w+)` \|$", text)
    assert len(rows) == len(re.findall(r"(?m)^\| ", text)) - 3 > 20  # but for the heads
    for test, oracle in rows:
        assert oracle in imported(ROOT / "tests" / test), test


def test_typed_oracles_share_no_code_with_the_package():
    typed = [*(ROOT / "tests").glob("oracle*.py"), ROOT / "tests" / "plain_loop.py"]
    assert len(typed) > 10
    for path in typed:
        assert not imported(path) & {"aesparse", "experiments", "benchmarks"}, path.name


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^version: (.*)$", text) == [aesparse.__version__]
    assert re.findall(r"(?m)^license: (.*)$", text) == ["Apache-2.0"]
