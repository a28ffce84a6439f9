"""How long runs still take, from how long those before them took in the same command.

A grid takes some seconds to start and to end, more if its program is new (which is then compiled
and checked), and for every epoch seconds in proportion to its cost. A study takes some seconds,
and as many per cost as a grid. These are means over the latest runs, the one in training included.
Nothing is expected before two epochs of a grid are over, or, where there are no grids, a study.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from experiments.pipeline.spec import Spec

__all__ = ["Remaining"]

_LATEST = 10  # groups that means are taken over: machines become busier, and runs larger


class _Group:
    """Runs that are computed together, and when they began, were at two epochs, and ended."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        first = specs[0]
        self.specs, self.grid, self.epochs = tuple(specs), first.kind == "grid", first.parts
        self.program = first.program, len(specs)
        self.cost = sum(spec.cost for spec in specs)
        self.new = True  # whether its program is
        self.begin = self.end = 0.0
        self.first: tuple[int, float] | None = None  # epoch and time; may follow a checkpoint
        self.last: tuple[int, float] | None = None

    @property
    def measured(self) -> bool:
        """Whether the seconds of an epoch are known."""
        return self.first is not None and self.last[0] > self.first[0]

    @property
    def each(self) -> float:
        """Seconds of an epoch."""
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])

    @property
    def rest(self) -> float:
        """Seconds of all but the epochs, up to the end; in progress, up to the latest epoch."""
        epochs = self.last[0] - self.first[0] + 1
        return max(max(self.end, self.last[1]) - self.begin - epochs * self.each, 0.0)


class Remaining:
    """The time left for groups of runs, each of which is computed in one piece, in this order.

    Call `begin` and `end` around each, and `epoch` after each epoch of a grid.
    """

    def __init__(
        self, groups: Sequence[Sequence[Spec]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._left = clock, [_Group(specs) for specs in groups]
        self._done: list[_Group] = []
        self._current: _Group | None = None
        self._begin = clock()

    def begin(self, specs: Sequence[Spec]) -> None:
        """These runs, one of the groups, begin."""
        self._current = self._of(specs)
        self._left.remove(self._current)
        self._current.begin = self._clock()
        self._current.new = self._current.program not in {g.program for g in self._done}

    def epoch(self, number: int) -> None:
        """An epoch of the grid that was begun is over."""
        self._current.last = number, self._clock()
        self._current.first = self._current.first or self._current.last

    def end(self, *, computed: bool = True) -> None:
        """The group that was begun is over; unless `computed`, its time is not that of others."""
        self._current.end = self._clock()
        if computed:
            self._done.append(self._current)
        self._current = None

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._begin

    @property
    def seconds(self) -> float | None:
        """What all that is left takes, the group in progress included; None if not known yet."""
        groups = [group for group in (self._current, *self._left) if group is not None]
        rates, compiled, total = self._rates(groups), {g.program for g in self._done}, 0.0
        for group in groups:
            expected = rates.expected(group, group.cost, new=group.program not in compiled)
            if expected is None:
                return None
            compiled.add(group.program)
            total += self._rest_of_current(expected) if group is self._current else expected
        return total

    def until_saved(self, specs: Sequence[Spec]) -> float | None:
        """What a group takes up to its first checkpoint, or to its end; None if not known yet."""
        group = self._of(specs)
        new = group.program not in {g.program for g in self._done}
        return self._rates([group]).expected(group, group.cost / group.epochs, new=new)

    def _of(self, specs: Sequence[Spec]) -> _Group:
        return next(group for group in self._left if group.specs == tuple(specs))

    def _rest_of_current(self, expected: float) -> float:
        group = self._current
        if group.measured:
            return (group.epochs - group.last[0]) * group.each
        return max(expected - (self._clock() - group.begin), 0.0)

    def _rates(self, to_do: Sequence[_Group]) -> "_Rates":
        grids = [g for g in (*self._done, self._current) if g is not None and g.measured]
        studies = [g for g in self._done if not g.grid][-_LATEST:]
        if grids:
            latest = grids[-_LATEST:]
            per_cost = sum(g.each for g in latest) / sum(g.cost / g.epochs for g in latest)
            new, again = (_mean([g.rest for g in grids if g.new is new]) for new in (True, False))
            rests = [max(g.end - g.begin - per_cost * g.cost, 0.0) for g in studies]
            return _Rates(per_cost, new, again, _mean(rests) if studies else new)
        if studies and not any(g.grid for g in to_do):
            return _Rates(sum(g.end - g.begin for g in studies) / sum(g.cost for g in studies))
        return _Rates()


def _mean(values: Sequence[float]) -> float:
    """That of the latest; 0 if there are none."""
    latest = values[-_LATEST:]
    return sum(latest) / max(1, len(latest))


class _Rates(NamedTuple):
    """Seconds per cost; and apart from it, of a grid with a new program or another, of a study."""

    per_cost: float | None = None
    new: float = 0.0
    again: float = 0.0
    study: float = 0.0

    def expected(self, group: _Group, cost: float, *, new: bool) -> float | None:
        """The seconds of a group, of so much of its cost; None while no rate is known."""
        if self.per_cost is None:
            return None
        rest = self.study if not group.grid else self.new if new else self.again
        return rest + self.per_cost * cost
