"""Which place along a grid's axis a coordinate stands for."""

from collections.abc import Mapping

import numpy as np

from aesparse.errors import InputError
from aesparse.options import checked_numbers, shortened
from aesparse.training.sweep import SEED, Axis

__all__ = ["matches", "position"]

_CLOSE = 1e-6  # relative; a float32 coordinate matches the number it was rounded from


def matches(name: str, values: np.ndarray, value: object) -> np.ndarray:
    """Which of the values `[K]` one number stands for: the equal ones, else those close to it."""
    number = checked_numbers(value, f"The coordinate '{name}' is")
    if number.ndim:
        raise InputError(
            f"The coordinate '{name}' is {shortened(value)}; expected one number. For a part of "
            "an axis, index the result's arrays."
        )
    number = float(number)
    equal = values == number
    if name == SEED or equal.any():
        return equal
    return np.isclose(values, number, rtol=_CLOSE, atol=0.0)


def position(axis: Axis, asked: Mapping[str, object]) -> int:
    """The one place along an axis where all names asked for have their values."""
    by_name = dict(zip(axis.names, axis.values, strict=True))
    matching = [matches(name, by_name[name], value) for name, value in asked.items()]
    places = np.flatnonzero(np.all(matching, axis=0))
    if len(places) == 1:
        return int(places[0])
    given = ", ".join(f"{name}={value}" for name, value in asked.items())
    columns = [values.tolist() for values in axis.values]
    there = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    hint = "give all of these names" if len(columns) > len(asked) else "index the arrays instead"
    problem = f"{len(places)} points have {given}" if len(places) else f"No model has {given}"
    raise InputError(
        f"{problem}; along {', '.join(axis.names)} there are {shortened(there, 300)}: "
        f"{hint if len(places) else 'choose among these'}."
    )
