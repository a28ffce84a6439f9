"""Runs by a list, by minutes, several seeds in one program; archives and their import."""

import itertools
import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import stored_runs
from commands import numbers
from stored_runs import store_all

import aesparse as ae
from aesparse.errors import InputError
from experiments.pipeline import deadline as deadlines
from experiments.pipeline import train, wanted
from experiments.pipeline.archive import Archive, merge
from experiments.pipeline.deadline import Deadline, OutOfTimeError
from experiments.pipeline.make import make
from experiments.pipeline.missing import by_program, train_missing
from experiments.pipeline.plan import Plan
from experiments.pipeline.progress import Detail, Progress
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.store import RunStore

TINY = SCALES["quick"]._replace(hidden=6, samples=100, epochs=3, seeds=2)


@pytest.fixture
def specs(monkeypatch):
    monkeypatch.setitem(SCALES, "quick", TINY)
    return Plan("quick", 2).specs("digits", "dae", "relu", "unit")


@pytest.fixture
def digits():
    return ae.data.load("digits", samples=100)


def ignore(epoch, metrics):
    """An observer of epochs that does nothing."""


class Clock:
    """Seconds that pass by the test alone; a reading of them takes a tick."""

    def __init__(self, monkeypatch, tick=0.0):
        self.now, self._tick = 0.0, tick
        monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=self))

    def __call__(self):
        self.now += self._tick
        return self.now


