"""Penalties on the mean activations ρ_j = E[h_j] of a batch: Corollary 1's family, log and KL.

They are summed over units and hold for any model; ρ has the shape of one code. The mean is that of
the batch given: in training that of the minibatch. Shapes: n inputs, m hidden units, B batch.

>>> from aesparse.models.forward import forward
>>> from aesparse.models.one_layer import OneLayer, Params
>>> params, x = Params(jnp.eye(2), jnp.zeros(2)), jnp.array([[0.2, 0.5], [0.4, -2.0]])
>>> mean_activations(OneLayer(2), params, x).tolist()
[0.3, 0.25]
>>> clean = forward(OneLayer(2), params, x)
>>> penalties = (log_sparsity(), kl_sparsity(0.05), tangent_share(high=0.27))
>>> [round(float(penalty(clean, None)), 4) for penalty in penalties]
[0.6444, 0.3446, 0.5]
>>> kl_floor(0.05)  # below this mean KL continues as its tangent
0.0005
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Noise, Penalty
from aesparse.models.base import Model
from aesparse.models.forward import Forward

__all__ = [
    "POLE",
    "kl_divergence",
    "kl_floor",
    "kl_sparsity",
    "log_sparsity",
    "mean_activation",
    "mean_activations",
    "tangent_share",
]

POLE = 0.99  # −log(1 − ρ_j) and the KL penalty continue as their tangent above this mean


def mean_activations(model: Model, params: PyTree, x: Float[Array, "B n"]) -> Float[Array, " ..."]:
    """ρ_j = E[h_j] of `model` with `params` over the batch `x [B, n]`; the shape of one code."""
    return jnp.mean(model.encode(params, x), axis=0)


@functools.lru_cache(maxsize=64)
def mean_activation(f: Callable[[Float[Array, ""]], Float[Array, ""]]) -> Penalty:
    """The mean-activation family Σ_j f(E[h_j]) (Arpit Corollary 1), as a penalty.

    `f` is a function of one mean; the corollary needs it to increase.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> params, x = Params(jnp.eye(2), jnp.zeros(2)), jnp.array([[1.0, -2.0], [3.0, -2.0]])
    >>> float(mean_activation(jnp.square)(forward(OneLayer(2), params, x), None))
    4.0
    """

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        return jnp.sum(jax.vmap(f)(jnp.ravel(jnp.mean(forward.code, axis=0))))

    return penalty


def _tangent_outside(
    f: Callable[[Float[Array, ""]], Float[Array, ""]], low: float, high: float
) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
    """f on [low, high] and its tangent lines beyond: finite, and never flat, at a pole."""

    def extended(t: Float[Array, ""]) -> Float[Array, ""]:
        nearest = jnp.where(t > high, high, jnp.where(t < low, low, t))
        return f(nearest) + jax.grad(f)(nearest) * (t - nearest)

    return extended


@functools.cache
def log_sparsity(pole: float = POLE) -> Penalty:
    """−Σ_j log(1 − ρ_j), eq. 12 at ρ = 0 (Arpit eq. 13), and its tangent for ρ_j > `pole`.

    Means of ReLU or softplus units exceed 1: past the pole the formula is NaN while its gradient
    stays finite with the wrong sign. The tangent, from 0.99 on by default, lowers such a unit's
    mean. `InputError` unless 0 < pole < 1.
    """
    if not 0 < pole < 1:
        raise InputError(f"The tangent begins at {pole}; expected a number in (0, 1).")
    return mean_activation(_tangent_outside(lambda t: -jnp.log1p(-t), -math.inf, pole))


@functools.cache
def kl_sparsity(rho: float) -> Penalty:
    """Σ_j KL(ρ ‖ ρ_j) (Arpit eq. 12; GSAE; Lecture) for a target ρ = `rho`, 0 <= ρ < 0.99.

    Continued by its tangents for ρ_j > 0.99 and, when ρ > 0, for ρ_j < ρ/100: a dead ReLU unit (ρ_j
    = 0) or a negative mean then stays finite. Increasing only above ρ. ρ = 0 is `log_sparsity()`.
    `InputError` for another target.
    """
    if not 0 <= rho < POLE:
        raise InputError(f"The KL target is {rho}; expected 0 <= rho < {POLE}.")
    if rho == 0:
        return log_sparsity()  # its limit; 0·log 0 has no derivative at a dead unit

    kl = functools.partial(kl_divergence, rho)
    return mean_activation(_tangent_outside(kl, kl_floor(rho), POLE))


def kl_divergence(rho: float | Float[Array, ""], t: Float[Array, "..."]) -> Float[Array, "..."]:
    """KL(ρ ‖ t) between two coins (Arpit eq. 12), elementwise; the target ρ is `rho`.

    `t` holds numbers in (0, 1).

    >>> round(float(kl_divergence(0.05, jnp.array(0.5))), 4)
    0.4946
    """
    entropy = xlogy(rho, rho) + xlogy(1 - rho, 1 - rho)
    return entropy - xlogy(rho, t) - (1 - rho) * jnp.log1p(-t)


def kl_floor(rho: float) -> float:
    """The mean below which KL with target `rho` continues as its tangent: ρ/100; −∞ for ρ = 0."""
    return rho / 100 if rho > 0 else -math.inf


@functools.cache
def tangent_share(low: float = -math.inf, high: float = POLE) -> Penalty:
    """The share of units whose batch mean lies outside [`low`, `high`], for a report.

    By default `low` is −∞ and `high` 0.99, the range of `log_sparsity` itself.
    """

    def share(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        means = jnp.mean(forward.code, axis=0)
        return jnp.mean((means > high) | (means < low))

    return share
