"""The one-layer auto-encoder: its parameters, pure functions of them, and the model `OneLayer`.

h = s(W x + b_e), y = D h (+ b_d) with D = Wᵀ when tied (Arpit section 2). Shapes: n inputs,
m hidden units. Functions take one example `[n]` or any leading axes `[..., n]`.
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from aesparse.errors import InputError
from aesparse.models.activations import Activation, as_activation
from aesparse.options import check_counts, shortened

__all__ = [
    "OneLayer",
    "Params",
    "check_params",
    "decode",
    "decoder_matrix",
    "encode",
    "init_params",
    "preactivation",
    "reconstruct",
    "row_sums",
]


class Params(NamedTuple):
    """Parameters of one auto-encoder; `None` for what the model does not have."""

    weight: Float[Array, "m n"]
    bias: Float[Array, " m"]
    decoder_bias: Float[Array, " n"] | None = None
    decoder: Float[Array, "n m"] | None = None  # None: tied, D = Wᵀ


def check_params(params: object, what: str) -> None:
    """`InputError` unless it is a `Params`; `what` begins the sentence."""
    if not isinstance(params, Params):
        raise InputError(
            f"{what} a {type(params).__name__}; expected Params, such as a result's `params`."
        )


def init_params(
    key: PRNGKeyArray,
    n: int,
    m: int,
    *,
    tied: bool = True,
    decoder_bias: bool = False,
    dtype: jnp.dtype = jnp.float32,
) -> Params:
    """Glorot-normalized weights (Glorot & Bengio 2010) and zero biases, Arpit section 3."""
    glorot = jax.nn.initializers.glorot_uniform()
    key_w, key_d = jax.random.split(key)
    return Params(
        weight=glorot(key_w, (m, n), dtype),
        bias=jnp.zeros((m,), dtype),
        decoder_bias=jnp.zeros((n,), dtype) if decoder_bias else None,
        decoder=None if tied else glorot(key_d, (n, m), dtype),
    )


def decoder_matrix(params: Params) -> Float[Array, "n m"]:
    """D: the transposed encoder weight when tied, the decoder's own weight otherwise."""
    return params.weight.T if params.decoder is None else params.decoder


def preactivation(params: Params, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
    """a = W x + b_e (Arpit eq. 3)."""
    a = x @ params.weight.T
    return a + jnp.broadcast_to(params.bias, a.shape)


def encode(
    params: Params, x: Float[Array, "... n"], activation: Activation
) -> Float[Array, "... m"]:
    """The code h = s(W x + b_e)."""
    return activation(preactivation(params, x))


def decode(params: Params, h: Float[Array, "... m"]) -> Float[Array, "... n"]:
    """The linear reconstruction y = D h (+ b_d)."""
    # No transposed copy of the tied weight: its gradient would be transposed back every step.
    y = h @ params.weight if params.decoder is None else h @ params.decoder.T
    if params.decoder_bias is None:
        return y
    return y + jnp.broadcast_to(params.decoder_bias, y.shape)


def reconstruct(
    params: Params, x: Float[Array, "... n"], activation: Activation
) -> Float[Array, "... n"]:
    """y = f_d(f_e(x)), Arpit eq. 1."""
    return decode(params, encode(params, x, activation))


_LANES = 16


def row_sums(a: Float[Array, "... m n"]) -> Float[Array, "... m"]:
    """Sums over the last axis, in an order for which compilers on a CPU use vector units.

    A plain row reduction is slower there, and makes the training loop copy the whole grid.
    """
    lanes = math.gcd(a.shape[-1], _LANES)
    parts = a.reshape(*a.shape[:-1], a.shape[-1] // lanes, lanes)
    return jnp.sum(jnp.sum(parts, axis=-2), axis=-1)


@dataclasses.dataclass(frozen=True)
class OneLayer:
    """h = s(W x + b_e), y = D h (+ b_d): a model of `hidden` units.

    `activation` is an `Activation`, the name of a built-in one, or a plain function R -> R, whose
    threshold is then 0. `tied`: D = Wᵀ. `decoder_bias`: whether there is a b_d. `InputError` for
    arguments of other kinds.

    >>> model = OneLayer(3, "sigmoid")
    >>> params = model.init(jax.random.key(0), 5)
    >>> model.encode(params, jnp.ones((2, 5))).shape
    (2, 3)
    """

    hidden: int
    activation: Activation | Callable | str = "relu"
    tied: bool = True
    decoder_bias: bool = False

    def __post_init__(self) -> None:
        check_counts({"hidden": self.hidden})
        for name in ("tied", "decoder_bias"):
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise InputError(f"{name} is {shortened(value)}; expected True or False.")
            object.__setattr__(self, name, bool(value))
        object.__setattr__(self, "hidden", operator.index(self.hidden))
        object.__setattr__(self, "activation", as_activation(self.activation))

    @classmethod
    def of(cls, params: Params, activation: Activation | Callable | str) -> "OneLayer":
        """The model that parameters belong to, those of one model or with leading axes."""
        check_params(params, "The parameters of a one-layer model are")
        return cls(
            params.bias.shape[-1],
            activation,
            tied=params.decoder is None,
            decoder_bias=params.decoder_bias is not None,
        )

    def init(self, key: PRNGKeyArray, n: int) -> Params:
        """`init_params` for n inputs, in JAX's default precision."""
        dtype = jnp.zeros(()).dtype
        return init_params(
            key, n, self.hidden, tied=self.tied, decoder_bias=self.decoder_bias, dtype=dtype
        )

    def preactivation(self, params: Params, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """a = W x + b_e."""
        return preactivation(params, x)

    def encode(self, params: Params, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """The code h = s(W x + b_e)."""
        return encode(params, x, self.activation)

    def decode(self, params: Params, h: Float[Array, "... m"]) -> Float[Array, "... n"]:
        """The linear reconstruction y = D h (+ b_d)."""
        return decode(params, h)
