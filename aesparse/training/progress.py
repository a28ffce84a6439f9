"""How far a training is, for the person who waits: a bar by tqdm on a terminal or in a notebook.

Nothing is called from within a compiled program: its numbers are the same with a bar and without.
"""

import sys

import jax
import numpy as np
from jaxtyping import Array, Float

from aesparse.tables import BAR_SECONDS, LOG_SECONDS, bar_room

__all__ = ["Progress"]


_LINE = "{l_bar}{bar:10}{r_bar}\n"  # in a log


class Progress:
    """The steps done of several parts of equal length, shown as a bar, or not at all.

    Per part come the stages before its first step, `resumed` where a checkpoint held steps,
    `reached` for its steps, and `part_done`; `close` at the end, also after an error. The time left
    counts neither compilation nor steps that were resumed.
    """

    def __init__(self, *, shown: bool, parts: int, each: int, unit: str) -> None:
        self._parts, self._each = parts, each
        self._part, self._begin = 0, 0  # the part, and the steps before it
        self._last: tuple[int, Array] | None = None  # dispatched, perhaps not computed yet
        self._bar = None
        if shown:
            from tqdm.auto import tqdm

            self._overwrites = sys.stderr.isatty() or "ipykernel" in sys.modules
            self._bar = tqdm(
                total=parts * each,
                unit=f" {unit}",
                mininterval=BAR_SECONDS if self._overwrites else LOG_SECONDS,
                miniters=1,
                bar_format=None if self._overwrites else _LINE,
                **bar_room(),
            )

    def stage(self, name: str) -> None:
        """Names what a part does now, such as compiling."""
        if self._bar is not None:
            part = f"part {self._part + 1} of {self._parts}, " if self._parts > 1 else ""
            self._bar.set_description_str(part + name, refresh=self._overwrites)

    def resumed(self, steps: int) -> None:
        """The part goes on after so many steps."""
        if self._bar is not None:
            for count in ("n", "initial", "last_print_n"):  # these steps took no time
                setattr(self._bar, count, getattr(self._bar, count) + steps)

    def reached(self, steps: int, loss: Float[Array, " C"]) -> None:
        """So many steps of the part are done when `loss`, that of its models, is computed.

        Waits for the steps before these alone, so that the devices are never without work.
        """
        if self._bar is None:
            return
        if self._last is None:
            self.stage("training")
            self._bar.unpause()
        self._show_last()
        self._last = steps, loss

    def part_done(self) -> None:
        """The part needs no more steps, and is measured."""
        if self._bar is None:
            return
        self._show_last()
        self.stage("measuring")
        self._bar.total = self._bar.n + (self._parts - self._part - 1) * self._each
        self._part, self._begin, self._last = self._part + 1, self._bar.n, None

    def close(self) -> None:
        """Leaves the bar as it is, without the name of a stage if all steps are done."""
        if self._bar is not None:
            if self._bar.n >= self._bar.total:
                self._bar.set_description_str("", refresh=False)
            self._bar.close()

    def _show_last(self) -> None:
        if self._last is None:
            return
        steps, loss = self._last
        here = [shard.data for shard in jax.block_until_ready(loss).addressable_shards]
        values = np.concatenate([np.asarray(values) for values in here])
        finite = values[np.isfinite(values)]
        state = f"loss {finite.min():.3g} to {finite.max():.3g}" if finite.size else "all diverged"
        self._bar.set_postfix_str(state, refresh=False)
        self._bar.update(self._begin + steps - self._bar.n)
