"""Trainings that are interrupted and go on: to the same bits, or with a clear word."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aesparse as ae
from aesparse.errors import InputError
from aesparse.files import UNFINISHED
from aesparse.losses.objectives import get_objective
from aesparse.models.activations import get_activation
from aesparse.training.checkpoints import Checkpoints

ROOT = Path(__file__).parents[1]
TREE = {"w": np.arange(6.0).reshape(2, 3), "n": np.int32(4)}


def fit(checkpoints=None, **options):
    defaults = {
        "key": jax.random.key(7),
        "X": np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32),
        "objective": get_objective("dae", get_activation("relu")),
        "strengths": [0.0, 0.3, 1.0],
        "hidden": 5,
        "epochs": 4,
        "batch_size": 10,
    }
    return ae.fit_grid(checkpoints=checkpoints, **{**defaults, **options})


class StoppedError(Exception):
    pass


def stop_after(last):
    def on_epoch(epoch, metrics):
        if epoch == last:
            raise StoppedError

    return on_epoch


@pytest.fixture(scope="module")
def stopped_at_two(tmp_path_factory):
    """The folder of a training that was stopped after two epochs, to be read only."""
    folder = tmp_path_factory.mktemp("stopped") / "c"
    with pytest.raises(StoppedError):
        fit(Checkpoints(folder, "this", every_seconds=0), on_epoch=stop_after(2))
    return folder


def same_bits(a, b):
    assert jax.tree.all(jax.tree.map(lambda p, q: np.array_equal(p, q), a, b))


@pytest.mark.parametrize(
    "options", [pytest.param({}, marks=pytest.mark.long), {"cells_per_program": 2}]
)
def test_interrupted_and_repeated_gives_the_same_bits(tmp_path, options):
    kept = Checkpoints(tmp_path / "c", "this", every_seconds=0)
    with pytest.raises(StoppedError):
        fit(kept, on_epoch=stop_after(3), **options)
    seen = []
    again = fit(kept, on_epoch=lambda epoch, _: seen.append(epoch), **options)
    same_bits(again, fit(**options))
    assert seen == ([4] if not options else [4, 1, 2, 3, 4])
    assert [attempt["epoch"] for attempt in kept.history] == [3]


def test_each_stage_of_a_path_has_its_own_checkpoints(tmp_path):
    def path(kept=None, on_epoch=None):
        return [
            stage.params
            for stage in ae.fit_path(
                jax.random.key(7),
                np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32),
                path=[[0.0, 0.1], [0.2, 0.3]],
                objective=get_objective("cae", get_activation("sigmoid")),
                hidden=5,
                epochs=3,
                batch_size=10,
                checkpoints=kept,
                on_epoch=on_epoch,
            )
        ]

    kept, calls = Checkpoints(tmp_path / "c", "this", every_seconds=0), []

    def stop_in_the_second_stage(epoch, metrics):
        calls.append(epoch)
        if len(calls) == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        path(kept, stop_in_the_second_stage)
    seen = []
    again = path(kept, lambda epoch, metrics: seen.append(epoch))
    assert seen == [3, 3]  # of each stage what was left
    same_bits(again, path())


def test_the_last_two_are_kept_and_nothing_is_saved_before_it_is_due(tmp_path):
    kept = Checkpoints(tmp_path / "often", "this", every_seconds=0)
    fit(kept, epochs=5)
    assert sorted(p.name for p in kept.folder.iterdir()) == ["3.npz", "4.npz"]
    rarely = Checkpoints(tmp_path / "rarely", "this", every_seconds=3600)
    fit(rarely)
    assert not rarely.folder.exists()
    assert rarely.latest(TREE) is None


def test_a_folder_that_cannot_be_written_is_found_before_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not writable"):
        fit(Checkpoints(tmp_path / "file" / "c", "this"), on_epoch=stop_after(1))
    with pytest.raises(InputError, match="could not be written"):
        Checkpoints(tmp_path / "file" / "c", "this").save(1, TREE)


def damage(path):
    """Flips one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path):
    said = []
    kept = Checkpoints(tmp_path / "c", "this", every_seconds=0, on_damage=said.append)
    with pytest.raises(StoppedError):
        fit(kept, on_epoch=stop_after(3))
    damage(kept.folder / "3.npz")
    again = fit(kept)
    assert len(said) == 1
    assert str(kept.folder / "3.npz") in said[0]
    same_bits(again, fit())


@pytest.mark.parametrize("later", [6, 10, 12])
def test_a_damaged_checkpoint_takes_no_place_of_a_sound_one(tmp_path, later):
    kept = Checkpoints(tmp_path / "c", "this")
    kept.save(2, TREE)
    kept.save(10, TREE)
    damage(kept.folder / "10.npz")
    with pytest.warns(UserWarning, match=r"10\.npz is damaged"):
        assert kept.latest(TREE).epoch == 2
    kept.save(later, TREE)
    assert saved(kept.folder) == {"2.npz", f"{later}.npz"}
    assert kept.latest(TREE).epoch == later


