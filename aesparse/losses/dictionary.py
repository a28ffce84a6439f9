"""Objectives of today's sparse auto-encoders, for models of `aesparse.models.dictionary`.

All begin with E ‖x − y‖², summed over inputs and averaged over the batch, and train on
`model.batch_code`. Shapes: n inputs, m hidden units, B batch; a = W x' + b are the pre-activations.

What is added to E ‖x − y‖²:

- `dictionary_l1()`: λ E Σ_j |h_j| (Bricken et al. 2023).
- `topk()`: nothing (Gao et al. 2024; Bussmann et al. 2024).
- `jumprelu_l0()`: λ E Σ_j H(a_j − θ_j) (Rajamanoharan et al. 2024b).
- `gated()`: λ E Σ_j max(a_j, 0), and the error of the reconstruction by the gates (Rajamanoharan
  et al. 2024a).
- `matryoshka(prefixes, base)`: the errors of the reconstructions by the first m_i units (Bussmann
  et al. 2025).

The coefficient "strength" is λ. With `auxiliary=k` each of them also has the loss of the units that
are dead in the batch, with the coefficient "auxiliary" (1/32 as published by Gao et al. 2024): the
residual x − y, held constant, is reconstructed by the k largest positive pre-activations of these
units. It is 0 where no unit is dead. Gao et al. call a unit dead after 10 million tokens without
activity; here it is dead where it is inactive on the whole batch.

>>> from aesparse.models.codes import Gated, JumpRelu, TopK
>>> from aesparse.models.dictionary import DictionaryModel, DictionaryParams
>>> params = DictionaryParams(jnp.eye(2), jnp.zeros(2), jnp.eye(2), jnp.zeros(2))
>>> x = jnp.array([[3.0, 1.0], [2.0, -1.0]])
>>> def value(objective, rule, params=params):
...     weights = dict.fromkeys(objective.coefficients, 0.5)
...     loss, parts = objective(DictionaryModel(2, rule), params, x, x, weights)
...     return float(loss), {name: float(part) for name, part in parts.items()}
>>> value(topk(), TopK(1))
(1.0, {'reconstruction': 1.0})
>>> value(topk(auxiliary=1), TopK(1))  # unit 2 is dead: 1 of the residual's (0, 1) is its own
(1.25, {'reconstruction': 1.0, 'auxiliary': 0.5})
>>> value(matryoshka((1, 2), topk()), TopK(2))
(1.5, {'reconstruction': 0.5, 'nested': 1.0})
>>> thresholds = params._replace(log_threshold=jnp.log(jnp.array([1.5, 1.5])))
>>> value(jumprelu_l0(), JumpRelu(), thresholds)
(1.5, {'reconstruction': 1.0, 'penalty': 1.0})
>>> gates = params._replace(**Gated().extras(2))
>>> value(gated(), Gated(), gates)
(2.5, {'reconstruction': 0.5, 'gate_error': 0.5, 'penalty': 3.0})
"""

import dataclasses
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.losses.reconstruction import squared_error
from aesparse.models.base import Model
from aesparse.models.codes import BatchTopK, Gated, JumpRelu, TopK
from aesparse.models.dictionary import DictionaryModel, DictionaryParams
from aesparse.models.selection import largest, step
from aesparse.options import check_counts, shortened

__all__ = ["dictionary_l1", "gated", "jumprelu_l0", "matryoshka", "topk"]


def dictionary_l1(*, auxiliary: int | None = None) -> Objective:
    """E ‖x − y‖² + λ E Σ_j |h_j| (Bricken et al. 2023), for any rule; the strength is λ.

    The atoms must have a length, or λ is evaded by small codes and long atoms: train with the
    constraint "unit-atoms", as published.

    Args:
        auxiliary: k of the loss of dead units, see the module; None (the default) for none.

    Raises:
        InputError: for a count below 1, and when called for another model.

    >>> dictionary_l1().coefficients, dictionary_l1(auxiliary=4).coefficients
    (('strength',), ('strength', 'auxiliary'))
    """
    return _objective(_Loss(penalty=_code_size), auxiliary)


