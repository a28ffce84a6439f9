"""Measurements: functions `measurement(trained, x) -> pytree of arrays` of one trained model.

Made on the device over any number of samples. Shapes: n inputs, m hidden units, N samples; params
of one model (lift over a grid by `vmap`).
"""

import functools
import operator
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from aesparse.losses.base import Objective
from aesparse.losses.reconstruction import reconstruction_error, squared_error
from aesparse.models.base import Model
from aesparse.models.forward import check_one_layer
from aesparse.models.one_layer import Params, decoder_matrix

__all__ = [
    "DEAD_LIMIT",
    "MEASURE_SAMPLES",
    "SMALL_CODE",
    "THEOREM1_SAMPLES",
    "CodeSizes",
    "CodeStatistics",
    "Metrics",
    "Theorem1Ratio",
    "Trained",
    "UnitStatistics",
    "activation_statistics",
    "bias_gradient_bound",
    "code_sizes",
    "code_statistics",
    "collapsed",
    "diverged",
    "pushed_down",
    "summarize",
    "theorem1_ratio",
    "unit_statistics",
]

DEAD_LIMIT = 0.99  # a model with this share of dead units has collapsed
SMALL_CODE = 0.1  # a code's number of at most this size is small, whatever its sign
_ROUNDING = 1e-6  # 99 of 100 units are 0.98999995 in float32
MEASURE_SAMPLES = 500  # measured at once: bounds the memory of a grid's codes
THEOREM1_SAMPLES = 1000  # rows on which Theorem 1's ratio is taken
_NOISE = 2  # the random stream of a seed's key for measurements, after start and epochs


class Trained(NamedTuple):
    """What a measurement is given: one model and how it is trained.

    >>> from aesparse.losses.objectives import get_objective
    >>> from aesparse.models.one_layer import OneLayer
    >>> params, key = Params(jnp.eye(2), jnp.zeros(2)), jax.random.key(0)
    >>> trained = Trained(OneLayer(2), get_objective("ae"), params, {}, key)
    >>> x = jnp.array([[1.0, -1.0], [3.0, -3.0]])
    >>> units = unit_statistics(trained, x)
    >>> units.active.tolist(), units.mean.tolist(), units.variance.tolist()
    ([1.0, 0.0], [2.0, -2.0], [1.0, 1.0])
    >>> float(activation_statistics(trained, x).activation_fraction)
    0.5
    """

    model: Model
    objective: Objective
    params: PyTree
    coefficients: Mapping[str, ArrayLike]  # of the objective
    key: PRNGKeyArray  # of the model's seed; a measurement folds a number of its own into it


class UnitStatistics(NamedTuple):
    """Per hidden unit over the samples measured, and the model's reconstruction error."""

    active: Float[Array, " m"]  # share of samples with h_j > δ_min
    mean: Float[Array, " m"]  # E[a_j]
    variance: Float[Array, " m"]  # Var[a_j]
    reconstruction: Float[Array, ""]  # the objective's error, by default E‖x − y‖²


class Metrics(NamedTuple):
    """One number per model; means run over units."""

    activation_fraction: Float[Array, ""]  # Arpit eq. 14
    dead_fraction: Float[Array, ""]  # share of units active on no sample measured
    preactivation_mean: Float[Array, ""]
    preactivation_variance: Float[Array, ""]
    bias_mean: Float[Array, ""]
    row_length_mean: Float[Array, ""]
    row_length_max: Float[Array, ""]
    reconstruction: Float[Array, ""]


class CodeStatistics(NamedTuple):
    """One number per model; means run over the numbers of a code."""

    activation_fraction: Float[Array, ""]  # share of codes' numbers that are not 0
    dead_fraction: Float[Array, ""]  # share of them that are 0 on all samples measured
    code_mean: Float[Array, ""]
    code_variance: Float[Array, ""]
    reconstruction: Float[Array, ""]  # the objective's error, by default E‖x − y‖²


class CodeSizes(NamedTuple):
    """Per number of a code over the samples measured."""

    mean: Float[Array, " m"]  # E[h_j]
    small: Float[Array, " m"]  # share of samples with |h_j| <= `SMALL_CODE`


class Theorem1Ratio(NamedTuple):
    """How far the regularizer is from Theorem 1's sufficient condition, over hidden units.

    The condition for unit j is λ ∂R/∂b_j > 2 σ_r √n ‖D_j‖ with n σ_r² = E‖r‖² and D_j = W_j for
    tied weights. NaN for another reconstruction error than the squared one, of which it speaks.
    """

    share: Float[Array, ""]  # of units that meet the condition
    largest: Float[Array, ""]  # the largest left side over its right side


def unit_statistics(trained: Trained, x: Float[Array, "N n"]) -> UnitStatistics:
    """Statistics of every hidden unit of a one-layer model over all of `x`, on clean inputs.

    Taken block by block. `InputError` for other models.
    """
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

    active, shift, square, error = _means(block_sums, x)
    return UnitStatistics(active, centre + shift, square - shift**2, error)


