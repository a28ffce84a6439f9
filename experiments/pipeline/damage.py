"""What a command passes over, and says at its end."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from aesparse.command import one_line
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

    def say(self) -> None:
        """Writes the sentences to standard error, each in a line of its own."""
        for sentence in self:
            print(one_line(sentence), file=sys.stderr)

    def require_none(self, rest: str = "All else is done.") -> None:
        """`InputError` if anything was left out: with the only sentence, or else after all of them.

        `rest` is the sentence it ends with.
        """
        if len(self._sentences) > 1:
            self.say()
            raise InputError(f"{len(self._sentences)} problems are named above. {rest}")
        for sentence in self:
            raise InputError(f"{sentence} {rest}")


def require_folder(out: Path) -> None:
    """`InputError` unless the folder of the figures is there."""
    if not os.path.isdir(out):
        what = "is no folder" if os.path.exists(out) else "does not exist"
        raise InputError(
            f"{out} {what}; make a figure first, or give the folder of the figures with --out."
        )
