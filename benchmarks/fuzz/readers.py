"""Damaged files and arrays, as they are read or given as data."""

import gzip
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aesparse.data import check_matrix, load, standardize
from aesparse.data.readers import PATCHES, patches_file, read_mnist, read_prepared
from benchmarks.fuzz.kit import Attempt, Target, damage

__all__ = ["TARGETS"]

_LABELS = "t10k-labels-idx1-ubyte"
_INFO = {
    "name": "mnist",
    "version": "3.0.1",
    "fileFormat": "array_record",
    "moduleName": "tensorflow_datasets.image_classification.mnist",
    "splits": [
        {
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            "name": "train",
            "numBytes": "100000",
            "shardLengths": ["60000"],
        }
    ],
}
_FOREIGN = ("null", "3", "[]", "{}", '"text"', "[" * 50_000, '{"splits": 3}', '{"splits": [{}]}')
_NAMES = ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte", "mnist.npz", "x.npy", "x.npz")


def _rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(int(rng.integers(1, 60)), int(rng.integers(1, 9))))


def _saved(X: np.ndarray, compressed: bool | None = None) -> bytes:
    file = io.BytesIO()
    if compressed is None:
        np.save(file, X)
    else:
        (np.savez_compressed if compressed else np.savez)(file, X=X)
    return file.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _same(X: np.ndarray) -> Callable[[object], bool]:
    return lambda value: np.array_equal(value, X)


def _train(path: Path) -> Callable[[], np.ndarray]:
    return lambda: load(path).train


def _as_stored(path: Path) -> Callable[[object], bool]:
    """Whether an array is what NumPy's own reader makes of the file, which has no checksum."""
    return lambda value: np.array_equal(value, np.load(path, allow_pickle=False))


def _npy(rng: np.random.Generator, folder: Path) -> Attempt:
    what, content = damage(rng, _saved(_rows(rng)))
    _write(folder / "x.npy", content)
    return Attempt(what, _train(folder / "x.npy"), _as_stored(folder / "x.npy"))


def _npy_header(rng: np.random.Generator, folder: Path) -> Attempt:
    """The header alone is damaged, or says what no array has."""
    X = _rows(rng)
    header = {"descr": "<f8", "fortran_order": False, "shape": X.shape}
    key = ("descr", "fortran_order", "shape")[rng.integers(3)]
    values = ("|O", "<f2", "V0", -1, 3.5, None, (10**12,), (-1, 5), (10**30, 0), [1], "x" * 9000)
    choice = int(rng.integers(len(values) + 4))
    if choice < len(values):
        what, text = f"{key} {values[choice]!r:.20}", repr(header | {key: values[choice]}).encode()
    else:
        what, text = damage(rng, repr(header).encode())
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + X.tobytes()
    _write(folder / "x.npy", content)
    return Attempt(what, _train(folder / "x.npy"), _as_stored(folder / "x.npy"))


def _npz(rng: np.random.Generator, folder: Path) -> Attempt:
    X = _rows(rng)
    what, content = damage(rng, _saved(X, compressed=bool(rng.integers(2))))
    _write(folder / "x.npz", content)
    return Attempt(what, _train(folder / "x.npz"), _same(X))


def _csv(rng: np.random.Generator, folder: Path) -> Attempt:
    X = _rows(rng)
    lines = [",".join(map(repr, row)) for row in X.tolist()]
    header = ",".join(f"column {i}" for i in range(X.shape[1]))
    what, content = damage(rng, "\n".join([header, *lines]).encode())
    _write(folder / "x.csv", content)
    # Another digit is another table; what it holds must be finite numbers in columns.
    return Attempt(what, _train(folder / "x.csv"), lambda value: bool(np.isfinite(value).all()))


def _parquet(rng: np.random.Generator, folder: Path) -> Attempt:
    import pandas as pd

    X = _rows(rng)
    path = folder / "x.parquet"
    pd.DataFrame(X, columns=[str(i) for i in range(X.shape[1])]).to_parquet(path)
    what, content = damage(rng, path.read_bytes())
    _write(path, content)
    return Attempt(what, _train(path), lambda value: bool(np.isfinite(value).all()))


