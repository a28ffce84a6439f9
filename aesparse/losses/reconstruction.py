"""How far a reconstruction is from its target: error functions ℓ, and their mean over samples.

Summed over the n inputs and averaged over the B samples.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from aesparse.errors import InputError
from aesparse.models.activations import Activation
from aesparse.models.one_layer import Params, reconstruct

__all__ = [
    "ErrorFunction",
    "cross_entropy",
    "half_squared_error",
    "reconstruction_error",
    "squared_error",
]


@dataclasses.dataclass(frozen=True)
class ErrorFunction:
    """ℓ(x, z) of a target `x [..., n]` and the decoder's linear output `z`, summed over inputs.

    An output nonlinearity is part of it. `bounds` are those of the data it is defined for.
    """

    fn: Callable[[Array, Array], Array]
    bounds: tuple[float, float] | None = None

    def __call__(self, target: Float[Array, "*B n"], z: Float[Array, "*B n"]) -> Float[Array, "*B"]:
        """The error of each sample; `InputError` where `fn` gives another shape."""
        found = self.fn(target, z)
        if jnp.shape(found) != target.shape[:-1]:
            raise InputError(
                f"The error function returned shape {jnp.shape(found)} for targets of shape "
                f"{target.shape}; expected {target.shape[:-1]}, one number a sample. Sum over the "
                "inputs."
            )
        return found


squared_error = ErrorFunction(lambda x, z: jnp.sum((x - z) ** 2, axis=-1))
# −Σ x log s(z) + (1 − x) log(1 − s(z)) with sigmoid outputs (Lecture), from z itself.
cross_entropy = ErrorFunction(
    lambda x, z: jnp.sum(optax.sigmoid_binary_cross_entropy(z, x), axis=-1), bounds=(0.0, 1.0)
)


@functools.cache
def half_squared_error(output: Activation) -> ErrorFunction:
    """½‖x − f(z)‖² with the output nonlinearity f (GSAE appendix A; SATAE eq. 2 with f(z) = z)."""
    return ErrorFunction(lambda x, z: jnp.sum((x - output(z)) ** 2, axis=-1) / 2)


def reconstruction_error(
    params: Params,
    x: Float[Array, "B n"],
    target: Float[Array, "B n"],
    activation: Activation,
    error: ErrorFunction = squared_error,
) -> Float[Array, ""]:
    """E ℓ(target, f_d(f_e(x))): summed over inputs, averaged over samples (Arpit eqs. 1, 6)."""
    return jnp.mean(error(target, reconstruct(params, x, activation)))
