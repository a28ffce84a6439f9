"""Regularizers R(W, b), each averaged over the batch: `penalty(forward, eps)`.

`forward` is the model's pass over the clean batch (`model.Forward`), `eps [B, n]` the step's unit
noise, or None where there is none.

Two definitions with one meaning. *Generic* ones take Jacobians and Hessians of the whole map
by autodiff: valid for any encoder, and the oracle. *Structured* ones use, for one layer, only
s', s'' of the scalar activation and the lengths of the weights: what training uses. No
derivative is typed by hand. Shapes: n inputs, m hidden units, B batch; params of one model.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from aesparse.errors import InputError, unknown_name
from aesparse.models.activations import Activation
from aesparse.models.one_layer import (
    Forward,
    Params,
    decode,
    decoder_matrix,
    encode,
    reconstruct,
    row_sums,
)

__all__ = [
    "PENALTIES",
    "POLE",
    "Penalty",
    "contractive",
    "contractive_generic",
    "get_penalty",
    "kl_divergence",
    "kl_floor",
    "kl_sparsity",
    "log_sparsity",
    "marginalized",
    "marginalized_generic",
    "mean_activation",
    "mean_activations",
    "per_example",
    "residual_share",
    "second_order",
    "second_order_generic",
    "second_order_with_kink",
    "slope",
    "weight_decay",
]

POLE = 0.99  # −log(1 − ρ_j) and the KL penalty continue as their tangent above this mean


# penalty(forward, eps) -> scalar; a user's own function has this form too.
Noise = Float[Array, "B n"] | None
Penalty = Callable[[Forward, Noise], Float[Array, ""]]


def per_example(f: Callable[..., Float[Array, ""]]) -> Penalty:
    """Lifts `f(params, x, activation)` for one example `x [n]` to the mean over a batch."""

    @functools.wraps(f)
    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        each = jax.vmap(lambda one: f(forward.params, one, forward.activation))(forward.x)
        return jnp.mean(each)

    return penalty


@functools.cache
def slope(q: int, p: int) -> Penalty:
    """The slope family E Σ_j s'_j^q ‖W_j‖^p (Arpit Corollary 2), q >= 1, p >= 0."""
    if q < 1 or p < 0:
        raise InputError(f"slope(q={q}, p={p}): expected q >= 1 and p >= 0.")

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        lengths = _row_length_power(forward.params.weight, p)
        return jnp.sum(_mean_slope_power(forward, q) * lengths)

    return penalty


