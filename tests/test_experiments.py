"""The command line end to end on a tiny scale, its restarts, and every refusal."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import stored_runs
import xarray as xr
from commands import exit_status, has_numbers, numbers, refusal

import aesparse as ae
from aesparse.errors import InputError
from aesparse.files import replacing
from aesparse.training import checkpoints
from experiments.pipeline import protocol, provenance, train
from experiments.pipeline.plan import Plan, Shard
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.registry import figure_names, get_figure
from experiments.pipeline.store import RunStore
from experiments.pipeline.stored import decode, encode

ROOT = Path(__file__).parents[1]
TINY = SCALES["quick"]._replace(hidden=6, samples=100, epochs=2, datasets=("digits",))
BOTH = SCALES["quick"].datasets


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A quick scale that takes seconds."""
    monkeypatch.setitem(protocol.SCALES, "quick", TINY)


def test_without_a_name_the_figures_are_listed(monkeypatch, capsys):
    assert exit_status(monkeypatch) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in figure_names())
    assert "arpit-fig1" in figure_names()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny Figure 3 made once: the output folder."""
    out = tmp_path_factory.mktemp("figure")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(protocol.SCALES, "quick", TINY)
        assert exit_status(monkeypatch, "arpit-fig3", "--out", out) == 0
    return out


def train_with(monkeypatch, train):
    """Every run is `train(spec, dataset, on_epoch, baseline, checkpoints)`."""

    def together(specs, dataset, on_epoch, baselines, folder, deadline):
        of_each = zip(specs, baselines, strict=True)
        return [train(spec, dataset, on_epoch, baseline, folder) for spec, baseline in of_each]

    monkeypatch.setattr("experiments.pipeline.missing.train_together", together)


def stored(out):
    return sorted((out / "runs" / "quick").glob("*.nc.gz"))


def test_the_figure_leaves_runs_with_parentage_and_three_files(made):
    assert {p.name for p in (made / "quick").iterdir()} == {
        f"arpit-fig3.{kind}" for kind in ("png", "svg", "json")
    }
    assert (made / "quick" / "arpit-fig3.svg").stat().st_size < 300_000
    assert len(stored(made)) == 2 * 2  # seeds × (AE and eDAE)
    with xr.open_dataset(stored(made)[0], engine="scipy") as run:
        spec, parents = json.loads(run.attrs["spec"]), json.loads(run.attrs["provenance"])
        assert spec["hidden"] == 6
        wanted = {"data_sha256", "device", "jax", "jaxlib", "revision", "wall_seconds"}
        assert wanted <= parents.keys()
        assert parents["guard_difference"] < 1e-4
        assert run.unit_active_histogram.sum() == 6 * run.sizes["strength"]
    record = json.loads((made / "quick" / "arpit-fig3.json").read_text(encoding="utf-8"))
    assert not record["evidence"]
    assert "demonstration" in record["caption"]
    assert len(record["verdicts"]) == 1
    assert all(v["verdict"].startswith("demonstration") for v in record["verdicts"])
    assert len(record["runs"]) == 4


def test_strength_zero_is_trained_once_and_shared(made):
    names = [p.name for p in stored(made)]
    assert sum("-ae-" in name for name in names) == 2
    for path in stored(made):
        with xr.open_dataset(path, engine="scipy") as run:
            assert (0.0 in run.strength) == ("-ae-" in path.name)


def test_fractions_under_the_baselines_preactivation_means_are_stored(made):
    """The mean of E[a_j] is moved by the bias; the weights, and so the variances, are the run's."""
    plan = Plan("quick", 2)
    for spec in plan.specs("digits", "edae", "relu", "unit"):
        run = RunStore(made, "quick").load(spec)
        baseline = RunStore(made, "quick").load(spec.baseline)
        assert baseline.baseline_preactivation_mean.sizes["unit"] == 6
        np.testing.assert_allclose(
            baseline.baseline_preactivation_mean.mean(),
            baseline.preactivation_mean,
            rtol=1e-5,
            atol=1e-7,
        )
        assert np.all(
            (run.matched_activation_fraction >= 0) & (run.matched_activation_fraction <= 1)
        )
        assert not np.array_equal(run.matched_activation_fraction, run.activation_fraction)


