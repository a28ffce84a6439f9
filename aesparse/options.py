"""Checks of numbers, flags and keys that users give, and how a value is shown in a message."""

import numbers
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from aesparse.errors import InputError

if TYPE_CHECKING:  # a command line does not wait for JAX to say what it expects
    from jaxtyping import PRNGKeyArray

__all__ = [
    "GENERATOR",
    "check_counts",
    "check_flags",
    "check_positive",
    "checked_key",
    "checked_numbers",
    "is_real",
    "shortened",
]

_LARGEST = 2**53  # of a count: floats hold all integers up to it
GENERATOR = "threefry2x32"  # its numbers do not depend on how many are drawn at once


def shortened(value: object, length: int = 100) -> str:
    """How a value is shown in a message, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= length else f"{text[:length]}…"


def checked_numbers(value: object, what: str) -> np.ndarray:
    """Real numbers as NumPy's array; `InputError`, which `what` begins, for anything else."""
    import jax.numpy as jnp

    try:
        array = None if np.ma.isMaskedArray(value) else np.asarray(value)
    except Exception:  # ragged lists, other libraries' arrays
        array = None
    if array is None or not (
        jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)
    ):
        raise InputError(
            f"{what} {shortened(value)}; expected real numbers, such as 0.1 or an array of them."
        )
    return array


def check_counts(counts: Mapping[str, object]) -> None:
    """`InputError` unless each, by its name, is an integer from 1 to 2⁵³."""
    for name, value in counts.items():
        try:
            number = 0 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = 0
        if number < 1:
            raise InputError(f"{name} is {shortened(value)}; expected an integer of at least 1.")
        if number > _LARGEST:
            raise InputError(f"{name} is {shortened(value)}; expected at most {_LARGEST}.")


def check_positive(values: Mapping[str, object]) -> None:
    """Values by name are finite real numbers above 0; `InputError` otherwise."""
    for name, value in values.items():
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not (real and np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {shortened(value)}; expected a finite number > 0.")


def checked_key(key: object) -> "PRNGKeyArray":
    """A typed key of the threefry generator, that of seed 0 for None; `InputError` otherwise."""
    import jax
    import jax.numpy as jnp

    if key is None:
        return jax.random.key(0, impl=GENERATOR)
    shape = key.shape if isinstance(key, jax.Array | np.ndarray) else None
    typed = shape == () and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    raw = shape is not None and len(shape) == 1 and key.dtype == jnp.uint32
    if not typed and not raw:
        came = shortened(key) if shape is None else f"{key.dtype} of shape {shape}"
        raise InputError(f"The key is {came}; expected one such as jax.random.key(0).")
    if raw and shape == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key), impl=GENERATOR)
    if raw or str(jax.random.key_impl(key)) != GENERATOR:
        came = f"uint32 of shape {shape}" if raw else repr(str(jax.random.key_impl(key)))
        raise InputError(
            f"The key's generator is {came}, whose numbers depend on the models trained beside "
            f"one; expected a key such as jax.random.key(0, impl='{GENERATOR}')."
        )
    return key


def check_flags(flags: Mapping[str, object], functions: Mapping[str, object]) -> None:
    """Flags are True or False, functions are None or can be called; `InputError` otherwise."""
    for name, value in flags.items():
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{name} is {shortened(value)}; expected True or False.")
    for name, value in functions.items():
        if value is not None and not callable(value):
            raise InputError(f"{name} is {shortened(value)}; expected a function, or None.")


def is_real(number: object) -> bool:
    """Whether an object is one real number, which True and False are not.

    >>> is_real(0.5), is_real(True), is_real("1")
    (True, False, False)
    """
    return isinstance(number, numbers.Real) and not isinstance(number, bool | np.bool_)
