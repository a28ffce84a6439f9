"""The one-layer auto-encoder: parameters as a pytree, encode, decode, row constraints.

h = s(W x + b_e), y = D h (+ b_d) with D = Wᵀ when tied (Arpit section 2). Shapes: n inputs,
m hidden units. Functions take one example `[n]` or any leading axes `[..., n]`.
"""

import io
import math
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from aesparse.errors import InputError, unknown_name
from aesparse.files import replacing
from aesparse.models.activations import Activation

__all__ = [
    "CONSTRAINTS",
    "Constraint",
    "Forward",
    "Params",
    "check_params",
    "decode",
    "decoder_matrix",
    "encode",
    "forward",
    "get_constraint",
    "init_params",
    "load_params",
    "preactivation",
    "reconstruct",
    "row_sums",
    "save_params",
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


class Forward(NamedTuple):
    """A model's pass over a clean batch, which the reconstruction and all penalties share.

    What a penalty does not use costs nothing in a compiled program.
    """

    params: Params
    x: Float[Array, "B n"]
    activation: Activation
    preactivation: Float[Array, "B m"]  # a = W x + b_e
    code: Float[Array, "B m"]  # h = s(a)
    reconstruction: Float[Array, "B n"]  # y = D h (+ b_d)


def forward(params: Params, x: Float[Array, "B n"], activation: Activation) -> Forward:
    """The pass of one model over the batch `x`, as penalties see it."""
    a = preactivation(params, x)
    h = activation(a)
    return Forward(params, x, activation, a, h, decode(params, h))


_LANES = 16


def row_sums(a: Float[Array, "... m n"]) -> Float[Array, "... m"]:
    """Sums over the last axis, in an order for which compilers on a CPU use vector units.

    A plain row reduction is slower there, and makes the training loop copy the whole grid.
    """
    lanes = math.gcd(a.shape[-1], _LANES)
    parts = a.reshape(*a.shape[:-1], a.shape[-1] // lanes, lanes)
    return jnp.sum(jnp.sum(parts, axis=-2), axis=-1)


class Constraint(NamedTuple):
    """What an optimizer step does to keep the rows W_j where they belong.

    `tangent(params, direction)` maps a direction onto the directions allowed at `params`;
    `project(params)` maps parameters back onto the constraint after every `every`-th step of
    an epoch. `step(params, direction, rate)`, where there is one, is both in fewer passes over
    the weights: the tangent direction, and the parameters after −rate times it, projected.
    """

    tangent: Callable[[Params, Params], Params]
    project: Callable[[Params], Params]
    every: int = 1
    step: Callable[[Params, Params, Array], tuple[Params, Params]] | None = None


def _tangent_to_rows(params: Params, direction: Params) -> Params:
    """Removes from each row of `direction` its part along W_j, for rows of any length."""
    w, u = params.weight, direction.weight
    share = row_sums(w * u) / row_sums(w * w)
    return direction._replace(weight=u - share[..., None] * w)


def _unit_rows(params: Params) -> Params:
    w = params.weight
    return params._replace(weight=w * jax.lax.rsqrt(row_sums(w * w))[..., None])


def _unit_rows_step(params: Params, direction: Params, rate: Array) -> tuple[Params, Params]:
    """Tangent and retraction in two passes over W.

    With v = u − (W·u/W·W) W the length after the step is known before it is made:
    ‖W − ηv‖² = W·W + η²(u·u − (W·u)²/W·W).
    """
    w, u = params.weight, direction.weight
    along, squared, whole = row_sums(w * u), row_sums(w * w), row_sums(u * u)
    share = along / squared
    tangent = direction._replace(weight=u - share[..., None] * w)
    after = jax.lax.rsqrt(squared + rate**2 * jnp.maximum(whole - along * share, 0.0))
    moved = jax.tree.map(lambda p, v: p - rate * v, params, tangent)
    return tangent, moved._replace(weight=moved.weight * after[..., None])


def _frozen_bias_step(params: Params, direction: Params, rate: Array) -> tuple[Params, Params]:
    frozen = direction._replace(bias=jnp.zeros_like(direction.bias))
    return _unit_rows_step(params, frozen, rate)


def _rows_in_unit_ball(params: Params) -> Params:
    w = params.weight
    scale = jax.lax.rsqrt(jnp.maximum(row_sums(w * w), 1.0))
    return params._replace(weight=w * scale[..., None])


def _unit_decoder_columns(params: Params) -> Params:
    if params.decoder is None:
        raise InputError(
            "The constraint 'unit-columns' is given for tied weights; expected an own decoder "
            "(tied=False). Use 'unit' for tied weights."
        )
    lengths = jnp.linalg.norm(params.decoder, axis=0, keepdims=True)
    return params._replace(decoder=params.decoder / lengths)


def _any_direction(params: PyTree, direction: PyTree) -> PyTree:
    del params
    return direction


def _tangent_without_bias(params: Params, direction: Params) -> Params:
    direction = _tangent_to_rows(params, direction)
    return direction._replace(bias=jnp.zeros_like(direction.bias))


# "unit" keeps the radial part of the gradient out of the momentum; "unit-rescale" does not,
# which changes the effective step wherever a penalty's gradient is radial (ReLU with CAE or
# mDAE). Arpit only says that lengths are fixed, so both readings are kept. "unit-frozen-bias" is
# "unit" with the encoding bias left where it starts (Arpit section 2.1.1). "unit-columns" is for
# an own decoder, whose columns return to the unit sphere at every 10th update of an epoch (SATAE
# section 4).
CONSTRAINTS = {
    "free": Constraint(_any_direction, lambda params: params),
    "unit": Constraint(_tangent_to_rows, _unit_rows, step=_unit_rows_step),
    "unit-rescale": Constraint(_any_direction, _unit_rows),
    "unit-frozen-bias": Constraint(_tangent_without_bias, _unit_rows, step=_frozen_bias_step),
    "max-norm": Constraint(_any_direction, _rows_in_unit_ball),
    "unit-columns": Constraint(_any_direction, _unit_decoder_columns, every=10),
}


def get_constraint(name: str) -> Constraint:
    """The row constraint called `name`; `InputError` with near matches otherwise."""
    if name not in CONSTRAINTS:
        raise unknown_name("constraint", name, CONSTRAINTS)
    return CONSTRAINTS[name]


def save_params(path: str | os.PathLike[str], params: Params) -> None:
    """Writes `params` (of one model or a whole grid) to an `.npz` file, all or nothing.

    A path with another ending gets `.npz` added. `InputError` if it cannot be written.
    """
    check_params(params, "What is to be saved is")
    arrays = {k: np.asarray(v) for k, v in params._asdict().items() if v is not None}
    with replacing(_npz(path)) as temporary:
        np.savez(temporary, **arrays)


def _npz(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def load_params(path: str | os.PathLike[str]) -> Params:
    """Reads what `save_params` wrote to that path; `InputError` if it holds anything else."""
    path = _npz(path)
    try:
        stored = dict(np.load(io.BytesIO(path.read_bytes())))
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is not a readable .npz file ({error}). Give a file written by save_params."
        ) from None
    if not {"weight", "bias"} <= stored.keys() <= set(Params._fields):
        raise InputError(
            f"{path} holds {sorted(stored)}; expected parameters named {Params._fields}. "
            "Give a file written by save_params."
        )
    lead, (m, n) = stored["bias"].shape[:-1], (0, 0, *stored["weight"].shape)[-2:]
    fitting = {"weight": (m, n), "bias": (m,), "decoder_bias": (n,), "decoder": (n, m)}
    for name, array in stored.items():
        if array.dtype.kind != "f" or array.shape != (*lead, *fitting[name]):
            raise InputError(
                f"{path} holds '{name}' as {array.dtype} {array.shape}; expected numbers of shape "
                f"{(*lead, *fitting[name])} beside the others. Give a file written by save_params."
            )
    return Params(**{name: jnp.asarray(array) for name, array in stored.items()})
