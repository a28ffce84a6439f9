"""Arpit's lemma, theorems, corollaries and remarks as functions that return a `Claim`.

No training inside: each evaluates one statement at given parameters and data, in the precision of
its inputs (use float64), and can be vmapped over problems. Arguments of all: `params` of one model,
data `X [N, n]`, the activation `s`; a `penalty(forward, eps)` is any regularizer R of
`losses.penalties`. Lemma 1 and Theorem 1 are written in `theory.theorem1`. Shapes: n inputs, m
hidden units, N samples.

>>> from aesparse.models.activations import get_activation
>>> softplus, relu = get_activation("softplus"), get_activation("relu")
>>> with jax.enable_x64(True):
...     params, X = Params(jnp.array([[1.0]]), jnp.array([0.5])), jnp.array([[1.0], [-1.0]])
...     claims = {
...         "Corollary 1": corollary1(params, X, softplus, jnp.exp),
...         "Corollary 2": corollary2(params, X, softplus),
...         "some λ": some_strength_suffices(params, X, softplus, penalties.contractive),
...         "cross term": cross_term(params, X, softplus),
...         "Remark 1": remark1(params, X, softplus),
...         "Remark 2": remark2(params, X, softplus),
...         "no bias": biasless_mean(params.weight, X),
...         "radial": radial_gradient(params, X, relu, penalties.contractive),
...     }
>>> for name, claim in claims.items():
...     print(f"{name}: {float(claim.left[0]):.4f}, {float(claim.margin[0]) >= -1e-9}")
Corollary 1: 1.7733, True
Corollary 2: 0.2107, True
some λ: 0.2107, True
cross term: 0.0000, True
Remark 1: 0.4055, True
Remark 2: 0.4055, True
no bias: 0.0000, True
radial: 0.0000, True
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.losses import penalties
from aesparse.models.activations import Activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params, preactivation
from aesparse.theory import properties
from aesparse.theory.records import Claim
from aesparse.theory.theorem1 import (
    bias_gradient,
    bias_gradients,
    gradient_step,
    lemma1,
    lemma1_bound,
    mean_preactivation,
    relative,
    theorem1_condition,
    theorem1_identity,
    theorem1_variance,
    untied,
)

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


def corollary1(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    f: Callable[[Float[Array, ""]], Float[Array, ""]],
) -> Claim:
    """T3: ∂/∂b_j Σ f(E[h_j]) >= 0 for s and f non-decreasing (Corollary 1).

    `left` is the gradient. `f` is judged by its slope at the means E[h_j] that occur, where alone
    it matters.
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

    `left` is the gradient; the powers `q` and `p` are 2 by default, as in CAE.

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
    right, left = bias_gradients(params, X, s, penalty)
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
        {"tied decoder": untied(params)},
    )


def _equal(left: Float[Array, ""], right: Float[Array, ""], hypotheses: dict) -> Claim:
    left, right = left[None], right[None]
    return Claim(hypotheses, left, right, -relative(jnp.abs(left - right), jnp.abs(right)))


def biasless_mean(weight: Float[Array, "m n"], X: Float[Array, "N n"]) -> Claim:
    """T10: without an encoding bias E[a_j] is 0 on zero-mean data, whatever the weights.

    `weight` is W `[m, n]`. The margin is minus |E[a_j]|, relative to the largest |a_j|.
    """
    mean = jnp.mean(X @ weight.T, axis=0)
    scale = jnp.max(jnp.abs(X @ weight.T), axis=0)
    return Claim(
        {"E[x] = 0": properties.zero_mean(X)},
        mean,
        jnp.zeros_like(mean),
        -relative(jnp.abs(mean), scale),
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
