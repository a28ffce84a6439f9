"""DAE-2: the second-order term of the denoising loss in the noise (Arpit eqs. 7, 28, 33).

Structured for one layer, and by a Hessian for any `model`; averaged over the batch. `forward` and
`eps` are those of every penalty (`losses.base`), nothing is random here; `params` of one model and
one sample `x [n]` belong to the generic form. Shapes: n inputs, m hidden units, B batch.

>>> from aesparse.models.forward import forward
>>> from aesparse.models.one_layer import OneLayer, Params
>>> params = Params(jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.zeros(2))
>>> clean = forward(OneLayer(2, "sigmoid"), params, jnp.array([[0.0, 0.0], [0.0, 1.0]]))
>>> along, bend = second_order_terms(clean)
>>> round(float(along), 4), round(float(bend), 4), round(float(residual_share(clean, None)), 4)
(0.6507, -0.2436, 0.3744)
>>> round(float(second_order(clean, None)), 4), round(float(second_order_generic(clean, None)), 4)
(0.4071, 0.4071)
>>> seen = forward(OneLayer(1), Params(jnp.eye(1), jnp.zeros(1)), jnp.array([[-0.1]]))  # ReLU
>>> float(second_order(seen, None)), round(float(second_order_with_kink(0.25)(seen, None)), 4)
(0.0, 0.1473)
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Noise, Penalty, per_example
from aesparse.models.base import Model, reconstruct
from aesparse.models.forward import Forward
from aesparse.models.one_layer import decoder_matrix, row_sums

__all__ = [
    "residual_share",
    "second_order",
    "second_order_generic",
    "second_order_terms",
    "second_order_with_kink",
]


def second_order_terms(
    forward: Forward, curvature: Callable[[Array], Array] | None = None
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The two parts of `second_order`: its terms with slopes alone, its term with the residual.

    `curvature`, a function of pre-activations `[B, m]`, takes the place of s''; None (the default)
    is the activation's own. One layer; `InputError` for another model.
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
    """½ E tr ∇²ℓ for one layer: DAE's second-order term (Arpit eqs. 7, 33); its coefficient is σ².

    E[Σ_jk s'_j s'_k (W_j·W_k)(D_j·D_k) − Σ_j s''_j ‖W_j‖² (D_j·r)], r = x − y, ∇² with respect to
    the encoder's input while the target x of the squared error stays fixed. The second term carries
    the coefficient 1, as in eq. 33; eq. 30 on the way there lacks a factor 2.
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

    A jump of the slope by Δ at 0 adds Δ·δ(a) to s'': for ReLU the loss term −Σ_j p_{a_j}(0) ‖W_j‖²
    E[D_j·r given a_j = 0]. The Dirac mass is a normal density of standard deviation `width` (0.25
    by default), so that a minibatch holds units near their kink; Δ is measured. `InputError` unless
    the width is > 0.
    """
    if not width > 0:
        raise InputError(f"The width of the kink is {width}; expected a number > 0.")

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        from jax.scipy.stats import norm  # brings all distributions, which nothing else needs

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
