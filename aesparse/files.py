"""Files that are written all or nothing."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aesparse.errors import InputError

__all__ = ["UNFINISHED", "readable_failure", "replacing", "require_writable"]

UNFINISHED = ".unfinished-"  # prefix of a file that is being written


@contextlib.contextmanager
def readable_failure() -> Iterator[None]:
    """Turns a full disk and its like into one sentence."""
    try:
        yield
    except OSError as error:
        where = error.filename or "the output"
        raise InputError(
            f"{where} could not be written ({error.strerror or error}); what was stored before is "
            "intact. Make room and repeat the command."
        ) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block succeeds.

    It is on the disk when the block has ended, so that a power cut leaves the one or the other.
    `InputError` where the file cannot be written; what was there before is then untouched.
    """
    with readable_failure():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=path.suffix)
        os.close(handle)
        try:
            yield Path(name)
            os.chmod(name, 0o644)
            _flush(Path(name))
            os.replace(name, path)
            if os.name == "posix":  # elsewhere a folder cannot be opened
                _flush(path.parent)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _flush(path: Path) -> None:
    """Waits until what was written to a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_writable(folder: Path) -> None:
    """Raises `InputError` unless files can be made in `folder`, which is created if missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(
            f"The folder {folder} is not writable ({error.strerror}); choose another one "
            "(for a command, with --out)."
        ) from None
