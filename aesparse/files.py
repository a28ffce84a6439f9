"""Files that are written all or nothing, and read only as far as they can be what is expected."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aesparse.errors import InputError

__all__ = [
    "UNFINISHED",
    "flush",
    "listed",
    "make_folder",
    "read_bytes",
    "readable_failure",
    "replacing",
    "require_writable",
    "write_text",
]

UNFINISHED = ".unfinished-"  # prefix of a file that is being written
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None), None)  # None: by NumPy


@contextlib.contextmanager
def readable_failure(path: Path) -> Iterator[None]:
    """Turns a full disk and its like into one sentence; `path` is what is being written."""
    try:
        yield
    except OSError as error:
        advice = "Make room" if error.errno in _NO_ROOM else "Check the path and its permissions"
        raise InputError(
            f"{path} could not be written ({error.strerror or error}); what was stored before is "
            f"intact. {advice} and repeat the command."
        ) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path` that takes its place when the block succeeds.

    It is on the disk when the block has ended, so that a power cut leaves the one or the other.
    A symbolic link stays one; the file it leads to is replaced.
    `InputError` where the file cannot be written; what was there before is then untouched.
    """
    with readable_failure(path):
        path = Path(os.path.realpath(path))
        make_folder(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=path.suffix)
        os.close(handle)
        try:
            yield Path(name)
            os.chmod(name, 0o644)
            flush(Path(name))
            os.replace(name, path)
            flush(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Writes a text as UTF-8 by `replacing`; a file that holds it already is not touched."""
    data = text.encode()
    with contextlib.suppress(OSError, ValueError):
        if read_bytes(path, len(data)) == data:
            return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    `OSError` where it cannot be read, `ValueError` for a folder, a pipe or a device, and for a
    larger file, of which nothing is read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > most:
        raise ValueError(f"it has {status.st_size:,} bytes, expected at most {most:,}")
    with path.open("rb") as file:
        return file.read(most)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing, and waits until they are on the disk."""
    missing = []
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        flush(new.parent)


def listed(folder: Path) -> list[Path]:
    """The paths in a folder, sorted; none where it is not there, or is being removed meanwhile."""
    try:
        return sorted(folder / name for name in os.listdir(folder))
    except FileNotFoundError:
        return []


def flush(path: Path) -> None:
    """Waits until what was written to a file, or the names in a folder, are on the disk."""
    if path.is_dir():
        if os.name != "posix":  # where a folder cannot be opened
            return
        descriptor = os.open(path, os.O_RDONLY)
    else:
        descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_writable(folder: Path) -> None:
    """Raises `InputError` unless files can be made in `folder`, which is created if missing."""
    try:
        make_folder(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        file = next((f for f in (folder, *folder.parents) if os.path.isfile(f)), None)
        why = error.strerror if file is None else f"{file} is no folder"
        raise InputError(
            f"The folder {folder} is not writable ({why}); choose another one "
            "(for a command, with --out)."
        ) from None
