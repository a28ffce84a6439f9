"""A model's pass over a clean batch, which the reconstruction and all penalties share.

Shapes: n inputs, m numbers of a code, B batch. `params` are those of one model, `x [B, n]` is a
batch.
"""

from typing import NamedTuple

from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.models.activations import Activation
from aesparse.models.base import Model, checked_reconstruction
from aesparse.models.one_layer import OneLayer, Params

__all__ = ["Forward", "check_one_layer", "forward", "one_layer_forward"]


class Forward(NamedTuple):
    """What a penalty is given. Parts that it does not use cost nothing in a compiled program.

    Attributes:
        model: the model.
        params: its parameters.
        x: the clean batch `[B, n]`.
        preactivation: a = W x + b_e `[B, m]` of a `OneLayer`; None for other models.
        code: h = encode(x), `[B, m]` of a `OneLayer`, `[B, ...]` of others.
        reconstruction: y = decode(h) `[B, n]`, before an output function of the error.
    """

    model: Model
    params: PyTree
    x: Float[Array, "B n"]
    preactivation: Float[Array, "B m"] | None
    code: Float[Array, "B ..."]
    reconstruction: Float[Array, "B n"]

    @property
    def activation(self) -> Activation:
        """The activation of a `OneLayer`; `InputError` for another model."""
        check_one_layer(self.model)
        return self.model.activation


def check_one_layer(model: object, what: str = "this penalty is") -> None:
    """`InputError` unless `model` is a `OneLayer`; `what` says what is for such models only.

    >>> check_one_layer(OneLayer(3))
    """
    if not isinstance(model, OneLayer):
        raise InputError(
            f"The model is a {type(model).__name__}, but {what} for one-layer models; expected a "
            "OneLayer. Use a generic penalty, such as contractive_generic, or code statistics."
        )


def forward(model: Model, params: PyTree, x: Float[Array, "B n"]) -> Forward:
    """The pass of one `model` with `params` over the batch `x [B, n]`, as penalties see it.

    `InputError` unless the reconstruction has the shape of x.

    >>> import jax.numpy as jnp
    >>> x, params = jnp.array([[1.0, -2.0]]), Params(jnp.eye(2), jnp.zeros(2))
    >>> clean = forward(OneLayer(2), params, x)
    >>> clean.preactivation.tolist(), clean.code.tolist(), clean.reconstruction.tolist()
    ([[1.0, -2.0]], [[1.0, 0.0]], [[1.0, 0.0]])
    >>> clean.activation.threshold  # of the model
    0.0
    """
    if isinstance(model, OneLayer):
        a = model.preactivation(params, x)
        h = model.activation(a)
    else:
        a, h = None, model.encode(params, x)
    y = checked_reconstruction(model.decode(params, h), x)
    return Forward(model, params, x, a, h, y)


def one_layer_forward(
    params: Params, x: Float[Array, "B n"], activation: Activation | str
) -> Forward:
    """`forward` of the one-layer model that `params` of one model and an `activation` belong to.

    >>> import jax.numpy as jnp
    >>> params = Params(jnp.eye(2), jnp.zeros(2))
    >>> one_layer_forward(params, jnp.array([[1.0, -2.0]]), "relu").model
    OneLayer(hidden=2, activation=Activation('relu'), tied=True, decoder_bias=False)
    """
    return forward(OneLayer.of(params, activation), params, x)
