"""A command that is given some minutes: what it still begins, and where it stops."""

import time

import numpy as np

from aesparse.errors import InputError
from aesparse.training.checkpoints import Checkpoints

__all__ = ["Deadline", "OutOfTimeError", "TimedCheckpoints"]


class OutOfTimeError(Exception):
    """The deadline has passed; what was being trained has just left a checkpoint."""


class Deadline:
    """The end of a command's time.

    `minutes` None means no end. `InputError` unless they are a finite number > 0.
    """

    def __init__(self, minutes: float | None = None) -> None:
        if minutes is not None and not (np.isfinite(minutes) and minutes > 0):
            raise InputError(f"--minutes is {minutes:g}; expected a finite number > 0, such as 9.")
        self._end = np.inf if minutes is None else time.monotonic() + 60 * minutes

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    def allows(self, seconds: float | None) -> bool:
        """Whether what takes so many seconds ends in time; if unknown (None), whether it may begin.

        For work that leaves checkpoints, the seconds are those up to the first.
        """
        return time.monotonic() + (seconds or 0.0) < self._end


class TimedCheckpoints(Checkpoints):
    """Checkpoints of a training that stops, after a save, once its deadline has passed.

    The options are those of `Checkpoints`.
    """

    def __init__(self, folder, identity, *, deadline: Deadline, **options) -> None:
        super().__init__(folder, identity, **options)
        self._deadline, self._options = deadline, options

    def part(self, number: int) -> "TimedCheckpoints":
        """Checkpoints of the number-th of several consecutive trainings."""
        of_part = TimedCheckpoints(
            self.folder / f"part-{number}",
            self.identity,
            deadline=self._deadline,
            **self._options,
        )
        self._parts.append(of_part)
        return of_part

    @property
    def due(self) -> bool:
        """Whether a save is wanted: the last one lies far back, or the time is up."""
        return self._deadline.passed or super().due

    def save(self, epoch: int, tree, *, settings=None) -> None:
        """Saves `tree`; then raises `OutOfTimeError` if the time is up."""
        super().save(epoch, tree, settings=settings)
        if self._deadline.passed:
            raise OutOfTimeError
