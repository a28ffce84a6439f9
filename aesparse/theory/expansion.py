"""Theorem 3, DAE's expansion in the noise, measured without sampling noise (T6, T9).

The expectation over Gaussian corruption is a tensor Gauss-Hermite quadrature, exact to rounding for
smooth activations in one or two input dimensions. `params` are those of one model, `X [N, n]` is
data, `s` the activation, `sigma` or `sigmas [K]` standard deviations of the noise. Shapes: n
inputs, N samples. Use float64.

>>> from aesparse.models.activations import get_activation
>>> softplus = get_activation("softplus")
>>> with jax.enable_x64(True):
...     params, X = Params(jnp.array([[1.0]]), jnp.array([0.5])), jnp.array([[1.0], [-1.0]])
...     noisy = dae_loss(params, X, softplus, jnp.array(0.1))
...     sigmas = jnp.array([0.1, 0.05])
...     order = fitted_order(sigmas, expansion_residual(params, X, softplus, sigmas))
...     claims = theorem3(params, X, softplus), kl_limit(jnp.array([0.3]), jnp.array(1e-3))
...     kink = relu_kink_residual(jnp.ones(1), jnp.array([0.5]), sigmas, samples=2001)
>>> round(float(noisy), 4), round(float(order), 2)  # the remainder is of order σ⁴
(1.3388, 4.0)
>>> [float(claim.margin[0]) > 0 for claim in claims]
[True, True]
>>> [[round(value, 4) for value in values.tolist()] for values in kink]  # of order σ², as predicted
[[0.0017, 0.0004], [0.0018, 0.0004]]
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.errors import InputError
from aesparse.losses import penalties
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.models.activations import Activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params
from aesparse.theory.properties import REACH
from aesparse.theory.records import Claim

__all__ = [
    "dae_loss",
    "expansion_residual",
    "fitted_order",
    "kl_limit",
    "relu_kink_residual",
    "theorem3",
]

_NODES = 48


def _gauss_hermite(n: int) -> tuple[Float[Array, "K n"], Float[Array, " K"]]:
    """Nodes and weights of E[f(ε)] for ε ~ N(0, I_n)."""
    if n > 2:
        raise InputError(f"The quadrature has {n} input dimensions; expected at most 2.")
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    grid = np.stack(np.meshgrid(*[nodes] * n, indexing="ij"), axis=-1).reshape(-1, n)
    product = np.stack(np.meshgrid(*[weights] * n, indexing="ij"), axis=-1).prod(-1).ravel()
    return jnp.asarray(grid), jnp.asarray(product)


def dae_loss(
    params: Params, X: Float[Array, "N n"], s: Activation, sigma: Float[Array, ""]
) -> Float[Array, ""]:
    """J_DAE (Arpit eq. 6) with the expectation over the noise by quadrature; n <= 2.

    `InputError` for more inputs.
    """
    (nodes, weights), model = _gauss_hermite(X.shape[1]), OneLayer.of(params, s)

    def at(node: Float[Array, " n"]) -> Float[Array, ""]:
        noisy = X + sigma * jnp.broadcast_to(node, X.shape)
        return reconstruction_error(model, params, noisy, X)

    return weights @ jax.vmap(at)(nodes)


def expansion_residual(
    params: Params, X: Float[Array, "N n"], s: Activation, sigmas: Float[Array, " K"]
) -> Float[Array, " K"]:
    """J_DAE − (J_AE + σ² · second-order penalty) over σ: o(σ²) by Theorem 3 (smooth s)."""
    clean = reconstruction_error(OneLayer.of(params, s), params, X, X)
    penalty = penalties.second_order(one_layer_forward(params, X, s), None)
    noisy = jax.vmap(lambda sigma: dae_loss(params, X, s, sigma))(sigmas)
    return noisy - clean - sigmas**2 * penalty


def theorem3(
    params: Params, X: Float[Array, "N n"], s: Activation, sigma: float = 2.0**-7
) -> Claim:
    """T6 at one small σ: the remainder of the expansion is small against σ² (Theorem 3).

    `left` is |J_DAE − J_AE − σ² penalty| / (σ² (1 + |penalty|)), of order σ² where s' is
    continuous; `right` is 100 σ². n <= 2. `sigma` is 2⁻⁷ by default.
    """
    penalty = penalties.second_order(one_layer_forward(params, X, s), None)
    remainder = expansion_residual(params, X, s, jnp.array([sigma])) / sigma**2
    left = jnp.abs(remainder) / (1 + jnp.abs(penalty))
    right = jnp.full(1, 100 * sigma**2)
    slopes = s.slope(jnp.linspace(-REACH, REACH, 8001))
    jump = jnp.max(jnp.abs(jnp.diff(slopes)))  # over steps of 0.01
    return Claim({"s' continuous": jump - 0.1}, left, right, right - left)


def kl_limit(means: Float[Array, " m"], rho: Float[Array, ""]) -> Claim:
    """T9: Σ KL(ρ ‖ ρ_j) differs from −Σ log(1 − ρ_j) by O(ρ log ρ), pointwise for ρ_j in (0, 1).

    `left` is the difference per unit of the formulas that `penalties` ships at the `means` ρ_j
    `[m]` and the target `rho`, `right` ρ (2 + |log ρ| + |log ρ_j| + |log(1 − ρ_j)|), which tends to
    0 with ρ.
    """
    identity, x = Activation(lambda a: a), jnp.zeros((1, 1))

    def limit(mean):  # at an identity unit of weight 0, whose bias is its mean
        unit = Params(jnp.zeros((1, 1)), mean[None])
        return penalties.log_sparsity()(one_layer_forward(unit, x, identity), None)

    kl = penalties.kl_divergence(rho, means)
    logs = jnp.abs(jnp.log(rho)) + jnp.abs(jnp.log(means)) + jnp.abs(jnp.log1p(-means))
    left, right = jnp.abs(kl - jax.vmap(limit)(means)), rho * (2 + logs)
    inside = jnp.maximum(jnp.max(means) - penalties.POLE, -jnp.min(means))
    return Claim({"0 < ρ_j <= 0.99": inside}, left, right, right - left)


def fitted_order(sigmas: Float[Array, " K"], residuals: Float[Array, " K"]) -> Float[Array, ""]:
    """The exponent p of |residual| ~ σ^p for `residuals [K]`, by least squares in logarithms."""
    x = jnp.log(sigmas) - jnp.mean(jnp.log(sigmas))
    return x @ jnp.log(jnp.abs(residuals)) / (x @ x)


def relu_kink_residual(
    weight: Float[Array, " m"],
    bias: Float[Array, " m"],
    sigmas: Float[Array, " K"],
    *,
    samples: int = 1_600_001,
) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
    """The residual for ReLU on x ~ N(0, 1), n = 1, and the term that autodiff cannot see, `[K]`.

    The residual of the autodiff expansion over σ is of order σ² because s'' = 0 misses the Dirac
    mass at 0; the prediction −σ² Σ_j p_{a_j}(0) ‖W_j‖² E[W_j·r given a_j = 0] restores Theorem 3.

    Args:
        weight: W `[m]`, of a tied model of one input.
        bias: b `[m]`.
        sigmas: standard deviations of the noise, `[K]`.
        samples: points x of the integral over the normal density; 1,600,001 by default.
    """
    x = jnp.linspace(-9.0, 9.0, samples)
    density = jnp.exp(-0.5 * x**2) / jnp.sqrt(2 * jnp.pi) * (x[1] - x[0])
    nodes, weights = _gauss_hermite(1)

    def output(z: Float[Array, " K"]) -> Float[Array, " K"]:
        return jax.nn.relu(z[:, None] * weight[None] + bias[None]) @ weight

    def loss(sigma: Float[Array, ""]) -> Float[Array, ""]:
        def at(node):
            return density @ (x - output(x + sigma * node)) ** 2

        return weights @ jax.lax.map(at, nodes[:, 0])

    slopes = (x[:, None] * weight[None] + bias[None] > 0).astype(x.dtype)
    penalty = density @ (slopes @ weight**2) ** 2
    residual = jax.lax.map(loss, sigmas) - loss(jnp.zeros(())) - sigmas**2 * penalty
    kinks = -bias / weight
    at_kink = jnp.exp(-0.5 * kinks**2) / jnp.sqrt(2 * jnp.pi) / jnp.abs(weight)
    terms = at_kink * weight**2 * weight * (kinks - output(kinks))
    return residual, -(sigmas**2) * jnp.sum(terms)
