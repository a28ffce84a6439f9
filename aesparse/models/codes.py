"""Rules that make a sparse code of the encoder's projections in a `DictionaryModel`.

A rule has no parameters of its own; it reads those of the model, `params`. Projections `z = W x'
[..., m]` have no bias yet, pre-activations a = z + b have. Shapes: m hidden units, B batch.

- `Relu()`: h_j = max(a_j, 0) (Bricken et al. 2023).
- `TopK(k)`: max(a_j, 0) of the k largest a_j of a sample (Gao et al. 2024).
- `BatchTopK(k)`: a_j where a_j > θ; in training the B·k largest of a batch (Bussmann et al. 2024).
- `JumpRelu()`: a_j where a_j > θ_j, and θ is trained (Rajamanoharan et al. 2024b).
- `Gated()`: max(e^{r_j} z_j + c_j, 0) where a_j > 0 (Rajamanoharan et al. 2024a).

Everywhere else h_j is 0.

>>> from aesparse.models.dictionary import DictionaryParams
>>> z = jnp.array([[3.0, -1.0, 2.0], [0.5, 0.25, -4.0]])
>>> params = DictionaryParams(jnp.eye(3), jnp.zeros(3), jnp.eye(3), jnp.zeros(3),
...     log_threshold=jnp.log(jnp.array([1.0, 1.0, 2.5])))
>>> for rule in (Relu(), TopK(1), JumpRelu(), BatchTopK(1)):
...     print(rule.code(params, z).tolist())
[[3.0, 0.0, 2.0], [0.5, 0.25, 0.0]]
[[3.0, 0.0, 0.0], [0.5, 0.0, 0.0]]
[[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
[[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
>>> BatchTopK(1).batch_code(params, z).tolist()  # the two largest of the batch
[[3.0, 0.0, 2.0], [0.0, 0.0, 0.0]]
"""

import dataclasses
import math
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.models.selection import jump, largest
from aesparse.options import check_counts, check_positive

__all__ = [
    "BatchTopK",
    "GateParams",
    "Gated",
    "JumpRelu",
    "Relu",
    "Rule",
    "TopK",
    "biased",
]

_THRESHOLD = 0.001  # at the start, as published for JumpReLU


class GateParams(NamedTuple):
    """Parameters of the magnitudes of a gated code, e^r (W x') + c.

    Attributes:
        log_scale: r `[m]`.
        bias: c `[m]`.

    >>> gate = GateParams(log_scale=jnp.zeros(3), bias=jnp.zeros(3))
    >>> gate.log_scale.shape, gate.bias.shape
    ((3,), (3,))
    """

    log_scale: Float[Array, " m"]
    bias: Float[Array, " m"]


class Rule:
    """How a code is made of projections. Subclass it as a frozen dataclass for a rule of your own.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Tanh(Rule):
    ...     def code(self, params, projections):
    ...         return jnp.tanh(biased(params, projections))
    >>> from aesparse.models.dictionary import DictionaryModel
    >>> model = DictionaryModel(4, Tanh())
    >>> params = model.init(jax.random.key(0), 3)
    >>> model.encode(params, jnp.zeros((2, 3))).shape
    (2, 4)
    >>> Tanh().extras(4), Tanh().check(4)
    ({}, None)
    """

    def check(self, hidden: int) -> None:
        """`InputError` where the rule does not fit a model of `hidden` units; here it always does.

        A rule that does not fit every model overrides it.
        """

    def extras(self, hidden: int) -> dict[str, PyTree]:
        """Fields of `DictionaryParams` that only this rule has, at the start; here none.

        Their arrays have `hidden` entries.
        """
        del hidden
        return {}

    def code(self, params: PyTree, projections: Float[Array, "... m"]) -> Float[Array, "... m"]:
        """The code h `[..., m]` of each sample by itself, from its `projections` W x'."""
        raise NotImplementedError

    def batch_code(self, params: PyTree, projections: Float[Array, "B m"]) -> Float[Array, "B m"]:
        """The codes `[B, m]` of a training batch, from its `projections`, by `params`.

        They are those of `code`, unless samples of a batch share something.
        """
        return self.code(params, projections)


