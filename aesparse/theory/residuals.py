"""The law of the reconstruction residual, which Lemma 1 as printed takes to be i.i.d. Gaussian.

Shapes: n inputs, N samples.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.models.activations import Activation
from aesparse.models.one_layer import Params, reconstruct

__all__ = ["ResidualLaw", "residual_law"]


class ResidualLaw(NamedTuple):
    """How far r = x − y is from i.i.d. Gaussian entries of mean 0; all would then be near 0.

    Inputs that are reconstructed without any error are left out.

    Attributes:
        mean: largest |E[r_i]| over the root mean square of r.
        spread: standard deviation of Var[r_i] over inputs, over its mean.
        excess_kurtosis: median over inputs.
        correlation: root mean square of corr(r_i, r_k), i ≠ k.
        length: variance of ‖r‖² over its value for Gaussian entries, minus 1.
    """

    mean: Float[Array, ""]
    spread: Float[Array, ""]
    excess_kurtosis: Float[Array, ""]
    correlation: Float[Array, ""]
    length: Float[Array, ""]


def residual_law(params: Params, X: Float[Array, "N n"], s: Activation) -> ResidualLaw:
    """Measures the residual's law on `X [N, n]`, with two or more inputs of non-zero residual.

    `params` are those of one model, `s` is its activation. `correlation` is NaN for one such input,
    all is NaN for none.

    >>> from aesparse.models.activations import get_activation
    >>> params = Params(jnp.zeros((1, 2)), jnp.zeros(1))  # reconstructs 0, so that r = x
    >>> X = jnp.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    >>> law = residual_law(params, X, get_activation("relu"))
    >>> float(law.mean), float(law.excess_kurtosis), float(law.correlation)  # coins: E z⁴ − 3 = −2
    (0.0, -2.0, 0.0)
    """
    r = X - reconstruct(params, X, s)
    r = r[:, jnp.std(r, axis=0) > 0]
    mean, variance = jnp.mean(r, axis=0), jnp.var(r, axis=0)
    z = (r - mean[None]) / jnp.sqrt(variance)[None]
    gram = z.T @ z / len(z)
    off_diagonal = gram - jnp.diag(jnp.diag(gram))
    n = r.shape[1]
    squared = jnp.sum((r - mean[None]) ** 2, axis=1)
    return ResidualLaw(
        mean=jnp.max(jnp.abs(mean)) / jnp.sqrt(jnp.mean(r**2)),
        spread=jnp.std(variance) / jnp.mean(variance),
        excess_kurtosis=jnp.median(jnp.mean(z**4, axis=0)) - 3,
        correlation=jnp.sqrt(jnp.sum(off_diagonal**2) / (n * (n - 1))),
        length=jnp.var(squared) / (2 * jnp.sum(variance**2)) - 1,
    )
