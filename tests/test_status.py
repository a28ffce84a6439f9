"""What is stored, drawn and damaged: `status`, `verdicts`, `report` and their pages."""

import json
import re
import shlex

import numpy as np
import pytest
import report_pages
import stored_runs
import tiny
from commands import command, has_numbers, numbers, refusal
from hypothesis import given
from hypothesis import strategies as st

from aesparse.training.checkpoints import Checkpoints
from experiments.evidence import tables
from experiments.pipeline.plan import MOST_SEEDS, Plan
from experiments.pipeline.registry import get_figure
from experiments.pipeline.store import RunStore

pytestmark = pytest.mark.usefixtures("tiny_scales")


@pytest.fixture
def out(arpit_runs, tmp_path):
    """A folder with Figures 3's and 4's runs alone, which a test may change."""
    tiny.copy_runs(arpit_runs, tmp_path / "figures", "arpit-fig3", "arpit-fig4")
    return tmp_path / "figures"


def table(monkeypatch, capsys, out, *, code=0) -> tuple[dict[str, str], str]:
    """`status`: the rows of its table by figure, and all that it prints."""
    ended, printed, error = command(monkeypatch, capsys, "status", "--out", out)
    assert ended == code
    return {line.split()[0]: line for line in printed.splitlines()}, printed + error


def test_an_unusual_plan_leaves_the_usual_picture_alone(out, monkeypatch, capsys):
    arguments = ("arpit-fig3", "--scale", "reduced", "--out", out)
    assert command(monkeypatch, capsys, *arguments)[0] == 0
    usual = (out / "reduced" / "arpit-fig3.json").read_bytes()
    assert command(monkeypatch, capsys, *arguments, "--seeds", "2")[0] == 0
    assert (out / "reduced" / "arpit-fig3.json").read_bytes() == usual
    other = json.loads((out / "reduced" / "arpit-fig3-seeds-2.json").read_text(encoding="utf-8"))
    assert other["command"].endswith("--seeds 2")
    assert command(monkeypatch, capsys, "report", "--out", out, "--seeds", "2")[0] == 0
    assert f"<pre>{other['command']}</pre>" in report_pages.text(out)
    assert "arpit-fig3" in report_pages.read(out)["arpit.html"].anchors
    message = refusal(
        monkeypatch, capsys, "lecture-overfit", "--scale", "reduced", "--out", out, "--seeds", "2"
    )
    assert "--seeds 2" in message
    assert "lecture-overfit" in message


def test_seeds_that_change_no_run_of_a_figure_do_not_name_it():
    plan = tiny.plan(seeds=2)
    assert get_figure("arpit-fig1").effective(plan) == plan
    assert get_figure("lecture-overfit").effective(plan) == tiny.plan()


def test_a_plan_names_the_command_that_makes_a_figure():
    assert tiny.plan("quick").command("x") == "python -m experiments x"
    asked = Plan.checked("paper", 2, 0.005).command("x")
    assert asked == (
        "python -m experiments x --scale paper --data-dir DATA --seeds 2 --learning-rate 0.005"
    )


def test_status_counts_what_is_stored_drawn_and_unfinished(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    missing = get_figure("arpit-fig3").runs(tiny.plan())[-1]
    assert command(monkeypatch, capsys, "arpit-fig4", "--scale", "reduced", "--out", out)[0] == 0
    rows, _ = table(monkeypatch, capsys, out)
    assert "30/30 done" in rows["arpit-fig4"]
    changed = get_figure("arpit-fig4").runs(tiny.plan())[0]
    parents = json.loads(store.load(changed).attrs["provenance"]) | {"revision": "another"}
    store.save(changed, store.load(changed).assign_attrs(provenance=json.dumps(parents)))
    store.path(missing).unlink()
    Checkpoints(store.checkpoints(missing), "this").save(4, np.zeros(3))
    rows, printed = table(monkeypatch, capsys, out)
    assert "11/12 begun" in rows["arpit-fig3"]
    assert "30/30 to draw" in rows["arpit-fig4"]
    assert "0/10 missing" in rows["arpit-fig4"]
    (begun,) = (line for line in printed.splitlines() if missing.key in line)
    assert numbers(begun)[-1] == 4  # the epoch of its checkpoint


@pytest.mark.parametrize("arguments", [("status",), ("verdicts",), ("report",)])
def test_a_folder_that_is_not_there_is_named(monkeypatch, capsys, tmp_path, arguments):
    for out in (tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").write_text("", encoding="utf-8")
        assert str(out) in refusal(monkeypatch, capsys, *arguments, "--out", out)
        assert not (tmp_path / "nowhere").exists()


def test_more_seeds_than_the_limit_are_refused_with_it(monkeypatch, capsys, tmp_path):
    assert tiny.plan(seeds=MOST_SEEDS).seeds == MOST_SEEDS
    for seeds in (0, MOST_SEEDS + 1, 99_999_999):
        for name in ("arpit-fig3", "all", "status"):
            arguments = (name, "--out", tmp_path, "--seeds", seeds)
            assert has_numbers(refusal(monkeypatch, capsys, *arguments), seeds, MOST_SEEDS)


RATES = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@given(RATES, RATES)
def test_plans_with_different_rates_have_different_files_and_exact_commands(one, two):
    plans = [Plan.checked("quick", None, rate) for rate in (one, two)]
    assert (plans[0].suffix == plans[1].suffix) == (one == two)
    for plan, rate in zip(plans, (one, two), strict=True):
        asked = shlex.split(plan.command("arpit-fig3"))
        assert float(asked[asked.index("--learning-rate") + 1]) == rate


def test_status_names_damaged_runs_and_who_is_at_work(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    damaged, *_, running = get_figure("arpit-fig3").runs(tiny.plan())
    store.path(damaged).write_bytes(b"nonsense")
    rows, printed = table(monkeypatch, capsys, out, code=2)
    assert "11/12 begun" in rows["arpit-fig3"]
    assert str(store.path(damaged)) in printed
    assert running.key not in printed
    with store.writing():
        rows, _ = table(monkeypatch, capsys, out, code=2)
        (process,) = store.writers()
        assert int(process) in numbers(rows["reduced:"])
        line = {"time": "noon", "run": "a-run", "epoch": 3, "epochs": 6}
        store.log.write_text(
            json.dumps(line) + '\n{"time": "no{"time": "noon"}\n', encoding="utf-8"
        )
        with store.training(running):
            rows, _ = table(monkeypatch, capsys, out, code=2)
    assert running.key in rows["reduced:"]
    assert re.search(r"a-run\b.*\b3\b.*\b6\b.*\bnoon\b", rows["reduced:"])


def test_verdicts_prints_every_verdict_and_explanation_in_order(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    for spec in get_figure("arpit-fig4").runs(tiny.plan()):
        if (spec.objective, spec.dataset) == ("cae", "photos"):
            store.save(spec, stored_runs.fake(spec, np.full(11, 0.8)))
    rows = tables.collect_verdicts(out)
    assert {"holds", "fails", "not run"} <= {v.verdict for _, _, v in rows}
    status, printed, _ = command(monkeypatch, capsys, "verdicts", "--out", out)
    assert status == 0
    rest = printed
    for scale, _, v in rows:
        for part in (v.claim, scale, v.statement, v.verdict, v.numbers, *v.why):
            assert part in rest
            rest = rest.split(part, 1)[1]
