"""Statistics of units, models and codes: measurements `measurement(trained, x) -> arrays`.

`trained` is a `Trained` model, `x [N, n]` the data; statistics are those of clean inputs, over all
of x, block by block. Shapes: n inputs, m hidden units, N samples; params of one model (lift over a
grid by `vmap`).

>>> import jax
>>> from aesparse.losses.objectives import get_objective
>>> from aesparse.models.one_layer import OneLayer
>>> params, key = Params(jnp.eye(2), jnp.zeros(2)), jax.random.key(0)
>>> trained = Trained(OneLayer(2), get_objective("ae"), params, {}, key)
>>> x = jnp.array([[1.0, -1.0], [3.0, -3.0]])
>>> units = unit_statistics(trained, x)
>>> units.active.tolist(), units.mean.tolist(), units.variance.tolist()
([1.0, 0.0], [2.0, -2.0], [1.0, 1.0])
>>> summarize(params, units) == activation_statistics(trained, x)
True
>>> statistics = activation_statistics(trained, x)
>>> float(statistics.activation_fraction), float(statistics.reconstruction)
(0.5, 5.0)
>>> codes = code_statistics(trained, x)
>>> float(codes.code_mean), float(codes.dead_fraction)
(1.0, 0.5)
>>> code_sizes(trained, x).small.tolist()
[0.0, 1.0]
"""

import functools
import operator
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from aesparse.losses.base import Objective
from aesparse.metrics.blocks import MEASURE_SAMPLES, block_means
from aesparse.models.base import Model
from aesparse.models.forward import check_one_layer
from aesparse.models.one_layer import Params

__all__ = [
    "DEAD_LIMIT",
    "SMALL_CODE",
    "CodeSizes",
    "CodeStatistics",
    "Metrics",
    "Trained",
    "UnitStatistics",
    "activation_statistics",
    "code_sizes",
    "code_statistics",
    "collapsed",
    "diverged",
    "summarize",
    "unit_statistics",
]

DEAD_LIMIT = 0.99  #: a model with this share of dead units has collapsed
SMALL_CODE = 0.1  #: a code's number of at most this size is small, whatever its sign
_ROUNDING = 1e-6  # 99 of 100 units are 0.98999995 in float32


class Trained(NamedTuple):
    """What a measurement is given: one model and how it is trained.

    Attributes:
        model: the model.
        objective: its objective.
        params: its parameters.
        coefficients: those of the objective, by name.
        key: of the model's seed; a measurement folds a number of its own into it.
    """

    model: Model
    objective: Objective
    params: PyTree
    coefficients: Mapping[str, ArrayLike]
    key: PRNGKeyArray


class UnitStatistics(NamedTuple):
    """Per hidden unit over the samples measured, and the model's reconstruction error.

    Attributes:
        active: share of samples with h_j > δ_min, `[m]`.
        mean: E[a_j], `[m]`.
        variance: Var[a_j], over N, `[m]`.
        reconstruction: mean over samples of the objective's error, by default E‖x − y‖².
    """

    active: Float[Array, " m"]
    mean: Float[Array, " m"]
    variance: Float[Array, " m"]
    reconstruction: Float[Array, ""]


class Metrics(NamedTuple):
    """One number per model; means run over units.

    Attributes:
        activation_fraction: share of (sample, unit) pairs with h_j > δ_min (Arpit eq. 14).
        dead_fraction: share of units active on no sample measured.
        preactivation_mean: mean of E[a_j].
        preactivation_variance: mean of Var[a_j].
        bias_mean: mean of b_j.
        row_length_mean: mean of ‖W_j‖.
        row_length_max: the largest ‖W_j‖.
        reconstruction: mean over samples of the objective's error, by default E‖x − y‖².
    """

    activation_fraction: Float[Array, ""]
    dead_fraction: Float[Array, ""]
    preactivation_mean: Float[Array, ""]
    preactivation_variance: Float[Array, ""]
    bias_mean: Float[Array, ""]
    row_length_mean: Float[Array, ""]
    row_length_max: Float[Array, ""]
    reconstruction: Float[Array, ""]


class CodeStatistics(NamedTuple):
    """One number per model; means run over the numbers of a code.

    Attributes:
        activation_fraction: share of codes' numbers that are not 0.
        dead_fraction: share of them that are 0 on all samples measured.
        code_mean: mean of E[h_j].
        code_variance: mean of Var[h_j].
        reconstruction: mean over samples of the objective's error, by default E‖x − y‖².
    """

    activation_fraction: Float[Array, ""]
    dead_fraction: Float[Array, ""]
    code_mean: Float[Array, ""]
    code_variance: Float[Array, ""]
    reconstruction: Float[Array, ""]


