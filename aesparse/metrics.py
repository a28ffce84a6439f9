"""What is measured on a trained model, on the device, over any number of samples.

Shapes: n inputs, m hidden units, N samples; params of one model (lift over a grid by `vmap`).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.losses.objectives import Objective
from aesparse.losses.reconstruction import ErrorFunction, reconstruction_error, squared_error
from aesparse.models.activations import Activation
from aesparse.models.one_layer import Params, decode, decoder_matrix, preactivation

__all__ = [
    "DEAD_LIMIT",
    "MEASURE_SAMPLES",
    "BiasPressure",
    "Metrics",
    "UnitStatistics",
    "bias_gradient_bound",
    "bias_pressure",
    "first_flagged",
    "flagged",
    "measure",
    "participation_ratio",
    "pressure_and_loss",
    "summarize",
    "uses_noise",
]

DEAD_LIMIT = 0.99  # a cell with this share of dead units has collapsed and is flagged
_ROUNDING = 1e-6  # 99 of 100 units are 0.98999995 in float32
MEASURE_SAMPLES = 500  # measured side by side: bounds the memory of a grid's codes


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


class BiasPressure(NamedTuple):
    """How far the regularizer is from Theorem 1's sufficient condition, over hidden units.

    The condition for unit j is λ ∂R/∂b_j > 2 σ_r √n ‖D_j‖ with n σ_r² = E‖r‖² and D_j = W_j for
    tied weights. NaN for another reconstruction error than the squared one, of which it speaks.
    """

    share: Float[Array, ""]  # of units that meet the condition
    largest: Float[Array, ""]  # the largest left side over its right side


def measure(
    params: Params,
    x: Float[Array, "N n"],
    activation: Activation,
    error: ErrorFunction = squared_error,
) -> UnitStatistics:
    """Statistics of every hidden unit over all of `x`, block by block, on clean inputs.

    Sums are taken around E[a_j] = W_j·E[x] + b_j, known beforehand, so that the variance does
    not cancel.
    """
    centre = preactivation(params, jnp.mean(x, axis=0))

    def block_sums(block: Float[Array, "b n"]) -> UnitStatistics:
        a = preactivation(params, block)
        h = activation(a)
        deviation = a - jnp.broadcast_to(centre, a.shape)
        return UnitStatistics(
            jnp.sum(h > activation.threshold, axis=0).astype(x.dtype),
            jnp.sum(deviation, axis=0),
            jnp.sum(deviation**2, axis=0),
            jnp.sum(error(block, decode(params, h))),
        )

    whole = len(x) // MEASURE_SAMPLES * MEASURE_SAMPLES
    totals = block_sums(x[whole:])
    if whole:
        blocks = x[:whole].reshape(-1, MEASURE_SAMPLES, x.shape[1])
        summed, _ = jax.lax.scan(
            lambda total, b: (jax.tree.map(jnp.add, total, block_sums(b)), None), totals, blocks
        )
        totals = summed
    active, shift, square, mean_error = jax.tree.map(lambda total: total / len(x), totals)
    return UnitStatistics(active, centre + shift, square - shift**2, mean_error)


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


def bias_gradient_bound(params: Params, error: Float[Array, ""]) -> Float[Array, " m"]:
    """2 σ_r √n ‖W_j‖ of Lemma 1 and Theorem 1 (Arpit), from E‖r‖² = n σ_r²; untied, ‖D_j‖.

    With this σ_r the bound assumes no law of the residual, Gaussian or other.
    """
    return 2 * jnp.sqrt(error) * jnp.linalg.norm(decoder_matrix(params).T, axis=-1)


def bias_pressure(
    objective: Objective,
    params: Params,
    x: Float[Array, "N n"],
    eps: Float[Array, "N n"],
    strength: Float[Array, "*K"],
) -> BiasPressure:
    """Theorem 1's condition at `params`; λR is what the objective adds to J_AE on `x`, `eps`."""
    return pressure_and_loss(objective, params, x, eps, strength)[0]


def pressure_and_loss(
    objective: Objective,
    params: Params,
    x: Float[Array, "N n"],
    eps: Float[Array, "N n"],
    strength: Float[Array, "*K"],
) -> tuple[BiasPressure, Float[Array, ""]]:
    """`bias_pressure`, and the objective's loss on `x`, `eps`, which it is computed from."""

    def added(bias: Float[Array, " m"]) -> tuple[Float[Array, ""], tuple]:
        moved = params._replace(bias=bias)
        error = reconstruction_error(moved, x, x, objective.activation, objective.error)
        loss = objective(moved, x, eps, strength)[0]
        return loss - error, (error, loss)

    gradient, (error, loss) = jax.grad(added, has_aux=True)(params.bias)
    bound = bias_gradient_bound(params, error)
    if objective.error is not squared_error:
        bound = jnp.full_like(bound, jnp.nan)
    met = jnp.where(jnp.isnan(bound), jnp.nan, jnp.asarray(gradient > bound, bound.dtype))
    return BiasPressure(jnp.mean(met), jnp.max(gradient / bound)), loss


def uses_noise(
    objective: Objective,
    params: Params,
    x: Float[Array, "N n"],
    strengths: Float[Array, "G ..."],
) -> bool:
    """Whether the objective reads its unit noise, from its trace for the first model `[G, ...]`."""
    model = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), params)
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=x.dtype)
    batch = shape(x.shape)
    loss = jax.make_jaxpr(lambda eps, *rest: objective(rest[0], rest[1], eps, rest[2])[0])
    trace = loss(batch, model, batch, shape(strengths.shape[1:])).jaxpr
    return any(trace.invars[0] is read for step in trace.eqns for read in step.invars)


def participation_ratio(rows: Float[Array, "... n"]) -> Float[Array, "..."]:
    """(Σ w²)² / (n Σ w⁴), the share of inputs a filter spreads over: 1/n (one) to 1 (all).

    NaN for a filter of zeros.
    """
    squared = rows**2
    return jnp.sum(squared, -1) ** 2 / (rows.shape[-1] * jnp.sum(squared**2, -1))


def flagged(metrics: Metrics) -> Array:
    """True where a model is not finite or has lost `DEAD_LIMIT` of its units."""
    finite = jnp.isfinite(metrics.reconstruction) & jnp.isfinite(metrics.row_length_mean)
    dead = metrics.dead_fraction >= DEAD_LIMIT - _ROUNDING
    return ~finite | ~jnp.isfinite(metrics.bias_mean) | dead


def first_flagged(
    history: Metrics, final: Metrics, diverged: np.ndarray | bool = False
) -> np.ndarray:
    """First epoch flagged, for models still flagged at the end; −1 otherwise.

    `diverged [S, G, E + 1]`: where the loss is not finite; the last epoch's counts as the end's.
    """
    along = np.asarray(flagged(history)) | diverged
    first = np.where(along.any(-1), along.argmax(-1), along.shape[-1] - 1)
    last = np.asarray(flagged(final)) | np.broadcast_to(diverged, along.shape)[..., -1]
    return np.where(last, first, -1)
