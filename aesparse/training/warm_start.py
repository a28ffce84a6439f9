"""Where a training begins that is given parameters, or goes on from an earlier one."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from aesparse.errors import InputError
from aesparse.options import checked_numbers
from aesparse.training.result import Result
from aesparse.training.step import Recipe, TrainState

__all__ = ["WarmStart", "checked_start"]


class WarmStart(NamedTuple):
    """What models begin with, `[*axes, ...]`; None for what is made from the seeds."""

    params: PyTree | None = None
    moments: PyTree | None = None  # the optimizer's state
    epochs: int = 0  # that they had before, which their random numbers go on from


def checked_start(
    start: PyTree | Result | WarmStart | None,
    shapes: TrainState,
    grid: tuple[int, ...],
    recipe: Recipe,
) -> WarmStart:
    """What all models `[C, ...]` begin with: parameters, or what a training ended with.

    With an optimizer's state all goes on as it was; else parameters stay as they are where they
    lie on the constraint up to rounding, and are projected where they do not. `InputError` unless
    they have the structure and shapes of the grid's, are finite, and can be projected.
    """
    if start is None:
        return WarmStart()
    if isinstance(start, Result):
        on = start.optimizer_state is not None
        start = WarmStart(start.params, start.optimizer_state, start.epochs if on else 0)
        if start.params is None:
            raise InputError(
                "The result to start from holds no parameters; expected one that was trained with "
                "keep_params=True."
            )
    if not isinstance(start, WarmStart):
        start = WarmStart(start)
    params = _flat(start.params, shapes.params, grid)
    if start.moments is None:
        return WarmStart(_projected(params, recipe), None, start.epochs)
    moments = _flat(start.moments, shapes.optimizer, grid, "optimizer's state")
    return WarmStart(params, moments, start.epochs)


def _flat(start: PyTree, shapes: PyTree, grid: tuple[int, ...], what: str = "parameters") -> PyTree:
    """Arrays `[*axes, ...]` as those of all models `[C, ...]`; `InputError` if they do not fit."""
    given, expected = jax.tree.structure(start), jax.tree.structure(shapes)
    wanted = [(*grid, *leaf.shape) for leaf in jax.tree.leaves(shapes)]
    came = [np.shape(leaf) for leaf in jax.tree.leaves(start)]
    if given != expected or came != wanted:
        raise InputError(
            f"The {what} to start from have shapes {came}; expected {wanted} in the structure "
            "of the model's: the axes of the sweep, then those of one model."
        )

    def flat(leaf, shape) -> np.ndarray:
        array = checked_numbers(leaf, "start holds").astype(shape.dtype)
        return array.reshape(-1, *shape.shape)

    return jax.tree.map(flat, start, shapes)


def _projected(params: PyTree, recipe: Recipe) -> PyTree:
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        raise InputError("The parameters to start from hold NaN or inf; expected finite numbers.")
    with jax.default_matmul_precision("highest"):
        projected = jax.device_get(jax.vmap(recipe.constraint.project)(params))
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(projected)):
        raise InputError(
            "The parameters to start from hold a row (or decoder column) of zeros, which has no "
            "direction to be scaled to length 1; give it one, or use the constraint 'free'."
        )
    near = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-5, atol=1e-6), params, projected)
    return params if all(jax.tree.leaves(near)) else projected