def test_when_all_are_damaged_the_user_is_told_what_to_delete(tmp_path):
    kept = Checkpoints(tmp_path / "c", "this", on_damage=lambda sentence: None)
    kept.save(1, TREE)
    kept.save(2, TREE)
    for name in ("1.npz", "2.npz"):
        damage(kept.folder / name)
    with pytest.raises(InputError, match=r"All checkpoints under .* are damaged; delete"):
        kept.latest(TREE)


@pytest.mark.parametrize("length", [0, 10, 300, -1])
def test_a_truncated_checkpoint_is_damaged(tmp_path, length):
    said = []
    kept = Checkpoints(tmp_path / "c", "this", on_damage=said.append)
    kept.save(1, TREE)
    kept.save(2, TREE)
    newest = kept.folder / "2.npz"
    newest.write_bytes(newest.read_bytes()[:length])
    resumed = kept.latest(TREE)
    assert resumed.epoch == 1
    same_bits(resumed.tree, TREE)
    assert len(said) == 1


def test_no_flipped_bit_goes_unnoticed(tmp_path, rng):
    """Anywhere in the file: in names, headers, padding and the checksum itself too."""
    said = []
    kept = Checkpoints(tmp_path / "c", "this", on_damage=said.append)
    kept.save(1, TREE)
    kept.save(2, TREE, settings={"rate": 0.1})
    newest = kept.folder / "2.npz"
    content = newest.read_bytes()
    bits = rng.choice(8 * len(content), size=200, replace=False)
    for i, bit in enumerate(bits):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        newest.write_bytes(bytes(flipped))
        assert kept.latest(TREE).epoch == 1, f"bit {bit} of {8 * len(content)}"
        assert len(said) == i + 1


def test_a_checkpoint_under_the_name_of_another_epoch_is_damaged(tmp_path):
    kept = Checkpoints(tmp_path / "c", "this", on_damage=lambda sentence: None)
    kept.save(1, TREE)
    kept.save(2, TREE)
    (kept.folder / "2.npz").rename(kept.folder / "3.npz")
    assert kept.latest(TREE).epoch == 1


def test_checkpoints_of_the_version_before_are_refused(tmp_path):
    (tmp_path / "c" / "3" / "leaves").mkdir(parents=True)
    with pytest.raises(InputError, match="Delete the folder"):
        Checkpoints(tmp_path / "c", "this").latest(TREE)


def test_what_a_killed_write_left_is_removed_by_the_next(tmp_path):
    kept = Checkpoints(tmp_path / "c", "this")
    kept.save(1, TREE)
    (kept.folder / f"{UNFINISHED}abc.npz").touch()
    assert kept.latest(TREE).epoch == 1
    kept.save(2, TREE)
    assert saved(kept.folder) == {p.name for p in kept.folder.iterdir()} == {"1.npz", "2.npz"}


def test_hooks_and_log_levels_of_the_process_are_left_alone(tmp_path):
    """Also in the middle of a save or a read, when other threads may fail."""

    def state():
        return threading.excepthook, sys.unraisablehook, logging.getLogger("absl").level

    def watch():
        while not done.is_set():
            seen.append(state())
            time.sleep(1e-3)

    seen, before, done = [], state(), threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        kept, large = Checkpoints(tmp_path / "c", "this"), {"w": np.zeros(2_000_000)}
        kept.save(1, large)
        kept.latest(large)
    finally:
        done.set()
        watcher.join()
    assert len(seen) > 10
    assert {*seen, state()} == {before}


def test_every_dtype_comes_back(tmp_path):
    tree = {
        "b": jnp.asarray([1.5, -2.0], jnp.bfloat16),
        "d": np.pi * np.ones((2, 0, 3)),
        "i": np.uint8(255),
        "t": np.asarray([True, False]),
    }
    kept = Checkpoints(tmp_path / "c", "this")
    kept.save(3, tree)
    resumed = kept.latest(tree).tree
    same_bits(resumed, tree)
    assert jax.tree.map(lambda a: a.dtype, resumed) == jax.tree.map(lambda a: a.dtype, tree)


def test_a_foreign_checkpoint_is_named_with_what_differs(tmp_path):
    Checkpoints(tmp_path / "c", '{"seed": 1, "hidden": 5}').save(2, TREE)
    with pytest.raises(InputError, match=r"another training \(seed: 1 there, 2 here\)"):
        Checkpoints(tmp_path / "c", '{"seed": 2, "hidden": 5}').latest(TREE)
    with pytest.raises(InputError, match="there, plain text here"):
        Checkpoints(tmp_path / "c", "plain text").latest(TREE)


def test_a_checkpoint_that_does_not_fit_the_call_is_refused(tmp_path):
    kept = Checkpoints(tmp_path / "c", "this", every_seconds=0)
    fit(kept)
    with pytest.raises(InputError, match="does not fit this training"):
        fit(kept, epochs=2)
    other = Checkpoints(tmp_path / "other", "this")
    other.save(1, TREE)
    w = TREE["w"]
    for unlike in ({"w": w.T}, {"w": w.astype(np.float32)}, {"w": w, "more": w}):
        with pytest.raises(InputError, match="does not fit this training"):
            other.latest(TREE | unlike)


