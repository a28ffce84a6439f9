"""Arpit's lemma, theorems, corollaries and remarks as functions that return a `Claim`.

No training inside: each evaluates one statement at given parameters and data, in the precision
of its inputs (use float64), and can be vmapped over problems. Shapes: n inputs, m hidden
units, N samples. `penalty(forward, eps)` is any regularizer R of `losses.penalties`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.losses import penalties
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.metrics import bias_gradient_bound
from aesparse.models.activations import Activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params, preactivation
from aesparse.theory import properties
from aesparse.theory.records import TOLERANCE, Claim

__all__ = [
    "bias_gradient",
    "biasless_mean",
    "corollary1",
    "corollary2",
    "cross_term",
    "gradient_step",
    "lemma1",
    "lemma1_bound",
    "mean_preactivation",
    "radial_gradient",
    "remark1",
    "remark2",
    "some_strength_suffices",
    "theorem1_condition",
    "theorem1_identity",
    "theorem1_variance",
]


def bias_gradient(f: Callable[[Params], Float[Array, ""]], params: Params) -> Float[Array, " m"]:
    """∂f/∂b_e of a scalar function of the parameters."""
    return jax.grad(f)(params).bias


def _reconstruction(X: Float[Array, "N n"], s: Activation) -> Callable[[Params], Array]:
    return lambda params: reconstruction_error(OneLayer.of(params, s), params, X, X)


def lemma1_bound(params: Params, X: Float[Array, "N n"], s: Activation) -> Float[Array, " m"]:
    """2 σ_r √n ‖W_j‖ with n σ_r² := E‖r‖² on `X`, as printed, for tied weights."""
    tied = params._replace(decoder=None)
    return bias_gradient_bound(tied, _reconstruction(X, s)(params))


def lemma1(params: Params, X: Float[Array, "N n"], s: Activation) -> Claim:
    """T1: |∂J_AE/∂b_j| <= 2 σ_r √n ‖W_j‖ for a tied decoder and s' in [0, 1] (Lemma 1).

    The margin is the share of the bound left free, 0 where the bound itself is 0.
    """
    left = jnp.abs(bias_gradient(_reconstruction(X, s), params))
    right = lemma1_bound(params, X, s)
    hypotheses = {
        "s' in [0, 1]": properties.slope_in_unit_interval(s).residual,
        "tied decoder": _untied(params),
    }
    return Claim(hypotheses, left, right, _relative(right - left, right))


def _untied(params: Params) -> Float[Array, ""]:
    """The largest entry of |D − Wᵀ|."""
    if params.decoder is None:
        return jnp.zeros(())
    return jnp.max(jnp.abs(params.decoder - params.weight.T))


def _relative(difference: Float[Array, " m"], size: Float[Array, " m"]) -> Float[Array, " m"]:
    """The difference in units of `size`; the difference itself where the size is 0."""
    return difference / jnp.where(size > 0, size, 1.0)


def gradient_step(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: penalties.Penalty,
    strength: float | Float[Array, ""],
    rate: float | Float[Array, ""],
) -> Params:
    """The parameters after one plain full-batch gradient step on J_AE + λR."""

    def loss(p: Params) -> Float[Array, ""]:
        return _reconstruction(X, s)(p) + strength * penalty(one_layer_forward(p, X, s), None)

    return jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params))


def mean_preactivation(params: Params, X: Float[Array, "N n"]) -> Float[Array, " m"]:
    """E[a_j]."""
    return jnp.mean(preactivation(params, X), axis=0)


def _pushes(
    params: Params, X: Float[Array, "N n"], s: Activation, penalty: penalties.Penalty
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    reconstruction = bias_gradient(_reconstruction(X, s), params)
    return reconstruction, bias_gradient(
        lambda p: penalty(one_layer_forward(p, X, s), None), params
    )


def theorem1_identity(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: penalties.Penalty,
    strength: float | Float[Array, ""],
    rate: float | Float[Array, ""],
) -> Claim:
    """T2, eq. 5: on zero-mean data a step changes E[a_j] by −η(∂J_AE/∂b_j + λ ∂R/∂b_j).

    `left` is the change of b_j + W_j·E[x]. The margin is minus the disagreement relative to the
    largest change: 0 up to rounding. A change far below the parameters has fewer digits than
    `TOLERANCE` asks for; the margin is then relative to the smallest that has as many.
    """
    reconstruction, regularizer = _pushes(params, X, s, penalty)
    after = gradient_step(params, X, s, penalty, strength, rate)
    moved = (after.weight - params.weight) @ jnp.mean(X, axis=0)
    left = after.bias - params.bias + moved
    right = -rate * (reconstruction + strength * regularizer)
    largest = jnp.maximum(jnp.max(jnp.abs(params.bias)), jnp.max(jnp.abs(params.weight)))
    resolved = 4 * jnp.finfo(X.dtype).eps / TOLERANCE * largest
    size = jnp.maximum(jnp.max(jnp.abs(right)), resolved)
    margin = -_relative(jnp.abs(left - right), jnp.broadcast_to(size, left.shape))
    return Claim({"E[x] = 0": properties.zero_mean(X)}, left, right, margin)


def theorem1_condition(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: penalties.Penalty,
    strength: float | Float[Array, ""],
    rate: float | Float[Array, ""],
) -> Claim:
    """T2: E[a_j] falls for every unit with λ ∂R/∂b_j > 2 σ_r √n ‖W_j‖ (Theorem 1).

    `left` is λ ∂R/∂b_j, `right` the bound; the margin is the fall of E[a_j] per unit of rate
    where the condition is met and infinite where it is not.
    """
    _, regularizer = _pushes(params, X, s, penalty)
    after = gradient_step(params, X, s, penalty, strength, rate)
    fall = (mean_preactivation(params, X) - mean_preactivation(after, X)) / rate
    left, right = strength * regularizer, lemma1_bound(params, X, s)
    hypotheses = {
        "E[x] = 0": properties.zero_mean(X),
        "s' in [0, 1]": properties.slope_in_unit_interval(s).residual,
        "tied decoder": _untied(params),
    }
    return Claim(hypotheses, left, right, jnp.where(left > right, fall, jnp.inf))


def theorem1_variance(params: Params, X: Float[Array, "N n"]) -> Claim:
    """T2: Var[a_j] = ‖W_j‖² on whitened data, at any parameters (Theorem 1)."""
    left = jnp.var(preactivation(params, X), axis=0)
    right = jnp.sum(params.weight**2, axis=-1)
    hypotheses = {"E[x] = 0": properties.zero_mean(X), "E[xxᵀ] = I": properties.whiteness(X)}
    return Claim(hypotheses, left, right, -_relative(jnp.abs(left - right), right))


def corollary1(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    f: Callable[[Float[Array, ""]], Float[Array, ""]],
) -> Claim:
    """T3: ∂/∂b_j Σ f(E[h_j]) >= 0 for s and f non-decreasing (Corollary 1).

    f is judged by its slope at the means E[h_j] that occur, where alone it matters.
    """
    left = bias_gradient(
        lambda p: penalties.mean_activation(f)(one_layer_forward(p, X, s), None), params
    )
    means = penalties.mean_activations(OneLayer.of(params, s), params, X)
    hypotheses = {
        "s non-decreasing": properties.non_decreasing(s).residual,
        "f non-decreasing": jnp.max(-jax.vmap(jax.grad(f))(means)),
    }
    return Claim(hypotheses, left, jnp.zeros_like(left), left)


def corollary2(
    params: Params, X: Float[Array, "N n"], s: Activation, q: int = 2, p: int = 2
) -> Claim:
    """T4: ∂/∂b_j E Σ s'^q ‖W_j‖^p >= 0 for s non-decreasing and convex (Corollary 2).

    >>> from aesparse.models.activations import get_activation
    >>> with jax.enable_x64(True):
    ...     params, X = OneLayer(3).init(jax.random.key(0), 4), jnp.eye(4)
    ...     print(jnp.all(corollary2(params, X, get_activation("softplus")).margin >= 0))
    True
    """
    left = bias_gradient(lambda v: penalties.slope(q, p)(one_layer_forward(v, X, s), None), params)
    return Claim(_non_decreasing_and_convex(s), left, jnp.zeros_like(left), left)


def some_strength_suffices(
    params: Params, X: Float[Array, "N n"], s: Activation, penalty: penalties.Penalty
) -> Claim:
    """ "∃ λ > 0" of the corollaries: some strength keeps ∂J_AE/∂b_j + λ ∂R/∂b_j >= 0 everywhere.

    `left` is ∂R/∂b_j and `right` ∂J_AE/∂b_j. A unit with ∂R/∂b_j > 0 always finds its λ, and the
    margin is ∂R/∂b_j; one without is left to its reconstruction, and the margin is ∂J_AE/∂b_j.
    """
    right, left = _pushes(params, X, s, penalty)
    hypotheses = {"E[x] = 0": properties.zero_mean(X)} | _non_decreasing_and_convex(s)
    return Claim(hypotheses, left, right, jnp.where(left > 0, left, right))


def cross_term(params: Params, X: Float[Array, "N n"], s: Activation) -> Claim:
    """T8: the bias gradient of E Σ_{j≠k} s'_j s'_k (W_j·W_k)² is >= 0 (after Theorem 3).

    For s non-decreasing *and* convex: convexity alone does not suffice.
    """

    def cross(params: Params) -> Float[Array, ""]:
        slopes = s.slope(preactivation(params, X))
        gram = (params.weight @ params.weight.T) ** 2
        off_diagonal = gram - jnp.diag(jnp.diag(gram))
        return jnp.mean(jnp.sum((slopes @ off_diagonal) * slopes, axis=-1))

    left = bias_gradient(cross, params)
    return Claim(_non_decreasing_and_convex(s), left, jnp.zeros_like(left), left)


def _non_decreasing_and_convex(s: Activation) -> dict[str, Float[Array, ""]]:
    return {
        "s non-decreasing": properties.non_decreasing(s).residual,
        "s convex": properties.convex(s).residual,
    }


def remark1(params: Params, X: Float[Array, "N n"], s: Activation) -> Claim:
    """T7: E‖∂h/∂x‖_F² by Jacobians equals E Σ s'_j² ‖W_j‖² (Remark 1)."""
    return _equal(
        penalties.contractive_generic(one_layer_forward(params, X, s), None),
        penalties.slope(2, 2)(one_layer_forward(params, X, s), None),
        {},
    )


