"""CIFAR-10: its five binary batches, or crops made of them."""

import hashlib
import math

import numpy as np

from aesparse.data.readers.arrays import read_npy
from aesparse.data.readers.files import (
    Folder,
    described,
    file_bytes,
    file_size,
    find_file,
    shown,
)
from aesparse.errors import InputError

__all__ = ["PATCHES", "find_cifar10", "patches_file", "read_cifar10", "read_patches"]

# Sum of the SHA-256 of all 50,000 training records modulo 2^256: whatever their order.
_CIFAR_SUM = 0xD17523651DCFFDF1BE45E6671E5077F61B15CBF5376A64E556C870E6FB6066D3
_RECORD, _PER_BATCH = 1 + 3 * 32 * 32, 10_000
_BATCH_BYTES = _RECORD * _PER_BATCH
# SHA-256 of the CIFAR-10 crops of the stored runs, training and held-out ones, by how many train:
# the bytes [N, 8, 8, 3] in C order. Images in another order give others.
PATCHES = {
    10_000: "034d7b36e6d099667f3aea040bf25705bf5d6cf2df7f42775e58c3b4e55db166",
    50_000: "dc0d5ff5303a2e3dfb228ef0423a78cc2babefefc88539176ed3ec751e68ad9d",
}
_MOST_HEADER = 2**14  # bytes, of a NumPy file
_FOLDERS = ("cifar-10-batches-bin", "")
_BINARY = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_PICKLE = f"is of CIFAR-10's Python version, a pickle, which is never opened; download {_BINARY}"
_OTHERS = {
    "cifar-10-binary.tar.gz": "is still packed; unpack it with `tar xzf`",
    "data_batch_1": _PICKLE,
    "cifar-10-batches-py": _PICKLE,
    "cifar-10-python.tar.gz": _PICKLE,
    "cifar-100-*": f"is CIFAR-100; download {_BINARY}",
    "cifar10/*/*array_record*": "is of tensorflow-datasets, without its dataset_info.json; "
    "prepare it again",
}


def find_cifar10(folder: Folder) -> list[Folder]:
    """The five batches that `read_cifar10` reads; `InputError` if one is missing."""
    return [
        find_file(folder, [f"data_batch_{i}.bin"], _FOLDERS, _OTHERS if i == 1 else {})
        for i in range(1, 6)
    ]


def read_cifar10(folder: Folder) -> np.ndarray:
    """The 50,000 training images `[50000, 32, 32, 3]`, uint8, with CIFAR-10's checksum.

    They are read from the five binary batches, in `folder` or in its cifar-10-batches-bin.
    `InputError` for anything else that lies there.
    """
    paths = find_cifar10(folder)
    for path in paths:  # all of them before the first is read
        _check_size(path)
    batches, total = [], 0
    for path in paths:
        raw = file_bytes(path, _BATCH_BYTES)
        records = np.frombuffer(raw, np.uint8).reshape(_PER_BATCH, _RECORD)
        total += sum(int.from_bytes(hashlib.sha256(r).digest(), "big") for r in records)
        batches.append(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    if total % 2**256 != _CIFAR_SUM:
        raise InputError(
            f"A batch in {shown(paths[0].parent)} is corrupt (their checksum is "
            f"{total % 2**256:x}, expected {_CIFAR_SUM:x}); download {_BINARY} again."
        )
    return np.concatenate(batches)


def _check_size(path: Folder) -> None:
    size = file_size(path)
    if size != _BATCH_BYTES:
        what = described(file_bytes(path, size)[:100]) if size < _BATCH_BYTES else None
        raise InputError(
            f"{shown(path)} {what or 'is truncated or corrupt'}; expected {_BATCH_BYTES} bytes, "
            f"found {size}; download {_BINARY} again."
        )


def patches_file(samples: int) -> str:
    """The name of the file that holds the crops for `samples` training rows."""
    return f"cifar10-patches-{samples}.npy"


def read_patches(folder: Folder, samples: int) -> np.ndarray:
    """CIFAR-10's 8×8×3 crops, uint8, of a folder packed for `samples` training rows."""
    path, shape = folder / patches_file(samples), (samples + samples // 5, 8, 8, 3)
    if file_size(path) > math.prod(shape) + _MOST_HEADER:
        raise InputError(f"{shown(path)} has too many bytes; make it again.")
    crops = read_npy(path)
    checksum = hashlib.sha256(np.ascontiguousarray(crops)).hexdigest()
    if (crops.shape, crops.dtype, checksum) != (shape, np.uint8, PATCHES[samples]):
        raise InputError(
            f"{shown(path)} is corrupt: expected uint8 of shape {shape} with checksum "
            f"{PATCHES[samples][:16]}…, found {crops.dtype} of {crops.shape} with "
            f"{checksum[:16]}…; make it again."
        )
    return crops
