"""Files from outside: looked at before they are opened, read no further than is known.

Every failure of a library that reads such a file is one `InputError`.
"""

import contextlib
import errno
import io
import itertools
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from aesparse.errors import InputError, first_line, printable
from aesparse.memory import host_memory
from aesparse.options import shortened

__all__ = [
    "TEXT",
    "Folder",
    "check_fits",
    "check_method",
    "check_zip",
    "data_folder",
    "described",
    "file_bytes",
    "file_size",
    "find_file",
    "reading",
    "shown",
    "stored_size",
]

Folder = Path | zipfile.Path  # a folder, or a zip file, or what is in one
_LONGEST = 300  # characters of a path or of a library's message that are shown
_MOST_LISTED = 2**20  # bytes of a zip file's list of members, about 10,000 of them
_SHOWN, _MOST_LOOKED_AT = 8, 100  # files and folders
_LONGEST_MEMBER = 255  # characters of a member's name
_LARGE, _DENSE = 2**26, 100  # more than so many bytes from so many times fewer are a zip bomb
TEXT = "is text"
# What a file is by how it begins.
_BEGINNINGS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the data, which `git lfs pull` fetches",
    b"\x1f\x8b": "is compressed by gzip, to be unpacked with `gunzip`",
    b"PK\x03\x04": "is a zip file, to be unpacked with `unzip`",
    b"BZh": "is compressed by bzip2, to be unpacked with `bunzip2`",
    b"\xfd7zXZ": "is compressed by xz, to be unpacked with `unxz`",
    b"\x93NUMPY": "is a NumPy array, whose name should end in .npy",
    b"PAR1": "is a Parquet file, whose name should end in .parquet",
    b"\x89HDF": "is an HDF5 file",
    b"\x89PNG": "is a PNG image",
    b"<": "is a web page or XML, perhaps the answer of a failed download",
}


def shown(path: object) -> str:
    """A path as it stands in a message: in one line, of bounded length, printable."""
    text = str(path)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    return printable(text)


@contextlib.contextmanager
def reading(path: object, advice: str) -> Iterator[None]:
    """While a file is read: whatever fails is the cause in one `InputError`, which `advice` ends.

    That is any exception of the operating system's and the libraries', `MemoryError` and
    `RecursionError` among them; an `InputError` stays.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"{shown(path)} cannot be read ({shown(reason)}); {advice}") from None


def file_size(path: Folder) -> int:
    """Bytes of a regular file, before it is opened, or what a zip file says of a member.

    `InputError` for what is absent, a folder, a pipe or a device.
    """
    with reading(path, "check the path and who may read it."):
        if path.is_dir():
            raise InputError(f"{shown(path)} is a folder; expected a file. Check the path.")
        if not path.is_file():
            there = not isinstance(path, zipfile.Path) and path.exists()
            raise InputError(
                f"{shown(path)} is a pipe or a device; expected a regular file. Copy it to one."
                if there
                else f"No file {shown(path)}; check the path."
            )
        if isinstance(path, zipfile.Path):
            return path.root.getinfo(path.at).file_size
        return path.stat().st_size


def file_bytes(path: Folder, most: int) -> bytes:
    """A file's bytes; `InputError`, and nothing is read, if it has more than `most`."""
    size = file_size(path)
    if size > most:
        raise InputError(
            f"{shown(path)} is not what its name says: expected at most {most} bytes, found "
            f"{size}; download it again."
        )
    with reading(path, "check who may read it, or download it again."), path.open("rb") as file:
        if isinstance(path, zipfile.Path):
            check_method(path.root.getinfo(path.at))
        return file.read(most)


def described(begin: bytes) -> str | None:
    """What a file is by its first bytes; None where they do not say."""
    if not begin:
        return "is empty"
    for start, text in _BEGINNINGS.items():
        if begin.startswith(start):
            return text
    if begin[0] == 0x80 and begin[1:2] in b"\2\3\4\5":
        return "is a pickle, which can run any program and is never opened"
    if b"\0" not in begin and all(byte > 31 or byte in b"\t\r\n" for byte in begin[:100]):
        return TEXT
    return None


