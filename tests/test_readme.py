"""The README is executed: its Python, its commands' names, its table."""

import ast
import html
import inspect
import itertools
import json
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
from typer.testing import CliRunner

from aesparse import penalties
from aesparse.__main__ import app
from aesparse.theory.response import OPTIMIZERS
from experiments.drawing import report
from experiments.evidence import criteria, curves
from experiments.evidence.tables import MARKERS, collect_verdicts, overview, summary, table
from experiments.figures.arpit import arpit_rates
from experiments.pipeline import make, protocol, registry
from experiments.pipeline.make import figure_record
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.registry import figure_names, gathered, get_figure
from experiments.pipeline.store import RunStore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

NUMBER = r"\d+\.\d+(?:e[-+]\d+)?"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_example_runs_and_does_what_it_says(capsys):
    example = blocks("python")[0]
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    fraction = np.asarray(names["grid"].metrics.activation_fraction)
    assert fraction.shape == (2, 3)
    assert (np.diff(fraction, axis=1) < 0).all()
    assert len(ast.parse(example).body) <= 10


@pytest.mark.long
def test_the_audit_of_an_own_function_answers_in_its_first_line(capsys):
    example = blocks("python")[-1]
    exec(compile(example, "README.md", "exec"), {})
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("conclusion")
    assert len(shown) > 10
    _, printed = blocks("text")
    assert printed.splitlines() == shown[: len(printed.splitlines())]


