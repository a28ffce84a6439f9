"""What a model is: three pure functions of its parameters.

Shapes: n inputs, m numbers of a code. `params` are any pytree, those of one model; `x [..., n]` are
inputs, `h [..., m]` codes.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from aesparse.errors import InputError
from aesparse.options import shortened

__all__ = ["Model", "check_model", "checked_reconstruction", "reconstruct"]


@runtime_checkable
class Model(Protocol):
    """Any auto-encoder: an object with `init`, `encode` and `decode`.

    A model is hashable and equal to those that compute the same (a frozen dataclass, say), so that
    they share compiled programs. Samples of a batch are treated apart (no batch normalization).

    >>> import dataclasses, jax
    >>> import jax.numpy as jnp
    >>> @dataclasses.dataclass(frozen=True)
    ... class Linear:
    ...     hidden: int
    ...     def init(self, key, n):
    ...         return jax.random.normal(key, (self.hidden, n))
    ...     def encode(self, params, x):
    ...         return x @ params.T
    ...     def decode(self, params, h):
    ...         return h @ params
    >>> model = Linear(2)
    >>> check_model(model)
    >>> model.init(jax.random.key(0), 3).shape
    (2, 3)
    >>> reconstruct(model, jnp.eye(2, 3), jnp.ones((1, 3))).tolist()
    [[1.0, 1.0, 0.0]]
    """

    def init(self, key: PRNGKeyArray, n: int) -> PyTree:
        """Parameters to start from, drawn with the random `key`, for data of `n` inputs."""
        ...

    def encode(self, params: PyTree, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """The code of each input, `[..., m]`."""
        ...

    def decode(self, params: PyTree, h: Float[Array, "... m"]) -> Float[Array, "... n"]:
        """The reconstruction `[..., n]` from each code, before an output function of the error."""
        ...


def check_model(model: object) -> None:
    """`InputError` unless `model` is hashable and has `init`, `encode` and `decode`."""
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
    """decode(encode(x)) `[..., n]` of `model`; `InputError` unless it has the shape of x."""
    return checked_reconstruction(model.decode(params, model.encode(params, x)), x)


def checked_reconstruction(y: Array, x: Float[Array, "*B n"]) -> Float[Array, "*B n"]:
    """`y` as it is; `InputError` unless it has the shape of `x`.

    >>> import jax.numpy as jnp
    >>> checked_reconstruction(jnp.ones((1, 2)), jnp.zeros((1, 2))).tolist()
    [[1.0, 1.0]]
    """
    if y.shape != x.shape:
        raise InputError(
            f"The decoder returned shape {y.shape} for inputs of shape {x.shape}; expected "
            "the same shape. Give its last layer as many units as there are inputs."
        )
    return y