def topk(*, auxiliary: int | None = None) -> Objective:
    """E ‖x − y‖² of a top-k (Gao et al. 2024) or batch top-k code (Bussmann et al. 2024).

    There is no strength; k of the model's rule decides how sparse the codes are.

    Args:
        auxiliary: k of the loss of dead units, see the module; None (the default) for none.

    Raises:
        InputError: for a count below 1, and when called for a model whose rule is neither.

    >>> topk().coefficients, topk(auxiliary=4).coefficients
    ((), ('auxiliary',))
    """
    return _objective(_Loss(rules=(TopK, BatchTopK)), auxiliary)


def jumprelu_l0(*, auxiliary: int | None = None) -> Objective:
    """E ‖x − y‖² + λ E Σ_j H(a_j − θ_j), λ times L0 (Rajamanoharan et al. 2024b).

    θ is trained by the pseudo-derivatives of `jump` and `step`; the strength is λ.

    Args:
        auxiliary: k of the loss of dead units, see the module; None (the default) for none.

    Raises:
        InputError: for a count below 1, and when called for a model whose rule is not `JumpRelu`.

    >>> jumprelu_l0() == jumprelu_l0()
    True
    """
    return _objective(_Loss(rules=(JumpRelu,), penalty=_active_units), auxiliary)


def gated(*, auxiliary: int | None = None) -> Objective:
    """E ‖x − y‖² + λ E Σ_j max(a_j, 0) + E ‖x − y_gate‖² (Rajamanoharan et al. 2024a).

    y_gate = D max(a, 0) + b_d reconstructs by the gates, with D and b_d held constant. The strength
    is λ. As for ℓ1, train with the constraint "unit-atoms".

    Args:
        auxiliary: k of the loss of dead units, see the module; None (the default) for none.

    Raises:
        InputError: for a count below 1, and when called for a model whose rule is not `Gated`.

    >>> gated().coefficients
    ('strength',)
    """
    return _objective(_Loss(rules=(Gated,), penalty=_gate_size, gates=True), auxiliary)


def matryoshka(prefixes: Sequence[int], base: Objective) -> Objective:
    """`base` with Σ_i E ‖x − y_i‖² in place of its error, y_i by the first m_i units alone.

    The parts have the error of the whole dictionary, "reconstruction", and the sum of the others,
    "nested" (Bussmann et al. 2025).

    Args:
        prefixes: m_i, increasing; the last one is the model's number of units.
        base: another objective of this module.

    Raises:
        InputError: for other prefixes and objectives, and when called for a model with another
            number of units.

    >>> matryoshka((8, 16, 64), topk(auxiliary=8)).coefficients
    ('auxiliary',)
    """
    if not (isinstance(base, Objective) and isinstance(base.fn, _Loss)):
        raise InputError(
            f"The base objective is {shortened(base)}; expected one of aesparse.losses.dictionary, "
            "such as topk()."
        )
    try:
        sizes = tuple(operator.index(size) for size in prefixes)
    except TypeError:
        sizes = ()
    if not sizes or sizes[0] < 1 or any(a >= b for a, b in itertools.pairwise(sizes)):
        raise InputError(
            f"The prefixes are {shortened(prefixes)}; expected increasing integers of at least 1, "
            "such as (8, 16, 64)."
        )
    return dataclasses.replace(base, fn=dataclasses.replace(base.fn, prefixes=sizes))


class _Batch(NamedTuple):
    """The pass of a model over a batch, as the terms see it."""

    model: DictionaryModel
    params: DictionaryParams
    x: Float[Array, "B n"]
    a: Float[Array, "B m"]
    h: Float[Array, "B m"]


def _code_size(seen: _Batch) -> Array:
    return jnp.mean(jnp.sum(jnp.abs(seen.h), axis=1))


def _active_units(seen: _Batch) -> Array:
    threshold = jnp.broadcast_to(jnp.exp(seen.params.log_threshold), seen.a.shape)
    return jnp.mean(jnp.sum(step(seen.a, threshold, seen.model.rule.bandwidth), axis=1))


def _gate_size(seen: _Batch) -> Array:
    return jnp.mean(jnp.sum(jax.nn.relu(seen.a), axis=1))