def biased(params: PyTree, projections: Float[Array, "... m"]) -> Float[Array, "... m"]:
    """The pre-activations a = z + b of `projections` z `[..., m]`, with the bias of `params`."""
    return projections + jnp.broadcast_to(params.bias, projections.shape)


def _thresholds(params: PyTree, a: Array) -> Array:
    """θ = exp(log_threshold), in the shape of `a`; `InputError` where the parameters have none."""
    if params.log_threshold is None:
        raise InputError(
            "The parameters have no log_threshold, which this rule reads; expected one number for "
            "each hidden unit, such as jnp.zeros(m) for the threshold 1."
        )
    return jnp.broadcast_to(jnp.exp(params.log_threshold), a.shape)


def _start_at(threshold: float, hidden: int) -> dict[str, Array]:
    return {"log_threshold": jnp.full((hidden,), math.log(threshold))}


def _check_k(k: int, hidden: int) -> None:
    if k > hidden:
        raise InputError(
            f"k is {k}, more than the model's {hidden} hidden units; expected at most {hidden}."
        )


@dataclasses.dataclass(frozen=True)
class Relu(Rule):
    """h = max(a, 0), made sparse by an ℓ1 penalty (Bricken et al. 2023).

    >>> from aesparse.models.dictionary import DictionaryModel
    >>> DictionaryModel(8) == DictionaryModel(8, Relu())
    True
    """

    def code(self, params: PyTree, projections: Float[Array, "... m"]) -> Float[Array, "... m"]:
        """max(a, 0) of the pre-activations, from `projections` and the bias of `params`."""
        return jax.nn.relu(biased(params, projections))


@dataclasses.dataclass(frozen=True)
class TopK(Rule):
    """h_j = max(a_j, 0) for the k largest pre-activations of a sample, else 0 (Gao et al. 2024).

    L0 is exactly k where at least k pre-activations are positive, and less elsewhere. Of equal ones
    those that come first are taken.

    Args:
        k: how many units of a sample may be active.

    Raises:
        InputError: for k < 1, and in a model of fewer than k units.

    >>> from aesparse.models.dictionary import DictionaryModel
    >>> model = DictionaryModel(8, TopK(2))
    >>> x = jax.random.normal(jax.random.key(0), (5, 3))
    >>> h = model.encode(model.init(jax.random.key(1), 3), x)
    >>> jnp.sum(h > 0, axis=1).tolist()
    [2, 2, 2, 2, 2]
    """

    k: int

    def __post_init__(self) -> None:
        check_counts({"k": self.k})
        object.__setattr__(self, "k", operator.index(self.k))

    def check(self, hidden: int) -> None:
        """`InputError` where k is more than `hidden`."""
        _check_k(self.k, hidden)

    def code(self, params: PyTree, projections: Float[Array, "... m"]) -> Float[Array, "... m"]:
        """The k largest of `params.bias` plus `projections`, if positive; 0 elsewhere."""
        a = biased(params, projections)
        return jnp.where(largest(a, self.k), jax.nn.relu(a), jnp.zeros_like(a))


