"""What all commands share: signals, streams, exit statuses, and JAX's settings.

A library must not touch these global settings; a command owns its process. Nothing heavy is
imported here, so that `run` takes charge before the long imports begin. Exit statuses:

====  =====================================================================================
   0  done
   1  a fault of this package, with its traceback
   2  refused, or something failed that the user can mend: one sentence that begins "Error:"
 129  the terminal was closed (SIGHUP)
 130  stopped from the keyboard (SIGINT)
 141  nobody reads the output any more (as by SIGPIPE; without a word)
 143  asked to end (SIGTERM)
====  =====================================================================================
"""

import contextlib
import errno
import io
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from aesparse.errors import InputError, NumericsError, first_line
from aesparse.files import require_writable

__all__ = ["Stopped", "devices_named", "prepare", "run"]

_PATIENCE = 1.0  # seconds after a signal in which another one changes nothing
_CLOSED = {errno.EPIPE: 128 + 13, errno.EIO: 128 + 1}  # as by SIGPIPE and SIGHUP


class Stopped(BaseException):
    """A signal asked the command to end; no library takes it for an error of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def run(command: Callable[[], int | str | None]) -> NoReturn:
    """Runs `command()` as the whole of this process and exits with its status.

    The command returns an exit status, None for 0; what it raises ends as the table above says.
    Signals raise `Stopped` in it, whose notes follow the word that it was stopped; a second one
    within a second is ignored, a later one ends the process at once. A SIGHUP that is ignored
    already (`nohup`) stays so.
    """
    signals = _Signals()
    signals.install()
    sentence = ""
    try:
        _prepare_streams()
        status, sentence = _outcome(command)
    except Stopped as stopped:
        status = stopped.status
        _say(" ".join([f"\nStopped by {stopped}.", *getattr(stopped, "__notes__", ())]))
    signals.ended()
    if status == 0 and (lost := _lost_output()):
        status = _CLOSED.get(lost.errno, 2)
        if status == 2:
            sentence = (
                f"The output could not be written ({lost.strerror}); make room or redirect it."
            )
    if sentence:
        _say(f"Error: {_one_line(sentence)}")
    sys.exit(status)


class _Signals:
    """The handler of the signals that ask a command to end."""

    def __init__(self) -> None:
        self._since: float | None = None  # the first signal, or the end of the command

    def install(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            ignored = name == "SIGHUP" and number and signal.getsignal(number) is signal.SIG_IGN
            if number is not None and not ignored:
                signal.signal(number, self._stop)

    def ended(self) -> None:
        """From now on nothing is interrupted."""
        self._since = self._since or time.monotonic()

    def _stop(self, number: int, frame: object) -> None:
        if self._since is None:
            self._since = time.monotonic()
            raise Stopped(number)
        if time.monotonic() - self._since > _PATIENCE:
            os._exit(128 + number)


def _outcome(command: Callable[[], int | str | None]) -> tuple[int, str]:
    """The exit status of a command, and the sentence that goes with it."""
    try:
        with devices_named():
            return command() or 0, ""
    except SystemExit as ended:
        return (2, ended.code) if isinstance(ended.code, str) else (ended.code or 0, "")
    except (InputError, NumericsError) as error:
        return 2, str(error)
    except MemoryError as error:
        return 2, _no_memory(f"The machine's memory is full ({first_line(error)})")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("aesparse", "experiments"):
            raise
        return 2, _missing(error.name)
    except OSError as error:
        if error is getattr(sys.stdout, "lost", None):
            return 0, ""  # `run` finds out
        where = f"{error.filename}: " if error.filename else ""
        return 2, (
            f"{where}{error.strerror or first_line(error)}. What was stored before is intact; "
            "check the path, its permissions and the room on the disk, and repeat the command."
        )
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return 2, _no_memory(f"A device's memory is full ({first_line(error)})")


def _no_memory(what: str) -> str:
    return (
        f"{what}. Train fewer models at once (models_per_program=) or smaller ones; "
        "`python -m aesparse plan` says what fits."
    )


def _missing(module: str) -> str:
    if module in ("fcntl", "resource"):
        return f"Python has no module '{module}' here; use Linux, macOS, or WSL on Windows."
    return (
        f"The Python module '{module}' is not installed; install what the package needs "
        "(pip install . in a copy of the repository). `python -m aesparse doctor` lists it."
    )


def _one_line(text: str) -> str:
    """Without line breaks, and with what would command a terminal written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


class _Stream(io.TextIOWrapper):
    """A standard stream that remembers why it could not be written, and then leads nowhere.

    Standard output raises the error, once; standard error, on which no result stands, does not.
    """

    lost: OSError | None = None

    def write(self, text: str) -> int:
        with self._watched():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._watched():
            super().flush()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if self.fileno() == 1:
                raise


def _prepare_streams() -> None:
    """Closed streams lead nowhere, and letters that a terminal lacks are shown as "?"."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # else the next file that is opened would get its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            buffer = open(descriptor, "wb", closefd=False)  # noqa: SIM115
            setattr(sys, name, _Stream(buffer, "utf-8", "replace"))
        elif stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            buffer, lines = stream.buffer, stream.line_buffering
            setattr(sys, name, _Stream(buffer, stream.encoding, "replace", line_buffering=lines))


def _lost_output() -> OSError | None:
    """Why standard output could not be written, if it could not."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return getattr(sys.stdout, "lost", None)


def prepare() -> None:
    """Call before JAX is used; settings the user made are left as they are.

    Programs compiled once are read from the user's cache folder (and checked by the numerics
    guard like any other), if it can be written. A CPU becomes one device per core: models trained
    side by side, each by one core, are faster than models trained in turn by all cores (see
    `benchmarks/step.py`). `InputError` if JAX cannot be imported.
    """
    try:
        import jax
    except Exception as error:  # a jaxlib that does not fit raises what it likes
        raise InputError(
            f"JAX cannot be imported ({first_line(error)}); install jax and jaxlib of one version "
            "(pip install jax). `python -m aesparse doctor` says what is there."
        ) from None
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that a home cannot be written
    # A cache that is full, or read while it is written, costs time alone.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    if jax.config.jax_compilation_cache_dir is None and (folder := _cache_folder()):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if jax.config.jax_num_cpu_devices < 1 and not chosen:
        with contextlib.suppress(RuntimeError):  # JAX is in use already: as many as it has
            jax.config.update("jax_num_cpu_devices", _cores())


def _cache_folder() -> Path | None:
    """Where compiled programs are kept; None for a user without a home, or with a read-only one."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "aesparse"
        require_writable(folder)
    except (RuntimeError, InputError):
        return None
    return folder


@contextlib.contextmanager
def devices_named() -> Iterator[None]:
    """A context in which JAX without the devices it was asked for gives an `InputError`.

    They are looked for only after a failure: a command that needs none leaves them alone.
    """
    try:
        yield
    except (AssertionError, RuntimeError):
        if "jax" in sys.modules:
            _require_devices()
        raise


def _require_devices() -> None:
    import jax

    try:
        jax.devices()
    except (AssertionError, RuntimeError):
        raise InputError(
            f"JAX_PLATFORMS is '{jax.config.jax_platforms}', but JAX finds no such device "
            "here; expected one that is present. Unset it, or install JAX for that device, "
            "such as jax[cuda13]."
        ) from None


def _cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
