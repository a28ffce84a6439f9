"""README and docs are executed: their Python, their commands' names, their links and blocks."""

import ast
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import stored_runs
from typer.main import get_command

from aesparse.cli.app import app
from aesparse.errors import InputError
from benchmarks import pages as measured_pages
from experiments.cli import app as experiments_app
from experiments.evidence import curves
from experiments.pipeline import make, protocol, registry
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.record import figure_record, read_record
from experiments.pipeline.registry import figure_names, gathered, get_figure
from experiments.pipeline.store import RunStore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
AUDIT = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
FIGURES = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
PAGES = {
    p.relative_to(ROOT): p.read_text(encoding="utf-8")
    for p in [ROOT / "README.md", *ROOT.glob("docs/*.md")]
}


def blocks(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def execute(example):
    names = {}
    exec(compile(example, "the example", "exec"), names)
    return names


def example_with(word, text):
    """A page's one Python example in which a word occurs."""
    (example,) = (block for block in blocks("python", text) if word in block)
    return example


def test_the_readme_is_short_and_its_example_has_ten_statements():
    assert len(README.splitlines()) <= 100
    (example,) = blocks("python", README)
    assert len(ast.parse(example).body) <= 10


def test_the_fraction_falls_as_the_strength_grows():
    (example,) = blocks("python", README)
    fraction = execute(example)["result"].final.activation_fraction
    assert fraction.shape == (3, 2)
    assert (np.diff(fraction, axis=0) < 0).all()


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    """What the guide's examples define, executed one after the other in a folder of their own."""
    module = types.ModuleType("guide")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "guide", module)  # dataclasses look for theirs
        patch.chdir(tmp_path_factory.mktemp("guide"))
        for example in blocks("python", GUIDE):
            exec(compile(example, "the guide", "exec"), module.__dict__)
    return module


@pytest.mark.long
def test_the_guides_grid_and_its_selections(guide):
    fraction = guide.result.final.activation_fraction
    assert guide.result.sizes == {"strength": 3, "learning_rate": 2, "seed": 2}
    assert (np.diff(fraction, axis=0) < 0).all()
    assert guide.zipped.sizes == {"strength": 3}
    assert guide.zipped.coordinates["learning_rate"].tolist() == [0.003, 0.002, 0.001]
    params = guide.result.params
    np.testing.assert_array_equal(guide.same.params.weight, params.weight[1, 1, 0])
    rows = guide.scaler(guide.digits.heldout)
    code = np.maximum(rows @ params.weight[1, 1, 0].T + params.bias[1, 1, 0], 0)
    np.testing.assert_allclose(guide.codes, code, rtol=1e-4, atol=1e-4)
    heldout = np.mean(code > 0)
    assert abs(guide.heldout.activation_fraction[1, 1, 0] - heldout) < 1e-3
    np.testing.assert_array_equal(guide.dataset.activation_fraction, fraction)


