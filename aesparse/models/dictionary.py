"""Today's sparse auto-encoders: a dictionary of atoms, and a rule that makes the codes sparse.

h = rule(W (x − b_d) + b), y = D h + b_d: ℓ1, top-k, batch top-k, JumpReLU and gated auto-encoders,
which differ by their rule (`aesparse.models.codes`). Their losses: `aesparse.losses.dictionary`.
Shapes: n inputs, m hidden units, N samples; the columns of D are the dictionary's atoms.

>>> from aesparse.models.codes import TopK
>>> model = DictionaryModel(2, TopK(1))
>>> params = DictionaryParams(jnp.eye(2), jnp.ones(2), jnp.eye(2), jnp.array([0.0, 1.0]))
>>> x = jnp.array([3.0, 5.0])
>>> model.projections(params, x).tolist(), model.preactivation(params, x).tolist()
([3.0, 4.0], [4.0, 5.0])
>>> h = model.encode(params, x)
>>> h.tolist(), model.decode(params, h).tolist()
([0.0, 5.0], [0.0, 6.0])
"""

import dataclasses
import operator
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree

from aesparse.data.matrix import check_matrix
from aesparse.errors import InputError
from aesparse.models.base import Model
from aesparse.models.codes import BatchTopK, GateParams, Relu, Rule, biased
from aesparse.options import check_counts, shortened

__all__ = [
    "DictionaryModel",
    "DictionaryParams",
    "calibrated",
    "check_dictionary",
    "each_model",
]

_RELU = Relu()
AT_ONCE = 2**24  # pre-activations at once in a calibration


class DictionaryParams(NamedTuple):
    """Parameters of one `DictionaryModel`, or of a grid of them with leading axes.

    Attributes:
        weight: W `[m, n]`, of the encoder.
        bias: b `[m]`, of the encoder; of the gate where there is one.
        decoder: D `[n, m]`; its columns are the atoms.
        decoder_bias: b_d `[n]`.
        log_threshold: log θ `[m]` of `JumpRelu` and `BatchTopK`; −inf for θ = 0. None (the default)
            for other rules.
        gate: `GateParams` of `Gated`, None (the default) for other rules.
    """

    weight: Float[Array, "m n"]
    bias: Float[Array, " m"]
    decoder: Float[Array, "n m"]
    decoder_bias: Float[Array, " n"]
    log_threshold: Float[Array, " m"] | None = None
    gate: GateParams | None = None


