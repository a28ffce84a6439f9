"""The error types of the package, and the sentences of errors.

>>> import aesparse as ae
>>> try:
...     ae.OneLayer(0)
... except InputError as error:
...     print(error)
hidden is 0; expected an integer of at least 1.
>>> issubclass(InputError, ValueError), issubclass(NumericsError, RuntimeError)
(True, True)
"""

import contextlib
import difflib
from collections.abc import Iterable, Iterator

__all__ = [
    "InputError",
    "NumericsError",
    "first_line",
    "printable",
    "reason",
    "running",
    "unknown_name",
]


class InputError(ValueError):
    """Bad input: the message says what came, what was expected and what to do."""


class NumericsError(RuntimeError):
    """A compiled program disagrees with the same step evaluated op by op."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a `name` that is not among the `known` ones, near matches first.

    `kind` says what the name is of.

    >>> print(unknown_name("penalty", "caee", ["cae", "sae"]))
    Unknown penalty 'caee': known are cae, sae; did you mean cae or sae?
    """
    known, shown = sorted(known), repr(str(name))
    shown = shown if len(shown) <= 100 else f"{shown[:100]}…"
    near = difflib.get_close_matches(str(name).lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "choose one of them."
    return InputError(f"Unknown {kind} {shown}: known are {', '.join(known)}; {hint}")


def first_line(error: BaseException) -> str:
    """A user's `error` in one line: its type and the beginning of what it says.

    >>> first_line(ValueError("no such place"))
    'ValueError: no such place'
    """
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def reason(error: BaseException) -> str:
    """Why a file cannot be read, from its `error`, in one line.

    With the type of the error only where that says more.

    >>> reason(ValueError("its checksum does not match")), reason(KeyError("spec"))
    ('its checksum does not match', "KeyError: 'spec'")
    """
    said = getattr(error, "strerror", None) or (str(error) if type(error) is ValueError else "")
    return said.strip().splitlines()[0] if said.strip() else first_line(error)


def printable(text: str) -> str:
    """A text with what would command a terminal, line breaks too, written out.

    >>> print(printable("two\\nlines"))
    two\\nlines
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@contextlib.contextmanager
def running(what: str, expected: str) -> Iterator[None]:
    """While a user's function runs: whatever it raises is the cause in one `InputError`.

    `what` says what fails and begins the sentence, `expected` ends it. An `InputError` stays.

    >>> try:
    ...     with running("The penalty fails", "a number."):
    ...         1 / 0
    ... except InputError as error:
    ...     print(error)
    The penalty fails (ZeroDivisionError: division by zero); expected a number.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} ({first_line(error)}); expected {expected}") from None