def stored_size(path: str | Path) -> int:
    """Bytes of a file that are on the disk; the holes of a sparse file are not."""
    total = end = 0
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            while end < size:
                begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
                total += end - begin
        except AttributeError:  # Windows
            return size
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: only a hole follows
                return size
    return total


def check_fits(path: object, size: int, stored: int) -> None:
    """`InputError` if `size` bytes made of `stored` ones exceed the memory, or are a zip bomb.

    `size` is what the numbers take in memory, `stored` what is read from the disk for them.
    """
    if size > host_memory() // 2:
        raise InputError(
            f"{shown(path)} holds {_gib(size)} and this machine has {_gib(host_memory())} of "
            "memory; expected at most half of that. Store fewer rows, or as float32."
        )
    if size > _LARGE and size > _DENSE * stored:
        raise InputError(
            f"{shown(path)} expands from {_gib(stored)} to {_gib(size)}, as a zip bomb does; if it "
            "is yours, store it uncompressed and without holes, with numpy.savez."
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


class _Listed(io.BufferedReader):
    """A file of which no more than a zip file's list of members is read at once."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _MOST_LISTED:
            raise ValueError(f"its list of members claims {size} bytes")
        return super().read(size)


def check_zip(path: Folder, content: bytes | None = None) -> None:
    """`InputError` unless a zip file's list of members is sound, short, and names files in folders.

    `content` are the bytes of a zip file that is a member of another one. `zipfile.Path` takes
    forever, or any memory, for some other names.
    """
    file_size(path)
    with (
        reading(path, "it is no sound zip file; make it, or download it, again."),
        _Listed(io.FileIO(path) if content is None else io.BytesIO(content)) as file,
        zipfile.ZipFile(file) as archive,
    ):
        for name in archive.namelist():
            if len(name) > _LONGEST_MEMBER or name.startswith("/") or "//" in name:
                raise ValueError(f"a member is called {name[:40]!r}")


def data_folder(path: str | Path) -> Folder:
    """A folder, or the inside of a zip file, from which data files are read."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"The data directory is {shortened(path)}; expected a path.")
    path = Path(path)
    if path.suffix.lower() == ".zip" and _is(Path.is_file, path):
        check_zip(path)
        return zipfile.Path(path)
    if not _is(Path.is_dir, path):
        raise InputError(
            f"No data directory {shown(path)}; expected a folder, or a zip file that "
            "benchmarks/accelerator.py made, with the data's files."
        )
    return path


def find_file(
    folder: Folder, names: Sequence[str], inside: Sequence[str], others: Mapping[str, str]
) -> Folder:
    """The first of `names` in `folder` or in one of the folders `inside` of it.

    `InputError` where there is none: it names the folder one level off that has one, or what
    `others` says of the pattern that lies there instead (its {} is the folder two levels above what
    was found), or the first files that do.
    """
    with reading(folder, "check the path and who may read it."):
        places = [folder / part if part else folder for part in inside]
        for place in places:
            for name in names:
                if (place / name).exists():  # of another kind than a file: refused on reading
                    return place / name
        expected = f"{shown(folder)} has no {' or '.join(names)}"
        if isinstance(folder, Path):
            for place in _near(folder):
                # Folders near by that may not be looked into are no failure.
                if any(os.path.isfile(place / name) for name in names):
                    raise InputError(f"{expected}; {shown(place)} has: give that folder.")
            for pattern, advice in others.items():
                if there := next(folder.glob(pattern), None):
                    raise InputError(
                        f"{expected}; {shown(there)} {advice.format(shown(there.parents[1]))}."
                    )
        present = sorted(shown(item.name) for item in folder.iterdir())[:_SHOWN]
        raise InputError(f"{expected}: the folder is incomplete, or another; it has {present}.")


def _near(folder: Path) -> Iterator[Path]:
    """Folders one level off: above, beside and up to two below."""
    yield folder.parent
    for pattern, start in (("*/", folder), ("*/*/", folder), ("*/", folder.parent)):
        yield from itertools.islice(start.glob(pattern), _MOST_LOOKED_AT)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    with reading(path, "check the path and who may read it."):
        return kind(path)


def check_method(member: zipfile.ZipInfo) -> None:
    """Only deflate can be expanded piece by piece."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed otherwise than by deflate")
