"""Data in chunks: every row once, the same order for a seed, and what is refused."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import aesparse as ae
from aesparse.data import chunks
from aesparse.errors import InputError


def numbered(samples, n=2):
    return np.arange(samples * n, dtype=np.float32).reshape(samples, n)


@settings(deadline=None)
@given(samples=st.integers(1, 2000), rows=st.integers(1, 2500), seed=st.integers(0, 5))
def test_a_pass_has_every_row_at_most_once_and_few_are_left_out(samples, rows, seed):
    X = numbered(samples)
    parts = list(chunks(X, rows, seed=seed))
    assert len({part.shape for part in parts}) == 1
    assert len(parts[0]) <= rows
    seen = np.concatenate(parts)
    np.testing.assert_array_equal(seen[:, 1] - seen[:, 0], 1)  # rows stay whole
    assert len(np.unique(seen[:, 0])) == len(seen)
    assert set(seen[:, 0]) <= set(X[:, 0])
    assert samples - len(seen) < len(parts)


def test_the_order_is_the_seeds_and_another_in_every_pass():
    X = numbered(3000)
    one, same, other = (list(chunks(X, 1000, passes=2, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[:3], one[3:])


def test_a_chunk_has_rows_from_all_over_the_data():
    X = numbered(100_000)
    first = next(chunks(X, 10_000))[:, 0] / X[-1, 0]
    shares, _ = np.histogram(first, bins=5, range=(0, 1))
    assert (shares > 500).all()
    assert np.mean(np.diff(first) > 0) < 0.6  # and in no order of theirs


class File:
    """A source with nothing but a shape and rows; it notes what is read."""

    def __init__(self, samples):
        self.shape, self.reads = (samples, 2), []

    def __getitem__(self, chosen):
        assert isinstance(chosen, slice)
        assert chosen.step is None
        self.reads.append(chosen.stop - chosen.start)
        return numbered(self.shape[0])[chosen]


def test_rows_are_read_run_by_run():
    file = File(10_000)
    seen = np.concatenate(list(chunks(file, 3000)))
    assert len(np.unique(seen[:, 0])) == 10_000
    assert len(file.reads) <= 10_000 / 256 + 1 + 2 * 4  # a run may be cut by a chunk's end


def test_the_next_chunk_is_read_while_one_is_used():
    file = File(9000)
    coming = chunks(file, 3000)
    next(coming)
    deadline = time.monotonic() + 30
    while sum(file.reads) < 6000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sum(file.reads) == 6000


def test_other_rows_are_left_out_in_every_pass():
    X = numbered(1001)
    parts = list(chunks(X, 500, passes=2))
    half = len(parts) // 2
    left = [set(X[:, 0]) - set(np.concatenate(of)[:, 0]) for of in (parts[:half], parts[half:])]
    assert 0 < len(left[0]) < half
    assert left[0] != left[1]


@pytest.mark.long
def test_a_file_on_disk_trains_an_estimator(tmp_path):
    path = tmp_path / "data.npy"
    rng = np.random.default_rng(0)
    np.save(path, rng.normal(size=(400, 3)).astype(np.float32) @ rng.normal(size=(3, 6)))
    X = np.load(path, mmap_mode="r")
    model = ae.SparseAutoencoder(4, strength=0.01, learning_rate=0.01, batch_size=20)
    model.set_params(random_state=0)
    before = None
    for chunk in chunks(X, 100, passes=5):
        model.partial_fit(chunk)
        before = model.score(X) if before is None else before
    assert model.n_iter_ == 20
    assert model.score(X) > before


def resident(path):
    """MiB of a mapped file that are in memory."""
    kib = 0
    for block in Path("/proc/self/smaps").read_text().split("\nVmFlags")[:-1]:
        if str(path) in block:
            kib += int(re.search(r"Rss:\s+(\d+) kB", block)[1])
    return kib / 1024


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("part", [lambda X: X, lambda X: X[:-1000], np.asarray])
def test_of_a_mapped_file_little_stays_in_memory(part, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, numbered(1_000_000))
    X = np.load(path, mmap_mode="r")
    whole = X.nbytes / 2**20
    X.sum()
    assert resident(path) > 0.9 * whole
    for _ in chunks(part(X), 50_000):
        pass
    assert resident(path) < 0.2 * whole


def test_changes_of_a_file_that_are_in_memory_alone_stay(tmp_path):
    np.save(tmp_path / "X.npy", numbered(1000))
    X = np.load(tmp_path / "X.npy", mmap_mode="c")
    X += 1
    seen = np.concatenate(list(chunks(X, 250)))
    np.testing.assert_array_equal(np.sort(seen[:, 0]), numbered(1000)[:, 0] + 1)
    np.testing.assert_array_equal(X, numbered(1000) + 1)


def test_what_a_reader_raises_comes_out():
    class Broken:
        shape = (10, 2)

        def __getitem__(self, chosen):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(chunks(Broken(), 5))


@pytest.mark.parametrize(
    ("X", "options"),
    [
        ([[1.0, 2.0]], {}),
        (np.zeros(5), {}),
        (np.zeros((0, 3)), {}),
        (None, {}),
        (np.zeros((5, 3)), {"rows": 0}),
        (np.zeros((5, 3)), {"passes": 0}),
        (np.zeros((5, 3)), {"seed": -1}),
        (scipy.sparse.eye_array(5).tocsr(), {}),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence_at_once(X, options):
    with pytest.raises(InputError):
        chunks(X, **options)
