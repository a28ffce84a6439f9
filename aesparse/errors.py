"""The one error type for bad input, and the sentence for an unknown name."""

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "first_line", "unknown_name"]


class InputError(ValueError):
    """Bad input: the message says what came, what was expected and what to do."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a `name` that is not among the `known` ones, near matches first."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "choose one of them."
    return InputError(f"Unknown {kind} '{name}': known are {', '.join(known)}; {hint}")


def first_line(error: BaseException) -> str:
    """A user's error in one line: its type and the beginning of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
