"""The named axes along which a training varies its models, and the names that stay fixed.

A sweep names coefficients of the objective, hyperparameters of the optimizer and "seed". Its axes
form a product in the order they are given; a tuple of names is one axis, along which they vary
together. Shapes: K values along one axis, C models.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from aesparse.errors import InputError, unknown_name
from aesparse.options import checked_numbers, shortened

__all__ = ["HYPERPARAMETERS", "SEED", "Axis", "Sweep", "parse_sweep"]

SEED = "seed"
_LARGEST_SEED = 2**31 - 1  # as JAX folds it into a key
_MOST_VALUES = 10**6  # along one axis, for ranges, which would otherwise be expanded unseen

# What each kind of name accepts: words for the message, and the check of finite numbers.
_COEFFICIENT = "finite numbers >= 0", lambda values: values >= 0
HYPERPARAMETERS = {
    "learning_rate": ("finite numbers > 0", lambda values: values > 0),
    "momentum": ("numbers in [0, 1)", lambda values: (values >= 0) & (values < 1)),
}
_OTHER_HYPERPARAMETER = "finite numbers", np.isfinite
_SEEDS = (
    f"integers from 0 to {_LARGEST_SEED}, such as range(5)",
    lambda values: (values >= 0) & (values <= _LARGEST_SEED) & (values == np.floor(values)),
)


class Axis(NamedTuple):
    """One dimension of a grid: a name, or several that vary together, and their values."""

    names: tuple[str, ...]  # the dimension is called by the first
    values: tuple[np.ndarray, ...]  # [K] for every name: float64, int64 for the seed

    @property
    def size(self) -> int:
        """K, the number of grid points along the axis."""
        return len(self.values[0])


class Sweep(NamedTuple):
    """The axes of a grid in their order, and one number for every name without an axis."""

    axes: tuple[Axis, ...]
    fixed: dict[str, float | int]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values along every axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def size(self) -> int:
        """C, the number of models."""
        return math.prod(self.shape)

    def column(self, name: str) -> np.ndarray:
        """The value of one name at every model, `[C]`, the last axis varying fastest.

        float64, for the seed int64. `InputError` for an unknown name.
        """
        for number, axis in enumerate(self.axes):
            if name in axis.names:
                values = axis.values[axis.names.index(name)]
                inner = math.prod(self.shape[number + 1 :])
                return np.tile(np.repeat(values, inner), self.size // (inner * axis.size))
        if name not in self.fixed:
            known = [name for axis in self.axes for name in axis.names]
            raise unknown_name("name of the sweep", name, [*known, *self.fixed])
        return np.full(self.size, self.fixed[name])


def parse_sweep(
    sweep: object, *, coefficients: Sequence[str], hyperparameters: Mapping[str, ArrayLike]
) -> Sweep:
    """Checks a sweep and completes it with the defaults of what it leaves out.

    `sweep` is a mapping or None (empty). A key is a name, with one number (fixed, no axis) or a
    sequence or array `[K]` of them; or a tuple of names that vary together, with rows
    `[K, len(names)]`. Names are `coefficients`, which must all be given (finite, >= 0),
    `hyperparameters`, which default to their values (finite; `learning_rate` > 0, `momentum` in
    [0, 1)), and "seed" (integers from 0 to 2³¹ − 1; 0 by default). `InputError` otherwise.

    >>> sweep = parse_sweep(
    ...     {"strength": [0.5, 1.0], "seed": range(3)},
    ...     coefficients=["strength"],
    ...     hyperparameters={"learning_rate": 0.001},
    ... )
    >>> sweep.shape, sweep.fixed
    ((2, 3), {'learning_rate': 0.001})
    >>> sweep.column("strength").tolist()
    [0.5, 0.5, 0.5, 1.0, 1.0, 1.0]
    """
    _check_distinct(coefficients, hyperparameters)
    ranges = {name: HYPERPARAMETERS.get(name, _OTHER_HYPERPARAMETER) for name in hyperparameters}
    ranges |= dict.fromkeys(coefficients, _COEFFICIENT) | {SEED: _SEEDS}
    axes, given = [], {}
    for key, value in _items(sweep):
        names = _checked_names(key, ranges, {*given, *(n for axis in axes for n in axis.names)})
        columns = [
            _checked_column(name, column, ranges[name])
            for name, column in zip(names, _columns(key, names, value), strict=True)
        ]
        if columns[0].ndim:
            axes.append(Axis(names, tuple(columns)))
        else:
            given[names[0]] = columns[0].item()
    swept = {name for axis in axes for name in axis.names}
    _check_complete(coefficients, swept | given.keys())
    numbers = {name: _default(value) for name, value in hyperparameters.items()} | {SEED: 0} | given
    ordered = (*coefficients, *hyperparameters, SEED)
    return Sweep(tuple(axes), {name: numbers[name] for name in ordered if name not in swept})


def _default(value: ArrayLike) -> float:
    """A hyperparameter's value; 0.001 for the float32 nearest to it, which optax holds."""
    return float(str(np.asarray(value)[()]))


