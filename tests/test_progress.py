"""What a command says of its progress, how long runs still take, and when figures are drawn."""

import dataclasses
import io
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import stored_runs
from commands import command, numbers

from aesparse.errors import InputError
from aesparse.tables import hours_and_minutes
from experiments.pipeline.plan import Plan
from experiments.pipeline.progress import Detail, Progress
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.registry import get_figure
from experiments.pipeline.remaining import Remaining
from experiments.pipeline.spec import Study

START, RATE = 10.0, 1e-9  # seconds of a new program, and per unit of cost
STUDY = Study("lecture-kl", work=2e9)


class Clock:
    """Seconds that pass by the test alone."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def grids(*objectives, seeds=1):
    plan = Plan.checked("quick", seeds, None)
    return [s for name in objectives for s in plan.specs("digits", name, "relu", "unit")]


def compute(remaining, clock, spec, *, start, seconds=None, first=1):
    """A run that starts so long and has epochs in proportion to its cost, or takes `seconds`."""
    remaining.begin((spec,))
    clock.now += start
    for number in range(first, spec.parts + 1) if seconds is None else ():
        clock.now += RATE * spec.cost / spec.parts
        remaining.epoch(number)
    clock.now += seconds or 0.0
    remaining.end()


def ones(specs):
    return [(spec,) for spec in specs]


def test_nothing_is_expected_before_two_epochs_of_a_grid(clock):
    first, second = grids("dae", "cae")
    remaining = Remaining(ones([STUDY, first, second]), clock)
    assert remaining.seconds is None
    compute(remaining, clock, STUDY, start=3.0, seconds=0.0)
    assert remaining.seconds is None
    remaining.begin((first,))
    clock.now += START + 1
    remaining.epoch(1)
    assert remaining.seconds is None
    clock.now += 1
    remaining.epoch(2)
    assert remaining.seconds == pytest.approx(38 + START + 40)


def test_a_start_is_expected_of_new_programs_alone_and_epochs_by_cost(clock):
    first, again, other, small = *grids("dae", seeds=2), *grids("edae", "ae")
    remaining = Remaining(ones([first, again, other, small]), clock)
    compute(remaining, clock, first, start=START)
    assert remaining.seconds == pytest.approx(
        2 * START + RATE * (again.cost + other.cost + small.cost)
    )
    compute(remaining, clock, again, start=0.0)
    assert remaining.seconds == pytest.approx(2 * START + RATE * (other.cost + small.cost))
    saved = RATE * other.cost / other.parts
    assert remaining.until_saved((other,)) == pytest.approx(START + saved)


def test_epochs_that_a_checkpoint_held_count_for_nothing(clock):
    first, second = grids("dae", "cae")
    remaining = Remaining(ones([first, second]), clock)
    compute(remaining, clock, first, start=START, first=30)
    assert remaining.seconds == pytest.approx(START + RATE * second.cost)


def test_studies_have_a_start_of_their_own_and_the_rate_of_grids(clock):
    (grid,), studies = grids("dae"), [STUDY, STUDY._replace(seed=1, work=2 * STUDY.work)]
    remaining = Remaining(ones([grid, *studies]), clock)
    compute(remaining, clock, grid, start=START)
    cost = RATE * STUDY.work
    assert remaining.seconds == pytest.approx(2 * START + 3 * cost)
    compute(remaining, clock, STUDY, start=40.0, seconds=cost)
    assert remaining.seconds == pytest.approx(40 + 2 * cost)


def test_studies_alone_take_time_in_proportion_to_their_work(clock):
    remaining = Remaining(ones([STUDY, STUDY._replace(seed=1, work=3 * STUDY.work)]), clock)
    compute(remaining, clock, STUDY, start=0.0, seconds=7.0)
    assert remaining.seconds == pytest.approx(21)


def test_the_run_in_progress_counts_down_and_never_below_zero(clock):
    (grid,) = grids("dae")
    remaining = Remaining(ones([grid, STUDY]), clock)
    compute(remaining, clock, grid, start=START)
    remaining.begin((STUDY,))
    clock.now += 4
    assert remaining.seconds == pytest.approx(START + RATE * STUDY.work - 4)
    clock.now += 400
    assert remaining.seconds == 0


def test_what_another_command_made_meanwhile_is_no_measurement(clock):
    first, second = grids("dae", "cae")
    remaining = Remaining(ones([first, second]), clock)
    remaining.begin((first,))
    remaining.end(computed=False)
    assert remaining.seconds is None


def test_a_machine_that_becomes_slower_is_followed(clock):
    specs = grids("dae", seeds=60)
    remaining = Remaining(ones(specs), clock)
    for i, spec in enumerate(specs[:40]):
        compute(remaining, clock, spec, start=1.0 if i < 20 else 50.0)
    assert remaining.seconds == pytest.approx(20 * (50 + RATE * specs[0].cost))


def test_times_are_in_hours_and_minutes():
    assert numbers(hours_and_minutes(7_260)) == [2, 1]
    assert numbers(hours_and_minutes(3_599)) == [1, 0]
    assert numbers(hours_and_minutes(90)) == [2]
    assert numbers(hours_and_minutes(59)) == []


# --- what is shown ------------------------------------------------------------------------


def measured(models=11):
    return {"metrics": SimpleNamespace(activation_fraction=np.full(models, 0.5))}


def train(progress, clock, spec, log, *, epoch_seconds=1.0):
    progress.begin((spec,), (spec,), log)
    for number in range(1, spec.epochs + 1):
        clock.now += epoch_seconds
        progress.epoch(number, measured())
    progress.end()


def test_a_log_has_a_line_per_run_and_one_every_half_minute(clock, tmp_path, capsys):
    first, second = grids("dae", "cae")
    progress = Progress(ones([first, second]), clock=clock)
    train(progress, clock, first, tmp_path / "log", epoch_seconds=0.1)
    (line,) = capsys.readouterr().err.splitlines()
    assert numbers(line)[:2] == [1, 2]  # of the runs
    train(progress, clock, second, tmp_path / "log", epoch_seconds=5.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 40 * 5 // 30 + 1  # epochs, seconds
    logged = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in logged] == [*range(1, 41)] * 2


def test_a_study_that_takes_long_shows_that_it_goes_on(clock, tmp_path, capsys):
    progress = Progress([(STUDY,)], clock=clock)
    progress.begin((STUDY,), (STUDY,), tmp_path / "log")
    for _ in range(65):
        clock.now += 1
        progress.tick()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("lecture-kl" in line and "known" in line for line in lines)


def test_verbose_has_a_line_per_epoch_and_quiet_none(clock, tmp_path, capsys):
    (spec,) = grids("dae")
    for detail, lines in ((Detail.VERBOSE, 41), (Detail.QUIET, 0)):
        progress = Progress(ones([spec]), detail, clock)
        train(progress, clock, spec, tmp_path / "log")
        assert len(capsys.readouterr().err.splitlines()) == lines


def test_a_group_whose_other_seeds_are_stored_meanwhile_logs_those_computed(clock, tmp_path):
    specs = grids("dae", seeds=2)
    progress = Progress([tuple(specs)], Detail.QUIET, clock)
    progress.begin(specs, specs[1:], tmp_path / "log")
    progress.epoch(1, measured())
    (line,) = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["run"] == specs[1].key


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_bar_shows_the_share_done_and_the_time_left(clock, tmp_path, monkeypatch):
    (spec,), shown = grids("dae"), Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    with Progress(ones([spec]), clock=clock) as progress:
        progress.begin((spec,), (spec,), tmp_path / "log")
        assert "known" in shown.getvalue()
        for number in range(1, 11):
            clock.now += 60
            progress.epoch(number, measured())
    state = re.split(r"[\r\n]", shown.getvalue().strip())[-1]
    assert "25%" in state
    assert "30 min" in state


def test_a_reader_of_the_progress_who_is_gone_ends_nothing(clock, tmp_path, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    (spec,) = grids("dae")
    train(Progress(ones([spec]), clock=clock), clock, spec, tmp_path / "log")


# --- commands -----------------------------------------------------------------------------


@pytest.fixture
def tiny(monkeypatch):
    """A quick scale of made-up runs: every training and every reading of data takes no time."""
    scale = SCALES["quick"]._replace(
        hidden=6, samples=100, epochs=stored_runs.EPOCHS, datasets=("digits",), seeds=1
    )
    monkeypatch.setitem(SCALES, "quick", scale)

    def together(specs, dataset, on_epoch, *others):
        for number in range(1, stored_runs.EPOCHS + 1):
            on_epoch(number, measured(models=11 * len(specs)))
        return [stored_runs.fake(spec) for spec in specs]

    monkeypatch.setattr("experiments.pipeline.missing.train_together", together)


def test_quiet_leaves_the_result_and_verbose_adds_epochs(tiny, monkeypatch, capsys, tmp_path):
    results = []
    for option, lines in ((["--quiet"], 0), ([], 2), (["-v"], 2 + 2 * stored_runs.EPOCHS)):
        out = tmp_path / "".join(["out", *option])
        code, result, progress = command(monkeypatch, capsys, "arpit-fig3", "--out", out, *option)
        assert code == 0
        assert len(progress.splitlines()) == lines
        results.append(result.replace(str(out), "OUT"))
    assert results[0] == results[1] == results[2] != ""
    code, _, error = command(monkeypatch, capsys, "all", "--out", tmp_path / "out", "-q", "-v")
    assert code == 2
    assert "--quiet" in error


def test_wanted_counts_the_runs_of_the_whole_list(tiny, monkeypatch, capsys, tmp_path):
    path = tmp_path / "list.toml"
    line = (
        '[[wanted]]\nscale = "quick"\nseeds = [0, 1]\nobjectives = ["{}"]\ndatasets = ["digits"]\n'
    )
    path.write_text(line.format("dae") + line.format("cae"), encoding="utf-8")
    arguments = ("wanted", "--list", path, "--out", tmp_path / "out")
    code, _, progress = command(monkeypatch, capsys, *arguments)
    assert code == 0
    # AE's two seeds are one program, and shared by both lines.
    assert [numbers(line)[:2] for line in progress.splitlines()] == [[1, 3], [2, 3], [3, 3]]


def test_all_draws_each_figure_once_its_last_run_is_stored(tiny, monkeypatch, capsys, tmp_path):
    names = ["arpit-fig3", "arpit-fig4"]
    monkeypatch.setattr("experiments.cli.figure_names", lambda: names)
    (last,) = grids("edae")  # of Figure 3 alone, and the most expensive
    drawn = []

    def together(specs, *others):
        drawn.append({name for name in names if (tmp_path / "quick" / f"{name}.json").exists()})
        if specs == [last]:
            raise InputError("Killed.")
        return [stored_runs.fake(spec) for spec in specs]

    monkeypatch.setattr("experiments.pipeline.missing.train_together", together)
    code, _, error = command(monkeypatch, capsys, "all", "--out", tmp_path)
    assert code == 2
    assert "Killed" in error
    assert drawn[-2:] == [set(), {"arpit-fig4"}]


def test_a_figure_waits_for_runs_of_others_that_count_for_it(tiny, monkeypatch, capsys, tmp_path):
    names = ["arpit-bias", "arpit-fig3"]  # eDAE, trained last for the second, counts for both
    monkeypatch.setattr("experiments.cli.figure_names", lambda: names)
    code, _, error = command(monkeypatch, capsys, "all", "--out", tmp_path)
    assert code == 0, error
    record = json.loads((tmp_path / "quick" / "arpit-bias.json").read_text(encoding="utf-8"))
    assert {spec.key for spec in grids("edae")} <= record["runs"].keys()


def test_a_picture_that_fails_stops_no_training(tiny, monkeypatch, capsys, tmp_path):
    names = ["arpit-fig3", "arpit-fig4"]
    monkeypatch.setattr("experiments.cli.figure_names", lambda: names)

    def fail(*arguments):
        raise InputError("No picture.")

    figure = dataclasses.replace(get_figure("arpit-fig4"), draw=fail)
    monkeypatch.setattr("experiments.figures.arpit.arpit_fig4.FIGURE", figure)
    code, _, error = command(monkeypatch, capsys, "all", "--out", tmp_path)
    assert code == 2
    assert "No picture" in error
    assert (tmp_path / "quick" / "arpit-fig3.png").exists()
    assert not (tmp_path / "quick" / "arpit-fig4.png").exists()
    specs = {s for name in names for s in get_figure(name).runs(Plan.checked("quick", None, None))}
    assert len(list((tmp_path / "runs" / "quick").glob("*.nc.gz"))) == len(specs)
