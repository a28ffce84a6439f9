"""Progress of a command's runs: a bar with the time left on a terminal, a few lines in a log."""

import contextlib
import enum
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from aesparse.files import readable_failure
from aesparse.tables import BAR_SECONDS, LOG_SECONDS, bar_room, duration, hours_and_minutes
from experiments.pipeline.remaining import Remaining
from experiments.pipeline.spec import GridSpec, Spec

__all__ = ["Detail", "Progress"]

_BAR = "{desc} {percentage:3.0f}% {bar} {elapsed}{postfix}"


class Detail(enum.Enum):
    """How much a command says of its progress."""

    QUIET = "nothing"
    USUAL = "a bar; in a log a line per run, and one every 30 s of a run"
    VERBOSE = "a line per epoch"


class Progress:
    """What is done of groups of runs, each computed in one piece; use it as a context.

    Writes to standard error as `detail` says, and every epoch to a log file. Call `begin` and `end`
    around each group, and `epoch` after each epoch of a grid. `clock` gives seconds.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Spec]],
        detail: Detail = Detail.USUAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.remaining = Remaining(groups, clock)
        self._clock, self._detail, self._total, self._number = clock, detail, len(groups), 0
        self._label, self._state, self._todo, self._log = "", "", (), None
        self._begin = self._said = clock()
        self._bar, self._watch = None, None
        self._ended, self._lock = threading.Event(), threading.RLock()

    def __enter__(self) -> "Progress":
        on_terminal = sys.stderr.isatty() and self._detail is Detail.USUAL
        if on_terminal and self._total:
            from tqdm import tqdm

            self._bar = tqdm(total=1.0, bar_format=_BAR, **bar_room())
        if self._total and self._detail is not Detail.QUIET:
            self._watch = threading.Thread(target=self._look, daemon=True)
            self._watch.start()
        return self

    def __exit__(self, *exception) -> None:
        self._ended.set()
        if self._watch is not None:
            self._watch.join(1.0)
        if self._bar is not None:
            self._bar.close()

    def begin(self, group: Sequence[Spec], todo: Sequence[Spec], log: Path) -> None:
        """One of the groups begins; `todo` are those of its runs that are not stored meanwhile.

        Those of a grid leave a line per epoch in the file `log`.
        """
        with self._lock:
            self.remaining.begin(group)
            self._number, self._todo, self._log = self._number + 1, todo, log
            label, seeds = group[0].label.strip(), ", ".join(str(spec.seed) for spec in group)
            self._label = f"[{self._number}/{self._total}] {label} seed {seeds}"
            self._begin, self._state = self._clock(), ""
            self.tick(line=self._bar is not None)

    def epoch(self, number: int, measured) -> None:
        """An epoch of the current grid is over; `measured` are its models', by their names."""
        fraction = np.asarray(measured["metrics"].activation_fraction)
        by_seed = fraction.reshape(-1, len(self._todo)).T  # of a grid of strengths × seeds
        for spec, of_seed in zip(self._todo, by_seed, strict=True):
            self._write(spec, number, of_seed)
        known = fraction[np.isfinite(fraction)]
        active = f", active {known.min():.3f}–{known.max():.3f}" if known.size else ", diverged"
        with self._lock:
            self.remaining.epoch(number)
            self._state = f"epoch {number} of {self._todo[0].epochs}{active}"
            self.tick(line=self._detail is Detail.VERBOSE)

    def end(self, *, left_out: bool = False) -> None:
        """The group that was begun is over, or none of its runs could be made."""
        with self._lock:
            self.remaining.end(computed=bool(self._todo) and not left_out)
            took = duration(self._clock() - self._begin)
            self._state = f"done in {took}" if self._todo else "was made meanwhile"
            if left_out:
                self._state = "left out"
            self.tick(line=True)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """A context in which the command prints something else, above the bar."""
        if self._bar is None:
            yield
        else:
            with self._bar.external_write_mode(sys.stdout):
                yield

    def tick(self, *, line: bool = False) -> None:
        """Shows how things stand if a `line` is asked for, or if the last one is old."""
        with self._lock:
            if self._detail is Detail.QUIET:
                return
            apart = LOG_SECONDS if self._bar is None else BAR_SECONDS
            if not line and self._clock() - self._said < apart:
                return
            self._said, left = self._clock(), self.remaining.seconds
            time_left = "not known yet" if left is None else hours_and_minutes(left)
            state = [f"time left: {time_left}", *([self._state] if self._state else [])]
            if self._bar is None:
                with contextlib.suppress(OSError):  # whoever read it is gone; the runs go on
                    print(
                        f"{self._label}: {'; '.join(reversed(state))}", file=sys.stderr, flush=True
                    )
                return
            elapsed = self.remaining.elapsed
            self._bar.n = 0.0 if left is None else elapsed / max(elapsed + left, 1e-9)
            self._bar.set_description_str(self._label, refresh=False)
            self._bar.set_postfix_str("; ".join(state))  # a narrow terminal shows its beginning

    def _look(self) -> None:
        """Shows now and then how things stand, also of a run that reports no epochs."""
        while not self._ended.wait(1.0):
            self.tick()

    def _write(self, spec: GridSpec, number: int, fraction: np.ndarray) -> None:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "run": spec.key,
            "epoch": number,
            "epochs": spec.epochs,
            "active": [round(float(f), 4) if np.isfinite(f) else None for f in fraction],
        }
        with readable_failure(self._log), self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