def _check_distinct(coefficients: Sequence[str], hyperparameters: Mapping[str, ArrayLike]) -> None:
    names = [*coefficients, *hyperparameters, SEED]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            raise InputError(
                f"'{name}' names two things among the objective's coefficients, the optimizer's "
                "hyperparameters and the seed; rename the coefficient, or name the hyperparameter "
                "in the static_args of optax.inject_hyperparams."
            )


def _items(sweep: object) -> list[tuple[object, object]]:
    if sweep is None:
        return []
    if not isinstance(sweep, Mapping):
        raise InputError(
            f"The sweep is {shortened(sweep)}; expected a mapping from names to numbers, such as "
            "{'strength': [0.1, 1.0], 'seed': range(3)}."
        )
    return list(sweep.items())


def _checked_names(key: object, known: Mapping[str, object], used: set[str]) -> tuple[str, ...]:
    names = key if isinstance(key, tuple) else (key,)
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"The sweep has the key {shortened(key)}; expected a name or a tuple of names, from "
            f"{', '.join(sorted(known))}."
        )
    for number, name in enumerate(names):
        if name not in known:
            raise InputError(
                f"{unknown_name('name of the sweep', name, known)} An optimizer's hyperparameters "
                "can be swept once optax.inject_hyperparams has injected them."
            )
        if name in used or name in names[:number]:
            raise InputError(f"The sweep gives '{name}' twice; give it once.")
    return names


def _columns(key: object, names: tuple[str, ...], value: object) -> list[np.ndarray]:
    """What a key of the sweep gives for each of its names, unchecked as to range."""
    what = f"The sweep's {shortened(key)}"
    if isinstance(value, range) and len(value[: _MOST_VALUES + 1]) > _MOST_VALUES:
        raise InputError(f"{what} is {value}; expected at most {_MOST_VALUES} values of one axis.")
    if _holds_booleans(value):
        raise InputError(f"{what} is {shortened(value)}; expected numbers, not booleans.")
    array = checked_numbers(value, f"{what} is")
    if key == SEED and not jnp.issubdtype(array.dtype, jnp.integer) and array.size:
        raise InputError(f"{what} is {shortened(value)}; expected {_SEEDS[0]}.")
    zipped = isinstance(key, tuple)
    fits = array.shape[1:] == (len(names),) if zipped else array.ndim <= 1
    if not fits or 0 in array.shape:
        expected = (
            f"at least one row of {len(names)} numbers, one for each name"
            if zipped
            else "one number or a list of at least one; names that vary together are given as a "
            "tuple with rows of numbers"
        )
        raise InputError(f"{what} has shape {array.shape}; expected {expected}.")
    return list(array.T) if zipped else [array]


def _holds_booleans(value: object) -> bool:
    """Whether a number or nested sequence has a boolean, which NumPy would make a number."""
    if isinstance(value, list | tuple):
        return any(map(_holds_booleans, value))
    return isinstance(value, bool) or getattr(value, "dtype", None) == np.bool_


def _checked_column(name: str, column: np.ndarray, accepted: tuple[str, Callable]) -> np.ndarray:
    """One name's number or numbers in the precision of the grid's coordinates."""
    expected, fits = accepted
    with np.errstate(over="ignore"):
        numbers = np.asarray(column, np.float64)
    if not (np.isfinite(numbers) & fits(numbers)).all():
        raise InputError(
            f"The sweep's '{name}' is {shortened(column.tolist())}; expected {expected}."
        )
    return numbers.astype(np.int64 if name == SEED else np.float64)


def _check_complete(coefficients: Sequence[str], given: set[str]) -> None:
    missing = [name for name in coefficients if name not in given]
    if missing:
        example = ", ".join(f"'{name}': 0.1" for name in missing)
        raise InputError(
            f"The sweep gives no value for the objective's {' and '.join(missing)}; add "
            f"{{{example}}} to it, with a number or a list of them each."
        )