def _gate_error(seen: _Batch) -> Array:
    """E ‖x − D max(a, 0) − b_d‖² with constant D and b_d."""
    frozen = seen.params._replace(
        decoder=jax.lax.stop_gradient(seen.params.decoder),
        decoder_bias=jax.lax.stop_gradient(seen.params.decoder_bias),
    )
    return jnp.mean(squared_error(seen.x, seen.model.decode(frozen, jax.nn.relu(seen.a))))


def _dead_units_error(seen: _Batch, y: Array, k: int) -> Array:
    """E ‖x − y − D z‖², z the k largest positive a_j of the units dead in the batch; 0 if none is.

    x − y is held constant.
    """
    dead = jnp.broadcast_to(~jnp.any(seen.h != 0, axis=0), seen.a.shape)
    chosen = dead & largest(jnp.where(dead, seen.a, -jnp.inf), k)
    z = jnp.where(chosen, jax.nn.relu(seen.a), jnp.zeros_like(seen.a))
    residual = jax.lax.stop_gradient(seen.x - y)
    error = jnp.mean(squared_error(residual, z @ seen.params.decoder.T))
    return jnp.where(jnp.any(dead), error, jnp.zeros_like(error))


def _nested(seen: _Batch, prefixes: tuple[int, ...]) -> list[Array]:
    """The reconstructions `[B, n]` by the first units, for each prefix."""
    decoder, bias = seen.params.decoder, seen.params.decoder_bias
    y, begin, each = jnp.broadcast_to(bias, seen.x.shape), 0, []
    for end in prefixes:
        y = y + seen.h[:, begin:end] @ decoder[:, begin:end].T
        begin = end
        each.append(y)
    return each


@dataclasses.dataclass(frozen=True)
class _Loss:  # a value: equal options give equal objectives
    rules: tuple[type, ...] = ()  # of the models it is for; none for all
    penalty: Callable[[_Batch], Array] | None = None
    gates: bool = False
    prefixes: tuple[int, ...] = ()
    auxiliary: int | None = None

    def __call__(self, model, params, x, eps, coefficients):
        del eps
        self._check(model)
        a, h = model.preactivation(params, x), model.batch_code(params, x)
        seen = _Batch(model, params, x, a, h)
        *shorter, y = _nested(seen, self.prefixes or (model.hidden,))
        parts = {"reconstruction": jnp.mean(squared_error(x, y))}
        if shorter:
            parts["nested"] = sum(jnp.mean(squared_error(x, part)) for part in shorter)
        if self.gates:
            parts["gate_error"] = _gate_error(seen)
        loss = sum(parts.values())
        if self.penalty is not None:
            parts["penalty"] = self.penalty(seen)
            loss = loss + coefficients["strength"] * parts["penalty"]
        if self.auxiliary is not None:
            parts["auxiliary"] = _dead_units_error(seen, y, self.auxiliary)
            loss = loss + coefficients["auxiliary"] * parts["auxiliary"]
        return loss, parts

    def _check(self, model: Model) -> None:
        rule = getattr(model, "rule", None)
        if not isinstance(model, DictionaryModel) or not isinstance(rule, self.rules or object):
            names = " or ".join(f"{kind.__name__}(…)" for kind in self.rules) or "any rule"
            raise InputError(
                f"The model is {shortened(model)}; expected a DictionaryModel with {names} for "
                "this objective."
            )
        if self.prefixes and self.prefixes[-1] != model.hidden:
            raise InputError(
                f"The prefixes are {self.prefixes}, and the model has {model.hidden} hidden units; "
                f"expected prefixes that end at {model.hidden}."
            )
        if self.auxiliary is not None and self.auxiliary > model.hidden:
            raise InputError(
                f"auxiliary is {self.auxiliary}, more than the model's {model.hidden} hidden "
                f"units; expected at most {model.hidden}."
            )


def _objective(loss: _Loss, auxiliary: int | None) -> Objective:
    names = () if loss.penalty is None else ("strength",)
    if auxiliary is None:
        return Objective(loss, names)
    check_counts({"auxiliary": auxiliary})
    return Objective(
        dataclasses.replace(loss, auxiliary=operator.index(auxiliary)), (*names, "auxiliary")
    )