@dataclasses.dataclass(frozen=True)
class BatchTopK(Rule):
    """h_j = a_j where a_j > θ; in training for the B·k largest of a batch (Bussmann et al. 2024).

    A code never depends on the batch that its sample is in: `code` uses the threshold θ =
    exp(log_threshold) of the parameters, which `aesparse.models.dictionary.calibrated` sets after
    training so that k units are active on average. Until then θ = 0.001, and far more may be, also
    in what `fit` measures. It is trained by `aesparse.losses.dictionary.topk`, which uses
    `batch_code`; other objectives use `code` and do not see k.

    Args:
        k: how many units of a sample are active on average.

    Raises:
        InputError: for k < 1, and in a model of fewer than k units.

    >>> BatchTopK(2).extras(3)["log_threshold"].round(3).tolist()
    [-6.908, -6.908, -6.908]
    """

    k: int

    def __post_init__(self) -> None:
        check_counts({"k": self.k})
        object.__setattr__(self, "k", operator.index(self.k))

    def check(self, hidden: int) -> None:
        """`InputError` where k is more than `hidden`."""
        _check_k(self.k, hidden)

    def extras(self, hidden: int) -> dict[str, PyTree]:
        """The `log_threshold` of each of the `hidden` units."""
        return _start_at(_THRESHOLD, hidden)

    def code(self, params: PyTree, projections: Float[Array, "... m"]) -> Float[Array, "... m"]:
        """a where it is above the threshold of `params`, from `projections`; 0 elsewhere."""
        a = biased(params, projections)
        return jnp.where(a > _thresholds(params, a), a, jnp.zeros_like(a))

    def batch_code(self, params: PyTree, projections: Float[Array, "B m"]) -> Float[Array, "B m"]:
        """The B·k largest of `params.bias` plus `projections`, if positive; 0 elsewhere."""
        a = biased(params, projections)
        chosen = largest(a.ravel(), len(a) * self.k).reshape(a.shape)
        return jnp.where(chosen, jax.nn.relu(a), jnp.zeros_like(a))


@dataclasses.dataclass(frozen=True)
class JumpRelu(Rule):
    """h_j = a_j where a_j > θ_j, else 0, with trained thresholds (Rajamanoharan et al. 2024b).

    θ = exp(log_threshold) is trained by the pseudo-derivatives of `jump` and `step`. Both defaults
    are as published, for data with E‖x‖² = 1 and long trainings: scale them with the data.

    Args:
        bandwidth: ε of the kernel, 0.001 by default. Only samples with |a_j − θ_j| < ε/2 move θ_j.
        threshold: of every unit at the start, 0.001 by default. An update of Adam changes log θ by
            about the learning rate, however large the strength is.

    Raises:
        InputError: unless both are finite numbers > 0.

    >>> JumpRelu(bandwidth=0.1, threshold=0.5)
    JumpRelu(bandwidth=0.1, threshold=0.5)
    """

    bandwidth: float = 0.001
    threshold: float = _THRESHOLD

    def __post_init__(self) -> None:
        for name in ("bandwidth", "threshold"):
            check_positive({f"The {name}": getattr(self, name)})
            object.__setattr__(self, name, float(getattr(self, name)))

    def extras(self, hidden: int) -> dict[str, PyTree]:
        """The `log_threshold` of each of the `hidden` units."""
        return _start_at(self.threshold, hidden)

    def code(self, params: PyTree, projections: Float[Array, "... m"]) -> Float[Array, "... m"]:
        """`jump` of the pre-activations, from `projections`, at the thresholds of `params`."""
        a = biased(params, projections)
        return jump(a, _thresholds(params, a), self.bandwidth)


@dataclasses.dataclass(frozen=True)
class Gated(Rule):
    """h = max(e^r ⊙ z + c, 0) where a > 0, else 0 (Rajamanoharan et al. 2024a).

    z = W x' are the projections and a = z + b the gate's pre-activations; r and c are the
    `GateParams`.

    >>> gate = Gated().extras(2)["gate"]
    >>> gate.log_scale.tolist(), gate.bias.tolist()
    ([0.0, 0.0], [0.0, 0.0])
    """

    def extras(self, hidden: int) -> dict[str, PyTree]:
        """The `gate` of scales 1 and biases 0 for the `hidden` units."""
        zeros = jnp.zeros((hidden,))
        return {"gate": GateParams(zeros, zeros)}

    def code(self, params: PyTree, projections: Float[Array, "... m"]) -> Float[Array, "... m"]:
        """The magnitudes of `projections` where the gate is open, by the `gate` of `params`."""
        if params.gate is None:
            raise InputError("The parameters have no gate; expected GateParams(log_scale, bias).")
        scale, bias = (
            jnp.broadcast_to(v, projections.shape)
            for v in (jnp.exp(params.gate.log_scale), params.gate.bias)
        )
        magnitude = jax.nn.relu(scale * projections + bias)
        return jnp.where(biased(params, projections) > 0, magnitude, jnp.zeros_like(magnitude))
