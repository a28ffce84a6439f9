"""Progress of training: a bar with the time left on a terminal, a line per epoch when piped."""

import sys
import time

import numpy as np

__all__ = ["Progress"]


class Progress:
    """Counts what is still to be trained, in epochs of one cell; writes to standard error."""

    def __init__(self, cell_epochs: int) -> None:
        self._total, self._done, self._begin = cell_epochs, 0, time.monotonic()
        self._label, self._cells = "", 1
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=cell_epochs, unit="cell·epoch", dynamic_ncols=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception) -> None:
        if self._bar is not None:
            self._bar.close()

    def run(self, label: str, cells: int) -> None:
        """Names the run that the next epochs belong to, and how many cells an epoch trains."""
        self._label, self._cells = label, cells
        if self._bar is not None:
            self._bar.set_description(label)

    def epoch(self, number: int, metrics) -> None:
        """One epoch of the current run is done; its metrics are those of a grid."""
        self._done += self._cells
        fraction = np.asarray(metrics.activation_fraction)
        span = f"{np.nanmin(fraction):.3f}–{np.nanmax(fraction):.3f}"
        if self._bar is not None:
            self._bar.set_postfix_str(f"active {span}")
            self._bar.update(self._cells)
            return
        left = (time.monotonic() - self._begin) / self._done * (self._total - self._done)
        print(
            f"{self._label}: epoch {number}, active {span}, "
            f"{self._done / self._total:.0%} done, about {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
