"""The one-layer auto-encoder: its parameters, pure functions of them, and the model `OneLayer`.

h = s(W x + b_e), y = D h (+ b_d) with D = Wᵀ when tied (Arpit section 2). Shapes: n inputs, m
hidden units. Functions take `params`, the `Params` of one model, inputs `x [..., n]` and codes `h
[..., m]` of one example or with any leading axes; `activation` is an `Activation`.

>>> params = Params(weight=jnp.array([[1.0, 2.0], [0.0, -1.0]]), bias=jnp.array([0.5, 0.0]))
>>> x, relu = jnp.array([1.0, 1.0]), as_activation("relu")
>>> preactivation(params, x).tolist(), encode(params, x, relu).tolist()
([3.5, -1.0], [3.5, 0.0])
>>> decoder_matrix(params).tolist()
[[1.0, 0.0], [2.0, -1.0]]
>>> decode(params, jnp.array([3.5, 0.0])).tolist(), reconstruct(params, x, relu).tolist()
([3.5, 7.0], [3.5, 7.0])
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
    """Parameters of one auto-encoder, or of a grid of them with leading axes.

    Attributes:
        weight: W `[m, n]`, of the encoder; its rows W_j are the filters.
        bias: b_e `[m]`, of the encoder.
        decoder_bias: b_d `[n]`, or None (the default) for a model without.
        decoder: D `[n, m]`, or None (the default) for a tied model, D = Wᵀ.
    """

    weight: Float[Array, "m n"]
    bias: Float[Array, " m"]
    decoder_bias: Float[Array, " n"] | None = None
    decoder: Float[Array, "n m"] | None = None


def check_params(params: object, what: str) -> None:
    """`InputError` unless `params` is a `Params`; `what` begins the sentence.

    >>> check_params(Params(jnp.eye(2), jnp.zeros(2)), "The parameters are")
    """
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
    """Glorot-normalized weights (Glorot & Bengio 2010) and zero biases (Arpit section 3).

    Weights of encoder and decoder are uniform on ±√(6/(n + m)).

    Args:
        key: a key of JAX's random numbers.
        n: the number of inputs.
        m: the number of hidden units.
        tied: whether the decoder is Wᵀ (the default) or a matrix of its own.
        decoder_bias: whether there is a b_d; by default not.
        dtype: of all parameters, by default float32.

    >>> params = init_params(jax.random.key(0), 5, 3, tied=False)
    >>> params.weight.shape, params.decoder.shape, params.bias.tolist()
    ((3, 5), (5, 3), [0.0, 0.0, 0.0])
    >>> bool((abs(params.weight) <= (6 / 8) ** 0.5).all())
    True
    """
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
    """Sums of `a [..., m, n]` over its last axis, in an order that is fast on a CPU.

    A plain row reduction is slower there, and makes the training loop copy the whole grid.

    >>> row_sums(jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [3.0, 7.0]
    """
    lanes = math.gcd(a.shape[-1], _LANES)
    parts = a.reshape(*a.shape[:-1], a.shape[-1] // lanes, lanes)
    return jnp.sum(jnp.sum(parts, axis=-2), axis=-1)


@dataclasses.dataclass(frozen=True)
class OneLayer:
    """The one-layer auto-encoder h = s(W x + b_e), y = D h (+ b_d) (Arpit section 2), as a model.

    Args:
        hidden: m, the number of hidden units.
        activation: s, an `Activation`, the name of a built-in one, or a plain function R -> R,
            whose threshold is then 0. By default "relu".
        tied: whether D = Wᵀ (the default) or D is a matrix of its own.
        decoder_bias: whether there is a b_d; by default not.

    Raises:
        InputError: for arguments of other kinds, and fewer than one hidden unit.

    >>> model = OneLayer(2, "sigmoid")
    >>> model.init(jax.random.key(0), 5).weight.shape  # n = 5 inputs
    (2, 5)
    >>> params = Params(weight=jnp.eye(2), bias=jnp.zeros(2))
    >>> model.preactivation(params, jnp.array([0.0, 1.0])).tolist()
    [0.0, 1.0]
    >>> h = model.encode(params, jnp.array([0.0, 1.0]))
    >>> h.round(3).tolist(), model.decode(params, h).round(3).tolist()
    ([0.5, 0.731], [0.5, 0.731])
    >>> OneLayer.of(params, "tanh") == OneLayer(2, "tanh")
    True
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
        """The model that `params` belong to, those of one model or with leading axes.

        `activation` is as in `OneLayer`. `InputError` unless the parameters are `Params`.
        """
        check_params(params, "The parameters of a one-layer model are")
        return cls(
            params.bias.shape[-1],
            activation,
            tied=params.decoder is None,
            decoder_bias=params.decoder_bias is not None,
        )

    def init(self, key: PRNGKeyArray, n: int) -> Params:
        """`init_params` with the random `key` for `n` inputs, in JAX's default precision."""
        dtype = jnp.zeros(()).dtype
        return init_params(
            key, n, self.hidden, tied=self.tied, decoder_bias=self.decoder_bias, dtype=dtype
        )

    def preactivation(self, params: Params, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """a = W x + b_e of inputs `x [..., n]` (Arpit eq. 3); `[..., m]`."""
        return preactivation(params, x)

    def encode(self, params: Params, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """The code h = s(W x + b_e) of inputs `x [..., n]`; `[..., m]`."""
        return encode(params, x, self.activation)

    def decode(self, params: Params, h: Float[Array, "... m"]) -> Float[Array, "... n"]:
        """The linear reconstruction y = D h (+ b_d) from codes `h [..., m]`; `[..., n]`."""
        return decode(params, h)