def _row_length_power(weight: Float[Array, "m n"], p: int) -> Float[Array, " m"]:
    """‖W_j‖^p with gradient 0, not NaN, at a zero row."""
    squared = row_sums(weight**2)
    if p % 2 == 0:
        return squared ** (p // 2)
    return jnp.where(squared > 0, jnp.where(squared > 0, squared, 1.0) ** (p / 2), 0.0)


def _mean_slope_power(forward: Forward, q: int) -> Float[Array, " m"]:
    return jnp.mean(forward.activation.slope(forward.preactivation) ** q, axis=0)


def contractive(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """E‖∂h/∂x‖_F² = E Σ_j s'_j² ‖W_j‖², the CAE penalty (Arpit eqs. 8, 9, Remark 1)."""
    del eps
    return jnp.sum(_mean_slope_power(forward, 2) * row_sums(forward.params.weight**2))


@per_example
def contractive_generic(
    params: Params, x: Float[Array, " n"], activation: Activation
) -> Float[Array, ""]:
    """E‖∂h/∂x‖_F² through the encoder's Jacobian (Arpit eq. 8)."""
    return jnp.sum(jax.jacfwd(lambda z: encode(params, z, activation))(x) ** 2)


def marginalized(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """E Σ_j s'_j² ‖W_j‖² ‖D_j‖², the mDAE penalty (Arpit eq. 11; ‖W_j‖⁴ when tied)."""
    del eps
    params = forward.params
    encoder = row_sums(params.weight**2)
    decoder = encoder if params.decoder is None else row_sums(params.decoder.T**2)
    return jnp.sum(_mean_slope_power(forward, 2) * encoder * decoder)


@per_example
def marginalized_generic(
    params: Params, x: Float[Array, " n"], activation: Activation
) -> Float[Array, ""]:
    """½ E Σ_i Σ_j ∂²ℓ/∂h_j² (∂h_j/∂x_i)², by a Hessian and a Jacobian (Arpit eq. 10)."""
    h = encode(params, x, activation)
    curvature = jnp.diag(jax.hessian(lambda h: jnp.sum((x - decode(params, h)) ** 2))(h))
    jacobian = jax.jacfwd(lambda z: encode(params, z, activation))(x)
    return 0.5 * jnp.sum(curvature[:, None] * jacobian**2)


def _second_order_terms(
    forward: Forward, curvature: Callable
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Arpit eq. 33's terms with slopes alone, and its term with the residual."""
    params, a = forward.params, forward.preactivation
    slopes, decoder = forward.activation.slope(a), decoder_matrix(params)
    gram = params.weight @ params.weight.T
    # When tied, D_j = W_j: the second product, and two of its gradient, would be the first again.
    products = gram**2 if params.decoder is None else gram * (decoder.T @ decoder)
    residual = forward.x - forward.reconstruction
    bend = curvature(a) * (residual @ decoder)
    along = jnp.mean(jnp.sum((slopes @ products) * slopes, axis=-1))
    return along, -jnp.mean(bend @ row_sums(params.weight**2))


def second_order(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """½ E tr ∇²ℓ for one layer: DAE's second-order term (Arpit eqs. 7, 33).

    E[Σ_jk s'_j s'_k (W_j·W_k)(D_j·D_k) − Σ_j s''_j ‖W_j‖² (D_j·r)], ∇² with respect to the
    encoder's input while the target x of the squared error stays fixed. The second term
    carries the coefficient 1, as in eq. 33; eq. 30 on the way there lacks a factor 2.
    """
    del eps
    return sum(_second_order_terms(forward, forward.activation.curvature))


def residual_share(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """The size of `second_order`'s term with the residual over that of its other terms."""
    del eps
    along, bend = _second_order_terms(forward, forward.activation.curvature)
    return jnp.abs(bend) / along


@functools.cache
def second_order_with_kink(width: float = 0.25) -> Penalty:
    """`second_order` with the mass that s'' has at a kink in 0, which autodiff does not see.

    A jump of the slope by Δ at 0 adds Δ·δ(a) to s'': for ReLU the loss term
    −Σ_j p_{a_j}(0) ‖W_j‖² E[D_j·r | a_j = 0]. The Dirac mass is a normal density of standard
    deviation `width`, so that a minibatch holds units near their kink; Δ is measured.
    """
    if not width > 0:
        raise InputError(f"The width of the kink is {width}; expected a number > 0.")

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        activation, dtype = forward.activation, forward.x.dtype
        beside = jnp.asarray(jnp.finfo(dtype).eps, dtype)
        jump = activation.slope(beside) - activation.slope(-beside)

        def curvature(a: Float[Array, "B m"]) -> Float[Array, "B m"]:
            return activation.curvature(a) + jump * norm.pdf(a, scale=width)

        return sum(_second_order_terms(forward, curvature))

    return penalty


@per_example
def second_order_generic(
    params: Params, x: Float[Array, " n"], activation: Activation
) -> Float[Array, ""]:
    """½ E tr ∇²ℓ by `jax.hessian` at the clean input, the target held fixed (Arpit eq. 28)."""

    def loss(z: Float[Array, " n"]) -> Float[Array, ""]:
        return jnp.sum((x - reconstruct(params, z, activation)) ** 2)

    return 0.5 * jnp.trace(jax.hessian(loss)(x))


def mean_activations(
    params: Params, x: Float[Array, "B n"], activation: Activation
) -> Float[Array, " m"]:
    """ρ_j = E[h_j] over the batch given; during training that is the minibatch mean."""
    return jnp.mean(encode(params, x, activation), axis=0)


@functools.cache
def mean_activation(f: Callable[[Float[Array, ""]], Float[Array, ""]]) -> Penalty:
    """The mean-activation family Σ_j f(E[h_j]) for an increasing f (Arpit Corollary 1)."""

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        return jnp.sum(jax.vmap(f)(jnp.mean(forward.code, axis=0)))

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

    Means of ReLU or softplus units exceed 1: past the pole the formula is NaN while its
    gradient stays finite with the wrong sign. The tangent keeps pushing such a unit down.
    """
    if not 0 < pole < 1:
        raise InputError(f"The tangent begins at {pole}; expected a number in (0, 1).")
    return mean_activation(_tangent_outside(lambda t: -jnp.log1p(-t), -math.inf, pole))


@functools.cache
def kl_sparsity(rho: float) -> Penalty:
    """Σ_j KL(ρ ‖ ρ_j) (Arpit eq. 12; GSAE; Lecture) for a target 0 <= ρ < 0.99.

    Continued by its tangents for ρ_j > 0.99 and, when ρ > 0, for ρ_j < ρ/100: a dead ReLU
    unit (ρ_j = 0) or a negative mean then stays finite. Increasing only above ρ.
    """
    if not 0 <= rho < POLE:
        raise InputError(f"The KL target is {rho}; expected 0 <= rho < {POLE}.")
    if rho == 0:
        return log_sparsity()  # its limit; 0·log 0 has no derivative at a dead unit

    kl = functools.partial(kl_divergence, rho)
    return mean_activation(_tangent_outside(kl, kl_floor(rho), POLE))


def kl_divergence(rho: float | Float[Array, ""], t: Float[Array, "..."]) -> Float[Array, "..."]:
    """KL(ρ ‖ t) between two coins, for t in (0, 1) (Arpit eq. 12), elementwise in t."""
    entropy = xlogy(rho, rho) + xlogy(1 - rho, 1 - rho)
    return entropy - xlogy(rho, t) - (1 - rho) * jnp.log1p(-t)


def kl_floor(rho: float) -> float:
    """The mean below which the KL penalty with target `rho` continues as its tangent."""
    return rho / 100 if rho > 0 else -math.inf


def weight_decay(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """Σ W² over encoder and decoder weights, without biases and without a factor ½."""
    del eps
    params = forward.params
    decoder = 0.0 if params.decoder is None else jnp.sum(params.decoder**2)
    return jnp.sum(params.weight**2) + decoder


PENALTIES: dict[str, Penalty] = {
    "cae": contractive,
    "mdae": marginalized,
    "dae2": second_order,
    "dae2-kink": second_order_with_kink(),
    "sae": log_sparsity(),
    "sae-kl": kl_sparsity(0.05),
    "mean-square": mean_activation(jnp.square),
    "weight-decay": weight_decay,
}


def get_penalty(name: str) -> Penalty:
    """The built-in penalty called `name`; `InputError` with near matches otherwise."""
    if name not in PENALTIES:
        raise unknown_name("penalty", name, PENALTIES)
    return PENALTIES[name]
