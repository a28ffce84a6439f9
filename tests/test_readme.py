"""The README is executed: its Python, its commands' names, its table."""

import ast
import itertools
import json
import re
import shlex
from pathlib import Path

import numpy as np

from experiments.making import figure_names
from experiments.protocol import DATA, SCALES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_example_runs_and_does_what_it_says(capsys):
    (example,) = blocks("python")
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    fraction = np.asarray(names["grid"].metrics.activation_fraction)
    assert fraction.shape == (2, 3)
    assert (np.diff(fraction, axis=1) < 0).all()
    assert len(ast.parse(example).body) <= 10


def test_every_command_names_figures_and_options_that_exist():
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines]
    assert sum("pytest" in words for words in commands) == 1
    for words in commands:
        if "experiments" in words:
            name, *options = words[words.index("experiments") + 1 :]
            assert name in figure_names()
            assert set(options[::2]) <= {"--scale", "--data-dir"}
            assert all(s in SCALES for o, s in itertools.pairwise(options) if o == "--scale")


def test_every_path_and_picture_exists():
    for path in re.findall(r"\]\((figures/[^)]+)\)|^\| `(\w+/)` \|", README, re.MULTILINE):
        assert (ROOT / "".join(path)).exists()


def test_the_sensitivity_to_the_pole_is_the_stored_one():
    stored = json.loads((ROOT / "benchmarks" / "pole-reduced.json").read_text())
    largest = [f"{max(stored[name].values()):.2f}" for name in ("mnist", "cifar10")]
    found = re.search(r"by up to (\S+) on MNIST and (\S+) on CIFAR-10", README).groups()
    assert list(found) == largest


def verdict_table(record: dict) -> str:
    rows = ["| data | statement | verdict | deciding numbers |", "|---|---|---|---|"]
    for v in record["verdicts"]:
        title = DATA[v["dataset"]].title
        rows.append(f"| {title} | {v['statement']} | **{v['verdict']}** | {v['numbers']} |")
    return "\n".join(rows)


def test_the_table_of_verdicts_is_the_stored_one():
    source, table = re.search(
        r"<!-- verdicts: (\S+) -->\n(.*?)\n<!-- end of verdicts -->", README, re.DOTALL
    ).groups()
    assert table.strip() == verdict_table(json.loads((ROOT / source).read_text()))
