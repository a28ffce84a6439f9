"""Checks of the numbers, the key and the options that a training is given."""

import numbers
import operator
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from aesparse.errors import InputError

__all__ = [
    "check_counts",
    "check_momentum",
    "check_options",
    "check_precision",
    "check_untransformed",
    "checked_key",
    "checked_numbers",
    "shortened",
]

_GENERATOR = "threefry2x32"


def shortened(value: object, length: int = 100) -> str:
    """How a value is shown in a message, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= length else f"{text[:length]}…"


def checked_numbers(value: object, what: str) -> np.ndarray:
    """Real numbers as NumPy's array; `InputError`, which `what` begins, for anything else."""
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
    """`InputError` unless each, by its name, is an integer of 1 or more."""
    for name, value in counts.items():
        try:
            number = 0 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = 0
        if number < 1:
            raise InputError(f"{name} is {shortened(value)}; expected an integer of at least 1.")


def check_momentum(momentum: float | int) -> None:
    """The momentum lies in [0, 1); `InputError` otherwise."""
    real = isinstance(momentum, numbers.Real) and not isinstance(momentum, bool)
    if not (real and 0 <= momentum < 1):
        raise InputError(f"momentum is {shortened(momentum)}; expected a number in [0, 1).")


def checked_key(key: object) -> PRNGKeyArray:
    """A key of `jax.random` as a typed one of the threefry generator; `InputError` otherwise."""
    shape = key.shape if isinstance(key, jax.Array | np.ndarray) else None
    typed = shape == () and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    raw = shape is not None and len(shape) == 1 and key.dtype == jnp.uint32
    if not typed and not raw:
        came = repr(key) if shape is None else f"{key.dtype} of shape {shape}"
        raise InputError(f"The key is {came}; expected one such as jax.random.key(0).")
    if raw and shape == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key), impl=_GENERATOR)
    if raw or str(jax.random.key_impl(key)) != _GENERATOR:
        came = f"uint32 of shape {shape}" if raw else repr(str(jax.random.key_impl(key)))
        raise InputError(
            f"The key's generator is {came}, whose numbers depend on the models trained beside "
            f"one; expected a key such as jax.random.key(0, impl='{_GENERATOR}')."
        )
    return key


def check_untransformed(*arguments: object) -> None:
    """`InputError` inside `jax.jit`, `jax.vmap` or `jax.grad` of the caller."""
    if any(
        isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((*arguments, jnp.zeros(())))
    ):
        raise InputError(
            "Training is called inside jax.vmap, jax.jit or jax.grad; expected a call by itself. "
            "Many models are trained at once along its own axes: give several strengths, "
            "learning rates and seeds."
        )


def check_options(
    *, tied: bool, decoder_bias: bool, constraint: str, matmul_precision: str, devices, on_epoch
) -> None:
    """Options of `fit_grid` that are not numbers are of their kinds; `InputError` otherwise."""
    for name, value in {"tied": tied, "decoder_bias": decoder_bias}.items():
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{name} is {shortened(value)}; expected True or False.")
    if not isinstance(constraint, str):
        raise InputError(
            f"The constraint is {shortened(constraint)}; expected a name, such as 'unit'."
        )
    if on_epoch is not None and not callable(on_epoch):
        raise InputError(
            f"on_epoch is {shortened(on_epoch)}; expected a function on_epoch(epoch, metrics)."
        )
    check_precision(matmul_precision)
    _check_devices(devices)


def check_precision(matmul_precision: object) -> None:
    """`InputError` unless it is one of JAX's names for the precision of products."""
    try:
        with jax.default_matmul_precision(matmul_precision):
            pass
    except (TypeError, ValueError):
        raise InputError(
            f"matmul_precision is {shortened(matmul_precision)}; expected one of JAX's names, "
            "such as 'highest', 'tensorfloat32' or 'bfloat16'."
        ) from None


def _check_devices(devices: object) -> None:
    if devices is None:
        return
    listed = list(devices) if isinstance(devices, Sequence | np.ndarray) else []
    if not listed or not all(isinstance(device, jax.Device) for device in listed):
        raise InputError(
            f"devices are {shortened(devices)}; expected at least one of jax.devices(), or None "
            "for all of them."
        )
    if len(set(listed)) < len(listed):
        raise InputError(f"devices are {shortened(devices)}; expected each of them once.")