def test_repeating_the_command_trains_nothing_and_prints_the_same(made, monkeypatch, capsys):
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in stored(made)}
    monkeypatch.setattr("experiments.pipeline.missing.train_together", None)  # would fail if called
    assert exit_status(monkeypatch, "arpit-fig3", "--out", made) == 0
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in stored(made)} == before
    output = capsys.readouterr().out
    assert output.count("A3  ") == 1
    assert "demonstration" in output
    assert "eDAE" in output


def test_drawing_again_gives_the_same_bytes(made, monkeypatch):
    svg = made / "quick" / "arpit-fig3.svg"
    before = svg.read_bytes()
    assert exit_status(monkeypatch, "arpit-fig3", "--out", made) == 0
    assert svg.read_bytes() == before


def test_only_what_is_missing_is_trained_and_to_the_same_bits(made, monkeypatch, capsys):
    removed = stored(made)[3]
    with xr.open_dataset(removed, engine="scipy") as run:
        before = run.load()
    removed.unlink()
    assert exit_status(monkeypatch, "arpit-fig3", "--out", made) == 0
    assert "[1/1]" in capsys.readouterr().err
    with xr.open_dataset(removed, engine="scipy") as run:
        assert run.equals(before)


def test_recompute_trains_all_again_and_may_be_interrupted(made, monkeypatch, tmp_path, capsys):
    out = tmp_path / "figures"
    shutil.copytree(made, out)
    before = {
        path.name.removesuffix(".nc.gz"): xr.load_dataset(path, engine="scipy")
        for path in stored(out)
    }
    begun = out / "runs" / "quick" / ".checkpoints" / next(iter(before))
    begun.mkdir(parents=True)
    trained = []

    def again(spec, data, on_epoch, baseline, checkpoints):
        assert not checkpoints.exists()
        if len(trained) == 2:
            train_with(monkeypatch, go_on)
            raise InputError("Interrupted.")
        return go_on(spec)

    def go_on(spec, *others):
        trained.append(spec.key)
        return before[spec.key]

    train_with(monkeypatch, again)
    assert exit_status(monkeypatch, "arpit-fig3", "--out", out, "--recompute") == 2
    assert exit_status(monkeypatch, "arpit-fig3", "--out", out) == 0
    assert sorted(trained) == sorted(before)


def test_a_run_that_another_command_made_meanwhile_is_not_trained_again(monkeypatch, tmp_path):
    monkeypatch.setitem(SCALES, "quick", TINY._replace(epochs=stored_runs.EPOCHS))
    specs = get_figure("arpit-fig3").runs(Plan.checked("quick", None, None))
    store, trained = RunStore(tmp_path, "quick"), []

    def train(spec, *others):
        trained.append(spec)
        for other in specs[2:]:
            store.save(other, stored_runs.fake(other))
        return stored_runs.fake(spec)

    train_with(monkeypatch, train)
    assert exit_status(monkeypatch, "arpit-fig3", "--out", tmp_path) == 0
    assert trained == specs[:2]


def test_two_commands_do_not_train_one_run_at_once(tmp_path):
    (spec, *_) = get_figure("arpit-fig3").runs(Plan.checked("quick", None, None))
    first, second = RunStore(tmp_path, "quick"), RunStore(tmp_path, "quick")
    second.folder.mkdir(parents=True)
    seen = []

    def wait():
        with second.training(spec):
            seen.append(second.path(spec).exists())

    with first.training(spec):
        other = threading.Thread(target=wait)
        other.start()
        other.join(0.2)
        assert other.is_alive()
        first.save(spec, stored_runs.fake(spec))
    other.join(60)
    assert seen == [True]
    assert not list(second.folder.glob(".training-*"))


TINY_COMMAND = """
import sys
from experiments.pipeline import protocol
tiny = {"hidden": 6, "samples": 100, "epochs": 2, "datasets": ("digits",), "seeds": 4}
protocol.SCALES["quick"] = protocol.SCALES["quick"]._replace(**tiny)
from experiments.__main__ import main
main()
"""


def separately(out, **options):
    """The tiny Figure 3 in a process of its own."""
    arguments = [sys.executable, "-c", TINY_COMMAND, "arpit-fig3", "--out", str(out)]
    return subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL, **options)


