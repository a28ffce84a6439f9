"""Errata and gaps of the papers, each with the number that proves it (T12).

Every number comes from autodiff or a numerical search at a small problem stated in the text,
never from the corrected formula.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.losses import penalties
from aesparse.losses.generalized_sparse import (
    generalized_sparse,
    modified_backpropagation,
    sparsity_function,
)
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.models.activations import Activation, get_activation, shrink
from aesparse.models.one_layer import OneLayer, Params, decode, preactivation
from aesparse.theory import properties, sparsity, statements

__all__ = ["ERRATA", "Erratum", "errata"]


class Erratum(NamedTuple):
    """What a paper prints and what is right, with both numbers.

    Attributes:
        source: the paper.
        text: what it prints, and what is right.
        printed: the number that follows from what is printed.
        actual: the number by autodiff or a numerical search.
    """

    source: str
    text: str
    printed: float
    actual: float


def _small() -> tuple[Params, Float[Array, "N n"]]:
    params = Params(jnp.array([[0.8, -0.4], [0.3, 1.1]]), jnp.array([0.2, -0.3]))
    return params, jnp.array([[1.0, -0.5], [-0.7, 0.9], [-0.3, -0.4]])


def _residual(params: Params, X: Float[Array, "N n"], s: Activation) -> Float[Array, "N n"]:
    return X - decode(params, s(preactivation(params, X)))


def bias_gradient_sign() -> Erratum:
    """Eq. 15 against `jax.grad`."""
    (params, X), s = _small(), get_activation("sigmoid")
    slopes = s.slope(preactivation(params, X))
    printed = 2 * jnp.mean(slopes * (_residual(params, X, s) @ params.weight.T), axis=0)
    model = OneLayer.of(params, s)
    actual = statements.bias_gradient(lambda p: reconstruction_error(model, p, X, X), params)
    text = "eq. 15 lacks a minus sign; Lemma 1's bound is symmetric and stands (∂J_AE/∂b_1)"
    return Erratum("Arpit", text, float(printed[0]), float(actual[0]))


def curvature_factor() -> Erratum:
    """Eq. 30 against a Hessian of ℓ ∘ (linear decoder) along ∂²h/∂x²."""
    (params, X), s = _small(), get_activation("sigmoid")
    x = X[0]

    def code(z: Float[Array, " n"]) -> Float[Array, " m"]:
        return s(preactivation(params, z))

    loss_slope = jax.grad(lambda h: jnp.sum((x - decode(params, h)) ** 2))(code(x))
    actual = loss_slope @ jnp.trace(jax.hessian(code)(x), axis1=1, axis2=2)
    bend = s.curvature(preactivation(params, x)) * jnp.sum(params.weight**2, axis=-1)
    printed = -(_residual(params, X, s)[0] @ params.weight.T) @ bend
    text = "eq. 30 lacks a factor 2; the coefficient σ² of eqs. 7 and 33 is right (Σ_i at x = x_1)"
    return Erratum("Arpit", text, float(printed), float(actual))


def no_strength_for_relu() -> Erratum:
    """Corollary 2's "∃ λ" on the smallest finite sample."""
    params, X = Params(jnp.array([[0.5]]), jnp.zeros(1)), jnp.array([[1.0], [-1.0]])
    claim = statements.some_strength_suffices(
        params, X, get_activation("relu"), penalties.contractive
    )
    text = (
        "Corollary 2's ∃ λ > 0 fails for ReLU on a finite sample: x = ±1, W = ½, b = 0 has "
        f"∂R/∂b = {float(claim.left[0]):g}, so any λ leaves ∂J_AE/∂b, which must be >= 0"
    )
    return Erratum("Arpit", text, 0.0, float(claim.right[0]))


def sigmoid_and_corollary2() -> Erratum:
    """Corollary 2 where s is not convex."""
    params = Params(jnp.array([[1.0], [-1.5]]), jnp.array([2.0, 3.0]))
    claim = statements.corollary2(params, jnp.array([[1.0], [-1.0]]), get_activation("sigmoid"))
    text = "Corollary 2 needs convexity: sigmoid, x = ±1, W = (1, −1.5), b = (2, 3): ∂R/∂b_1 >= 0"
    return Erratum("Arpit", text, 0.0, float(claim.left[0]))


def convex_is_not_enough() -> Erratum:
    """Corollary 2's conclusion for a convex activation that falls: s = a²/2, W = 1, a = −1."""
    params, X = Params(jnp.array([[1.0]]), jnp.array([-1.0])), jnp.zeros((2, 1))
    claim = statements.corollary2(params, X, Activation(lambda a: a**2 / 2))
    text = "T4, T8 need non-decreasing and convex: s = a²/2 at a = −1, W = 1 has ∂R/∂b >= 0"
    return Erratum("Arpit", text, 0.0, float(claim.left[0]))


def growing_rows() -> Erratum:
    """Theorem 2 needs rows of fixed length: (E, ‖W‖) from (−3, 1) to (−3.1, 1.2)."""
    X, s = jnp.array([[1.0], [-1.0]]), get_activation("relu")
    steps = ((1.0, -3.0), (1.2, -3.1))
    before, after = (Params(jnp.array([[w]]), jnp.array([b])) for w, b in steps)
    claim = sparsity.theorem2_step(before, after, X, s)
    text = (
        "Theorem 2: a growing row can lower the bound though E[a] falls: (E, ‖W‖) from (−3, 1) to "
        "(−3.1, 1.2) must not go below"
    )
    return Erratum("Arpit", text, float(claim.right[0]), float(claim.left[0]))