@pytest.mark.long
def test_the_guides_own_functions_train(guide):
    assert (np.diff(guide.composed.losses["beta"][:, -1]) < 0).all()
    np.testing.assert_allclose(guide.top_k.final.activation_fraction, 4 / 32, rtol=1e-3)
    assert (np.diff(guide.deep.losses["penalty"][:, -1]) < 0).all()
    assert guide.positive.params.weight.min() == 0
    lengths = np.linalg.norm(guide.on_sphere.params.weight, axis=-1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert guide.measured.history["largest"].shape == (2, 2)
    assert (guide.measured.final["largest"] > 0).all()


@pytest.mark.long
def test_the_guides_paths_minima_and_parts(guide):
    for earlier, later in itertools.pairwise(guide.stages):
        assert later.shape == (2,)
        # Each stage goes on from the one before: its first measurement is that one's last.
        last = earlier.history.reconstruction[:, -1]
        np.testing.assert_allclose(later.history.reconstruction[:, 0], last, rtol=1e-5)
    norms = guide.minimum.history.reconstruction, guide.minimum.losses["gradient_norm"]
    assert (norms[0][:, -1] < norms[0][:, 0]).any()
    assert (norms[1] < 0.1).all()
    assert guide.large.params is None
    assert guide.large.shape == (3, 3)


@pytest.mark.long
def test_the_audit_of_an_own_function_answers_in_its_first_line(capsys):
    execute(example_with("ae.audit", AUDIT))
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("conclusion")
    assert len(shown) > 10


def test_the_search_breaks_the_statement_of_the_page():
    assert execute(example_with("ae.falsify", AUDIT))["result"].violated


def test_a_figure_of_ones_own_is_one_file(monkeypatch, tmp_path):
    """The page's module, put among the figures, is listed, drawn and decided."""
    module = types.ModuleType("experiments.figures.my_figure")
    exec(compile(example_with("CLAIMS", FIGURES), "the example", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "figure_modules", lambda: {"my-figure": module.__name__})
    plan = Plan.checked("quick", None, None)
    stored_runs.store_all(tmp_path, "quick", module.runs(plan))
    make.make(["my-figure"], plan, data_dir=None, out=tmp_path)
    assert (tmp_path / "quick" / "my-figure.png").stat().st_size > 10_000
    verdicts = json.loads((tmp_path / "quick" / "my-figure.json").read_text(encoding="utf-8"))[
        "verdicts"
    ]
    assert {(v["claim"], v["dataset"]) for v in verdicts} == {
        ("mine", dataset) for dataset in plan.scale.datasets
    }
    assert {v["verdict"] for v in verdicts} == {"demonstration (holds)"}


def test_every_python_example_is_executed_by_a_test():
    whole = {README: 1, GUIDE: len(blocks("python", GUIDE)), AUDIT: 2, FIGURES: 1}
    for path, text in PAGES.items():
        assert len(blocks("python", text)) == whole.get(text, 0), path


def commands():
    """Each command that README and docs name, in code blocks and in running text."""
    for path, text in PAGES.items():
        code = [*blocks("bash", text), *re.findall(r"`(python -m [^`]*)`", text)]
        for line in "\n".join(code).splitlines():
            yield path, shlex.split(line)


def test_the_commands_that_continuous_integration_takes_from_the_readme_stand_alone():
    lines = README.splitlines()
    for end in ("-m pytest", "-m experiments arpit-fig1"):
        (line,) = (line for line in lines if line.endswith(end))
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")


def known_options(typer_app, name):
    return {o for p in get_command(typer_app).commands[name].params for o in p.opts}


def test_every_command_and_option_exists():
    named = set()
    for path, words in commands():
        for program, typer_app in (("experiments", experiments_app), ("aesparse", app)):
            if program in words and words[words.index(program) - 1] == "-m":
                name, *options = words[words.index(program) + 1 :] or ["figure"]
                command = "figure" if name in figure_names() or name == "my-figure" else name
                assert command in get_command(typer_app).commands, (path, words)
                given = {word for word in options if word.startswith("--")}
                assert given <= known_options(typer_app, command), (path, words)
                scales = {s for o, s in itertools.pairwise(options) if o == "--scale"}
                assert scales <= set(SCALES)
                named.add(command)
        for script in (word for word in words if word.startswith("benchmarks/")):
            assert (ROOT / script).exists(), (path, words)
    assert named >= {
        "figure",
        "all",
        "status",
        "verdicts",
        "pages",
        "report",
        "audit",
        "plan",
        "theorems",
    }


def anchors(text):
    """The names under which GitHub makes a page's headings addressable."""
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        path, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), target
    for path in re.findall(r"(?m)^\| `(\w[\w/]*/)` \|", PAGES[page]):
        assert (ROOT / path).exists()


def test_every_figure_is_listed():
    section = FIGURES.split("| command | what it shows |")[1].split("\n\n")[0]
    listed = set(re.findall(r"`([a-z][\w-]+)`", section))
    listed |= {f"arpit-fig{i}" for i in range(1, 6)} & set(figure_names())  # "fig1 to fig5"
    assert listed == set(figure_names())


@pytest.mark.parametrize("page", measured_pages.PAGES)
def test_the_measured_numbers_are_the_stored_ones(page):
    assert (ROOT / page).read_text(encoding="utf-8") == measured_pages.filled(
        page, measured_pages.PAGES[page]
    )


BEGIN, END = "<!-- memory: python -m benchmarks.pages -->", "<!-- end of memory -->"


@pytest.fixture
def a_page(monkeypatch, tmp_path):
    """A page with one block, the only one of the command."""
    monkeypatch.setattr(measured_pages, "ROOT", tmp_path)
    monkeypatch.setattr(measured_pages, "PAGES", {"page.md": {"memory": lambda: "1\n2"}})
    monkeypatch.setattr(sys, "argv", ["pages"])
    return tmp_path / "page.md"


@pytest.mark.parametrize(
    "text",
    ["", f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n" * 2,
     f"{BEGIN}{BEGIN}{END}"],
)  # fmt: skip
def test_markers_that_are_absent_reversed_or_doubled_are_refused(a_page, text):
    a_page.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"page\.md"):
        measured_pages.main()
    assert a_page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("content", [b"\xff" + BEGIN.encode() + END.encode(), None])
