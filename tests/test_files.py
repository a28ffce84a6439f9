"""Writes that survive a power cut, and reads that are bounded."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest
import stored_runs
from matplotlib.figure import Figure

from aesparse.errors import InputError
from aesparse.files import UNFINISHED, listed, read_bytes, replacing, require_writable, write_text
from aesparse.models import saved
from aesparse.models.one_layer import OneLayer
from aesparse.seal import write_drawn
from aesparse.training.checkpoint_files import epochs
from aesparse.training.checkpoints import Checkpoints
from experiments.pipeline.archive import Archive, merge
from experiments.pipeline.plan import Plan
from experiments.pipeline.seal import write_page


@pytest.fixture
def calls(monkeypatch):
    """What this process makes durable, in order: ("fsync", path), ("replace", path), ("mkdir", …).

    A file that is written under a temporary name counts by the name it gets.
    """
    seen, fsync, replace, mkdir = [], os.fsync, os.replace, os.mkdir

    def recorded_fsync(descriptor):
        seen.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def recorded_replace(source, target, **options):
        seen[:] = [(what, Path(target) if p == Path(source) else p) for what, p in seen]
        seen.append(("replace", Path(target)))
        replace(source, target, **options)

    def recorded_mkdir(path, *arguments, **options):
        mkdir(path, *arguments, **options)
        seen.append(("mkdir", Path(path)))

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    monkeypatch.setattr(os, "mkdir", recorded_mkdir)
    return seen


def durable(calls, *paths):
    """Whether each file was flushed before it took its place, and then the folder."""
    for path in paths:
        at = calls.index(("replace", path))
        assert ("fsync", path) in calls[:at], path
        assert ("fsync", path.parent) in calls[at:], path
    for at, (what, path) in enumerate(calls):
        if what == "mkdir":
            assert ("fsync", path.parent) in calls[at:], path


def stored(folder):
    spec = Plan.checked("quick", 1, None).specs("digits", "dae", "relu", "unit")[0]
    return stored_runs.store_all(folder, "quick", [spec]), spec


def model(folder):
    one = OneLayer(2)
    saved.save(folder / "m.npz", one, jax.tree.map(np.asarray, one.init(jax.random.key(0), 3)))


def archived(folder):
    store, spec = stored(folder / "first")
    Archive(folder / "runs.zip").add("quick", store.path(spec))
    merge(folder / "runs.zip", folder / "second")


WRITERS = {
    "run": stored,
    "model": model,
    "archive": archived,
    "page": lambda folder: write_page(folder / "docs" / "page.md", "text"),
    "record": lambda folder: write_drawn(folder / "quick" / "a.json", Figure(), {}),
    "checkpoint": lambda folder: Checkpoints(folder / "a" / "b", "this").save(1, np.zeros(3)),
}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc tells which file is flushed")
@pytest.mark.parametrize("name", WRITERS)
def test_every_write_is_on_the_disk_before_it_counts(name, tmp_path, calls):
    WRITERS[name](tmp_path)
    files = [p for p in tmp_path.rglob("*") if p.is_file() and not p.name.startswith(".")]
    assert files
    durable(calls, *files)


def test_a_discarded_run_stays_discarded(tmp_path, calls):
    store, spec = stored(tmp_path)
    calls.clear()
    store.discard(spec)
    assert ("fsync", store.folder) in calls


def test_folders_that_are_made_are_on_the_disk(tmp_path, calls):
    require_writable(tmp_path / "a" / "b")
    assert [c for c in calls if c[0] == "mkdir"] == [
        ("mkdir", tmp_path / "a"),
        ("mkdir", tmp_path / "a" / "b"),
    ]
    durable(calls)


def test_a_link_is_followed_and_what_fails_leaves_the_file(tmp_path):
    target, link = tmp_path / "real" / "page.md", tmp_path / "page.md"
    target.parent.mkdir()
    target.write_text("before", encoding="utf-8")
    link.symlink_to(target)
    write_text(link, "after")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "after"
    with pytest.raises(ZeroDivisionError), replacing(link):
        1 / 0  # noqa: B018
    assert target.read_text(encoding="utf-8") == "after"
    assert not list(tmp_path.rglob(f"{UNFINISHED}*"))


def test_only_a_regular_file_of_a_bounded_size_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with path.open("r+b") as file:
        file.truncate(100 * 2**30)  # sparse
    os.mkfifo(tmp_path / "pipe")
    for other in (path, tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ValueError, match="it "):
            read_bytes(other, 5)
    with pytest.raises(OSError, match="No such file"):
        read_bytes(tmp_path / "nothing", 5)


def test_a_folder_in_a_files_place_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(InputError, match="file"):
            require_writable(folder)


@pytest.mark.parametrize("read", [listed, epochs])
def test_a_folder_that_is_removed_while_it_is_read_holds_nothing(read, tmp_path, monkeypatch):
    assert read(tmp_path / "none") == []
    folder = tmp_path / "c"
    folder.mkdir()
    for name in ("listdir", "scandir"):
        of = getattr(os, name)

        def removed_first(path, of=of):
            if path in (folder, str(folder)) and folder.exists():
                folder.rmdir()
            return of(path)

        monkeypatch.setattr(os, name, removed_first)
    assert read(folder) == []
    assert not folder.exists()