def no_last_iteration() -> Erratum:
    """Theorem 2: a strictly falling E[a_j] may stay above a_min for ever: 1 + 1/t."""
    means = 1 + 1 / jnp.arange(1.0, 10_001.0)
    threshold = properties.activation_threshold(get_activation("relu"))
    text = (
        "Theorem 2: strict decrease need not reach a_min = "
        f"{abs(float(threshold)):.0f}, so T_min need not exist: E[a] = 1 + 1/t falls at every t, "
        "and after 10,000 steps stands at"
    )
    return Erratum("Arpit", text, float(threshold), float(means[-1]))


def one_sided_bound() -> Erratum:
    """Cantelli against Chebyshev at E = −3, Var = 1."""
    X = jnp.array([[1.0], [-1.0]])
    params = Params(jnp.array([[1.0]]), jnp.array([-3.0]))
    bounds = sparsity.theorem2_bounds(params, X, get_activation("relu"))
    text = "Theorem 2: the one-sided (Cantelli) bound is strictly better than Chebyshev's (E = −3)"
    return Erratum("Arpit", text, float(bounds["chebyshev"][0]), float(bounds["cantelli"][0]))


def shrink_complement() -> Erratum:
    """SATAE's shrink_c against its own eq. 1: the distance to the nearest flat point."""
    width, at = 0.5, 2.0
    points = jnp.linspace(-4.0, 4.0, 160_001)
    distances = jnp.where(shrink(width).slope(points) == 0, jnp.abs(points - at), jnp.inf)
    text = "shrink_c(x) = |x| beyond λ; its eq. 1 gives |x| − λ, as |shrink| does (λ = 0.5, x = 2)"
    return Erratum("SATAE", text, at, float(jnp.min(distances)))


def hidden_delta_sum() -> Erratum:
    """GSAE's δ⁽²⁾ with its sum over p hidden units, against `jax.grad`; n = 3, p = 2."""
    params = Params(
        weight=jnp.array([[0.5, -0.2, 0.3], [-0.4, 0.6, 0.1]]),
        bias=jnp.array([0.1, -0.1]),
        decoder_bias=jnp.array([0.0, 0.1, -0.2]),
        decoder=jnp.array([[0.3, -0.5], [0.2, 0.4], [-0.6, 0.1]]),
    )
    X, s, rho = jnp.array([[0.2, 0.7, 0.4], [0.9, 0.1, 0.5]]), get_activation("sigmoid"), 0.1
    coefficients = {"weights": jnp.array(0.0), "sparsity": jnp.array(0.3)}
    phi = sparsity_function("kl", rho)
    printed = modified_backpropagation(
        params, X, activation=s, phi=phi, coefficients=coefficients, outputs=2
    )
    objective, model = generalized_sparse(s, rho=rho), OneLayer.of(params, s)
    actual = jax.grad(lambda p: objective(model, p, X, X, coefficients)[0])(params)
    error = jnp.max(jnp.abs(printed.weight - actual.weight))
    text = "δ⁽²⁾ sums j to p, the hidden units, where it must sum to n: error of ∇W¹ (n = 3, p = 2)"
    return Erratum("GSAE", text, 0.0, float(error))


def decay_factor() -> Erratum:
    """The gradient of λ‖θ‖² at W = 1, λ = 0.1."""
    strength, weight = 0.1, 1.0
    actual = jax.grad(lambda w: strength * w**2)(weight)
    text = "the gradient of λ‖θ‖² adds 2λW, not λW (λ = 0.1, W = 1)"
    return Erratum("Lecture", text, strength * weight, float(actual))


def mean_activation_matrix() -> Erratum:
    """∂ρ̂_1/∂W as printed, x_i g'(Wᵀx_i + b)ᵀ, against `jax.grad`; [n, k], two samples."""
    (params, X), unit = _small(), 0
    W, b = params.weight.T, params.bias
    actual = jax.grad(lambda w: jnp.mean(jax.nn.sigmoid(X @ w + b[None]), axis=0)[unit])(W)
    slopes = get_activation("sigmoid").slope(X[0] @ W + b)
    printed = jnp.outer(X[0], slopes)
    text = (
        "∂ρ̂_l/∂W = x_i g'(Wᵀx_i + b)ᵀ has no mean over samples and every column: the largest "
        "entry of column 2 for l = 1"
    )
    return Erratum(
        "Lecture",
        text,
        float(jnp.max(jnp.abs(printed[:, 1]))),
        float(jnp.max(jnp.abs(actual[:, 1]))),
    )


ERRATA: tuple[Callable[[], Erratum], ...] = (
    bias_gradient_sign,
    curvature_factor,
    no_strength_for_relu,
    sigmoid_and_corollary2,
    convex_is_not_enough,
    growing_rows,
    no_last_iteration,
    one_sided_bound,
    shrink_complement,
    hidden_delta_sum,
    decay_factor,
    mean_activation_matrix,
)


def errata() -> list[Erratum]:
    """All errata of `ERRATA`, evaluated now; run it in float64.

    >>> with jax.enable_x64(True):
    ...     first = ERRATA[0]()  # errata()[0]
    >>> first.source, round(first.printed, 4), round(first.actual, 4)  # a sign
    ('Arpit', -0.1746, 0.1746)
    """
    return [erratum() for erratum in ERRATA]
