"""Arpit's Theorem 1 at a trained model: its sufficient condition, and the sign of ∂R/∂b_j.

λR is what the objective adds to the mean of its error; its unit noise, if it reads it, is drawn
from the model's key. `trained` is a `Trained` one-layer model, `x [N, n]` the data, of which the
first 1,000 rows are used. Shapes: n inputs, m hidden units, N samples; params of one model (lift
over a grid by `vmap`).

>>> from aesparse.losses.objectives import get_objective
>>> from aesparse.models.one_layer import OneLayer
>>> params, x = Params(jnp.eye(2), jnp.ones(2)), jnp.array([[1.0, -1.0], [-1.0, 1.0]])
>>> bias_gradient_bound(params, error=jnp.array(4.0)).tolist()
[4.0, 4.0]
>>> objective = get_objective("mean-square")  # Σ_j E[h_j]²: ∂R/∂b_j = 2 E[h_j] E[s'_j] = 1
>>> key = jax.random.key(0)
>>> trained = Trained(OneLayer(2), objective, params, {"strength": 5.0}, key)
>>> ratio = theorem1_ratio(trained, x)  # E‖r‖² = 2, so that the bound is 2√2 < 5
>>> float(ratio.share), float(ratio.largest)
(1.0, 1.767767)
>>> float(pushed_down(trained, x))
1.0
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.losses.reconstruction import reconstruction_error, squared_error
from aesparse.metrics.statistics import Trained
from aesparse.models.forward import check_one_layer
from aesparse.models.one_layer import Params, decoder_matrix

__all__ = [
    "THEOREM1_SAMPLES",
    "Theorem1Ratio",
    "bias_gradient_bound",
    "pushed_down",
    "theorem1_ratio",
]

THEOREM1_SAMPLES = 1000  #: rows on which Theorem 1's ratio is taken
_NOISE = 2  # the random stream of a seed's key for measurements, after start and epochs


class Theorem1Ratio(NamedTuple):
    """How far the regularizer is from Theorem 1's sufficient condition, over hidden units.

    The condition for unit j is λ ∂R/∂b_j > 2 σ_r √n ‖D_j‖ with n σ_r² = E‖r‖² and D_j = W_j for
    tied weights. NaN for another reconstruction error than the squared one, of which it speaks.

    Attributes:
        share: of units that meet the condition.
        largest: the largest left side over its right side.
    """

    share: Float[Array, ""]
    largest: Float[Array, ""]


def bias_gradient_bound(params: Params, error: Float[Array, ""]) -> Float[Array, " m"]:
    """2 σ_r √n ‖W_j‖ of Lemma 1 and Theorem 1 (Arpit), `[m]`; untied, with ‖D_j‖.

    σ_r is that of E‖r‖² = n σ_r², the `error` of the model with `params`: the bound then assumes no
    law of the residual, Gaussian or other.
    """
    return 2 * jnp.sqrt(error) * jnp.linalg.norm(decoder_matrix(params).T, axis=-1)


def theorem1_ratio(trained: Trained, x: Float[Array, "N n"]) -> Theorem1Ratio:
    """Theorem 1's condition at the parameters of a one-layer model.

    `InputError` for other models.
    """
    check_one_layer(trained.model, "Theorem 1's ratio is")
    gradient, error = _added_bias_gradient(trained, x)
    bound = bias_gradient_bound(trained.params, error)
    if trained.objective.error is not squared_error:
        bound = jnp.full_like(bound, jnp.nan)
    met = jnp.where(jnp.isnan(bound), jnp.nan, jnp.asarray(gradient > bound, bound.dtype))
    return Theorem1Ratio(jnp.mean(met), jnp.max(gradient / bound))


def pushed_down(trained: Trained, x: Float[Array, "N n"]) -> Float[Array, ""]:
    """Share of units with ∂R/∂b_j > 0 at the parameters of a one-layer model.

    What rounding alone can explain does not count. `InputError` for other models.
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