def _other_kind(rng: np.random.Generator, folder: Path) -> Attempt:
    """A file of any name, with the beginning of a file of any kind."""
    begins = (b"version https://git-lfs", b"<html>", b"\x80\x04", b"\x89HDF", b"PK\3\4", b"PAR1")
    endings = ("mat", "h5", "pkl", "npy", "npz", "csv", "tsv", "parquet", "png", "gz", "x", "")
    begin = begins[rng.integers(len(begins))]
    name = f"x.{endings[rng.integers(len(endings))]}".removesuffix(".")
    _write(folder / name, begin + rng.bytes(int(rng.integers(300))))
    return Attempt(f"{name} that begins with {begin!r}", _train(folder / name), lambda value: False)


def _paths(rng: np.random.Generator, folder: Path) -> Attempt:
    """What is no regular file, or has no name that a file may have."""
    name = _NAMES[rng.integers(len(_NAMES))]
    path = folder / name
    kinds = {
        "a pipe": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
        "a loop": lambda: path.symlink_to(path),
        "a link to nothing": lambda: path.symlink_to(folder / "nothing"),
        "a device": lambda: path.symlink_to("/dev/zero"),
        "nothing": lambda: None,
        "sparse": lambda: _sparse(path, 2**40),
    }
    odd = ["n" * 300, "a\0b", "line\nbreak", "a/" * 3000, "\udcff", " ", "."]
    choice = int(rng.integers(len(kinds) + len(odd)))
    if choice >= len(kinds):
        strange = odd[choice - len(kinds)]
        where = folder / strange / name if rng.integers(2) else folder / f"{strange}{name}"
        return Attempt(f"{strange[:9]!r} in its path", lambda: _either(where), lambda value: False)
    what = list(kinds)[choice]
    kinds[what]()
    return Attempt(f"{name} is {what}", lambda: _either(path), lambda value: False)


def _either(path: Path) -> object:
    """Reads a user's file, or the data set whose folder has it."""
    return load(path) if path.name.endswith(("x.npy", "x.npz")) else read_mnist(path.parent)


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _labels(rng: np.random.Generator) -> bytes:
    """What has the size of MNIST's test labels; those themselves where there are data."""
    there = Path(os.environ.get("AESPARSE_DATA_DIR", "")) / "mnist" / f"{_LABELS}.gz"
    if "AESPARSE_DATA_DIR" in os.environ and there.is_file():
        return gzip.decompress(there.read_bytes())
    return struct.pack(">2I", 0x801, 10_000) + rng.integers(10, size=10_000, dtype="u1").tobytes()


def _idx(rng: np.random.Generator, folder: Path, suffix: str, pack: Callable) -> Attempt:
    whole = _labels(rng)
    what, content = damage(rng, pack(whole))
    _write(folder / ("mnist", "MNIST/raw", "")[rng.integers(3)] / f"{_LABELS}{suffix}", content)
    return Attempt(
        what,
        lambda: read_mnist(folder, "test", "label"),
        lambda value: value.tobytes() == whole[8:],
    )


def _idx_gzip(rng: np.random.Generator, folder: Path) -> Attempt:
    return _idx(rng, folder, ".gz", gzip.compress)


def _idx_unpacked(rng: np.random.Generator, folder: Path) -> Attempt:
    return _idx(rng, folder, ("", ".gz")[rng.integers(2)], bytes)


def _keras(rng: np.random.Generator, folder: Path) -> Attempt:
    whole, file = _labels(rng), io.BytesIO()
    np.savez_compressed(file, y_test=np.frombuffer(whole, np.uint8, offset=8))
    what, content = damage(rng, file.getvalue())
    _write(folder / "mnist.npz", content)
    return Attempt(
        what,
        lambda: read_mnist(folder, "test", "label"),
        lambda value: value.tobytes() == whole[8:],
    )