def test_a_page_that_is_no_utf8_or_no_file_is_refused(a_page, content):
    if content is None:
        a_page.mkdir()
    else:
        a_page.write_bytes(content)
    with pytest.raises(InputError, match=r"page\.md"):
        measured_pages.main()
    assert content is None or a_page.read_bytes() == content


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_page_keeps_its_line_endings_its_link_and_if_unchanged_its_time(a_page, newline):
    text = f"\ufeff# Σ\n{BEGIN}\nold\n{END}\nafter\n".replace("\n", newline)
    real = a_page.with_name("real.md")
    real.write_bytes(text.encode())
    a_page.symlink_to(real.name)
    measured_pages.main()
    assert a_page.is_symlink()
    written = real.read_bytes()
    assert written.decode() == text.replace("old", f"{newline}1{newline}2{newline}")
    os.utime(real, (1, 1))
    measured_pages.main()
    assert (real.stat().st_mtime, real.read_bytes()) == (1, written)


def test_a_damaged_measurement_is_named(monkeypatch, tmp_path):
    for module in ("blocks", "pages"):
        monkeypatch.setattr(f"benchmarks.{module}.ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    block = measured_pages.PAGES["docs/performance.md"]["memory"]
    (tmp_path / "page.md").write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    for content in ("", "[]", "3", "null", "{}", "{", '{"grids": 3, "jax": 1, "machine": 2}'):
        (tmp_path / "benchmarks" / "memory.json").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="memory"):
            measured_pages.filled("page.md", {"memory": block})


def test_the_rates_follow_from_the_rule_and_what_it_measured():
    measured = json.loads((ROOT / "benchmarks" / "learning_rate.json").read_text(encoding="utf-8"))
    for name, errors in measured.items():
        works = [e is not None and e <= errors["0.001"] for e in errors.values()]
        allowed = [
            rate for rate, well in zip(errors, works, strict=True) if well and float(rate) <= 0.003
        ]
        assert protocol.DATA[name].learning_rate == float(allowed[-1])
    assert set(measured) == set(SCALES["paper"].datasets)


def test_on_mnist_no_stored_rate_loses_a_model():
    figure, plan = get_figure("arpit-rates"), Plan.checked("reduced", None, None)
    store = RunStore(ROOT / "figures", "reduced")
    specs = [s for s in figure.runs(plan) if (s.dataset, s.batch_size) == ("mnist", 50)]
    shown = curves.collect({spec: store.load(spec) for spec in specs})
    assert not any(curve.flagged.any() for curve in shown)


def test_the_json_of_every_picture_is_what_its_runs_say():
    for path in sorted((ROOT / "figures").glob("*/*.json")):
        scale, name = path.parent.name, path.stem
        numbers = {"seeds": None, "first-seed": 0, "learning-rate": None}
        for option in reversed(numbers):
            if told := re.fullmatch(rf"(.+)-{option}-([\d.e-]+)", name):
                name, numbers[option] = told[1], float(told[2])
        seeds, first, rate = numbers.values()
        figure = get_figure(name)
        plan = Plan.checked(scale, seeds and int(seeds), rate, int(first))
        runs = gathered(figure, plan, RunStore(ROOT / "figures", scale))
        written = read_record(path, name, plan)
        assert written == figure_record(figure, name, plan, runs), path


def test_what_is_tracked_is_small():
    """With the accelerator's pack of 25 MiB the tracked files stay under 60 MiB."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout, so what is tracked is not known")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]
    sizes = {name: (ROOT / name).stat().st_size for name in names}
    assert sum(sizes.values()) <= 35e6
    assert sum(size for name, size in sizes.items() if name.startswith("figures/")) <= 32e6
    assert not [name for name in names if re.fullmatch(r"figures/.*\.(html|nc)", name)]
