"""Results as lines of text."""

__all__ = ["aligned", "duration"]

_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


def aligned(rows: list[tuple[str, str]]) -> str:
    """Rows of (name, value) as lines, values below each other."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def duration(seconds: float | int) -> str:
    """Seconds in the largest unit of which there are at least two."""
    for size, name in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} seconds"