def _images(rng: np.random.Generator, folder: Path) -> Attempt:
    """MNIST's images replaced by few or by many zeros."""
    size = int(rng.choice([0, 16, 1000, 10**6, 60_000_000]))
    _write(folder / "train-images-idx3-ubyte.gz", gzip.compress(bytes(size), 1))
    return Attempt(f"{size} zeros", lambda: load("mnist", data_dir=folder), lambda value: False)


def _cifar(rng: np.random.Generator, folder: Path) -> Attempt:
    sizes = [int(rng.choice([0, 1, 3073, 30_729_999, 2**40])) for _ in range(5)]
    for i, size in enumerate(sizes, start=1):
        if rng.integers(9):
            _sparse(folder / f"data_batch_{i}{'.bin' if rng.integers(9) else ''}", size)
    return Attempt(
        f"batches of {sizes} zeros", lambda: load("cifar10", data_dir=folder), lambda value: False
    )


def _pack(rng: np.random.Generator, folder: Path) -> Attempt:
    """A zip file of data; what is in it, and it itself, may be damaged."""
    whole, file = _labels(rng), io.BytesIO()
    samples = min(PATCHES)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"mnist/{_LABELS}.gz", gzip.compress(whole))
        crops = _saved(np.zeros((int(rng.choice([1, 12_000])), 8, 8, 3), np.uint8))
        archive.writestr(patches_file(samples), crops)
    what, content = damage(rng, file.getvalue())
    _write(folder / "pack.zip", content)
    return Attempt(
        what,
        lambda: load("cifar10", data_dir=folder / "pack.zip", samples=samples),
        lambda value: False,
    )


def _prepared(rng: np.random.Generator, folder: Path) -> Attempt:
    """A folder of tensorflow-datasets: its description is damaged, its shard a piece of one."""
    place = folder / "mnist" / "3.0.1"
    what, content = damage(rng, json.dumps(_INFO, indent=2).encode())
    if rng.integers(2):
        content = _FOREIGN[rng.integers(len(_FOREIGN))].encode()
        what = f"description {content[:20]}"
    _write(place / "dataset_info.json", content)
    if rng.integers(4):
        shard = place / "mnist-train.array_record-00000-of-00001"
        _write(shard, rng.bytes(int(rng.choice([0, 100, 70_000]))))
    return Attempt(what, lambda: read_prepared("mnist", folder), lambda value: False)


def _given(rng: np.random.Generator, folder: Path) -> Attempt:
    """An array of any dtype and shape, with any numbers."""
    kinds = ("f2", ">f4", "f8", "g", "F", "i1", ">i8", "u8", "?", "M8[s]", "U3", "S2", "O", "V4")
    kind = kinds[rng.integers(len(kinds))]
    shape = tuple(int(n) for n in rng.integers(4, size=rng.choice([0, 1, 2, 2, 2, 2, 3])))
    raw = rng.bytes(8 * 64 * 4)
    if kind == "O":
        objects = [1, 2.5, None, "x", [1], 10**400, np.nan, {}]
        X = np.empty(shape, object)
        X.flat = [objects[i] for i in rng.integers(len(objects), size=X.size)]
    else:
        X = np.frombuffer(raw, kind, count=int(np.prod(shape))).reshape(shape)
    if kind in ("f2", "f8") and len(shape) == 2:
        return Attempt(f"{kind} {shape} standardized", lambda: standardize(X, 0.1), _finite)
    return Attempt(f"{kind} {shape} as data", lambda: check_matrix(X), _same(X))


def _finite(parts: object) -> bool:
    return all(np.isfinite(part).all() for part in parts)


TARGETS: dict[str, Target] = {
    "npy": _npy,
    "npy header": _npy_header,
    "npz": _npz,
    "csv": _csv,
    "parquet": _parquet,
    "other kinds": _other_kind,
    "paths": _paths,
    "idx gzip": _idx_gzip,
    "idx unpacked": _idx_unpacked,
    "keras": _keras,
    "images": _images,
    "cifar": _cifar,
    "pack": _pack,
    "prepared": _prepared,
    "arrays": _given,
}
