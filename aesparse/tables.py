"""What commands show: results as lines and tables of Markdown, times, and the room of a bar."""

import os
import sys
from collections.abc import Iterable, Sequence

__all__ = [
    "BAR_SECONDS",
    "LOG_SECONDS",
    "aligned",
    "bar_room",
    "duration",
    "hours_and_minutes",
    "markdown",
]

BAR_SECONDS, LOG_SECONDS = 0.1, 30.0  # between two states of a training, on a bar and in a log
_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Rows as lines, the cells of a column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def duration(seconds: float | int) -> str:
    """Seconds in the largest unit of which there are at least two."""
    for size, name in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} seconds"


def hours_and_minutes(seconds: float | int) -> str:
    """Seconds in hours and minutes, of times that are not known better than that.

    >>> hours_and_minutes(40), hours_and_minutes(4_000)
    ('less than a minute', 'about 1 h 7 min')
    """
    if seconds < 60:
        return "less than a minute"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; bars within its cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in lines)


def bar_room() -> dict[str, bool | int]:
    """Tqdm's options for the room of a bar: the terminal's, 80 × 24 where it does not say."""
    if "ipykernel" not in sys.modules:  # a notebook has its own
        try:
            columns = os.get_terminal_size(2).columns
        except OSError:
            columns = 0
        if not columns:
            return {"ncols": 80, "nrows": 24}
    return {"dynamic_ncols": True}
