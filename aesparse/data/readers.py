"""Readers of data files: MNIST as IDX, CIFAR-10 as binary batches, tensorflow-datasets, NumPy.

Sizes and checksums are verified on reading; every defect is one `InputError` that names the
file, what was expected and what was found.
"""

import gzip
import hashlib
import importlib.util
import io
import urllib.request
import zipfile
import zlib
from pathlib import Path

import numpy as np

from aesparse.errors import InputError

__all__ = [
    "MNIST_FILES",
    "PATCHES",
    "Folder",
    "data_folder",
    "patches_file",
    "read_array",
    "read_cifar10",
    "read_mnist",
    "read_patches",
    "read_prepared",
]

Folder = Path | zipfile.Path  # a folder, or a zip file, or what is in one
# Each IDX file's name, shape, length of its header and, decompressed, its SHA-256.
_MNIST = {
    ("train", "image"): (
        "train-images-idx3-ubyte", (60_000, 28, 28, 1), 16,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    ("test", "image"): (
        "t10k-images-idx3-ubyte", (10_000, 28, 28, 1), 16,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    ("train", "label"): (
        "train-labels-idx1-ubyte", (60_000,), 8,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    ("test", "label"): (
        "t10k-labels-idx1-ubyte", (10_000,), 8,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}  # fmt: skip
MNIST_FILES = tuple(name for name, *_ in _MNIST.values())
# Sum of the SHA-256 of all 50,000 training records modulo 2^256: whatever their order.
_CIFAR_SUM = 0xD17523651DCFFDF1BE45E6671E5077F61B15CBF5376A64E556C870E6FB6066D3
_CIFAR_RECORD, _CIFAR_PER_BATCH = 1 + 3 * 32 * 32, 10_000
# SHA-256 of the CIFAR-10 crops of the stored runs, training and held-out ones, by how many train:
# the bytes [N, 8, 8, 3] in C order. Images in another order give others.
PATCHES = {
    10_000: "034d7b36e6d099667f3aea040bf25705bf5d6cf2df7f42775e58c3b4e55db166",
    50_000: "dc0d5ff5303a2e3dfb228ef0423a78cc2babefefc88539176ed3ec751e68ad9d",
}


def data_folder(path: str | Path) -> Folder:
    """A folder, or the inside of a zip file, from which data files are read."""
    path = Path(path)
    if path.suffix != ".zip" or not path.is_file():
        return path
    try:
        return zipfile.Path(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a readable zip file ({error}); make it again.") from None


def patches_file(samples: int) -> str:
    """The name of the file that holds the crops for `samples` training rows."""
    return f"cifar10-patches-{samples}.npy"


def read_patches(folder: Folder, samples: int) -> np.ndarray:
    """CIFAR-10's 8×8×3 crops, uint8, of a folder packed for `samples` training rows."""
    path = folder / patches_file(samples)
    raw = _bytes(path)
    try:
        crops = np.load(io.BytesIO(raw), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is not a readable NumPy file: {error}") from None
    _check_sum(path, hashlib.sha256(np.ascontiguousarray(crops)).hexdigest(), PATCHES[samples])
    return crops


def read_mnist(folder: Folder, split: str = "train", field: str = "image") -> np.ndarray:
    """Digits `[N, 28, 28, 1]` or labels `[N]`, uint8, from an IDX file (gzipped or not).

    `split` is "train" (60,000) or "test" (10,000), `field` "image" or "label".
    """
    name, shape, header, sha256 = _MNIST[split, field]
    path = _first_existing(folder, [f"{name}.gz", name])
    raw = _bytes(path)
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{path} does not decompress ({error}; {len(raw)} bytes found): the file is "
                "truncated or corrupt; download it again."
            ) from None
    _check_size(path, len(raw), header + int(np.prod(shape)))
    _check_sum(path, hashlib.sha256(raw).hexdigest(), sha256)
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def read_cifar10(folder: Folder) -> np.ndarray:
    """The 50,000 training images `[50000, 32, 32, 3]` uint8 from the five binary batches."""
    paths = [_first_existing(folder, [f"data_batch_{i}.bin"]) for i in range(1, 6)]
    batches, total = [], 0
    for path in paths:
        raw = _bytes(path)
        _check_size(path, len(raw), _CIFAR_RECORD * _CIFAR_PER_BATCH)
        records = np.frombuffer(raw, np.uint8).reshape(_CIFAR_PER_BATCH, _CIFAR_RECORD)
        total += sum(int.from_bytes(hashlib.sha256(r).digest(), "big") for r in records)
        batches.append(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    _check_sum(folder, f"{total % 2**256:x}", f"{_CIFAR_SUM:x}")
    return np.concatenate(batches)


def read_prepared(
    name: str, folder: Path | None, split: str = "train", field: str = "image"
) -> np.ndarray:
    """Images or labels of `name` through tensorflow-datasets, prepared there if need be.

    Reading a prepared folder needs neither the network nor tensorflow; preparing needs both.
    """
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise InputError(
            f"'{name}' needs its files or tensorflow-datasets, which is not installed: give "
            "--data-dir with the downloaded files, or install the extra: pip install '.[tfds]'."
        )
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=folder)
    if not builder.is_prepared():
        _prepare(builder, name)
    try:
        source = builder.as_data_source(split=split, decoders=None)
    except NotImplementedError:
        raise InputError(
            f"'{name}' is prepared in {builder.data_dir} in a format without random access; "
            "prepare it with file_format='array_record', or give --data-dir with its files."
        ) from None
    return np.stack([record[field] for record in source]).astype(np.uint8)


def _prepare(builder, name: str) -> None:
    hint = f"give --data-dir with the files of {name}, or prepare them where there is a network."
    url = next(iter(builder.url_infos))
    try:  # fails at once; the downloader itself would retry for minutes
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10).close()
    except OSError as error:
        raise InputError(
            f"'{name}' is not prepared in {builder.data_dir} and cannot be downloaded: "
            f"{url} cannot be reached ({error}); {hint}"
        ) from None
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # whatever the downloader meets, the user needs one sentence
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"'{name}' could not be prepared: {reason}; {hint}") from error


def read_array(path: Path) -> np.ndarray:
    """A user's matrix from `.npy`, or from `.npz` (its array `X`, or its only one)."""
    if not path.is_file():
        raise InputError(f"No file {path}; expected a NumPy file (.npy or .npz). Check the path.")
    try:
        loaded = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = loaded.files
            name = "X" if "X" in names else names[0] if len(names) == 1 else None
            if name is not None:
                return loaded[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is not a readable NumPy file: {error}") from None
    raise InputError(f"{path} holds the arrays {names}; expected one array, or one named 'X'.")


def _first_existing(folder: Folder, names: list[str]) -> Folder:
    if not folder.is_dir():
        raise InputError(f"No data directory {folder}; expected a folder holding {names[0]}.")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    present = sorted(p.name for p in folder.iterdir())[:8]
    raise InputError(f"{folder} is incomplete: expected {' or '.join(names)}, found {present}.")


def _bytes(path: Folder) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be read ({reason}); check who may read it, or download it again."
        ) from None


def _check_size(path: Folder, size: int, expected: int) -> None:
    if size != expected:
        raise InputError(
            f"{path} is truncated or corrupt: expected {expected} bytes, found {size}; "
            "download it again."
        )


def _check_sum(path: Folder, checksum: str, expected: str) -> None:
    if checksum != expected:
        raise InputError(
            f"{path} is corrupt: expected checksum {expected[:16]}…, found {checksum[:16]}…; "
            "download it again."
        )
