"""Progress of training: a bar with the time left on a terminal, a line per epoch when piped."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aesparse.files import readable_failure
from experiments.pipeline.spec import GridSpec

__all__ = ["Progress"]


class Progress:
    """Counts what is still to be trained, by its cost; writes to standard error and to a log."""

    def __init__(self, costs: Sequence[float], log: Path) -> None:
        self._total, self._done, self._begin = sum(costs), 0.0, time.monotonic()
        self._costs, self._log = iter(costs), log
        self._label, self._specs, self._each = "", (), 0.0
        self._resumed = 0.0
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            form = "{desc} {percentage:3.0f}% {bar} {elapsed}, {remaining} left{postfix}"
            self._bar = tqdm(total=self._total, bar_format=form, dynamic_ncols=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception) -> None:
        if self._bar is not None:
            self._bar.close()

    def whole(self, label: str) -> None:
        """Starts a task without progress of its own, until it is `done`."""
        self._label, self._each = label, next(self._costs)
        if self._bar is not None:
            self._bar.set_description_str(label)

    def done(self) -> None:
        """What `whole` named is done."""
        self._done += self._each
        self._show("")

    def run(self, label: str, specs: Sequence[GridSpec]) -> None:
        """Names the next runs, one per seed of a grid, whose epochs are told by `epoch`."""
        self._label, self._specs, cost = label, specs, next(self._costs)
        self._each, self._expected = cost / specs[0].epochs, 1
        if self._bar is not None:
            self._bar.set_description_str(label)

    def epoch(self, number: int, measured) -> None:
        """One epoch of the current run is done; `measured` are its models', by their names."""
        if number > self._expected:  # the earlier ones were found in a checkpoint
            skipped = self._each * (number - self._expected)
            self._done += skipped
            self._resumed += skipped
        self._expected = number + 1
        self._done += self._each
        fraction = np.asarray(measured["metrics"].activation_fraction)
        by_seed = fraction.reshape(-1, len(self._specs)).T  # of a grid of strengths × seeds
        for spec, of_seed in zip(self._specs, by_seed, strict=True):
            self._write(spec, number, of_seed)
        self._show(f"epoch {number}, active {np.nanmin(fraction):.3f}–{np.nanmax(fraction):.3f}")

    def _show(self, state: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(state, refresh=False)
            self._bar.initial, self._bar.n = self._resumed, self._done
            self._bar.refresh()
            return
        speed = (self._done - self._resumed) / (time.monotonic() - self._begin)
        left = (self._total - self._done) / speed
        print(
            f"{self._label}: {state}{', ' if state else ''}"
            f"{self._done / self._total:.0%} done, about {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def _write(self, spec: GridSpec, number: int, fraction: np.ndarray) -> None:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "run": spec.key,
            "epoch": number,
            "epochs": spec.epochs,
            "active": [round(float(f), 4) if np.isfinite(f) else None for f in fraction],
        }
        with readable_failure(), self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
