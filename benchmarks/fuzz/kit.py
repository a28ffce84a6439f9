"""One attempt with a damaged input, and what came of it."""

import contextlib
import math
import os
import re
import resource
import signal
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aesparse.command import Stopped
from aesparse.errors import InputError, first_line

__all__ = [
    "FAILURES",
    "LONGEST",
    "OUTCOMES",
    "Attempt",
    "Outcome",
    "attempted",
    "damage",
    "peak_memory",
]

FAILURES = ("wrong number", "traceback", "hangs", "memory")
OUTCOMES = ("refused", "sound", *FAILURES)
LONGEST = 30.0  # seconds of one attempt

_BLOCK = 4096


class Attempt(NamedTuple):
    """A damaged input, ready to be read."""

    what: str  # how the input is damaged, in a few words
    call: Callable[[], object]  # reads it
    # Whether a value that came back is the right one, such as that of the undamaged input.
    sound: Callable[[object], bool] = lambda value: True


class Outcome(NamedTuple):
    """What came of an attempt."""

    kind: str  # one of `OUTCOMES`
    what: str  # how the input is damaged
    message: str  # the sentence of a refusal, the last line of a traceback
    trace: str  # the traceback, empty without one


Target = Callable[[np.random.Generator, Path], Attempt]


def attempted(
    targets: Mapping[str, Target], name: str, number: int, seed: int, longest: float = LONGEST
) -> Outcome:
    """Draws the `number`-th input of the target `name` in a fresh folder, reads it and judges.

    The input follows from `seed`, `name` and `number` alone. "refused" is an `InputError` of one
    line, "sound" a right value; all else is a failure: "wrong number", "traceback", and "hangs"
    after `longest` seconds (main thread only). A signal that ends the command ends this, too.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    # Permissions may have been taken away and folders been made very deep.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _here():
        attempt = targets[name](rng, Path(folder))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _outcome(attempt, longest)


def _outcome(attempt: Attempt, longest: float) -> Outcome:
    try:
        with _limited(longest):
            value = attempt.call()
            sound = attempt.sound(value)
    except InputError as refusal:
        message = str(refusal)
        if message.strip() and len(message.splitlines()) == 1:
            return Outcome("refused", attempt.what, message, "")
        said = f"no message of one line: {message!r}"
        return Outcome("traceback", attempt.what, said, traceback.format_exc())
    except _HangsError:
        said = f"not done after {longest:g} s"
        return Outcome("hangs", attempt.what, said, traceback.format_exc())
    except (KeyboardInterrupt, Stopped):
        raise
    except BaseException as error:
        return Outcome("traceback", attempt.what, first_line(error), traceback.format_exc())
    if sound:
        return Outcome("sound", attempt.what, "", "")
    return Outcome("wrong number", attempt.what, f"came back: {_short(value)}", "")


def _short(value: object) -> str:
    said = " ".join(repr(value).split())
    return said if len(said) <= 200 else f"{said[:200]}…"


class _HangsError(BaseException):
    """The time is up; no library takes it for an error of its own."""


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises `_HangsError` in the block after so many seconds, and once more if it is ignored."""

    def stop(number, frame):
        raise _HangsError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _here() -> Iterator[None]:
    """The working folder after the block is the one before."""
    folder = Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes.

    `getrusage` counts that of the process which started it, too.
    """
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        if found := re.search(r"VmHWM:\s*(\d+) kB", status):
            return 1024 * int(found[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def damage(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """The bytes of a file damaged in one way, and that way in a few words; never as they were."""
    while True:
        what, damaged = _DAMAGES[rng.integers(len(_DAMAGES))](rng, data)
        if damaged != data:
            return what, damaged


def _flipped(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    if not data:
        return "nothing to flip", data
    changed = bytearray(data)
    places = rng.integers(8 * len(data), size=int(rng.integers(1, 9)))
    for place in map(int, places):
        changed[place // 8] ^= 1 << place % 8
    return f"flipped bits {sorted(map(int, places))}", bytes(changed)


def _zeroed(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    begin, end = _block(rng, data)
    zeros = bytes(end - begin)
    return f"zeros in bytes {begin} to {end}", data[:begin] + zeros + data[end:]


def _overwritten(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    begin, end = _block(rng, data)
    noise = rng.bytes(end - begin)
    return f"random bytes {begin} to {end}", data[:begin] + noise + data[end:]


def _replaced(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    return "random bytes instead", rng.bytes(int(rng.integers(1, 2 * _BLOCK)))


def _truncated(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    length = int(rng.integers(len(data) + 1))
    return f"cut to {length} of {len(data)} bytes", data[:length]


def _doubled(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    return "twice in a row", data + data


def _swapped(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    half = len(data) // 2
    size = min(_BLOCK, half)
    first = int(rng.integers(half - size + 1))
    second = int(rng.integers(half, len(data) - size + 1))
    middle = data[first + size : second]
    swapped = data[second : second + size] + middle + data[first : first + size]
    what = f"{size} bytes at {first} and {second} swapped"
    return what, data[:first] + swapped + data[second + size :]


def _emptied(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    return "empty", b""


_DAMAGES = (
    *(_flipped,) * 4,  # the damage that is seen least
    *(_zeroed, _overwritten, _replaced, _truncated, _truncated, _doubled, _swapped, _emptied),
)


def _block(rng: np.random.Generator, data: bytes) -> tuple[int, int]:
    """A block of 4 KiB; of a small file at most half."""
    size = min(_BLOCK, math.ceil(len(data) / 2))
    begin = int(rng.integers(len(data) - size + 1))
    return begin, begin + size
