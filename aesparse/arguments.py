"""Checks of what a grid is given, made before anything is compiled."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from aesparse.data import check_matrix
from aesparse.errors import InputError
from aesparse.model import init_params
from aesparse.objectives import Objective

__all__ = ["check_levels", "check_momentum", "check_objective", "check_sizes", "checked_arrays"]


def checked_arrays(X, strengths, learning_rate, seeds):
    """Validates what the program takes as arrays, before anything is compiled."""
    X = jnp.asarray(check_matrix(X))
    strengths = jnp.atleast_1d(jnp.asarray(strengths, X.dtype))
    if strengths.ndim > 2 or 0 in strengths.shape:
        raise InputError(
            f"The grid of strengths has shape {strengths.shape}; expected at least one number, "
            "or [G, K] for an objective with K coefficients."
        )
    if not bool(jnp.all(jnp.isfinite(strengths) & (strengths >= 0))):
        raise InputError(
            f"The strengths are {np.asarray(strengths)}; expected finite numbers >= 0."
        )
    rates = jnp.asarray(learning_rate, X.dtype)
    if not bool(jnp.all(jnp.isfinite(rates) & (rates > 0))):
        raise InputError(f"The learning rate is {learning_rate}; expected a finite number > 0.")
    if rates.shape not in ((), strengths.shape[:1]):
        raise InputError(
            f"The learning rates have shape {rates.shape}; expected one number or one per "
            f"strength, {strengths.shape[:1]}."
        )
    seeds = tuple(seeds)
    if not seeds or any(isinstance(s, bool) or int(s) != s or s < 0 for s in seeds):
        raise InputError(f"The seeds are {seeds}; expected at least one integer >= 0.")
    return X, strengths, jnp.broadcast_to(rates, strengths.shape[:1]), seeds


def check_sizes(sizes: Mapping[str, int], samples: int) -> None:
    """Every size is at least 1 and a batch fits the data; `InputError` otherwise."""
    for name, value in sizes.items():
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1.")
    if sizes["batch_size"] > samples:
        raise InputError(
            f"The batch size {sizes['batch_size']} is larger than the data, {samples} samples; "
            f"choose a batch size of at most {samples}."
        )


def check_objective(
    objective: Objective, X: Array, strengths: Array, hidden: int, tied: bool, decoder_bias: bool
) -> None:
    """Calls the objective on shapes alone: a penalty that is no scalar is found at once.

    `InputError` also for data that the objective's error is not defined for, and for levels that
    its corruption is not.
    """
    check_levels(objective, strengths)
    if objective.error.bounds is not None:
        low, high = objective.error.bounds
        if not bool(jnp.all((low <= X) & (high >= X))):
            raise InputError(
                f"The data lies in [{float(X.min()):g}, {float(X.max()):g}]; this reconstruction "
                f"error expects [{low:g}, {high:g}]. Scale the data, or use a squared error."
            )
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=X.dtype)
    params = jax.eval_shape(
        lambda key: init_params(
            key, X.shape[1], hidden, tied=tied, decoder_bias=decoder_bias, dtype=X.dtype
        ),
        jax.random.key(0),
    )
    batch = shape((1, X.shape[1]))
    loss, _ = jax.eval_shape(objective, params, batch, batch, shape(strengths.shape[1:]))
    if loss.shape != ():
        raise InputError(
            f"The objective returned shape {loss.shape} for a batch; expected a scalar. "
            "A penalty must return one number: sum over units and average over samples."
        )


def check_momentum(momentum: float | int) -> None:
    """The momentum lies in [0, 1); `InputError` otherwise."""
    if not 0 <= momentum < 1:
        raise InputError(f"momentum is {momentum}; expected a number in [0, 1).")


def check_levels(objective: Objective, strengths: Array) -> None:
    """The levels of the objective's corruption are possible; `InputError` otherwise."""
    if objective.levels is None:
        return
    low, high = objective.levels
    levels = strengths if strengths.ndim == 1 else strengths[:, 0]
    if not bool(jnp.all((low <= levels) & (levels < high))):
        raise InputError(
            f"The strengths of the corruption are {np.asarray(levels)}; expected numbers in "
            f"[{low:g}, {high:g}), such as the probability that an input is zeroed."
        )
