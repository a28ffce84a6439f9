"""Data that need not fit in memory, chunk after chunk."""

import mmap
import numbers
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from aesparse.errors import InputError
from aesparse.options import check_counts, shortened

__all__ = ["chunks"]

_TOGETHER = 256  # consecutive rows that are read at once


def chunks(
    X: Any, rows: int = 65_536, *, passes: int = 1, seed: int = 0
) -> Iterator[Float[np.ndarray, "rows n"]]:
    """The rows of `X` in a random order, in chunks of equal size; the next one is read meanwhile.

    In every pass runs of 256 consecutive rows come in an order drawn anew, those of a chunk are
    mixed. As chunks have one size, what trains on them is compiled once; the rows that are left,
    fewer than there are chunks, are left out, others in every pass. Of a file that is mapped with
    `mmap_mode="r"` no more than a chunk stays resident.

    Args:
        X: `[N, n]`: a NumPy array, such as `numpy.load(path, mmap_mode="r")`, or whatever else has
            a `shape` and gives an array for `X[a:b]`.
        rows: of a chunk at most; by default 65,536.
        passes: how often all chunks come; by default once.
        seed: the same orders for the same seed.

    Raises:
        InputError: for counts below 1, other seeds, and data that are no dense matrix.

    >>> X = np.arange(20.0).reshape(10, 2)
    >>> [chunk.shape for chunk in chunks(X, 4)]
    [(3, 2), (3, 2), (3, 2)]
    >>> same = [(a == b).all() for a, b in zip(chunks(X, 4), chunks(X, 4), strict=True)]
    >>> len(same), bool(all(same))
    (3, True)
    """
    check_counts({"rows": rows, "passes": passes})
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise InputError(f"seed is {shortened(seed)}; expected an integer from 0.")
    shape = getattr(X, "shape", ())
    if len(shape) != 2 or not shape[0] or not hasattr(X, "__getitem__") or hasattr(X, "tocsr"):
        raise InputError(
            f"The data is {shortened(X)}; expected a matrix with a shape [N, n] and dense rows "
            "X[a:b], such as numpy.load(path, mmap_mode='r')."
        )
    return _read_ahead(X, min(rows, shape[0]), passes, np.random.default_rng(seed))


def _read_ahead(
    X: Any, rows: int, passes: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "rows n"]]:
    with ThreadPoolExecutor(1) as reader:
        waiting = None
        for _ in range(passes):
            for chosen in _orders(X.shape[0], rows, rng):
                coming = reader.submit(_read, X, chosen)
                if waiting is not None:
                    yield waiting.result()
                waiting = coming
        yield waiting.result()


def _orders(
    samples: int, rows: int, rng: np.random.Generator
) -> Iterator[Int[np.ndarray, " rows"]]:
    """Which rows each chunk of a pass has, in its order."""
    count = -(-samples // rows)
    size, length = samples // count, min(_TOGETHER, rows)
    left = np.empty(0, int)
    for run in rng.permutation(-(-samples // length)):
        left = np.append(left, np.arange(run * length, min((run + 1) * length, samples)))
        while len(left) >= size:
            yield rng.permutation(left[:size])
            left = left[size:]


def _read(X: Any, chosen: np.ndarray) -> np.ndarray:
    """Rows in a given order; what the system has mapped of a file for them is given back."""
    rows, readonly = _rows(X, chosen), False
    while isinstance(X, np.ndarray):  # a slice's base is what it is a slice of
        readonly, X = getattr(X, "mode", None) == "r", X.base
    if readonly and isinstance(X, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        X.madvise(mmap.MADV_DONTNEED)
    return rows


def _rows(X: Any, chosen: np.ndarray) -> np.ndarray:
    """Rows in a given order, read run by run."""
    order = np.argsort(chosen)
    ordered = chosen[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 2) != 1)
    ends = np.append(starts[1:], len(ordered))
    parts = [
        np.asarray(X[ordered[a] : ordered[b - 1] + 1]) for a, b in zip(starts, ends, strict=True)
    ]
    whole = np.concatenate(parts)
    mixed = np.empty_like(whole)
    mixed[order] = whole
    return mixed