def _means(block_sums: Callable, x: Float[Array, "N n"]) -> PyTree:
    """What `block_sums` gives, added over blocks of `x`, over the number of samples."""
    whole = len(x) // MEASURE_SAMPLES * MEASURE_SAMPLES
    totals = block_sums(x[whole:])
    if whole:
        blocks = x[:whole].reshape(-1, MEASURE_SAMPLES, x.shape[1])
        totals, _ = jax.lax.scan(
            lambda total, b: (jax.tree.map(jnp.add, total, block_sums(b)), None), totals, blocks
        )
    return jax.tree.map(lambda total: total / len(x), totals)


def summarize(params: Params, units: UnitStatistics) -> Metrics:
    """Condenses per-unit statistics and parameters to one number each."""
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
    """`unit_statistics` of a one-layer model, summarized to one number each."""
    return summarize(trained.params, unit_statistics(trained, x))


def code_statistics(trained: Trained, x: Float[Array, "N n"]) -> CodeStatistics:
    """Statistics of the codes of any model over all of `x`, on clean inputs; block by block."""
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

    active, shift, square, error = _means(block_sums, x)
    return CodeStatistics(
        activation_fraction=jnp.mean(active),
        dead_fraction=jnp.mean(active == 0),
        code_mean=jnp.mean(centre + shift),
        code_variance=jnp.mean(square - shift**2),
        reconstruction=error,
    )


def code_sizes(trained: Trained, x: Float[Array, "N n"]) -> CodeSizes:
    """E[h_j] and how often h_j is small, for any model over all of `x`; block by block."""

    def block_sums(block: Float[Array, "b n"]) -> CodeSizes:
        h = trained.model.encode(trained.params, block)
        small = jnp.sum(jnp.abs(h) <= SMALL_CODE, axis=0).astype(x.dtype)
        return CodeSizes(jnp.sum(h, axis=0), small)

    return _means(block_sums, x)


def bias_gradient_bound(params: Params, error: Float[Array, ""]) -> Float[Array, " m"]:
    """2 σ_r √n ‖W_j‖ of Lemma 1 and Theorem 1 (Arpit), from E‖r‖² = n σ_r²; untied, ‖D_j‖.

    With this σ_r the bound assumes no law of the residual, Gaussian or other.
    """
    return 2 * jnp.sqrt(error) * jnp.linalg.norm(decoder_matrix(params).T, axis=-1)


def theorem1_ratio(trained: Trained, x: Float[Array, "N n"]) -> Theorem1Ratio:
    """Theorem 1's condition at the parameters of a one-layer model, on the first 1,000 rows.

    λR is what the objective adds to the mean of its error; its unit noise, if it reads it, is
    drawn from the model's key. `InputError` for other models.
    """
    check_one_layer(trained.model, "Theorem 1's ratio is")
    gradient, error = _added_bias_gradient(trained, x)
    bound = bias_gradient_bound(trained.params, error)
    if trained.objective.error is not squared_error:
        bound = jnp.full_like(bound, jnp.nan)
    met = jnp.where(jnp.isnan(bound), jnp.nan, jnp.asarray(gradient > bound, bound.dtype))
    return Theorem1Ratio(jnp.mean(met), jnp.max(gradient / bound))


def pushed_down(trained: Trained, x: Float[Array, "N n"]) -> Float[Array, ""]:
    """Share of units with ∂R/∂b_j > 0 at the parameters of a one-layer model, on 1,000 rows.

    As in `theorem1_ratio`; what rounding alone can explain does not count.
    """
    check_one_layer(trained.model, "the sign of the bias gradient is")
    gradient, error = _added_bias_gradient(trained, x)
    rounding = 10 * jnp.finfo(gradient.dtype).eps * bias_gradient_bound(trained.params, error)
    return jnp.mean(gradient > rounding, dtype=gradient.dtype)


def _added_bias_gradient(
    trained: Trained, x: Float[Array, "N n"]
) -> tuple[Float[Array, " m"], Float[Array, ""]]:
    """λ∂R/∂b_j and the reconstruction error, on the first 1,000 rows."""
    model, objective, params = trained.model, trained.objective, trained.params
    x = x[:THEOREM1_SAMPLES]
    eps = jax.random.normal(jax.random.fold_in(trained.key, _NOISE), x.shape, x.dtype)

    def added(bias: Float[Array, " m"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        moved = params._replace(bias=bias)
        error = reconstruction_error(model, moved, x, x, objective.error)
        loss = objective(model, moved, x, eps, trained.coefficients)[0]
        return loss - error, error

    return jax.grad(added, has_aux=True)(params.bias)


def diverged(statistics: Metrics | CodeStatistics) -> Array:
    """True where one of a model's numbers is not finite; arrays of any equal shape."""
    return functools.reduce(operator.or_, (~jnp.isfinite(leaf) for leaf in statistics))


def collapsed(statistics: Metrics | CodeStatistics) -> Array:
    """True where at least `DEAD_LIMIT` of a model's units are dead; arrays of any equal shape.

    >>> statistics = CodeStatistics(*jnp.array([0.0, 1.0, 0.0, 0.0, 3.0]))
    >>> bool(collapsed(statistics)), bool(diverged(statistics))
    (True, False)
    """
    return jnp.asarray(statistics.dead_fraction) >= DEAD_LIMIT - _ROUNDING
