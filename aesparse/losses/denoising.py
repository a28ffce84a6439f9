"""Objectives with noise in the input: denoising, and its expansion's first order.

The strength is the level of the corruption: Gaussian noise's variance σ², or the probability that
masking zeroes an input. Shapes: n inputs, B batch.

>>> params, x = Params(jnp.array([[1.0]]), jnp.zeros(1)), jnp.array([[1.0]])  # y = x̃ = x + σε
>>> eps, level = jnp.array([[0.5]]), {"strength": 0.04}
>>> for objective in (denoising(), antithetic_denoising(), first_order_denoising()):
...     print(round(float(objective(OneLayer(1), params, x, eps, level)[0]), 6))
0.01
0.01
0.0
>>> levels_of(corruption.masking, "level")
(('level', 0.0, 1.0),)
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from aesparse.losses import corruption
from aesparse.losses.base import Objective
from aesparse.losses.reconstruction import reconstruction_error, squared_error
from aesparse.models.one_layer import OneLayer, Params, decode, preactivation

__all__ = ["antithetic_denoising", "denoising", "first_order_denoising", "levels_of"]


def levels_of(corrupt: Callable | None, name: str) -> tuple[tuple[str, float, float], ...]:
    """The range of the level of `corrupt` as an objective's `levels`.

    The coefficient is called `name`. Empty for a corruption whose level may be any number >= 0.
    """
    return ((name, *corruption.LEVELS[corrupt]),) if corrupt in corruption.LEVELS else ()


def denoising(corrupt: Callable | str = "gaussian") -> Objective:
    """DAE: reconstructs the clean input from a corrupted one (Arpit eq. 6); any model.

    E ‖x − f_d(f_e(x̃))‖², summed over inputs, averaged over samples. The coefficient "strength" is
    the level of the corruption.

    Args:
        corrupt: "gaussian" (the default: the level is the variance σ²), "masking" (the
            probability), or a function `corrupt(x, eps, level)`.

    Raises:
        InputError: for another name, and for anything but a function.

    >>> denoising("masking").levels
    (('strength', 0.0, 1.0),)
    """
    corrupt = corruption.as_corruption(corrupt)
    return Objective(_Denoising(corrupt), levels=levels_of(corrupt, "strength"))


@dataclasses.dataclass(frozen=True)
class _Denoising:  # a value: equal options give equal objectives
    corrupt: Callable

    def __call__(self, model, params, x, eps, coefficients):
        noisy = self.corrupt(x, eps, coefficients["strength"])
        loss = reconstruction_error(model, params, noisy, x)
        return loss, {"reconstruction": loss}


@functools.cache
def antithetic_denoising() -> Objective:
    """DAE with the noise in pairs ±ε: its first-order term cancels exactly (Arpit 3.1.1).

    The mean of the Gaussian DAE's loss at ε and at −ε, twice the products of a DAE; any model.
    """
    one_sided = denoising()

    def fn(model, params, x, eps, coefficients):
        losses = [one_sided(model, params, x, sign * eps, coefficients)[0] for sign in (1, -1)]
        loss = sum(losses) / 2
        return loss, {"reconstruction": loss}

    return Objective(fn)


@functools.cache
def first_order_denoising() -> Objective:
    """eDAE: E[ℓ + (x̃ − x)ᵀ∇ℓ], DAE's Taylor series cut after the first order (Arpit 3.1.1).

    The noise is Gaussian; the strength is its variance. ∇ is taken with respect to the encoder's
    input at the clean x while the target stays fixed: one Jacobian-vector product; any model, with
    five matrix products for one layer. Linear in the noise, hence unbounded below for one fixed
    noise and unconstrained rows.
    """

    def fn(model, params, x, eps, coefficients):
        strength = coefficients["strength"]
        if isinstance(model, OneLayer):
            loss, first_order = _of_one_layer(model, params, x, eps, strength)
        else:
            step = jnp.sqrt(strength) * eps
            loss, first_order = jax.jvp(
                lambda z: reconstruction_error(model, params, z, x), (x,), (step,)
            )
        return loss + first_order, {"reconstruction": loss, "penalty": first_order}

    return Objective(fn)


def _of_one_layer(
    model: OneLayer,
    params: Params,
    x: Float[Array, "B n"],
    eps: Float[Array, "B n"],
    strength: ArrayLike,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The error, and its derivative along the noise in the encoder's input."""
    # Each layer is linear but for its activation, so the directions go through it together with
    # the batch: five matrix products of twice the rows instead of ten.
    weights = params._replace(bias=jnp.zeros_like(params.bias), decoder_bias=None)
    both = jnp.concatenate([x, jnp.sqrt(strength) * eps])
    a, along = jnp.split(preactivation(weights, both), 2)
    code = jax.jvp(model.activation, (a + jnp.broadcast_to(params.bias, a.shape),), (along,))
    y, along = jnp.split(decode(weights, jnp.concatenate(code)), 2)
    if params.decoder_bias is not None:
        y = y + jnp.broadcast_to(params.decoder_bias, y.shape)
    return jax.jvp(lambda y: jnp.mean(squared_error(x, y)), (y,), (along,))
