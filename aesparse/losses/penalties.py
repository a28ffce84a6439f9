"""Regularizers R, each averaged over the batch: `penalty(forward, eps)` of `losses.base`.

Each penalty of Jacobians has a *generic* definition (full Jacobian or Hessian by autodiff, valid
for any model, the reference) and a *structured* one for one-layer models, which training uses:
s', s'' of the scalar activation and the lengths of the weights. No derivative is typed by hand.
Those on mean activations are in `losses.sparsity`. Shapes: n inputs, m hidden units, B batch;
params of one model.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError, unknown_name
from aesparse.losses.base import Noise, Penalty, check_function, per_example
from aesparse.losses.sparsity import (
    POLE,
    kl_divergence,
    kl_floor,
    kl_sparsity,
    log_sparsity,
    mean_activation,
    mean_activations,
)
from aesparse.models.base import Model, reconstruct
from aesparse.models.forward import Forward, check_one_layer
from aesparse.models.one_layer import decoder_matrix, row_sums

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
    params = forward.params
    encoder = row_sums(params.weight**2)
    decoder = encoder if params.decoder is None else row_sums(params.decoder.T**2)
    return jnp.sum(_mean_slope_power(forward, 2) * encoder * decoder)


@per_example
def marginalized_generic(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, ""]:
    """½ E Σ_i Σ_j ∂²ℓ/∂h_j² (∂h_j/∂x_i)², by a Hessian and a Jacobian (Arpit eq. 10).

    For any model whose code is a vector.
    """
    h = model.encode(params, x)
    curvature = jnp.diag(jax.hessian(lambda h: jnp.sum((x - model.decode(params, h)) ** 2))(h))
    jacobian = jax.jacfwd(lambda z: model.encode(params, z))(x)
    return 0.5 * jnp.sum(curvature[:, None] * jacobian**2)


def second_order_terms(
    forward: Forward, curvature: Callable[[Array], Array] | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The two parts of `second_order`: its terms with slopes alone, its term with the residual.

    `curvature` takes the place of s'', by default the activation's own; one layer.
    """
    curvature = curvature or forward.activation.curvature
    s, params, a = forward.activation, forward.params, forward.preactivation
    slopes, decoder = s.slope(a), decoder_matrix(params)
    gram = params.weight @ params.weight.T
    # When tied, D_j = W_j: the second product, and two of its gradient, would be the first again.
    products = gram**2 if params.decoder is None else gram * (decoder.T @ decoder)
    residual = forward.x - forward.reconstruction
    bend = curvature(a) * (residual @ decoder)
    along = jnp.mean(jnp.sum((slopes @ products) * slopes, axis=-1))
    return along, -jnp.mean(bend @ row_sums(params.weight**2))


def second_order(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """½ E tr ∇²ℓ for one layer: DAE's second-order term (Arpit eqs. 7, 33).

    E[Σ_jk s'_j s'_k (W_j·W_k)(D_j·D_k) − Σ_j s''_j ‖W_j‖² (D_j·r)], ∇² with respect to the
    encoder's input while the target x of the squared error stays fixed. The second term
    carries the coefficient 1, as in eq. 33; eq. 30 on the way there lacks a factor 2.
    """
    del eps
    return sum(second_order_terms(forward))


def residual_share(forward: Forward, eps: Noise) -> Float[Array, ""]:
    """`second_order`'s term with the residual over its other terms, in size; one layer."""
    del eps
    along, bend = second_order_terms(forward)
    return jnp.abs(bend) / along


@functools.cache
def second_order_with_kink(width: float = 0.25) -> Penalty:
    """`second_order` with the mass that s'' has at a kink in 0, which autodiff does not see.

    A jump of the slope by Δ at 0 adds Δ·δ(a) to s'': for ReLU the loss term
    −Σ_j p_{a_j}(0) ‖W_j‖² E[D_j·r | a_j = 0]. The Dirac mass is a normal density of standard
    deviation `width`, so that a minibatch holds units near their kink; Δ is measured.
    """
    if not width > 0:
        raise InputError(f"The width of the kink is {width}; expected a number > 0.")

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        activation, dtype = forward.activation, forward.x.dtype
        near = jnp.asarray(jnp.finfo(dtype).eps, dtype)
        jump = activation.slope(near) - activation.slope(-near)

        def curvature(a: Float[Array, "B m"]) -> Float[Array, "B m"]:
            return activation.curvature(a) + jump * norm.pdf(a, scale=width)

        return sum(second_order_terms(forward, curvature))

    return penalty


@per_example
def second_order_generic(model: Model, params: PyTree, x: Float[Array, " n"]) -> Float[Array, ""]:
    """½ E tr ∇²ℓ by `jax.hessian` at the clean input, the target held fixed (Arpit eq. 28).

    For any model.
    """

    def loss(z: Float[Array, " n"]) -> Float[Array, ""]:
        return jnp.sum((x - reconstruct(model, params, z)) ** 2)

    return 0.5 * jnp.trace(jax.hessian(loss)(x))


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
