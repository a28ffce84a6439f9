"""Early stopping: every model of a grid ends by itself, with the parameters of its best epoch.

Shapes: C models, V samples held out, n inputs, B batch.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.metrics import Trained
from aesparse.options import check_counts, checked_numbers, shortened
from aesparse.training.draws import VALIDATION
from aesparse.training.measuring import Part, measuring
from aesparse.training.sharding import MODELS, SHARED, over_models
from aesparse.training.step import Recipe
from aesparse.training.validation import HELD_OUT, check_bounds, checked_data
from aesparse.training.verification import Arguments

__all__ = ["Best", "EarlyStopping", "Watch", "checked_stopping", "validation_loss"]


@dataclasses.dataclass(frozen=True, eq=False)
class EarlyStopping:
    """When the models of `fit` stop: after `patience` epochs without a lower loss.

    The loss is the whole objective on `validation` `[V, n]`, in batches of the training's size
    and a last one of what is left, with the same noise at every epoch, and is recorded as
    "held_out"; without `validation` it is the training loss of the epoch. An epoch improves
    if its loss is below reference − tolerance · |reference|, where the reference is the loss of
    the last epoch that improved. A model whose loss is not finite stops at once. A stopped one
    is trained no further, and ends with the parameters of its lowest loss. `InputError` for a
    patience below 1, and for a tolerance outside [0, 1).

    >>> import numpy as np
    >>> from aesparse import OneLayer, fit
    >>> X = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    >>> result = fit(X[:150], OneLayer(5), "ae", epochs=500, sweep={"seed": range(2)},
    ...     stopping=EarlyStopping(X[150:], patience=3))
    >>> bool((result.stopped_epoch < 500).all())
    True
    """

    validation: ArrayLike | None = None
    patience: int = 10
    tolerance: float | int = 1e-3

    def __post_init__(self) -> None:
        check_counts({"patience": self.patience})
        tolerance = checked_numbers(self.tolerance, "tolerance is")
        if tolerance.ndim or not 0 <= tolerance < 1:
            raise InputError(
                f"tolerance is {shortened(self.tolerance)}; expected a number from 0 to below 1."
            )


class Best(NamedTuple):
    """The best of every model so far."""

    params: PyTree  # [C, ...] of the lowest loss
    loss: Float[Array, " C"]
    reference: Float[Array, " C"]  # the loss of the last epoch that improved
    waited: Int[Array, " C"]  # epochs since that one
    epoch: Int[Array, " C"]  # of the lowest loss; 0 before training
    stopped: Int[Array, " C"]  # the epoch after which the model stopped; −1: not yet
    finite: Bool[Array, " C"]  # whether the loss of its last epoch was


@dataclasses.dataclass(frozen=True)
class _ValidationLoss:
    """The measurement: the mean of the objective over batches of `batch_size`, by their lengths."""

    batch_size: int

    def __call__(self, trained: Trained, x: Float[Array, "V n"]) -> Float[Array, ""]:
        size = min(self.batch_size, len(x))
        count, left = divmod(len(x), size)
        batches = x[: count * size].reshape(-1, size, x.shape[1])
        key = jax.random.fold_in(trained.key, VALIDATION)

        def loss(numbered):
            i, batch = numbered
            noise = jax.random.normal(jax.random.fold_in(key, i), batch.shape, x.dtype)
            coefficients = trained.coefficients
            return trained.objective(trained.model, trained.params, batch, noise, coefficients)[0]

        total = size * jnp.sum(jax.lax.map(loss, (jnp.arange(count), batches)))
        if left:
            total += left * loss((count, x[-left:]))
        return total / len(x)


def validation_loss(recipe: Recipe, mesh: Mesh) -> Part:
    """The loss on held-out samples of every model, as a measurement that the guard checks."""
    measurement = _ValidationLoss(recipe.batch_size)
    return measuring(recipe.model, recipe.objective, measurement, mesh).parts[0]


@functools.lru_cache(maxsize=24)
def _programs(mesh: Mesh) -> tuple:
    """Compiled: the best before training, and after one more epoch."""

    def before(params: PyTree) -> Best:
        leaves = jax.tree.leaves(params)
        none = jnp.zeros(len(leaves[0]), jnp.int32)
        largest = jnp.full(none.shape, jnp.inf, jnp.result_type(*leaves))
        # Copies, since the training writes over what it is given.
        begun = Best(params, largest, largest, none, none, none - 1, none == 0)
        return jax.tree.map(jnp.copy, begun)

    def after(best: Best, params: PyTree, loss, number, patience, tolerance) -> Best:
        running = best.stopped < 0
        better = running & (loss < best.loss)
        small = tolerance * jnp.abs(jnp.where(jnp.isfinite(best.reference), best.reference, 0))
        lower = running & (loss < best.reference - small)
        waited, finite = jnp.where(lower, 0, best.waited + 1), jnp.isfinite(loss)

        def chosen(new, old):
            return jnp.where(better.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

        return Best(
            jax.tree.map(chosen, params, best.params),
            jnp.where(better, loss, best.loss),
            jnp.where(lower, loss, best.reference),
            waited,
            jnp.where(better, number, best.epoch),
            jnp.where(running & (~finite | (waited >= patience)), number, best.stopped),
            jnp.where(running, finite, best.finite),
        )

    return (
        over_models(before, mesh, (MODELS,)),
        over_models(after, mesh, (MODELS, MODELS, MODELS, SHARED, SHARED, SHARED), donate=(0,)),
    )


class Watch:
    """Follows the models of one program by their losses; `arguments` have the samples held out."""

    def __init__(
        self, stopping: EarlyStopping, loss: Part, arguments: Arguments, mesh: Mesh
    ) -> None:
        self._stopping, self._loss, self._arguments = stopping, loss, arguments
        self._before, self._after = _programs(mesh)

    def before(self, params: PyTree) -> Best:
        """The best before training."""
        return self._before(params)

    @property
    def names(self) -> tuple[str, ...]:
        """Under which names it adds to an epoch's losses."""
        return () if self._stopping.validation is None else (HELD_OUT,)

    def after(
        self, best: Best, number: int, params: PyTree, losses: dict[str, Array]
    ) -> tuple[Best, dict[str, Array]]:
        """The best after the epoch of that number, and the training's `losses` of it with more."""
        keys, validation, points = self._arguments
        loss = losses["loss"]
        if self._stopping.validation is not None:
            loss = self._loss.compiled(params, keys, self._loss.needs(points), validation)
            losses = losses | {HELD_OUT: loss}
        patience = min(self._stopping.patience, np.iinfo(np.int32).max)
        limits = np.int32(patience), np.float32(self._stopping.tolerance)
        return self._after(best, params, loss, np.int32(number), *limits), losses


def checked_stopping(
    stopping: object, X: Array, objective: Objective, *, full_batch: bool
) -> EarlyStopping | None:
    """The stopping with its held-out samples as the training's data `X` [N, n]; `InputError`."""
    if stopping is None:
        return None
    if not isinstance(stopping, EarlyStopping):
        raise InputError(
            f"stopping is {shortened(stopping)}; expected EarlyStopping(validation, patience=10), "
            "or None to train for all epochs."
        )
    if full_batch:
        raise InputError(
            "L-BFGS ends by its own tolerance; expected stopping=None, or another optimizer."
        )
    if stopping.validation is None:
        return stopping
    validation = checked_data(stopping.validation).astype(X.dtype)
    if validation.shape[1] != X.shape[1]:
        raise InputError(
            f"The samples held out have {validation.shape[1]} inputs and the data {X.shape[1]}; "
            "expected as many."
        )
    check_bounds(objective, validation)
    return dataclasses.replace(stopping, validation=validation)
