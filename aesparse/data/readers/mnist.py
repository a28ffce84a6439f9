"""MNIST: the four IDX files, gzipped or not, or Keras' mnist.npz."""

import gzip
import hashlib
import io
import math
import struct
import zipfile

import numpy as np

from aesparse.data.readers.arrays import read_member
from aesparse.data.readers.files import (
    Folder,
    check_zip,
    described,
    file_bytes,
    file_size,
    find_file,
    reading,
    shown,
)
from aesparse.errors import InputError

__all__ = ["MNIST_FILES", "find_mnist", "read_mnist"]

# Each IDX file's name, shape and, decompressed, its SHA-256.
_MNIST = {
    ("train", "image"): (
        "train-images-idx3-ubyte", (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    ("test", "image"): (
        "t10k-images-idx3-ubyte", (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    ("train", "label"): (
        "train-labels-idx1-ubyte", (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    ("test", "label"): (
        "t10k-labels-idx1-ubyte", (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}  # fmt: skip
MNIST_FILES = tuple(name for name, *_ in _MNIST.values())
_FOLDERS = ("mnist", "", "MNIST/raw", "raw", "MNIST")
_KERAS, _MOST_KERAS = "mnist.npz", 60_000_000
_PREPARED = "is of tensorflow-datasets, without its dataset_info.json; prepare it again"
_PICTURES = (
    "is one of MNIST's digits as pictures; convert them with np.save('mnist.npy', np.stack("
    "[np.ravel(PIL.Image.open(p)) for p in sorted(Path('{}').glob('*/*.png'))])) and load "
    "mnist.npy, or download the four IDX files"
)
_OTHERS = {
    "mnist/*/*array_record*": _PREPARED,
    "*array_record*": _PREPARED,
    "*/*array_record*": _PREPARED,
    "train*/0/*.png": _PICTURES,
    "0/*.png": _PICTURES,
}


def find_mnist(folder: Folder, split: str = "train", field: str = "image") -> Folder:
    """The file that `read_mnist` reads for the same arguments; `InputError` if there is none."""
    name = _MNIST[split, field][0]
    dotted = name.replace("-idx", ".idx")
    return find_file(folder, [f"{name}.gz", name, dotted, _KERAS], _FOLDERS, _OTHERS)


def read_mnist(folder: Folder, split: str = "train", field: str = "image") -> np.ndarray:
    """Digits `[N, 28, 28, 1]` or labels `[N]`, uint8, with MNIST's checksum.

    `split` is "train" (60,000) or "test" (10,000), `field` "image" or "label". They are read from
    an IDX file, gzipped or not, or from Keras' mnist.npz, in `folder` or in its MNIST/raw, raw or
    mnist. `InputError` for anything else that lies there.
    """
    _, shape, sha256 = _MNIST[split, field]
    path = find_mnist(folder, split, field)
    begin = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
    if path.name == _KERAS:
        with reading(path, "download it again."):
            content = file_bytes(path, _MOST_KERAS)
            check_zip(path, content)
            archive = zipfile.ZipFile(io.BytesIO(content))
            member = f"{'xy'[field == 'label']}_{split}.npy"
            values = read_member(path, archive, member, shape, np.uint8)
        raw = begin + values.tobytes()
    else:
        raw = _idx(path, len(begin) + math.prod(shape))
    checksum = hashlib.sha256(raw).hexdigest()
    if checksum != sha256:
        whole = "is not MNIST's file of this name; Fashion-MNIST and others have the same names"
        raise InputError(
            f"{shown(path)} {whole if raw.startswith(begin) else 'is corrupt'} (checksum "
            f"{checksum[:16]}…, expected {sha256[:16]}…); download MNIST's again."
        )
    pixels = np.frombuffer(raw, np.uint8, offset=len(begin))
    return pixels.reshape(*shape, 1) if field == "image" else pixels


def _idx(path: Folder, size: int) -> bytes:
    """The `size` bytes of an IDX file; one called .gz may be unpacked already."""
    raw = b"" if file_size(path) == 0 else file_bytes(path, size + size // 100 + 10_000)
    if path.suffix == ".gz" and raw.startswith(b"\x1f\x8b"):
        advice = "the file is truncated or corrupt; download it again."
        with reading(path, advice), gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            raw = file.read(size + 1)
    elif len(raw) != size and (what := described(raw[:100])):
        raise InputError(
            f"{shown(path)} {what}; expected MNIST's IDX file of {size} bytes; download it again."
        )
    if len(raw) != size:
        count = f"more than {size}" if len(raw) > size else len(raw)
        raise InputError(
            f"{shown(path)} is truncated or corrupt: expected {size} bytes, found {count}; "
            "download it again."
        )
    return raw