@pytest.mark.long
def test_killed_and_repeated_gives_the_bits_of_an_undisturbed_command(tmp_path):
    # Undisturbed in a process of its own too: a command makes every core a device.
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    process, finished = separately(killed), killed / "runs" / "quick"
    deadline = time.monotonic() + 120
    while len(list(finished.glob("[!.]*.nc.gz"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished_at = {p.name: p.stat().st_mtime_ns for p in finished.glob("[!.]*.nc.gz")}
    assert 3 <= len(finished_at) < 8
    (finished / ".unfinished-0.gz").write_bytes(b"half a file")
    assert separately(killed, stdout=subprocess.DEVNULL).wait() == 0
    assert all((finished / name).stat().st_mtime_ns == t for name, t in finished_at.items())
    assert not list(finished.glob(".unfinished-*"))
    assert separately(undisturbed, stdout=subprocess.DEVNULL).wait() == 0
    assert [p.name for p in stored(killed)] == [p.name for p in stored(undisturbed)]
    for path, other in zip(stored(killed), stored(undisturbed), strict=True):
        assert xr.load_dataset(path, engine="scipy").equals(xr.load_dataset(other, engine="scipy"))


@pytest.fixture
def digits():
    return ae.data.load("digits", samples=TINY.samples)


def one_run(objective):
    return Plan.checked("quick", 1, None).specs("digits", objective, "relu", "unit")[0]


def ignore(epoch, metrics):
    """An observer of epochs that does nothing."""


def test_an_interrupted_run_goes_on_where_it_was_and_says_so(digits, tmp_path, monkeypatch):
    often = functools.partialmethod(checkpoints.Checkpoints.__init__, every_seconds=0)
    monkeypatch.setattr(checkpoints.Checkpoints, "__init__", often)
    spec, store = one_run("dae"), RunStore(tmp_path, "quick")
    folder = store.checkpoints(spec)

    def interrupted(epoch, metrics):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(spec, digits, interrupted, None, folder)
    seen = []
    resumed = train.train(spec, digits, lambda epoch, _: seen.append(epoch), None, folder)
    assert seen == [2]
    parents = json.loads(resumed.attrs["provenance"])
    assert [(a["epoch"], a["revision"]) for a in parents["interrupted"]] == [
        (1, parents["revision"])
    ]
    undisturbed = train.train(spec, digits, ignore)
    assert json.loads(undisturbed.attrs["provenance"])["interrupted"] == []
    assert resumed.equals(undisturbed)
    other = digits._replace(train=digits.train[::-1])
    with pytest.raises(InputError, match="data_sha256"):
        train.train(spec, other, ignore, None, folder)
    store.save(spec, resumed)
    assert not folder.exists()


def test_other_data_and_moved_biases_are_measured_on_the_trained_models(digits, monkeypatch):
    grids = []

    def recording(*args, **options):
        grids.append(fit(*args, **options))
        return grids[-1]

    fit = ae.fit
    monkeypatch.setattr(ae, "fit", recording)
    baseline = train.train(one_run("ae"), digits, ignore)
    run = train.train(one_run("dae"), digits, ignore, baseline)
    start, end = (grid.params for grid in grids)
    pixels = digits.train.astype(float)
    mean, spread = pixels.mean(axis=0), pixels.std(axis=0) + one_run("ae").epsilon
    X, heldout = ((rows.astype(float) - mean) / spread for rows in (digits.train, digits.heldout))
    pulled = (X @ start.weight[0].T + start.bias[0]).mean(axis=0)
    for g, (weight, bias) in enumerate(zip(end.weight[:, 0], end.bias[:, 0], strict=True)):
        centred = X @ weight.T - (X @ weight.T).mean(axis=0)
        matched = np.mean(centred + pulled > 0)
        np.testing.assert_allclose(run.matched_activation_fraction[g], matched, atol=1e-3)
        codes = np.maximum(heldout @ weight.T + bias, 0)
        error = np.mean(np.sum((heldout - codes @ weight) ** 2, axis=1))
        np.testing.assert_allclose(run.heldout_reconstruction[g], error, rtol=1e-4)


# --- bad input ----------------------------------------------------------------------------

REFUSALS = {  # what is asked, and what the sentence has to name
    "figure": (["arpit-fig9"], ["arpit-fig9", "arpit-fig"]),
    "scale": (["arpit-fig1", "--scale", "papers"], ["papers", "paper"]),
    "seeds": (["arpit-fig1", "--seeds", "0"], ["--seeds", "0"]),
    "rate": (["arpit-fig1", "--learning-rate", "-1"], ["--learning-rate", "-1"]),
    "rate nan": (["arpit-fig1", "--learning-rate", "nan"], ["--learning-rate", "nan"]),
    "data for quick": (["arpit-fig1", "--data-dir", "/nowhere"], ["--scale reduced"]),
    "data": (["arpit-fig1", "--scale", "reduced", "--data-dir", "/nowhere"], ["/nowhere"]),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case, made, monkeypatch, capsys, unchanged):
    arguments, named = REFUSALS[case]
    with unchanged(made):
        message = refusal(monkeypatch, capsys, *arguments, "--out", made)
    assert all(word in message for word in named), message


@pytest.mark.parametrize("arguments", [["--seeds", "many"], ["--sclae", "quick"]])
def test_what_is_no_option_or_no_number_is_refused_with_the_usage(
    arguments, made, monkeypatch, capsys, unchanged
):
    with unchanged(made):
        assert exit_status(monkeypatch, "arpit-fig1", *arguments, "--out", made) == 2
    message = capsys.readouterr().err
    assert arguments[0] in message
    assert "Traceback" not in message


def test_data_that_is_missing_leaves_other_figures_of_all_done(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(SCALES, "quick", TINY._replace(datasets=BOTH))
    plan = Plan.checked("quick", None, None)
    whole, half = (get_figure(name).runs(plan) for name in ("arpit-fig3", "arpit-fig4"))
    stored_runs.store_all(tmp_path, "quick", [*whole, *(s for s in half if s.dataset == "digits")])

    def load(name, **options):
        raise InputError(f"No file {name}.gz.")

    monkeypatch.setattr(ae.data, "load", load)
    monkeypatch.setattr("experiments.cli.figure_names", lambda: ["arpit-fig3", "arpit-fig4"])
    message = refusal(monkeypatch, capsys, "all", "--out", tmp_path)
    assert "photos.gz" in message
    assert (tmp_path / "quick" / "arpit-fig3.png").exists()
    assert not (tmp_path / "quick" / "arpit-fig4.png").exists()


def test_a_training_that_another_revision_began_is_named_before_it_goes_on(
    digits, tmp_path, monkeypatch, capsys
):
    often = functools.partialmethod(checkpoints.Checkpoints.__init__, every_seconds=0)
    monkeypatch.setattr(checkpoints.Checkpoints, "__init__", often)
    spec, printed = one_run("dae"), []

    def stop(epoch, metrics):
        printed.append(capsys.readouterr().err)
        raise KeyboardInterrupt

    for revision in ("old", "new"):
        monkeypatch.setattr(provenance, "code_revision", lambda revision=revision: revision)
        with pytest.raises(KeyboardInterrupt):
            train.train(spec, digits, stop, None, tmp_path / "checkpoints")
    assert printed[0] == ""
    assert all(word in printed[1] for word in (spec.key, "old", "new"))


def test_a_revision_distinguishes_one_change_of_the_code_from_another(tmp_path, monkeypatch):
    monkeypatch.setattr(
        provenance, "__file__", str(tmp_path / "experiments" / "pipeline" / "code.py")
    )
    (tmp_path / "experiments").mkdir()
    (tmp_path / "aesparse").mkdir()
    code, revisions = tmp_path / "aesparse" / "code.py", []
    author = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a",
              "GIT_COMMITTER_EMAIL": "a"}  # fmt: skip
    for text in ("one = 1", "one = 2", "one = 3", "one = 1"):
        code.write_text(text, encoding="utf-8")
        if not revisions:
            for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
                subprocess.run(["git", *words], cwd=tmp_path, env=os.environ | author, check=True)
        revisions.append(provenance.code_revision.__wrapped__())
    assert re.fullmatch(r"[0-9a-f]{12}", revisions[0])
    assert revisions[3] == revisions[0]
    assert all(r.startswith(f"{revisions[0]}-changed-") for r in revisions[1:3])
    assert revisions[1] != revisions[2]


def test_checkpoints_that_a_kill_left_beside_a_stored_run_are_removed(monkeypatch, tmp_path):
    monkeypatch.setitem(SCALES, "quick", TINY._replace(epochs=stored_runs.EPOCHS))
    specs = get_figure("arpit-fig3").runs(Plan.checked("quick", None, None))
    store = stored_runs.store_all(tmp_path, "quick", specs)
    left = store.checkpoints(specs[0]) / "4"
    left.mkdir(parents=True)
    assert exit_status(monkeypatch, "arpit-fig3", "--out", tmp_path) == 0
    assert not left.parent.exists()


def test_an_output_folder_that_cannot_be_written_is_found_before_training(
    monkeypatch, capsys, tmp_path
):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setattr("experiments.pipeline.missing.train_together", None)
    message = refusal(monkeypatch, capsys, "arpit-fig1", "--out", tmp_path / "file")
    assert "--out" in message


def test_a_stored_run_with_another_spec_is_named_and_left_alone(
    made, monkeypatch, capsys, unchanged
):
    first, second = stored(made)[:2]
    original = first.read_bytes()
    first.write_bytes(second.read_bytes())
    try:
        with unchanged(made):
            message = refusal(monkeypatch, capsys, "arpit-fig3", "--out", made)
        assert "seed" in message
        assert {0, 1} <= set(numbers(message))  # asked, stored
        first.write_bytes(b"nonsense")
        with unchanged(made):
            message = refusal(monkeypatch, capsys, "arpit-fig3", "--out", made)
        assert str(first) in message
    finally:
        first.write_bytes(original)


def test_runs_on_different_data_do_not_share_a_figure(made, monkeypatch, capsys, unchanged):
    path = stored(made)[0]
    original = path.read_bytes()
    run = decode(original, "the run")
    parents = json.loads(run.attrs["provenance"]) | {"data_sha256": "0" * 64}
    path.write_bytes(encode(run.assign_attrs(provenance=json.dumps(parents)), "grid"))
    try:
        with unchanged(made):
            message = refusal(monkeypatch, capsys, "arpit-fig3", "--out", made)
        assert "digits" in message
        missing = stored(made)[1]  # of the same data set
        content = missing.read_bytes()
        missing.unlink()
        monkeypatch.setattr(
            "experiments.pipeline.missing.train_together", None
        )  # would fail if called
        message = refusal(monkeypatch, capsys, "arpit-fig3", "--out", made)
        assert "checksum" in message
        missing.write_bytes(content)
    finally:
        path.write_bytes(original)


def test_a_second_writer_is_refused_by_the_name_of_the_first(made, monkeypatch, capsys):
    with RunStore(made, "quick").writing():
        message = refusal(monkeypatch, capsys, "arpit-fig3", "--out", made)
    assert os.getpid() in numbers(message)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old", encoding="utf-8")

    def interrupted():
        with replacing(path) as temporary:
            temporary.write_text("new", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def test_a_faulty_program_ends_the_command_without_a_traceback(monkeypatch, capsys, tmp_path):
    def faulty(*args):
        raise ae.training.guard.NumericsError("Faulty.")

    train_with(monkeypatch, faulty)
    assert "Faulty." in refusal(monkeypatch, capsys, "arpit-fig1", "--out", tmp_path)


def test_run_names_depend_on_every_field_and_not_on_defaults():
    spec = Plan.checked("quick", 1, None).specs("digits", "dae", "relu", "unit")[0]
    for field, value in spec._asdict().items():
        other = f"{value}x" if isinstance(value, str) else 4 if value is None else 2 * value or 1
        assert spec._replace(**{field: other}).key != spec.key, field
    assert "cells_per_program" not in json.loads(spec.json)


def test_paper_scale_is_the_papers_protocol():
    spec = Plan.checked("paper", None, None).specs("mnist", "dae", "relu", "unit")[0]
    assert (spec.epochs, spec.batch_size, spec.hidden, spec.samples) == (50, 50, 1000, 50_000)
    assert spec.momentum == 0.9
    assert len(spec.strengths) == 11  # strength 0 is the shared AE run
    assert all(
        0.001 <= protocol.DATA[d].learning_rate <= 0.005 for d in protocol.SCALES["paper"].datasets
    )
    np.testing.assert_allclose(protocol.STRENGTHS[2:], [(k / 10) ** 2 for k in range(1, 11)])


@pytest.mark.long
def test_a_signal_ends_the_command_with_a_word_on_how_to_go_on(tmp_path):
    arguments = [sys.executable, "-c", TINY_COMMAND, "arpit-fig3", "-v", "--out", str(tmp_path)]
    with subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "epoch" in line:
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM" in rest
    assert "Traceback" not in rest
    store = RunStore(tmp_path, "quick")
    assert store.writers() == []
    log = [json.loads(line) for line in store.log.read_text(encoding="utf-8").splitlines()]
    assert {"time", "run", "epoch", "epochs", "active"} == log[0].keys()


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/2/3", "-1/2", f"1/{'9' * 5000}"])
def test_a_malformed_shard_is_refused(text):
    with pytest.raises(InputError, match="i/n"):
        Shard.parse(text)


def test_shards_share_the_runs_and_write_side_by_side(tmp_path):
    specs = get_figure("arpit-fig1").runs(Plan.checked("quick", None, None))
    parts = [Shard.parse(f"{i}/3").of(specs) for i in (1, 2, 3)]
    assert sorted(spec.key for part in parts for spec in part) == sorted(s.key for s in specs)
    assert all(spec.baseline in part for part in parts for spec in part)
    store = RunStore(tmp_path, "quick")
    first, second = Shard(1, 2), Shard(2, 2)
    with store.writing(shard=first), store.writing(shard=second):
        with pytest.raises(InputError, match=str(os.getpid())), store.writing():
            pass
        assert store.writers() == [str(os.getpid())]
        with (
            pytest.raises(InputError, match=str(os.getpid())),
            store.writing(shard=first),
        ):
            pass
    with store.writing(), pytest.raises(InputError), store.writing(shard=first):
        pass


def test_shards_train_each_run_once_and_the_command_without_one_draws(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setitem(SCALES, "quick", TINY._replace(epochs=stored_runs.EPOCHS, datasets=BOTH))
    trained = []

    def train(spec, dataset, *others):
        trained.append(spec.key)
        run = stored_runs.fake(spec)
        parents = json.loads(run.attrs["provenance"])
        parents["data_sha256"] = provenance.checksum(dataset.train)
        return run.assign_attrs(provenance=json.dumps(parents))

    train_with(monkeypatch, train)
    arguments = ("arpit-fig3", "--out", tmp_path)
    for shard, sentences in (("1/2", 1), ("2/2", 0)):
        assert exit_status(monkeypatch, *arguments, "--shard", shard) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if "missing" in line]
        assert [has_numbers(line, 4, 8) for line in lines] == [True] * sentences  # missing, of all
    assert len(trained) == len(set(trained)) == 8
    assert exit_status(monkeypatch, *arguments) == 0
    assert len(trained) == 8
    assert (tmp_path / "quick" / "arpit-fig3.png").exists()


@pytest.mark.parametrize("objective", ["ae", "dae", "sae", "dae2"])
@pytest.mark.long
def test_made_up_runs_have_the_variables_of_trained_ones(objective, digits, monkeypatch):
    """Names, dimensions, kinds of numbers and attributes; sizes but for m and n."""
    monkeypatch.setattr(stored_runs, "EPOCHS", TINY.epochs)
    spec = one_run("dae")._replace(objective=objective, activation="sigmoid")
    if objective == "ae":
        spec = spec.baseline
    baseline = None
    if spec != spec.baseline:
        baseline = train.train(spec.baseline, digits, lambda *_: None)
    trained = train.train(spec, digits, lambda *_: None, baseline)
    made_up = stored_runs.fake(spec)

    def schema(run):
        variables = {name: (v.dims, v.dtype.kind) for name, v in run.variables.items()}
        sizes = {
            name: n for name, n in run.sizes.items() if name not in ("unit", "filter", "input")
        }
        return variables, sizes, set(run.attrs)

    assert schema(made_up) == schema(trained)
    assert (
        json.loads(made_up.attrs["provenance"]).keys()
        <= json.loads(trained.attrs["provenance"]).keys()
    )
