"""NumPy's files: their headers are compared with the file's size before anything is allocated."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from aesparse.data.readers.files import (
    Folder,
    check_fits,
    check_method,
    check_zip,
    described,
    file_size,
    reading,
    shown,
    stored_size,
)
from aesparse.errors import InputError

__all__ = ["npy_header", "read_member", "read_npy", "read_npz"]

_NUMPY = "expected a NumPy file, as numpy.save or numpy.savez writes it."
_HEADER = 2**14  # bytes; NumPy itself parses headers of up to 10,000
_FLOAT = 4  # bytes of a float32, which other numbers become
_SPARSE = {"indices", "indptr", "format", "shape", "data"}  # as scipy.sparse.save_npz writes


def read_npy(path: Folder) -> np.ndarray:
    """The array of a `.npy` file, whose header claims no more and no less than the file has."""
    size = file_size(path)
    with reading(path, _NUMPY):
        if isinstance(path, zipfile.Path):
            return read_member(path, path.root, path.at)
        with path.open("rb") as file:
            return _read(file, path, size, stored_size(path))


def read_npz(path: Path) -> np.ndarray:
    """The array `X` of a `.npz` file, or its only one."""
    check_zip(path)
    with reading(path, _NUMPY), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if set(names) >= _SPARSE:
            raise InputError(
                f"{shown(path)} is a sparse matrix; convert it: np.save('x.npy', "
                f"scipy.sparse.load_npz('{shown(path)}').toarray())."
            )
        name = "X" if "X" in names else names[0] if len(names) == 1 else None
        if name is None:
            raise InputError(
                f"{shown(path)} holds the arrays {shown(names)}; expected one array, or one named "
                f"'X'. Choose it: np.save('x.npy', np.load('{shown(path)}')[NAME])."
            )
        return read_member(path, archive, f"{name}.npy")


def read_member(
    path: Folder,
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype | type | None = None,
) -> np.ndarray:
    """An array of a zip file, of this shape and dtype where they are known.

    `path` is what a message calls it.
    """
    member = archive.getinfo(name)
    check_method(member)
    stored = member.compress_size
    if archive.filename:  # the list of members may claim more than there is
        stored = min(stored, stored_size(archive.filename))
    with archive.open(member) as file:
        return _read(file, path, member.file_size, stored, shape, dtype)


def _read(
    file: io.BufferedIOBase,
    path: object,
    size: int,
    stored: int,
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype | type | None = None,
) -> np.ndarray:
    """The array in a file of `size` bytes, of which `stored` are on the disk."""
    begin = file.read(_HEADER)
    if not begin.startswith(b"\x93NUMPY"):
        raise InputError(f"{shown(path)} {described(begin) or 'is no NumPy file'}; {_NUMPY}")
    claimed, _, kind, offset = npy_header(begin)
    if kind.hasobject:
        raise InputError(
            f"{shown(path)} holds Python objects as a pickle, which can run any program and is "
            "never opened; store an array of numbers, such as X.astype(float)."
        )
    if (shape or claimed, dtype or kind) != (claimed, kind):
        raise ValueError(f"{kind} of shape {claimed}, expected {np.dtype(dtype)} of {shape}")
    needed = offset + math.prod(claimed) * kind.itemsize
    if needed != size:
        raise InputError(
            f"{shown(path)} is truncated or corrupt: its header claims {needed} bytes, and the "
            f"file has {size}; make or download it again."
        )
    converted = 0 if kind.kind == "f" and kind.itemsize >= _FLOAT else _FLOAT * math.prod(claimed)
    check_fits(path, size + converted, stored)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def npy_header(begin: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, whether in Fortran's order, dtype, and length of the header that begins a `.npy` file.

    `ValueError` if it is none.
    """
    file = io.BytesIO(begin)
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:  # 3.0 is for names of fields that are no Latin-1
        raise ValueError(f"the version {version} of its format is not one for numbers")
    shape, by_columns, dtype = readers[version](file)
    if min(shape, default=0) < 0:
        raise ValueError(f"its shape is {shape}")
    return shape, by_columns, dtype, file.tell()
