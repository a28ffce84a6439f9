"""Regularizers R, each averaged over the batch: `penalty(forward, eps)` of `losses.base`.

Each penalty of Jacobians has a *generic* definition (full Jacobian or Hessian by autodiff, valid
for any model, the reference) and a *structured* one for one-layer models, which training uses:
s', s'' of the scalar activation and the lengths of the weights. No derivative is typed by hand.
Those on mean activations are in `losses.sparsity`, DAE-2's in `losses.second_order`. Shapes: n
inputs, m hidden units, B batch; params of one model.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError, unknown_name
from aesparse.losses.base import Noise, Penalty, check_function, per_example
from aesparse.losses.second_order import (
    residual_share,
    second_order,
    second_order_generic,
    second_order_terms,
    second_order_with_kink,
)
from aesparse.losses.sparsity import (
    POLE,
    kl_divergence,
    kl_floor,
    kl_sparsity,
    log_sparsity,
    mean_activation,
    mean_activations,
)
from aesparse.models.base import Model
from aesparse.models.forward import Forward, check_one_layer
from aesparse.models.one_layer import Params, row_sums
from aesparse.options import checked_numbers, shortened

__all__ = [
    "PENALTIES",
    "POLE",
    "Penalty",
    "as_penalty",
    "contractive",
    "contractive_generic",
    "get_penalty",
    "kl_divergence",
    "kl_floor",
    "kl_sparsity",
    "log_sparsity",
    "marginalized",
    "marginalized_by_input",
    "marginalized_by_input_generic",
    "marginalized_generic",
    "mean_activation",
    "mean_activations",
    "per_example",
    "residual_share",
    "second_order",
    "second_order_generic",
    "second_order_terms",
    "second_order_with_kink",
    "slope",
    "weight_decay",
]


@functools.cache
def slope(q: int, p: int) -> Penalty:
    """The slope family E Σ_j s'_j^q ‖W_j‖^p (Arpit Corollary 2), q >= 1, p >= 0; one layer."""
    if q < 1 or p < 0:
        raise InputError(f"slope(q={q}, p={p}): expected q >= 1 and p >= 0.")

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        check_one_layer(forward.model)
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
    """E‖∂h/∂x‖_F² = E Σ_j s'_j² ‖W_j‖², the CAE penalty of one layer (Arpit eqs. 8, 9).

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer
    >>> model = OneLayer(3, "sigmoid")
    >>> clean = forward(model, model.init(jax.random.key(0), 5), jnp.ones((4, 5)))
    >>> bool(jnp.allclose(contractive(clean, None), contractive_generic(clean, None)))
    True
    """
    del eps
    return jnp.sum(_mean_slope_power(forward, 2) * row_sums(forward.params.weight**2))


@per_example
def contractive_generic(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, ""]:
    """E‖∂h/∂x‖_F² through the encoder's Jacobian (Arpit eq. 8), for any model.

    n Jacobian-vector products a sample; for large n `probed.contractive_probed` estimates it.
    """
    return jnp.sum(jax.jacfwd(lambda z: model.encode(params, z))(x) ** 2)


def marginalized(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """E Σ_j s'_j² ‖W_j‖² ‖D_j‖², mDAE's penalty of one layer (Arpit eq. 11; tied: ‖W_j‖⁴)."""
    del eps
    check_one_layer(forward.model)
    encoder = row_sums(forward.params.weight**2)
    return jnp.sum(_mean_slope_power(forward, 2) * encoder * _decoder_squares(forward.params))


def marginalized_by_input(variances: object) -> Penalty:
    """mDAE's penalty with a variance σ_i² of its own for each input, one layer (Arpit eq. 10).

    E Σ_j s'_j² ‖D_j‖² Σ_i σ_i² W_ji² for corruption of variance σ_i² at input i; equal variances
    σ² give σ² times `marginalized`. The coefficient of the penalty multiplies them all: 1 leaves
    them as they are. `variances` `[n]`; `InputError` for anything but numbers >= 0, and for
    another n than that of the data when it is first called.

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
        return jnp.sum(_mean_slope_power(forward, 2) * encoder * _decoder_squares(forward.params))

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

    The same argument and errors.
    """
    variances = _checked_variances(variances)

    @per_example
    def penalty(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, ""]:
        return _marginalized_each(model, params, x) @ _for_inputs(variances, x)

    return penalty


def weight_decay(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """Σ W² over encoder and decoder weights of one layer, without biases and a factor ½."""
    del eps
    check_one_layer(forward.model)
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
    """The built-in penalty called `name`; `InputError` with near matches otherwise.

    >>> get_penalty("cae") is contractive
    True
    """
    if name not in PENALTIES:
        raise unknown_name("penalty", name, PENALTIES)
    return PENALTIES[name]


def as_penalty(value: object) -> Penalty:
    """The penalty of that name, or a user's function `penalty(forward, eps)` as it is.

    `InputError` for anything else.
    """
    if isinstance(value, str):
        return get_penalty(value)
    check_function(value, "penalty", "penalty(forward, eps)")
    return value
