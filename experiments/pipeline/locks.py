"""Locks on files, by which commands that write the same runs keep out of each other's way.

A lock ends with its process, however that ends. Only POSIX has such locks.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from aesparse.errors import InputError
from aesparse.files import readable_failure

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["holder", "locked", "waiting"]

_INSTANT = 0.1  # seconds, more than `holder` holds a lock that it looks at


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Holds the lock on a file, alone or with others that share it.

    `InputError`, which names the process that holds it, if it is taken, and where the operating
    system has no such locks.
    """
    _require_locks()
    with contextlib.ExitStack() as stack:
        with readable_failure(path):
            lock = stack.enter_context(path.open("ab+", buffering=0))
            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            if not _taken(lock, how):
                lock.seek(0)
                process = lock.read().decode(errors="replace").strip() or "?"
                raise InputError(
                    f"{path.parent} is being written by process {process}; wait for it, or choose "
                    "another folder with --out."
                )
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        yield


def _taken(lock, how: int) -> bool:
    """Takes a lock, if need be an instant later; False if another process holds it."""
    for pause in (_INSTANT, 0.0):
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(pause)
    return False


@contextlib.contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Holds the lock on a file alone, once others have released it; then deletes the file."""
    _require_locks()
    with readable_failure(path):
        lock = path.open("ab")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)


def holder(path: Path) -> str | None:
    """What the process that holds a lock wrote into it; None if no process holds it."""
    if fcntl is None:
        return None
    with contextlib.suppress(OSError), path.open(encoding="utf-8", errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "?"
    return None


def _require_locks() -> None:
    if fcntl is None:
        raise InputError(
            "This operating system has no POSIX file locks, by which commands that write keep out "
            "of each other's way; run the experiments on Linux or macOS, or under WSL. The library "
            "and the commands that only read work here."
        )
