"""mDAE's penalties: the denoising loss with its corruption integrated out (Arpit eqs. 10, 11).

Summed over units and inputs, averaged over the batch; the coefficient is the corruption's variance
σ². `forward` and `eps` are those of every penalty (`losses.base`), nothing is random here; `model`,
its `params` and one sample `x [n]` belong to the generic forms. Shapes: n inputs, m hidden units, B
batch.

>>> from aesparse.models.forward import forward
>>> from aesparse.models.one_layer import OneLayer
>>> params = Params(jnp.array([[1.0, 2.0]]), jnp.ones(1))  # tied, ‖W_1‖² = ‖D_1‖² = 5
>>> seen = forward(OneLayer(1), params, jnp.ones((1, 2)))
>>> float(marginalized(seen, None)), float(marginalized_generic(seen, None))
(25.0, 25.0)
>>> float(marginalized_by_input_generic([0.5, 0.25])(seen, None))
7.5
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Noise, Penalty, per_example
from aesparse.losses.contractive import mean_slope_power
from aesparse.models.base import Model
from aesparse.models.forward import Forward, check_one_layer
from aesparse.models.one_layer import Params, row_sums
from aesparse.options import checked_numbers, shortened

__all__ = [
    "marginalized",
    "marginalized_by_input",
    "marginalized_by_input_generic",
    "marginalized_generic",
]


def marginalized(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """E Σ_j s'_j² ‖W_j‖² ‖D_j‖², mDAE's penalty of one layer (Arpit eq. 11; tied: ‖W_j‖⁴).

    `InputError` for another model.
    """
    del eps
    check_one_layer(forward.model)
    encoder = row_sums(forward.params.weight**2)
    return jnp.sum(mean_slope_power(forward, 2) * encoder * _decoder_squares(forward.params))


def marginalized_by_input(variances: object) -> Penalty:
    """mDAE's penalty with a variance σ_i² of its own for each input, one layer (Arpit eq. 10).

    E Σ_j s'_j² ‖D_j‖² Σ_i σ_i² W_ji² for corruption of variance σ_i² at input i; equal variances σ²
    give σ² times `marginalized`. The coefficient of the penalty multiplies them all: 1 leaves them
    as they are. `variances` `[n]`; `InputError` for anything but numbers >= 0, and for another n
    than that of the data when it is first called.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> tied = forward(OneLayer(1), Params(jnp.array([[1.0, 2.0]]), jnp.ones(1)), jnp.ones((1, 2)))
    >>> float(marginalized_by_input([0.5, 0.25])(tied, None))  # 1 · 5 · (0.5 · 1 + 0.25 · 4)
    7.5
    """
    return _marginalized_by_input(_checked_variances(variances))


@functools.lru_cache(maxsize=64)
def _marginalized_by_input(variances: tuple[float, ...]) -> Penalty:
    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        check_one_layer(forward.model)
        encoder = forward.params.weight**2 @ _for_inputs(variances, forward.x)
        return jnp.sum(mean_slope_power(forward, 2) * encoder * _decoder_squares(forward.params))

    return penalty


def _decoder_squares(params: Params) -> Float[Array, " m"]:
    """‖D_j‖², which is ‖W_j‖² when tied."""
    return row_sums((params.weight if params.decoder is None else params.decoder.T) ** 2)


def _checked_variances(variances: object) -> tuple[float, ...]:
    array = checked_numbers(variances, "The variances are")
    if array.ndim != 1 or not (np.isfinite(array) & (array >= 0)).all():
        raise InputError(
            f"The variances are {shortened(variances)}; expected one finite number >= 0 for each "
            "input."
        )
    return tuple(array.astype(float).tolist())


def _for_inputs(variances: tuple[float, ...], x: Float[Array, "*B n"]) -> Float[Array, " n"]:
    if len(variances) != x.shape[-1]:
        raise InputError(
            f"There are {len(variances)} variances for {x.shape[-1]} inputs; expected one for each "
            "input."
        )
    return jnp.asarray(variances, x.dtype)


def _marginalized_each(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, " n"]:
    """½ Σ_j ∂²ℓ/∂h_j² (∂h_j/∂x_i)² for each input i of one sample."""
    h = model.encode(params, x)
    curvature = jnp.diag(jax.hessian(lambda h: jnp.sum((x - model.decode(params, h)) ** 2))(h))
    return 0.5 * curvature @ jax.jacfwd(lambda z: model.encode(params, z))(x) ** 2


@per_example
def marginalized_generic(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, ""]:
    """½ E Σ_i Σ_j ∂²ℓ/∂h_j² (∂h_j/∂x_i)², by a Hessian and a Jacobian (Arpit eq. 10).

    For any model whose code is a vector.
    """
    return jnp.sum(_marginalized_each(model, params, x))


def marginalized_by_input_generic(variances: object) -> Penalty:
    """`marginalized_by_input` for any model whose code is a vector: ½ E Σ_i σ_i² Σ_j … of eq. 10.

    The same `variances` and errors.
    """
    variances = _checked_variances(variances)

    @per_example
    def penalty(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, ""]:
        return _marginalized_each(model, params, x) @ _for_inputs(variances, x)

    return penalty