@pytest.mark.long
def test_seeds_in_one_program_equal_the_same_seeds_one_at_a_time_but_for_rounding(specs, digits):
    baseline = train.train_together([s.baseline for s in specs], digits, ignore)
    together = train.train_together(specs, digits, ignore, baseline)
    for spec, run, before in zip(specs, together, baseline, strict=True):
        alone = train.train(spec, digits, ignore, before)
        assert json.loads(run.attrs["spec"])["seed"] == spec.seed
        assert "matched_activation_fraction" in run
        assert run.sizes == alone.sizes
        for name, values in alone.variables.items():
            np.testing.assert_allclose(run[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    assert not np.allclose(together[0].preactivation_mean, together[1].preactivation_mean, 1e-4)


def test_runs_that_differ_in_more_than_their_seed_are_not_trained_together(specs, digits):
    other = specs[1]._replace(learning_rate=0.5)
    for wrong in ((specs[0], other), (specs[0], specs[0])):
        with pytest.raises(InputError, match="seed"):
            train.train_together(wrong, digits, ignore)


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan"), float("inf")])
def test_minutes_are_a_finite_number_above_zero(minutes):
    with pytest.raises(InputError, match="--minutes"):
        Deadline(minutes)


def test_work_is_begun_only_if_it_ends_in_time_where_its_time_is_known(monkeypatch):
    clock = Clock(monkeypatch)
    deadline = Deadline(1.0)
    assert deadline.allows(None)  # not known yet
    clock.now = 20.0
    assert deadline.allows(39.0)
    assert not deadline.allows(41.0)
    clock.now = 60.0
    assert deadline.passed
    assert not deadline.allows(None)


@pytest.mark.long
def test_a_training_stops_with_a_checkpoint_and_goes_on_to_the_same_bits(
    specs, digits, tmp_path, monkeypatch
):
    clock, epochs = Clock(monkeypatch), []
    late = Deadline(1.0)

    def first_epoch(number, metrics):
        epochs.append(number)
        clock.now = 61.0

    with pytest.raises(OutOfTimeError):
        train.train_together(specs, digits, first_epoch, None, tmp_path / "c", late)
    assert epochs == [1]  # the second epoch's checkpoint is the last thing done
    resumed = train.train_together(
        specs, digits, lambda number, metrics: epochs.append(number), None, tmp_path / "c"
    )
    assert epochs == [1, 3]
    whole = train.train_together(specs, digits, ignore)
    assert all(a.equals(b) for a, b in zip(resumed, whole, strict=True))


@pytest.mark.long
def test_what_is_left_at_the_deadline_is_returned_and_done_by_a_repetition(
    specs, digits, tmp_path, monkeypatch
):
    clock, store = Clock(monkeypatch), RunStore(tmp_path, "quick")
    runs = list(itertools.chain(*((s.baseline, s) for s in specs)))
    data, stored = {("digits", 100): digits}, []

    def on_stored(spec):
        stored.append(spec)
        clock.now = 61.0 if len(stored) == 2 else clock.now

    def train(specs, **options):
        groups = by_program(specs)
        progress = Progress(groups, Detail.QUIET)
        return train_missing(groups, store, data, progress, **options)

    with store.writing():
        left = train(runs, deadline=Deadline(1.0), on_stored=on_stored)
        assert left == specs
        assert stored == [s.baseline for s in specs]
        assert train(left) == []
    assert all(store.load(spec) is not None for spec in runs)


def test_all_says_what_is_left_and_ends_well(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(SCALES, "quick", TINY)
    Clock(monkeypatch, tick=40.0)
    make(["arpit-fig3"], Plan("quick", 1), data_dir=None, out=tmp_path, deadline=Deadline(1.0))
    left, undrawn = (line for line in capsys.readouterr().out.splitlines() if line)
    assert numbers(left)[0] == 4
    assert "arpit-fig3" in undrawn
    assert not list((tmp_path / "quick").iterdir())


def test_every_line_of_the_list_names_runs():
    entries = wanted.read()
    assert all(entry.specs() for entry in entries)


@pytest.mark.parametrize(
    "line",
    [
        'scale = "quick"\nseeds = [0]',
        'scale = "quick"\nfigure = "arpit-fig3"',
        'scale = "quick"\nfigure = "arpit-fig99"\nseeds = [0]',
        'scale = "huge"\nfigure = "arpit-fig3"\nseeds = [0]',
        'scale = "quick"\nfigure = "arpit-fig3"\nseeds = []',
        'scale = "quick"\nfigure = "arpit-fig3"\nseeds = ["a"]',
        'scale = "quick"\nfigure = "arpit-fig3"\nseeds = 3',
        'scale = "quick"\nfigure = "arpit-fig3"\nseeds = [0]\ncolour = "red"',
        'scale = "quick"\nfigure = "arpit-fig3"\nseeds = [0]\ndatasets = ["mnist"]',
        "[[",
    ],
)
def test_a_bad_line_of_a_list_is_named(line, tmp_path):
    path = tmp_path / "list.toml"
    path.write_text(f"[[wanted]]\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.toml"):
        wanted.read(path)


@pytest.mark.long
def test_a_list_is_trained_in_its_order_into_the_store_and_the_archive(monkeypatch, tmp_path):
    monkeypatch.setitem(SCALES, "quick", TINY)
    entries = [
        wanted.Entry("quick", (1,), objectives=("sae",), datasets=("digits",)),
        wanted.Entry("quick", (0, 1), figure="arpit-fig3", datasets=("digits",)),
    ]
    out, path = tmp_path / "out", tmp_path / "runs.zip"
    for _ in range(2):  # the second time nothing is left to do
        left = wanted.train_wanted(
            entries, data_dir=None, out=out, archive=path, deadline=Deadline(None)
        )
        assert left == []
        names = [name.split("-")[1] + name.split("-")[4] for name in Archive(path).names()]
        assert names == ["aes1", "saes1", "aes0", "edaes0", "edaes1"]
    assert merge(path, tmp_path / "elsewhere") == (5, 0)
    assert merge(path, tmp_path / "elsewhere") == (0, 5)
    specs = entries[1].specs()
    for spec in specs:
        here, there = (RunStore(tmp_path / f, "quick").load(spec) for f in ("out", "elsewhere"))
        assert here.identical(there)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive of four runs, and their specs."""
    monkeypatch.setitem(SCALES, "quick", TINY._replace(epochs=stored_runs.EPOCHS))
    specs = wanted.Entry("quick", (0, 1), figure="arpit-fig3", datasets=("digits",)).specs()
    store = store_all(tmp_path / "made", "quick", specs)
    archive = Archive(tmp_path / "runs.zip")
    for spec in specs:
        archive.add("quick", store.path(spec))
    return tmp_path / "runs.zip", specs


def rewritten(path, change):
    """The archive with its members changed: `change(name, bytes) -> (name, bytes)`."""
    with zipfile.ZipFile(path) as old:
        members = [change(name, old.read(name)) for name in old.namelist()]
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members:
            new.writestr(name, data)


def test_an_archive_goes_on_in_another_file_when_one_is_full(archive, tmp_path):
    path, specs = archive
    store, size = RunStore(tmp_path / "made", "quick"), path.stat().st_size
    growing = Archive(tmp_path / "small.zip", most_bytes=size * 2 // 3)
    for spec in specs:
        growing.add("quick", store.path(spec))
    assert len(growing.files) == 2
    assert all(file.stat().st_size <= size * 2 // 3 for file in growing.files)
    assert sorted(growing.names()) == sorted(Archive(path).names())


@pytest.mark.parametrize(
    "change",
    [
        lambda name, data: (name, data[: len(data) // 2]),
        lambda name, data: (name, b""),
        lambda name, data: ("elsewhere/" + name, data),
        lambda name, data: ("quick/../../" + name, data),
        lambda name, data: (name.replace("-edae-", "-dae-"), data),
        lambda name, data: (name[:-8] + "0" + name[-7:], data),
    ],
)
def test_damaged_and_foreign_runs_are_named_and_the_others_stored(change, archive, tmp_path):
    path, specs = archive
    names = Archive(path).names()
    changed = next(name for name in names if "-edae-" in name)
    rewritten(path, lambda name, data: change(name, data) if name == changed else (name, data))
    with pytest.raises(InputError, match=r"\b1\b"):
        merge(path, tmp_path / "figures")
    stored = list((tmp_path / "figures").rglob("digits-*"))
    assert len(stored) == len(specs) - 1


def test_a_run_other_than_the_stored_one_changes_nothing(archive, tmp_path, unchanged):
    path, specs = archive
    other = stored_runs.fake(specs[0])
    name = next(iter(other.data_vars))
    other[name] = other[name] + np.float32(1)
    RunStore(tmp_path / "figures", "quick").save(specs[0], other)
    store = RunStore(tmp_path / "figures", "quick")
    before = store.path(specs[0]).read_bytes()
    with pytest.raises(InputError, match=specs[0].key):
        merge(path, tmp_path / "figures")
    assert store.path(specs[0]).read_bytes() == before


@pytest.mark.parametrize("raw", [b"", b"no zip file"])
def test_what_is_no_archive_is_refused(raw, tmp_path):
    (tmp_path / "runs.zip").write_bytes(raw)
    with pytest.raises(InputError, match=r"runs\.zip"):
        merge(tmp_path / "runs.zip", tmp_path / "figures")
    with pytest.raises(InputError, match=r"nothing\.zip"):
        merge(tmp_path / "nothing.zip", tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_an_archive_that_is_a_folder_is_refused_before_any_training(tmp_path):
    entry = wanted.Entry(scale="quick", seeds=(0,), figure="lecture-kl")
    with pytest.raises(InputError, match="no regular file"):
        wanted.train_wanted(
            [entry], data_dir=None, out=tmp_path, archive=tmp_path, deadline=Deadline(None)
        )
    assert not list(tmp_path.rglob("*.nc.gz"))