def test_the_interrupted_attempts_are_told(tmp_path):
    def begun(**about):
        return Checkpoints(tmp_path / "c", "this", every_seconds=0, about=about)

    for last, revision in ((1, "one"), (2, "two")):
        with pytest.raises(StoppedError):
            fit(begun(revision=revision), on_epoch=stop_after(last))
    kept = begun(revision="three")
    fit(kept)
    assert [(a["epoch"], a["revision"]) for a in kept.history] == [(1, "one"), (2, "two")]
    assert all(a["seconds"] > 0 for a in kept.history)


def test_a_failed_write_leaves_the_one_before(tmp_path):
    """A file size limit stands for a full disk; it ends the process's writes for real."""
    kept = Checkpoints(tmp_path / "c", "this")
    kept.save(1, TREE)
    code = (
        "import resource, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from aesparse.training.checkpoints import Checkpoints\n"
        "from aesparse.errors import InputError\n"
        f"kept = Checkpoints(Path({str(kept.folder)!r}), 'this')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    kept.save(2, {'w': np.random.default_rng(0).normal(size=100_000), 'n': 0})\n"
        "except InputError as error:\n"
        "    print('refused:', error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "refused: The checkpoint" in result.stdout, result.stderr[-2000:]
    assert "File too large" in result.stdout
    assert "Traceback" not in result.stderr
    found = kept.latest(TREE)
    assert found.epoch == 1
    same_bits(found.tree, TREE)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_checkpoints import fit
from aesparse.training.checkpoints import Checkpoints
print("begun", flush=True)
kept = Checkpoints(Path(sys.argv[2]), "this", every_seconds=0)
np.save(sys.argv[3], np.asarray(fit(kept, epochs=int(sys.argv[4])).params.weight))
"""


def saved(folder):
    return {p.name for p in folder.glob("*.npz") if p.stem.isdecimal()}


def killed_and_repeated(folder, rng, *, most, epochs):
    """Kills the training at random moments, `most` times, or until an attempt gets through.

    Each attempt is given the time to save at least once, so that every one gets further. As in
    the commands, what is compiled outlives the attempt.
    """
    target, kills = folder / "weight.npy", 0
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    arguments = [ROOT / "tests", folder / "c", target, epochs]
    while True:
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, *map(str, arguments)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | compiled,
        ) as process:
            process.stdout.readline()
            before = saved(folder / "c")
            while process.poll() is None and saved(folder / "c") == before:
                time.sleep(0.01)
            try:
                process.wait(timeout=None if kills >= most else rng.uniform(0, 0.5))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                continue
        assert process.returncode == 0
        return np.load(target), kills


@pytest.mark.long
def test_killed_at_a_random_moment_goes_on_to_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    weight, kills = killed_and_repeated(tmp_path, rng, most=2, epochs=15)
    np.testing.assert_array_equal(weight, fit(epochs=15).params.weight)
    assert kills


@pytest.mark.long
def test_killed_at_twenty_random_moments_goes_on_to_the_same_bits(tmp_path):
    rng, kills, expected = np.random.default_rng(1), 0, fit(epochs=40).params.weight
    for attempt in range(20):
        if kills >= 20:
            break
        folder = tmp_path / str(attempt)
        folder.mkdir()
        weight, more = killed_and_repeated(folder, rng, most=4, epochs=40)
        kills += more
        np.testing.assert_array_equal(weight, expected)
    assert kills >= 20


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"strengths": [0.0, 0.3, 2.0]}, r"strengths: \[0\.0, 0\.3\d*, 1\.0\] there, \[0\.0, "),
        ({"learning_rate": 0.01}, "learning_rate: "),
        ({"momentum": 0.5}, "momentum: 0.9 there, 0.5 here"),
        ({"X": np.ones((100, 6), np.float32)}, "X: float32 "),
        ({"seeds": (4,)}, r"seeds: \[0\] there, \[4\] here"),
        ({"key": jax.random.key(8)}, "key: "),
        ({"objective": get_objective("dae", get_activation("sigmoid"))}, "objective: "),
        ({"constraint": "free"}, "constraint: unit there, free here"),
        ({"batch_size": 20}, "batch_size: 10 there, 20 here"),
        ({"history_samples": 7}, "history_samples: 5000 there, 7 here"),
        ({"hidden": 6}, "hidden: 5 there, 6 here"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_by_name(stopped_at_two, options, named):
    kept = Checkpoints(stopped_at_two, "this", every_seconds=3600)
    with pytest.raises(InputError, match=f"another training .*{named}"):
        fit(kept, **options)


def test_a_checkpoint_from_other_initial_parameters_is_refused(stopped_at_two):
    start = fit(epochs=1).params
    with pytest.raises(InputError, match="init: from the seeds there, SHA-256 "):
        fit(Checkpoints(stopped_at_two, "this", every_seconds=3600), init=start)


def test_more_epochs_are_the_same_training(stopped_at_two):
    same_bits(fit(Checkpoints(stopped_at_two, "this", every_seconds=3600), epochs=6), fit(epochs=6))
