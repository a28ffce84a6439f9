"""README and generated blocks: commands that stand alone, measured numbers, damaged pages."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aesparse.errors import InputError
from benchmarks import pages as measured_pages
from experiments.evidence import curves
from experiments.pipeline import protocol
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.record import figure_record, read_record
from experiments.pipeline.registry import gathered, get_figure
from experiments.pipeline.store import RunStore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_commands_that_continuous_integration_takes_from_the_readme_stand_alone():
    lines = README.splitlines()
    for end in ("-m pytest", "-m experiments arpit-fig1"):
        (line,) = (line for line in lines if line.endswith(end))
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")


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
    block = measured_pages.PAGES["docs/how-we-know/performance.md"]["memory"]
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


@pytest.mark.long
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