def remark2(params: Params, X: Float[Array, "N n"], s: Activation) -> Claim:
    """T7: mDAE's eq. 10, by Hessians and Jacobians, equals eq. 11 (Remarks 2, 3; tied)."""
    return _equal(
        penalties.marginalized_generic(one_layer_forward(params, X, s), None),
        penalties.slope(2, 4)(one_layer_forward(params, X, s), None),
        {"tied decoder": _untied(params)},
    )


def _equal(left: Float[Array, ""], right: Float[Array, ""], hypotheses: dict) -> Claim:
    left, right = left[None], right[None]
    return Claim(hypotheses, left, right, -_relative(jnp.abs(left - right), jnp.abs(right)))


def biasless_mean(weight: Float[Array, "m n"], X: Float[Array, "N n"]) -> Claim:
    """T10: without an encoding bias E[a_j] is 0 on zero-mean data, whatever the weights."""
    mean = jnp.mean(X @ weight.T, axis=0)
    scale = jnp.max(jnp.abs(X @ weight.T), axis=0)
    return Claim(
        {"E[x] = 0": properties.zero_mean(X)},
        mean,
        jnp.zeros_like(mean),
        -_relative(jnp.abs(mean), scale),
    )


def radial_gradient(
    params: Params, X: Float[Array, "N n"], s: Activation, penalty: penalties.Penalty
) -> Claim:
    """T13: under unit rows the tangential and bias gradients of `penalty` vanish.

    True for ReLU with CAE and mDAE. `left` is the size of what is left per unit, `right` the
    size of the radial part.
    """
    gradient = jax.grad(lambda p: penalty(one_layer_forward(p, X, s), None))(params)
    radial = jnp.sum(gradient.weight * params.weight, axis=-1)
    tangential = gradient.weight - radial[:, None] * params.weight
    left = jnp.linalg.norm(tangential, axis=-1) + jnp.abs(gradient.bias)
    lengths = jnp.linalg.norm(params.weight, axis=-1)
    hypotheses = {"‖W_j‖ = 1": jnp.max(jnp.abs(lengths - 1))}
    return Claim(hypotheses, left, jnp.abs(radial), -left / (1 + jnp.abs(radial)))
