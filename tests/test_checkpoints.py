"""Checkpoints as files: atomic, checksummed, and of one training."""

import logging
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_fit import same_bits

from aesparse.errors import InputError
from aesparse.files import UNFINISHED
from aesparse.training.checkpoints import Checkpoints

ROOT = Path(__file__).parents[1]
TREE = {"w": np.arange(6.0).reshape(2, 3), "n": np.int32(4)}


def saved(folder):
    return {p.name for p in folder.glob("*.npz") if p.stem.isdecimal()}


def damage(path):
    """Flips one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


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


def test_a_tree_of_another_shape_or_dtype_is_refused(tmp_path):
    other = Checkpoints(tmp_path / "other", "this")
    other.save(1, TREE)
    w = TREE["w"]
    for unlike in ({"w": w.T}, {"w": w.astype(np.float32)}, {"w": w, "more": w}):
        with pytest.raises(InputError, match="does not fit"):
            other.latest(TREE | unlike)
    assert other.latest(TREE).epoch == 1
    with pytest.raises(InputError, match="does not fit"):
        other.latest(TREE, before=1)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="could not be written"):
        Checkpoints(tmp_path / "file" / "c", "this").save(1, TREE)


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
    assert re.search(r"refused: .*\b2\.npz", result.stdout), result.stderr[-2000:]
    assert "File too large" in result.stdout
    assert "Traceback" not in result.stderr
    found = kept.latest(TREE)
    assert found.epoch == 1
    same_bits(found.tree, TREE)