def test_a_figure_of_ones_own_is_one_file(monkeypatch, tmp_path, capsys):
    """The README's module, put among the figures, is listed, drawn and decided."""
    source = blocks("python")[1]
    module = types.ModuleType("experiments.figures.my_figure")
    exec(compile(source, "README.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "figure_modules", lambda: {"my-figure": module.__name__})
    plan = Plan.checked("quick", None, None)
    stored_runs.store_all(tmp_path, "quick", module.runs(plan))
    make.make(["my-figure"], plan, data_dir=None, out=tmp_path)
    assert (tmp_path / "quick" / "my-figure.png").stat().st_size > 10_000
    assert "mine  8×8 digits: CAE flat: demonstration (holds)" in capsys.readouterr().out


@pytest.mark.long
def test_the_deep_example_contracts_with_the_strength():
    names = {}
    exec(compile(blocks("python")[2], "README.md", "exec"), names)
    penalty = np.asarray(names["grid"].losses["penalty"])[0, :, -1]
    assert (np.diff(penalty) < 0).all()


def test_every_command_names_figures_and_options_that_exist():
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines]
    assert sum("pytest" in words for words in commands) == 1
    for words in commands:
        if "experiments" in words:
            name, *options = words[words.index("experiments") + 1 :]
            assert name in {*figure_names(), "status", "verdicts", "report"}
            assert set(options[::2]) <= {"--scale", "--data-dir", "--readme"}
            assert all(s in SCALES for o, s in itertools.pairwise(options) if o == "--scale")


def test_commands_of_the_package_exist():
    named = re.findall(r"-m aesparse (\w+)((?: --[\w-]+ [\w:+-]+)*)", README)
    assert {name for name, _ in named} == {"audit", "plan", "theorems"}
    for name, options in named:
        known = {o for p in get_command(app).commands[name].params for o in p.opts}
        assert set(options.split()[::2]) <= known


def test_the_plan_is_what_the_command_prints():
    printed, _ = blocks("text")
    (line,) = (line for line in README.splitlines() if "-m aesparse plan" in line)
    shown = CliRunner().invoke(app, shlex.split(line)[3:])
    pairs = list(zip(shown.output.splitlines(), printed.splitlines(), strict=True))
    for i in (0, 1, 4):  # bytes, operations and so time are the compiler's, here another one's
        assert pairs[i][0] == pairs[i][1]


def test_the_times_of_an_update_are_the_stored_ones():
    text = " ".join(README.split())
    rows = json.loads((ROOT / "benchmarks" / "step.json").read_text())["rows"]
    large, small = (
        {r["objective"]: r for r in rows if r["cells"] == 12 and r["size"] == size}
        for size in ("mnist", "cifar10")
    )
    ms = {k: f"{1e3 * v:.2f}" for k, v in large["ae"]["seconds per cell and step"].items()}
    share = large["ae"]["share of product rate"]
    assert f"model takes {ms['aesparse']} ms a cell, {share:.2f} of the" in text
    assert f"eager PyTorch loop takes {ms['torch eager']} ms" in text
    assert f"`torch.func.vmap` {ms['torch.func.vmap']}," in text
    assert f"`torch.compile`d steps {ms['torch.compile']}." in text
    for rows, words in ((large, "we are {} to {} times as fast"), (small, "{} to {} times at the")):
        ratios = [row["times best torch"] for row in rows.values()]
        assert words.format(f"{min(ratios):.2f}", f"{max(ratios):.2f}") in text


def test_the_classes_and_choices_are_those_of_the_code():
    told, data = " ".join(README.split()), protocol.DATA
    width = inspect.signature(penalties.second_order_with_kink).parameters["width"].default
    for words in (
        f"*flat* where max − min ≤ {curves.FLAT:g}",
        f"Spearman(σ², fraction) ≤ −{curves.MONOTONE:g} and it ends at least {curves.DROP:g}",
        f"rates of {data['mnist'].learning_rate:g} on MNIST and "
        f"{data['cifar10'].learning_rate:g} on CIFAR-10 patches",
        f"a normal density of width {width:g}",
        f"as its tangent above {penalties.POLE:g}",
        f"*m = {SCALES['reduced'].hidden} units, {SCALES['reduced'].samples:,} samples, "
        f"{SCALES['reduced'].epochs} epochs",
    ):
        assert words in told


def test_on_mnist_no_rate_loses_a_model_or_changes_a_class():
    figure, plan = get_figure("arpit-rates"), Plan.checked("reduced", None, None)
    store = RunStore(ROOT / "figures", "reduced")
    specs = [s for s in figure.runs(plan) if (s.dataset, s.batch_size) == ("mnist", 50)]
    shown = curves.collect({spec: store.load(spec) for spec in specs})
    assert not any(curve.flagged.any() for curve in shown)
    classes = {(curve.objective, curves.classify(curve)) for curve in shown}
    assert sorted(objective for objective, _ in classes) == sorted(arpit_rates.OBJECTIVES)
    told = " ".join(README.split())
    assert "batches of 50, MNIST loses no model even at 0.005, and no curve changes its" in told
    assert max(curve.learning_rate for curve in shown) == 0.005


def test_the_rates_follow_from_the_rule_and_what_it_measured():
    measured = json.loads((ROOT / "benchmarks" / "learning_rate.json").read_text())
    for name, errors in measured.items():
        works = [e is not None and e <= errors["0.001"] for e in errors.values()]
        allowed = [
            rate for rate, well in zip(errors, works, strict=True) if well and float(rate) <= 0.003
        ]
        assert protocol.DATA[name].learning_rate == float(allowed[-1])
    assert set(measured) == set(SCALES["paper"].datasets)


def theorem_table(rows: list[dict]) -> str:
    lines = ["| id | statement | verdict | number |", "|---|---|---|---|"]
    cells = [[row[key].replace("|", "\\|") for key in row if key != "details"] for row in rows]
    return "\n".join(lines + [f"| {' | '.join(cell)} |" for cell in cells])


def test_the_table_of_theorems_is_the_stored_one():
    source, table = re.search(
        r"<!-- theorems: (\S+) -->\n(.*?)\n<!-- end of theorems -->", README, re.DOTALL
    ).groups()
    assert table.strip() == theorem_table(json.loads((ROOT / source).read_text()))


def test_the_numbers_on_real_data_are_the_stored_ones():
    text = " ".join(README.split())
    stored = json.loads((ROOT / "benchmarks" / "assumptions.json").read_text())
    raw = [stored[name]["standardized"] for name in ("mnist", "cifar10")]
    white = [stored[name]["white"] for name in ("mnist", "cifar10")]
    largest = [f"{s['assumption 1']['largest |E[xx^T] - I|']:.2f}" for s in raw]
    kurtosis = [f"{s['residual']['excess_kurtosis']:.1f}" for s in raw]
    assert f"up to {largest[0]} on MNIST and {largest[1]} on CIFAR-10" in text
    assert f"excess kurtosis {kurtosis[0]} and {kurtosis[1]}" in text
    conditions = [s["theorem 1"] for s in (*raw, *white)]
    for steps in conditions:
        for optimizer in ("plain", "momentum", "adam"):
            for batch in ("full batch", "batch 50"):
                assert steps[f"{optimizer}, {batch}"]["falls where met"] == 1
    alone = [steps["plain, batch 1"]["falls where met"] for steps in conditions]
    assert f"{min(alone):.0%} to {max(alone):.0%}".replace("%", " %") in text
    pixels = [stored[name]["raw"]["theorem 1"] for name in ("mnist", "cifar10")]
    fewest = min(s[f"{o}, batch 50"]["falls where met"] for s in pixels for o in OPTIMIZERS)
    assert f"as few as {fewest:.0%}".replace("%", " %") in text
    least = [steps["plain, full batch"]["strength"] / 1.05 for steps in conditions]
    assert f"of {min(least):.0f} to {max(least):.0f} at a fresh SAE" in text


def test_the_count_of_right_predictions_is_the_stored_one():
    stored = json.loads((ROOT / "figures" / "quick" / "audit-pairs.json").read_text())
    found = re.search(r"abstained on (\d+) and was right on (\d+) of the other (\d+)", README)
    outcomes = [v["verdict"] for v in stored["verdicts"]]
    counts = outcomes.count("abstained"), outcomes.count("right"), 24 - outcomes.count("abstained")
    assert tuple(map(int, found.groups())) == counts
    trained = [v["numbers"].split(":")[0] for v in stored["verdicts"] if v["verdict"] == "right"]
    kinds = [trained.count(f"trained {kind}") for kind in ("flat", "decreasing")]
    assert sum(kinds) == counts[1]
    assert "{} of them flat, {} decreasing".format(*kinds) in " ".join(README.split())


def test_the_other_papers_figures_are_listed():
    section = README.split("## The other papers")[1].split("\n## ")[0]
    listed = {
        name for row in re.findall(r"(?m)^\| (`.*?) \|", section) for name in row.split("`")[1::2]
    }
    known = {name for name in figure_names() if not name.startswith(("arpit", "audit"))}
    assert listed == known | {"arpit-caeh"}


def test_every_path_and_picture_exists():
    for path in re.findall(r"\]\((figures/[^)]+)\)|^\| `(\w+/)` \|", README, re.MULTILINE):
        assert (ROOT / "".join(path)).exists()


def test_the_sensitivity_to_the_pole_is_the_stored_one():
    stored = json.loads((ROOT / "benchmarks" / "pole-reduced.json").read_text())
    largest = [f"{max(stored[name].values()):.2f}" for name in ("mnist", "cifar10")]
    told = " ".join(README.split())
    found = re.search(r"by up to (\S+) on MNIST and (\S+) on CIFAR-10", told).groups()
    assert list(found) == largest


def test_what_stands_beside_every_picture_is_what_its_runs_say():
    for path in sorted((ROOT / "figures").glob("*/*.json")):
        scale, options = path.parent.name, r"(.+?)(?:-seeds-(\d+))?(?:-learning-rate-(.+))?"
        name, seeds, rate = re.fullmatch(options, path.stem).groups()
        figure = get_figure(name)
        plan = Plan.checked(scale, seeds and int(seeds), rate and float(rate))
        found = gathered(figure, plan, RunStore(ROOT / "figures", scale))
        written = json.loads(path.read_text())
        if name == "audit-pairs":  # its runs are not kept
            assert set(written["runs"]) == {spec.key for spec in found}
        else:
            assert written == figure_record(figure, name, plan, found), path


def measured(verdict, label, *fields):
    """The numbers after a label in the rows of the table whose first fields match."""
    rows = [line[2:-2].split(" | ") for line in README.splitlines() if line.startswith("| A")]
    chosen = [r for r in rows if all(map(re.fullmatch, fields, r))]
    assert {r[4] for r in chosen} == {verdict}, fields
    return [re.search(rf"{re.escape(label)} ({NUMBER})", r[5]).group(1) for r in chosen]


def test_what_came_out_is_told_as_the_table_has_it():
    told = README.split("## Does the paper reproduce?")[1].split("\n## ")[0].split("\n* ")[1:]
    share = "share of (cell, unit, epoch) that meet it"
    expected = {
        "A1": [
            max(measured("holds", "max − min", "A1", "paper", ".*", ".* flat"), key=float),
            *measured("holds", "first − last", "A1", "paper", "MNIST", "DAE decreasing"),
            *measured("holds", "first − last", "A1", "paper", "MNIST", "SAE decreasing"),
            *measured("holds", "first − last", "A1", "paper", "CIFAR.*", "DAE decreasing"),
            *measured("holds", "first − last", "A1", "paper", "CIFAR.*", "SAE decreasing"),
            *measured("fails", f"≥ {criteria.SPARSE}", "A1", "reduced", "CIFAR.*", "DAE sparse.*"),
            str(criteria.SPARSE),
            *measured("fails", "max − min", "A1, rescaled", "reduced", "MNIST", "CAE flat"),
        ],
        "A4": [
            *(
                min(measured("holds", "first − last", "A4", "paper", data, ".*"), key=float)
                for data in ("MNIST", "CIFAR.*")
            ),
            *set(measured("fails", "first − last", "A4", "reduced", "MNIST", "(CAE|mDAE) .*")),
            *(
                f(
                    measured("fails", "first − last", "A4", "reduced", "CIFAR.*", "[^S].*"),
                    key=float,
                )
                for f in (min, max)
            ),
        ],
        "A8": [
            *measured("holds", "rank correlation", "A8", "paper", "CIFAR.*", ".*, relu"),
            *measured("fails", "rank correlation", "A8", "paper", "MNIST", ".*, relu"),
            re.search(
                r"\*\*A8, paper, MNIST: .*, relu: fails\..*Without CAE; mDAE; CAE\+H, whose "
                rf"curves are flat: rank correlation ({NUMBER})",
                README,
            ).group(1),
            *(
                measured("holds", label, "A8", "reduced", "MNIST", ".*, relu")[0]
                for label in (": DAE", ": DAE 0.077 →", r"(AE")
            ),
        ],
        "A7": [
            *measured("holds", "lower at its lowest by", "A7", "paper", "CIFAR.*", ".*"),
            *(
                f(
                    measured("holds", "lower at its lowest by", "A7", "reduced", ".*", ".*"),
                    key=float,
                )
                for f in (min, max)
            ),
        ],
        "A9": [
            *measured("fails", "±ε pairs decreasing,", "A9", "reduced", "MNIST", ".*"),
            *measured("fails", "±ε pairs decreasing, 0.862 →", "A9", "reduced", "MNIST", ".*"),
            *measured("fails", "DAE decreasing, 0.862 →", "A9", "reduced", "MNIST", ".*"),
        ],
        "A10": [max(measured("fails", share, "A10", ".*", ".*", "Theorem.*"), key=float)],
        "A11": [
            f(
                measured("fails", "largest share after 5 epochs", "A11", ".*", ".*", "res.*"),
                key=float,
            )
            for f in (min, max)
        ],
    }
    assert measured("holds", "first − last", "A4", "reduced", "CIFAR.*", "SAE .*")
    assert {re.search(r"\((A\d+)", t).group(1): re.findall(NUMBER, t) for t in told} == expected


def test_the_table_and_the_report_are_what_the_stored_runs_say(tmp_path):
    begin, end = MARKERS
    written = README.split(begin)[1].split(end)[0]
    found = collect_verdicts(ROOT / "figures")
    assert written.strip() == table(found)
    for path in (ROOT / "figures").glob("[!.]*/"):
        (tmp_path / path.name).symlink_to(path)
    page = report.write(tmp_path, found).read_text()
    assert summary(found) in page
    for cells in overview(found):
        tag = "th" if cells[0] == "claim" else "td"
        row = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells)
        assert f"<tr>{row}</tr>" in page
    for scale, _, v in found:
        row = (scale, protocol.title(v.dataset), v.statement, v.numbers)
        told = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        why = (f"<p><small>{html.escape(sentence)}</small></p>" for sentence in v.why)
        assert told in page, row
        assert "".join(why) in page, row


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