class CodeSizes(NamedTuple):
    """Per number of a code over the samples measured.

    Attributes:
        mean: E[h_j], `[m]`.
        small: share of samples with |h_j| <= `SMALL_CODE`, `[m]`.
    """

    mean: Float[Array, " m"]
    small: Float[Array, " m"]


def unit_statistics(trained: Trained, x: Float[Array, "N n"]) -> UnitStatistics:
    """Statistics of every hidden unit of a one-layer model. `InputError` for other models."""
    # Sums are taken around E[a_j] = W_j·E[x] + b_j, known beforehand: the variance does not cancel.
    model, params = trained.model, trained.params
    check_one_layer(model, "unit statistics are")
    centre = model.preactivation(params, jnp.mean(x, axis=0))

    def block_sums(block: Float[Array, "b n"]) -> UnitStatistics:
        a = model.preactivation(params, block)
        h = model.activation(a)
        deviation = a - jnp.broadcast_to(centre, a.shape)
        return UnitStatistics(
            jnp.sum(h > model.activation.threshold, axis=0).astype(x.dtype),
            jnp.sum(deviation, axis=0),
            jnp.sum(deviation**2, axis=0),
            jnp.sum(trained.objective.error(block, model.decode(params, h))),
        )

    active, shift, square, error = block_means(block_sums, x)
    return UnitStatistics(active, centre + shift, square - shift**2, error)


def summarize(params: Params, units: UnitStatistics) -> Metrics:
    """`params` and the statistics `units` of one model, condensed to one number each."""
    lengths = jnp.linalg.norm(params.weight, axis=-1)
    return Metrics(
        activation_fraction=jnp.mean(units.active),
        dead_fraction=jnp.mean(units.active == 0),
        preactivation_mean=jnp.mean(units.mean),
        preactivation_variance=jnp.mean(units.variance),
        bias_mean=jnp.mean(params.bias),
        row_length_mean=jnp.mean(lengths),
        row_length_max=jnp.max(lengths),
        reconstruction=units.reconstruction,
    )


def activation_statistics(trained: Trained, x: Float[Array, "N n"]) -> Metrics:
    """`unit_statistics` of a one-layer model, summarized. `InputError` for other models."""
    return summarize(trained.params, unit_statistics(trained, x))


def code_statistics(trained: Trained, x: Float[Array, "N n"]) -> CodeStatistics:
    """Statistics of the codes of any model."""
    model, params = trained.model, trained.params
    # Sums are taken around the mean of the first codes, so that the variance does not cancel.
    centre = jnp.mean(model.encode(params, x[:MEASURE_SAMPLES]), axis=0)

    def block_sums(block: Float[Array, "b n"]) -> tuple[Array, ...]:
        h = model.encode(params, block)
        deviation = h - jnp.broadcast_to(centre, h.shape)
        return (
            jnp.sum(h != 0, axis=0).astype(x.dtype),
            jnp.sum(deviation, axis=0),
            jnp.sum(deviation**2, axis=0),
            jnp.sum(trained.objective.error(block, model.decode(params, h))),
        )

    active, shift, square, error = block_means(block_sums, x)
    return CodeStatistics(
        activation_fraction=jnp.mean(active),
        dead_fraction=jnp.mean(active == 0),
        code_mean=jnp.mean(centre + shift),
        code_variance=jnp.mean(square - shift**2),
        reconstruction=error,
    )


def code_sizes(trained: Trained, x: Float[Array, "N n"]) -> CodeSizes:
    """E[h_j] and how often h_j is small, for any model."""

    def block_sums(block: Float[Array, "b n"]) -> CodeSizes:
        h = trained.model.encode(trained.params, block)
        small = jnp.sum(jnp.abs(h) <= SMALL_CODE, axis=0).astype(x.dtype)
        return CodeSizes(jnp.sum(h, axis=0), small)

    return block_means(block_sums, x)


def diverged(statistics: Metrics | CodeStatistics) -> Array:
    """True where one of a model's `statistics` is not finite; arrays of any equal shape.

    >>> statistics = CodeStatistics(*jnp.array([0.5, 0.0, 0.0, 0.0, jnp.nan]))
    >>> bool(diverged(statistics))
    True
    """
    return functools.reduce(operator.or_, (~jnp.isfinite(leaf) for leaf in statistics))


def collapsed(statistics: Metrics | CodeStatistics) -> Array:
    """True where at least `DEAD_LIMIT` of a model's units are dead; arrays of any equal shape.

    `statistics` are `Metrics` or `CodeStatistics`.

    >>> statistics = CodeStatistics(*jnp.array([0.0, 1.0, 0.0, 0.0, 3.0]))
    >>> bool(collapsed(statistics)), bool(diverged(statistics))
    (True, False)
    """
    return jnp.asarray(statistics.dead_fraction) >= DEAD_LIMIT - _ROUNDING
