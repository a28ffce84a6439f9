"""How far a reconstruction is from its target: error functions ℓ, and their mean over samples.

Summed over the n inputs and averaged over the B samples.

>>> x, z = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]])
>>> squared_error(x, z).tolist(), as_error("cross-entropy")(x, z).round(4).tolist()
([5.0], [2.8201])
>>> from aesparse.models.one_layer import OneLayer, Params
>>> params = Params(jnp.eye(2), jnp.zeros(2))
>>> float(reconstruction_error(OneLayer(2), params, jnp.array([[1.0, 0.0], [0.0, -2.0]]),
...     target=jnp.zeros((2, 2))))  # (1 + 0)/2, as ReLU makes 0 of −2
0.5
"""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError, unknown_name
from aesparse.models.activations import Activation, as_activation
from aesparse.models.base import Model, reconstruct
from aesparse.options import shortened

__all__ = [
    "ERRORS",
    "ErrorFunction",
    "as_error",
    "cross_entropy",
    "half_squared_error",
    "reconstruction_error",
    "squared_error",
]


@dataclasses.dataclass(frozen=True)
class ErrorFunction:
    """ℓ(x, z) of a target x and the decoder's linear output z, summed over inputs.

    An output nonlinearity is part of it. Called with two arrays `[..., n]`, it returns one number a
    sample, `[...]`.

    Args:
        fn: the function of targets and outputs.
        bounds: (low, high) of the data that it is defined for; None (the default) for any.

    Raises:
        InputError: when called, if `fn` returns another shape.

    >>> absolute = ErrorFunction(lambda x, z: jnp.sum(jnp.abs(x - z), axis=-1))
    >>> absolute(jnp.ones((2, 3)), jnp.zeros((2, 3))).tolist()
    [3.0, 3.0]
    """

    fn: Callable[[Array, Array], Array]
    bounds: tuple[float, float] | None = None

    def __call__(self, target: Float[Array, "*B n"], z: Float[Array, "*B n"]) -> Float[Array, "*B"]:
        """The error of each sample; `InputError` where `fn` gives another shape."""
        errors = self.fn(target, z)
        if jnp.shape(errors) != target.shape[:-1]:
            raise InputError(
                f"The error function returned shape {jnp.shape(errors)} for targets of shape "
                f"{target.shape}; expected {target.shape[:-1]}, one number a sample. Sum over the "
                "inputs."
            )
        return errors


def _cross_entropy(x: Float[Array, "*B n"], z: Float[Array, "*B n"]) -> Float[Array, "*B"]:
    import optax  # 0.1 s, for whoever uses this error

    return jnp.sum(optax.sigmoid_binary_cross_entropy(z, x), axis=-1)


#: ‖x − z‖², summed over inputs (Arpit eq. 1).
squared_error = ErrorFunction(lambda x, z: jnp.sum((x - z) ** 2, axis=-1))
#: −Σ x log s(z) + (1 − x) log(1 − s(z)) with sigmoid outputs (Lecture), from z itself.
cross_entropy = ErrorFunction(_cross_entropy, bounds=(0.0, 1.0))


#: The built-in errors by name.
ERRORS = {"squared": squared_error, "cross-entropy": cross_entropy}


def half_squared_error(output: Activation | Callable | str = "identity") -> ErrorFunction:
    """½‖x − f(z)‖² with the output function f (GSAE appendix A; SATAE eq. 2 with f(z) = z).

    `output` is f as in `as_activation`, by default the identity.

    >>> half_squared_error("sigmoid")(jnp.zeros((1, 2)), jnp.zeros((1, 2))).tolist()
    [0.25]
    """
    return _half_squared_error(as_activation(output))


@functools.lru_cache(maxsize=64)
def _half_squared_error(output: Activation) -> ErrorFunction:
    return ErrorFunction(lambda x, z: jnp.sum((x - output(z)) ** 2, axis=-1) / 2)


def as_error(value: object) -> ErrorFunction:
    """`value` as an `ErrorFunction`: as it is, a built-in by its name, or a function of your own.

    The names are those of `ERRORS`, the function is `(target, z) -> [B]`. `InputError` for anything
    else.
    """
    if isinstance(value, ErrorFunction):
        return value
    if isinstance(value, str):
        if value not in ERRORS:
            raise unknown_name("error", value, ERRORS)
        return ERRORS[value]
    if isinstance(value, type) or not callable(value):
        raise InputError(
            f"The error is {shortened(value)}; expected a name, such as 'squared', or a function "
            "of the targets [B, n] and the reconstructions [B, n]."
        )
    return ErrorFunction(value)


def reconstruction_error(
    model: Model,
    params: PyTree,
    x: Float[Array, "B n"],
    target: Float[Array, "B n"],
    error: ErrorFunction = squared_error,
) -> Float[Array, ""]:
    """E ℓ(target, f_d(f_e(x))): summed over inputs, averaged over samples (Arpit eqs. 1, 6).

    Args:
        model: any model.
        params: its parameters.
        x: what it encodes, `[B, n]`; corrupted or not.
        target: what it is to reconstruct, `[B, n]`.
        error: ℓ, by default the squared error.
    """
    return jnp.mean(error(target, reconstruct(model, params, x)))