@dataclasses.dataclass(frozen=True)
class DictionaryModel:
    """h = rule(W x' + b) with x' = x − b_d, y = D h + b_d, as a model.

    Args:
        hidden: m, the number of units and atoms.
        rule: how the code is made, a `Rule` of `aesparse.models.codes`; `Relu()` by default.
        subtract_decoder_bias: whether x' = x − b_d, as most papers have it (the default), or x' =
            x, as some published models do.

    Raises:
        InputError: for arguments of other kinds, fewer than one unit, and a rule that does not fit
            that many, such as `TopK(k)` with k > m.

    >>> model = DictionaryModel(8)
    >>> params = model.init(jax.random.key(0), 5)
    >>> params.weight.shape, params.decoder.shape, params.decoder_bias.shape
    ((8, 5), (5, 8), (5,))
    >>> jnp.linalg.norm(params.decoder, axis=0).round(4).tolist() == [1.0] * 8
    True
    >>> model.batch_code(params, jnp.ones((2, 5))).shape
    (2, 8)
    >>> model.projections(params, jnp.ones(5)).shape
    (8,)
    """

    hidden: int
    rule: Rule = _RELU
    subtract_decoder_bias: bool = True

    def __post_init__(self) -> None:
        check_counts({"hidden": self.hidden})
        object.__setattr__(self, "hidden", operator.index(self.hidden))
        if not isinstance(self.subtract_decoder_bias, bool | np.bool_):
            raise InputError(
                f"subtract_decoder_bias is {shortened(self.subtract_decoder_bias)}; expected True "
                "or False."
            )
        object.__setattr__(self, "subtract_decoder_bias", bool(self.subtract_decoder_bias))
        if not isinstance(self.rule, Rule):
            raise InputError(
                f"The rule is {shortened(self.rule)}; expected a Rule of aesparse.models.codes, "
                "such as Relu() or TopK(8)."
            )
        self.rule.check(self.hidden)

    def init(self, key: PRNGKeyArray, n: int) -> DictionaryParams:
        """Atoms of length 1 in random directions, W = Dᵀ, biases 0, for `n` inputs (Gao et al.).

        The directions are drawn with the random `key`. Thresholds and gates start as their rules
        say.
        """
        atoms = jax.random.normal(key, (self.hidden, n))
        atoms = atoms / jnp.linalg.norm(atoms, axis=1, keepdims=True)
        zeros = jnp.zeros((self.hidden,), atoms.dtype)
        extras = self.rule.extras(self.hidden)
        return DictionaryParams(atoms, zeros, atoms.T, jnp.zeros((n,), atoms.dtype), **extras)

    def projections(
        self, params: DictionaryParams, x: Float[Array, "... n"]
    ) -> Float[Array, "... m"]:
        """W x' of inputs `x [..., n]`, by `params` without their bias; `[..., m]`."""
        if self.subtract_decoder_bias:
            x = x - jnp.broadcast_to(params.decoder_bias, x.shape)
        return x @ params.weight.T

    def preactivation(
        self, params: DictionaryParams, x: Float[Array, "... n"]
    ) -> Float[Array, "... m"]:
        """a = W x' + b of inputs `x [..., n]`, by `params`; `[..., m]`. The gate's if gated."""
        return biased(params, self.projections(params, x))

    def encode(self, params: DictionaryParams, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        """The code of each input `x [..., n]` by itself, by `params`; `[..., m]`."""
        return self.rule.code(params, self.projections(params, x))

    def batch_code(self, params: DictionaryParams, x: Float[Array, "B n"]) -> Float[Array, "B m"]:
        """The codes `[B, m]` of a training batch `x [B, n]` by `params`, as the losses use them.

        They are those of `encode` but for `BatchTopK`.
        """
        return self.rule.batch_code(params, self.projections(params, x))

    def decode(self, params: DictionaryParams, h: Float[Array, "... m"]) -> Float[Array, "... n"]:
        """y = D h + b_d of codes `h [..., m]`, by `params`; `[..., n]`."""
        y = h @ params.decoder.T
        return y + jnp.broadcast_to(params.decoder_bias, y.shape)


def calibrated(model: Model, params: DictionaryParams, X: ArrayLike) -> DictionaryParams:
    """`params` of a `BatchTopK` model with the threshold at which k units are active on average.

    θ lies midway between the N·k-th and the next of the pre-activations of all samples, so that the
    mean L0 on X is k up to ties. It is the same for all units. Where fewer than N·k are positive, θ
    is the smallest positive number.

    Args:
        model: whose rule is `BatchTopK`.
        params: of one model, or of a grid with leading axes, as a `Result` has them; by
            `dataclasses.replace(result, params=…)` it measures and selects the calibrated models.
        X: data `[N, n]`, such as that of the training.

    Raises:
        InputError: for a model with another rule, and data that it does not take.

    >>> model = DictionaryModel(2, BatchTopK(1))
    >>> params = model.init(jax.random.key(0), 2)._replace(weight=jnp.eye(2))
    >>> X = np.array([[1.0, 4.0], [2.0, 3.0]])
    >>> after = calibrated(model, params, X)
    >>> np.exp(after.log_threshold).round(3).tolist()  # between 3 and 2
    [2.5, 2.5]
    >>> model.encode(after, jnp.asarray(X)).tolist()
    [[0.0, 4.0], [0.0, 3.0]]
    """
    if not (isinstance(model, DictionaryModel) and isinstance(model.rule, BatchTopK)):
        raise InputError(
            f"The model to calibrate is {shortened(model)}; expected a DictionaryModel with the "
            "rule BatchTopK(k), the only one whose threshold follows from the data."
        )
    X = check_dictionary(model, params, X)

    def one(params: DictionaryParams) -> DictionaryParams:
        bias = np.asarray(params.bias)
        threshold = max(_threshold(model, params, X), float(np.finfo(bias.dtype).tiny))
        return params._replace(log_threshold=np.full_like(bias, np.log(threshold)))

    return each_model(one, params)


def check_dictionary(model: DictionaryModel, params: DictionaryParams, X: ArrayLike) -> np.ndarray:
    """`X` as a floating matrix; `InputError` unless `params` are the model's, for so many inputs.

    >>> model = DictionaryModel(3)
    >>> check_dictionary(model, model.init(jax.random.key(0), 2), np.ones((1, 2))).shape
    (1, 2)
    """
    X = check_matrix(X)
    if not isinstance(params, DictionaryParams):
        raise InputError(
            f"The parameters are a {type(params).__name__}; expected DictionaryParams, such as the "
            "`params` of a result."
        )
    came, wanted = np.shape(params.weight)[-2:], (model.hidden, X.shape[1])
    if came != wanted:
        raise InputError(
            f"The encoder's weights of one model have shape {came}; expected {wanted}, for "
            f"{model.hidden} hidden units and data of {X.shape[1]} inputs."
        )
    return X


def each_model(function: Callable[..., PyTree], params: DictionaryParams, *more: PyTree) -> PyTree:
    """`function` of the parameters of every model of a grid, one after the other.

    Args:
        function: of the parameters of one model and what belongs to it of `more`.
        params: of one model, or of a grid with leading axes.
        more: further trees with the same leading axes.

    Returns:
        What it returned, as NumPy arrays with the leading axes.

    >>> model = DictionaryModel(2)
    >>> grid = jax.vmap(lambda key: model.init(key, 3))(jax.random.split(jax.random.key(0), 4))
    >>> each_model(lambda one: one.bias + 1, grid).shape
    (4, 2)
    """
    axes = np.shape(params.bias)[:-1]
    each = [
        function(*jax.tree.map(lambda leaf, place=place: leaf[place], (params, *more)))
        for place in np.ndindex(axes)
    ]

    def stacked(*leaves: ArrayLike) -> np.ndarray:
        return np.stack(jax.device_get(leaves)).reshape(*axes, *np.shape(leaves[0]))

    return jax.tree.map(stacked, *each)


def _threshold(model: DictionaryModel, params: DictionaryParams, X: np.ndarray) -> float:
    """Midway between the N·k-th and the next largest pre-activation of one model; at least 0."""
    wanted = len(X) * model.rule.k
    top = np.empty(0, X.dtype)
    rows = max(1, AT_ONCE // model.hidden)
    for begin in range(0, len(X), rows):
        a = model.preactivation(params, jnp.asarray(X[begin : begin + rows]))
        top = np.concatenate([top, np.ravel(a)])
        if len(top) > wanted + 1:
            top = np.partition(top, -wanted - 1)[-wanted - 1 :]
    if len(top) <= wanted:  # k = m: every unit
        return 0.0
    below, above = np.partition(top, 1)[:2]
    return max(0.0, float(below) / 2 + float(above) / 2)
