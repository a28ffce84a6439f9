"""What a model is: three pure functions of its parameters.

Shapes: n inputs, m numbers of a code. params are any pytree.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from aesparse.errors import InputError
from aesparse.options import shortened

__all__ = ["Model", "check_model", "checked_reconstruction", "reconstruct"]


@runtime_checkable
class Model(Protocol):
    """Any auto-encoder.

    A model is hashable and equal to those that compute the same (a frozen dataclass, say), so
    that they share compiled programs. Samples of a batch are treated apart (no batch
    normalization).
    """

    def init(self, key: PRNGKeyArray, n: int) -> PyTree:
        """Parameters to start from, for data of n inputs."""
        ...

    def encode(self, params: PyTree, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """The code of each input."""
        ...

    def decode(self, params: PyTree, h: Float[Array, "... m"]) -> Float[Array, "... n"]:
        """The reconstruction from each code; where the error has an output function, before it."""
        ...


def check_model(model: object) -> None:
    """`InputError` unless it is hashable and has `init`, `encode` and `decode`."""
    if isinstance(model, type) or not isinstance(model, Model):
        raise InputError(
            f"The model is {shortened(model)}; expected an object with init(key, n), "
            "encode(params, x) and decode(params, h), such as OneLayer(64)."
        )
    try:
        hash(model)
    except TypeError:
        raise InputError(
            f"The model {shortened(model)} is not hashable; expected one that programs can be "
            "looked up by. Make it a frozen dataclass whose fields are hashable."
        ) from None


def reconstruct(model: Model, params: PyTree, x: Float[Array, "*B n"]) -> Float[Array, "*B n"]:
    """decode(encode(x)); `InputError` unless it has the shape of x."""
    return checked_reconstruction(model.decode(params, model.encode(params, x)), x)


def checked_reconstruction(y: Array, x: Float[Array, "*B n"]) -> Float[Array, "*B n"]:
    """y; `InputError` unless it has the shape of x."""
    if y.shape != x.shape:
        raise InputError(
            f"The decoder returned shape {y.shape} for inputs of shape {x.shape}; expected "
            "the same shape. Give its last layer as many units as there are inputs."
        )
    return y
