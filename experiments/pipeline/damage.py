"""What a command that only reads passes over, and says at its end."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from aesparse.errors import InputError

__all__ = ["Damage", "require_folder"]


class Damage:
    """The damaged files a command left out: one sentence each, in the order they were read.

    >>> damage = Damage()
    >>> damage("a.json is damaged; repeat the command.")
    >>> damage("a.json is damaged; repeat the command.")
    >>> len(list(damage))
    1
    """

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def __call__(self, sentence: str) -> None:
        """Adds a sentence, unless it was said already."""
        self._sentences[sentence] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sentences)

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Turns an `InputError` inside the block into a sentence of these."""
        try:
            yield
        except InputError as error:
            self(str(error))

    def require_none(self) -> None:
        """`InputError` with all sentences if anything was left out."""
        if self._sentences:
            raise InputError(f"{' '.join(self._sentences)} All else is done.")


def require_folder(out: Path) -> None:
    """`InputError` unless the folder of the figures is there."""
    if not out.is_dir():
        what = "is no folder" if out.exists() else "does not exist"
        raise InputError(
            f"{out} {what}; make a figure first, or give the folder of the figures with --out."
        )
