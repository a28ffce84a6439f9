"""Drawing the figures of a command: each as soon as the last run it waits for is stored."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from aesparse.errors import InputError
from experiments.pipeline.damage import Damage
from experiments.pipeline.deadline import Deadline
from experiments.pipeline.plan import Plan, Shard
from experiments.pipeline.record import publish
from experiments.pipeline.registry import gathered, get_figure
from experiments.pipeline.spec import Spec, some_keys
from experiments.pipeline.store import RunStore

__all__ = ["Pictures"]


class Pictures:
    """The figures that are not drawn yet, each with its plan, and the runs they wait for.

    `missing` are the runs that are to be trained; nothing is drawn once the `deadline` has passed.
    """

    def __init__(
        self,
        plans: Mapping[str, Plan],
        missing: Sequence[Spec],
        store: RunStore,
        folder: Path,
        deadline: Deadline,
    ) -> None:
        self._plans, self._store, self._folder = plans, store, folder
        self._deadline, missing = deadline, set(missing)
        self.fault: Exception | None = None  # of a figure's own code, the first in `draw_rest`
        self._waits = {}
        for name, plan in plans.items():
            figure = get_figure(name)
            self._waits[name] = missing & {*figure.runs(plan), *figure.also(plan)}

    def draw_after(self, stored: Spec | None) -> None:
        """Draws the figures whose last missing run was just stored; None: that never missed one.

        Whatever fails does not stop the training of others, and is tried again by `draw_rest`.
        """
        for name in self._ready(stored):
            with contextlib.suppress(Exception):
                runs = self._runs(name)
                complete = all(run is not None for run in runs.values())
                if complete and not self._deadline.passed:
                    self._draw(name, runs)

    def _ready(self, stored: Spec | None) -> list[str]:
        ready = []
        for name, waits in self._waits.items():
            if waits == ({stored} - {None}):
                ready.append(name)
            waits.discard(stored)
        return ready

    def draw_rest(self, shard: Shard | None, damage: Damage, *, stored_only: bool) -> None:
        """Draws what is left, or prints which runs it lacks.

        With `stored_only` a `partial` figure is drawn from some of its runs, and one figure alone
        that lacks runs is an `InputError`.
        The `InputError` of a figure is a sentence for `damage`, or is raised if it is the only one;
        `fault` is the first other exception. All other figures are drawn.
        """
        for name in list(self._waits):
            runs = self._runs(name)
            absent = [spec for spec, run in runs.items() if run is None]
            partial = stored_only and get_figure(name).partial and len(absent) < len(runs)
            if absent and not partial:
                total = len(get_figure(name).runs(self._plans[name]))
                sentence = _undrawn(name, absent, total, shard)
                if stored_only and len(self._plans) == 1:
                    raise InputError(f"{sentence} The same command without --stored trains them.")
                print(sentence)
            elif self._deadline.passed:
                print(f"{name} is not drawn: the time is up.")
            else:
                try:
                    self._draw(name, runs)
                except InputError as error:
                    if len(self._plans) == 1:
                        raise
                    damage(f"{name} was not drawn: {error}")
                except Exception as error:
                    self.fault = self.fault or error

    def _runs(self, name: str) -> dict:
        """What is stored of a figure's runs, None for those that are not."""
        return gathered(get_figure(name), self._plans[name], self._store)

    def _draw(self, name: str, runs: dict) -> None:
        publish(get_figure(name), name, self._plans[name], runs, self._folder)
        del self._waits[name]


def _undrawn(name: str, absent: Sequence[Spec], total: int, shard: Shard | None) -> str:
    if shard is None:
        missing = f"{len(absent)} of {total} runs of {name} are missing ({some_keys(absent)})"
        return f"{missing}; it is not drawn."
    return (
        f"Shard {shard} is done; {len(absent)} of {total} runs of {name} are still missing. When "
        "the other shards are done, the same command without --shard draws."
    )
