"""Arpit's Lemma 1 and Theorem 1 as functions that return a `Claim`, and what they are made of.

Arguments of all: `params` of one model, data `X [N, n]`, the activation `s`; a `penalty(forward,
eps)`, its `strength` λ and the learning `rate` η of one plain full-batch gradient step on J_AE +
λR. Shapes: n inputs, m hidden units, N samples.

>>> from aesparse.losses.penalties import mean_activation
>>> from aesparse.models.activations import get_activation
>>> relu, square = get_activation("relu"), mean_activation(jnp.square)  # R = Σ_j E[h_j]²
>>> with jax.enable_x64(True):
...     params, X = Params(jnp.array([[1.0]]), jnp.array([0.5])), jnp.array([[1.0], [-1.0]])
...     reconstruction, regularizer = bias_gradients(params, X, relu, square)
...     bound = lemma1_bound(params, X, relu)
...     step = gradient_step(params, X, relu, square, 5.0, rate=0.1)
...     claims = [lemma1(params, X, relu), theorem1_identity(params, X, relu, square, 5.0, 0.1)]
...     claims += [theorem1_condition(params, X, relu, square, 5.0, 0.1)]
...     claims += [theorem1_variance(params, X)]
...     print(regularizer.tolist(), bound.round(4).tolist())  # 2 E[h] E[s'], 2 σ_r √n ‖W_1‖
...     print(mean_preactivation(params, X).tolist(), mean_preactivation(step, X).round(4).tolist())
[0.75] [1.5811]
[0.5] [0.075]
>>> [round(float(claim.margin[0]), 4) + 0.0 for claim in claims]  # nowhere below 0
[0.6838, 0.0, 4.25, 0.0]
>>> relative(jnp.array([1.0, 1.0]), jnp.array([2.0, 0.0])).tolist(), float(untied(params))
([0.5, 1.0], 0.0)
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.losses.base import Penalty
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.metrics import bias_gradient_bound
from aesparse.models.activations import Activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params, preactivation
from aesparse.theory import properties
from aesparse.theory.records import TOLERANCE, Claim

__all__ = [
    "bias_gradient",
    "bias_gradients",
    "gradient_step",
    "lemma1",
    "lemma1_bound",
    "mean_preactivation",
    "relative",
    "theorem1_condition",
    "theorem1_identity",
    "theorem1_variance",
    "untied",
]


def bias_gradient(f: Callable[[Params], Float[Array, ""]], params: Params) -> Float[Array, " m"]:
    """∂f/∂b_e `[m]` of a scalar function `f` of the parameters.

    >>> bias_gradient(lambda p: jnp.sum(p.bias**2), Params(jnp.eye(2), jnp.ones(2))).tolist()
    [2.0, 2.0]
    """
    return jax.grad(f)(params).bias


def _reconstruction(X: Float[Array, "N n"], s: Activation) -> Callable[[Params], Array]:
    return lambda params: reconstruction_error(OneLayer.of(params, s), params, X, X)


def lemma1_bound(params: Params, X: Float[Array, "N n"], s: Activation) -> Float[Array, " m"]:
    """2 σ_r √n ‖W_j‖ `[m]` with n σ_r² := E‖r‖² on `X`, as printed, for tied weights."""
    tied = params._replace(decoder=None)
    return bias_gradient_bound(tied, _reconstruction(X, s)(params))


def lemma1(params: Params, X: Float[Array, "N n"], s: Activation) -> Claim:
    """T1: |∂J_AE/∂b_j| <= 2 σ_r √n ‖W_j‖ for a tied decoder and s' in [0, 1] (Lemma 1).

    `left` and `right` are the two sides; the margin is the share of the bound left free, 0 where
    the bound itself is 0.
    """
    left = jnp.abs(bias_gradient(_reconstruction(X, s), params))
    right = lemma1_bound(params, X, s)
    hypotheses = {
        "s' in [0, 1]": properties.slope_in_unit_interval(s).residual,
        "tied decoder": untied(params),
    }
    return Claim(hypotheses, left, right, relative(right - left, right))


def untied(params: Params) -> Float[Array, ""]:
    """The largest entry of |D − Wᵀ|, 0 for tied weights."""
    if params.decoder is None:
        return jnp.zeros(())
    return jnp.max(jnp.abs(params.decoder - params.weight.T))


def relative(difference: Float[Array, " m"], size: Float[Array, " m"]) -> Float[Array, " m"]:
    """The `difference` over `size`, `[m]` each; the difference itself where the size is 0."""
    return difference / jnp.where(size > 0, size, 1.0)


def gradient_step(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: Penalty,
    strength: float | Float[Array, ""],
    rate: float | Float[Array, ""],
) -> Params:
    """The parameters after one plain full-batch gradient step on J_AE + λR."""

    def loss(p: Params) -> Float[Array, ""]:
        return _reconstruction(X, s)(p) + strength * penalty(one_layer_forward(p, X, s), None)

    return jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params))


def mean_preactivation(params: Params, X: Float[Array, "N n"]) -> Float[Array, " m"]:
    """E[a_j], `[m]`."""
    return jnp.mean(preactivation(params, X), axis=0)


def bias_gradients(
    params: Params, X: Float[Array, "N n"], s: Activation, penalty: Penalty
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """∂J_AE/∂b_e and ∂R/∂b_e, `[m]` each."""
    reconstruction = bias_gradient(_reconstruction(X, s), params)
    return reconstruction, bias_gradient(
        lambda p: penalty(one_layer_forward(p, X, s), None), params
    )


def theorem1_identity(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: Penalty,
    strength: float | Float[Array, ""],
    rate: float | Float[Array, ""],
) -> Claim:
    """T2, eq. 5: on zero-mean data a step changes E[a_j] by −η(∂J_AE/∂b_j + λ ∂R/∂b_j).

    `left` is the change of b_j + W_j·E[x]. The margin is minus the disagreement relative to the
    largest change: 0 up to rounding. A change far below the parameters has fewer digits than
    `TOLERANCE` asks for; the margin is then relative to the smallest that has as many.
    """
    reconstruction, regularizer = bias_gradients(params, X, s, penalty)
    after = gradient_step(params, X, s, penalty, strength, rate)
    moved = (after.weight - params.weight) @ jnp.mean(X, axis=0)
    left = after.bias - params.bias + moved
    right = -rate * (reconstruction + strength * regularizer)
    largest = jnp.maximum(jnp.max(jnp.abs(params.bias)), jnp.max(jnp.abs(params.weight)))
    resolved = 4 * jnp.finfo(X.dtype).eps / TOLERANCE * largest
    size = jnp.maximum(jnp.max(jnp.abs(right)), resolved)
    margin = -relative(jnp.abs(left - right), jnp.broadcast_to(size, left.shape))
    return Claim({"E[x] = 0": properties.zero_mean(X)}, left, right, margin)


def theorem1_condition(
    params: Params,
    X: Float[Array, "N n"],
    s: Activation,
    penalty: Penalty,
    strength: float | Float[Array, ""],
    rate: float | Float[Array, ""],
) -> Claim:
    """T2: E[a_j] falls for every unit with λ ∂R/∂b_j > 2 σ_r √n ‖W_j‖ (Theorem 1).

    `left` is λ ∂R/∂b_j, `right` the bound; the margin is the fall of E[a_j] per unit of rate
    where the condition is met and infinite where it is not.
    """
    _, regularizer = bias_gradients(params, X, s, penalty)
    after = gradient_step(params, X, s, penalty, strength, rate)
    fall = (mean_preactivation(params, X) - mean_preactivation(after, X)) / rate
    left, right = strength * regularizer, lemma1_bound(params, X, s)
    hypotheses = {
        "E[x] = 0": properties.zero_mean(X),
        "s' in [0, 1]": properties.slope_in_unit_interval(s).residual,
        "tied decoder": untied(params),
    }
    return Claim(hypotheses, left, right, jnp.where(left > right, fall, jnp.inf))


def theorem1_variance(params: Params, X: Float[Array, "N n"]) -> Claim:
    """T2: Var[a_j] = ‖W_j‖² on whitened data, at any parameters (Theorem 1)."""
    left = jnp.var(preactivation(params, X), axis=0)
    right = jnp.sum(params.weight**2, axis=-1)
    hypotheses = {"E[x] = 0": properties.zero_mean(X), "E[xxᵀ] = I": properties.whiteness(X)}
    return Claim(hypotheses, left, right, -relative(jnp.abs(left - right), right))
