"""Standard output and error of a command, whatever they lead to."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator

__all__ = ["lost_output", "prepare_streams"]


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


def prepare_streams() -> None:
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
            at_once = stream.write_through  # by python -u
            lines = {"line_buffering": stream.line_buffering, "write_through": at_once}
            setattr(sys, name, _Stream(stream.buffer, stream.encoding, "replace", **lines))


def lost_output() -> OSError | None:
    """Why standard output could not be written, if it could not."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    return getattr(sys.stdout, "lost", None)
