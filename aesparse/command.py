"""A command as a whole process: its signals, its exit status, and the sentence it ends with.

All that takes long to import is imported once `run` has taken charge of the signals. Statuses:

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

import errno
import os
import signal
import sys
import time
from collections.abc import Callable

__all__ = ["Stopped", "one_line", "run"]

_PATIENCE = 1.0  # seconds after a signal in which another one changes nothing
_AGAIN = 0.5  # seconds after which `Stopped` is raised again where something swallowed it
_CLOSED = {errno.EPIPE: 128 + 13, errno.EIO: 128 + 1}  # as by SIGPIPE and SIGHUP


class Stopped(BaseException):
    """A signal asked the command to end; no library takes it for an error of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def run(command: Callable[[], int | str | None]) -> None:
    """Runs `command()` as the whole of this process and exits with its status; does not return.

    The command returns an exit status, None for 0; what it raises ends as the table above says.
    A signal raises `Stopped` in it, whose notes follow the word that it was stopped, and ends the
    process at once while something is imported. A second signal within a second is ignored, a
    later one ends the process at once. A signal that is ignored already stays so: SIGHUP under
    `nohup`, SIGINT in a script's background job.
    """
    signals = _Signals()
    signals.install()
    from aesparse.streams import lost_output, prepare_streams

    try:
        prepare_streams()
        status, sentence = _outcome(command)
    except Stopped as stopped:
        signals.ended()
        _say(" ".join([f"\nStopped by {stopped}.", *getattr(stopped, "__notes__", ())]))
        lost_output()  # what has been said until then is shown
        os._exit(stopped.status)  # libraries may take long to clean up, and need not
    signals.ended()
    if status == 0 and (lost := lost_output()):
        status = _CLOSED.get(lost.errno, 2)
        if status == 2:
            sentence = (
                f"The output could not be written ({lost.strerror}); make room or redirect it."
            )
    if sentence:
        _say(f"Error: {one_line(sentence)}")
    sys.exit(status)


class _Signals:
    """The handler of the signals that ask a command to end."""

    def __init__(self) -> None:
        self._number = 0  # of the first signal
        self._since: float | None = None  # that signal, or the end of the command
        self._over = False

    def install(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, self._raise)
        shown = sys.unraisablehook
        sys.unraisablehook = lambda lost: (
            None if issubclass(lost.exc_type, Stopped) else shown(lost)
        )

    def ended(self) -> None:
        """From now on nothing is interrupted."""
        self._over = True
        self._since = self._since or time.monotonic()

    def _stop(self, number: int, frame: object) -> None:
        if self._since is None:
            self._since, self._number = time.monotonic(), number
            if hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
            self._raise(number, frame)
        elif time.monotonic() - self._since > _PATIENCE:
            _exit_at_once(Stopped(number))

    def _raise(self, number: int, frame: object) -> None:
        """Raises `Stopped` unless it has arrived, as callbacks of C libraries may swallow it."""
        if self._over or not self._number:  # an alarm that somebody else sent means nothing
            return
        stopped = Stopped(self._number)
        if _importing(frame):  # modules written in C may not bear it
            _exit_at_once(stopped)
        raise stopped


def _exit_at_once(stopped: Stopped) -> None:
    try:  # not by a stream, which may be in the midst of writing
        os.write(2, f"\nStopped by {stopped}.\n".encode())
    finally:
        os._exit(stopped.status)


def _importing(frame: object) -> bool:
    """Whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _outcome(command: Callable[[], int | str | None]) -> tuple[int, str]:
    """The exit status of a command, and the sentence that goes with it."""
    from aesparse.errors import InputError, NumericsError, first_line
    from aesparse.process import devices_named

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


def one_line(text: str) -> str:
    """Without line breaks, and with what would command a terminal written out."""
    from aesparse.errors import printable

    return printable(" ".join(text.split()))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
