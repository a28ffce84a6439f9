"""Penalties on the slopes of the activation: Corollary 2's family and the contractive one, CAE.

`forward`, of one model, and `eps` are those of every penalty (`losses.base`); nothing is random
here. `params` and one sample `x [n]` belong to the generic form. Shapes: n inputs, m hidden units,
B batch.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Noise, Penalty, per_example
from aesparse.models.base import Model
from aesparse.models.forward import Forward, check_one_layer
from aesparse.models.one_layer import row_sums

__all__ = ["contractive", "contractive_generic", "mean_slope_power", "slope"]


@functools.cache
def slope(q: int, p: int) -> Penalty:
    """The slope family E Σ_j s'_j^q ‖W_j‖^p (Arpit Corollary 2), as a penalty of one layer.

    Summed over units, averaged over the batch. `q` >= 1 and `p` >= 0 are integers; `InputError` for
    others.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> params = Params(jnp.array([[3.0, 4.0]]), jnp.zeros(1))  # of length 5
    >>> float(slope(1, 2)(forward(OneLayer(1), params, jnp.array([[1.0, 1.0], [-1.0, 0.0]])), None))
    12.5
    """
    if q < 1 or p < 0:
        raise InputError(f"slope(q={q}, p={p}): expected q >= 1 and p >= 0.")

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        check_one_layer(forward.model)
        lengths = _row_length_power(forward.params.weight, p)
        return jnp.sum(mean_slope_power(forward, q) * lengths)

    return penalty


def _row_length_power(weight: Float[Array, "m n"], p: int) -> Float[Array, " m"]:
    """‖W_j‖^p with gradient 0, not NaN, at a zero row."""
    squared = row_sums(weight**2)
    if p % 2 == 0:
        return squared ** (p // 2)
    return jnp.where(squared > 0, jnp.where(squared > 0, squared, 1.0) ** (p / 2), 0.0)


def mean_slope_power(forward: Forward, q: int) -> Float[Array, " m"]:
    """E s'_j^q over the batch, for each unit of one layer; `[m]`.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> seen = forward(OneLayer(1), Params(jnp.eye(1), jnp.zeros(1)), jnp.array([[1.0], [-1.0]]))
    >>> mean_slope_power(seen, q=2).tolist()
    [0.5]
    """
    return jnp.mean(forward.activation.slope(forward.preactivation) ** q, axis=0)


def contractive(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """E‖∂h/∂x‖_F² = E Σ_j s'_j² ‖W_j‖², the CAE penalty of one layer (Arpit eqs. 8, 9).

    Summed over units and inputs, averaged over the batch. `InputError` for another model.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> params = Params(jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.zeros(2))
    >>> clean = forward(OneLayer(2, "sigmoid"), params, jnp.zeros((1, 2)))
    >>> float(contractive(clean, None))  # s'(0)² = 1/16, times 1 + 4
    0.3125
    >>> float(contractive_generic(clean, None))
    0.3125
    """
    del eps
    return jnp.sum(mean_slope_power(forward, 2) * row_sums(forward.params.weight**2))


@per_example
def contractive_generic(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, ""]:
    """E‖∂h/∂x‖_F² through the encoder's Jacobian (Arpit eq. 8), for any `model`, as a penalty.

    n Jacobian-vector products a sample; for large n `probed.contractive_probed` estimates it.
    """
    return jnp.sum(jax.jacfwd(lambda z: model.encode(params, z))(x) ** 2)
