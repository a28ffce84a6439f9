"""Where a training begins that is given parameters, or goes on from an earlier one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
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
    epochs: int = 0  # trained before; the random streams go on after them


def checked_start(
    start: PyTree | Result | WarmStart | None,
    shapes: TrainState,
    grid: tuple[int, ...],
    recipe: Recipe,
) -> WarmStart:
    """What all models `[C, ...]` begin with: parameters, or what a training ended with.

    Parameters stay as they are where they lie on the constraint up to rounding, and are projected
    where they do not. `InputError` unless they have the structure and shapes of the grid's, can be
    projected, and are finite; with an optimizer's state, models that diverged go on as they are.
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
    return WarmStart(_projected(params, recipe, diverged=True), moments, start.epochs)


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

    def flat(leaf, shape):
        if jnp.issubdtype(shape.dtype, jnp.number):
            leaf = checked_numbers(leaf, "start holds").astype(shape.dtype)
        return leaf.reshape(-1, *shape.shape)  # flags and keys of an optimizer as they are

    return jax.tree.map(flat, start, shapes)


def _projected(params: PyTree, recipe: Recipe, *, diverged: bool = False) -> PyTree:
    """Each model as it is or projected; those not finite as they are where that is allowed."""
    finite = _each(np.isfinite, params)
    if not (finite.all() or diverged):
        raise InputError("The parameters to start from hold NaN or inf; expected finite numbers.")
    with jax.default_matmul_precision("highest"):
        projected = jax.device_get(jax.vmap(recipe.constraint.project)(params))
    if not _each(np.isfinite, projected)[finite].all():
        raise InputError(
            "The parameters to start from hold a row (or decoder column) of zeros, which has no "
            "direction to be scaled to length 1; give it one, or use the constraint 'free'."
        )
    near = _each(lambda a, b: np.isclose(a, b, rtol=1e-5, atol=1e-6), params, projected)
    if (near | ~finite).all():
        return params

    def chosen(given: np.ndarray, moved: np.ndarray) -> np.ndarray:
        return np.where(finite.reshape(-1, *(1,) * (given.ndim - 1)), moved, given)

    return jax.tree.map(chosen, params, projected)


def _each(holds: Callable, *trees: PyTree) -> np.ndarray:
    """`[C]`: whether it holds for all numbers of a model."""
    leaves = zip(*map(jax.tree.leaves, trees), strict=True)
    return np.all([holds(*of).reshape(len(of[0]), -1).all(axis=1) for of in leaves], axis=0)
