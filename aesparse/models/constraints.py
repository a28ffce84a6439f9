"""Constraints: what keeps parameters where they belong while any optimizer moves them.

A constraint wraps the optimizer: the gradient and the optimizer's first moments (momentum, Adam's
`mu`) are mapped onto the directions allowed at the parameters before the update, the parameters
back onto the constraint after it. Second moments are left alone. Shapes: m hidden units, n inputs.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from aesparse.errors import InputError, unknown_name
from aesparse.models.dictionary import DictionaryParams
from aesparse.models.one_layer import Params, row_sums
from aesparse.options import check_counts, checked_numbers, shortened

__all__ = ["CONSTRAINTS", "Constraint", "as_constraint", "max_norm"]

_Layer = Params | DictionaryParams  # with the rows `weight` and the columns `decoder`
_MAX_NORM = "max-norm"  # with "-2" behind it, of radius 2


class Constraint(NamedTuple):
    """What an optimizer step does to keep parameters on a set.

    Args:
        tangent: `tangent(params, direction)` maps a gradient, linearly, onto the directions that
            are allowed at `params`; the optimizer's first moments too.
        project: `project(params)` maps parameters back after an update.
        every: after each how many updates of an epoch they are; 1 by default.
        step: `step(params, direction, rate)` makes both in fewer passes over the weights: the
            tangent direction, and the parameters after −rate times it, projected. Optional; it
            serves `sgd` alone.

    >>> nonnegative = Constraint(
    ...     tangent=lambda params, direction: direction,
    ...     project=lambda params: jax.tree.map(jax.nn.relu, params),
    ... )
    >>> nonnegative.project(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    tangent: Callable[[PyTree, PyTree], PyTree]
    project: Callable[[PyTree], PyTree]
    every: int = 1
    step: Callable[[PyTree, PyTree, Array], tuple[PyTree, PyTree]] | None = None


def _rows(params: PyTree) -> Array:
    if not isinstance(params, Params | DictionaryParams):
        raise InputError(
            "This constraint is for the rows of one-layer and dictionary models, and the "
            f"parameters are a {type(params).__name__}; expected the constraint 'free', or a "
            "Constraint of your own."
        )
    return params.weight


def _tangent_to_rows(params: _Layer, direction: _Layer) -> _Layer:
    """Removes from each row of `direction` its part along W_j, for rows of any length."""
    w, u = _rows(params), direction.weight
    share = row_sums(w * u) / row_sums(w * w)
    return direction._replace(weight=u - share[..., None] * w)


def _unit_rows(params: _Layer) -> _Layer:
    w = _rows(params)
    return params._replace(weight=w * jax.lax.rsqrt(row_sums(w * w))[..., None])


def _unit_rows_step(params: _Layer, direction: _Layer, rate: Array) -> tuple[_Layer, _Layer]:
    """Tangent and retraction in two passes over W.

    With v = u − (W·u/W·W) W the length after the step is known before it is made:
    ‖W − ηv‖² = W·W + η²(u·u − (W·u)²/W·W).
    """
    w, u = _rows(params), direction.weight
    along, squared, whole = row_sums(w * u), row_sums(w * w), row_sums(u * u)
    share = along / squared
    tangent = direction._replace(weight=u - share[..., None] * w)
    after = jax.lax.rsqrt(squared + rate**2 * jnp.maximum(whole - along * share, 0.0))
    moved = jax.tree.map(lambda p, v: p - rate * v, params, tangent)
    return tangent, moved._replace(weight=moved.weight * after[..., None])


def _frozen_bias_step(params: _Layer, direction: _Layer, rate: Array) -> tuple[_Layer, _Layer]:
    frozen = direction._replace(bias=jnp.zeros_like(direction.bias))
    return _unit_rows_step(params, frozen, rate)


def _columns(params: PyTree) -> Array:
    _rows(params)
    if params.decoder is None:
        raise InputError(
            "The constraint is for the columns of a decoder, and the weights are tied; expected an "
            "untied decoder (tied=False). Use 'unit' for tied weights."
        )
    return params.decoder


def _unit_decoder_columns(params: _Layer) -> _Layer:
    columns = _columns(params)
    lengths = jnp.linalg.norm(columns, axis=0, keepdims=True)
    return params._replace(decoder=columns / lengths)


def _tangent_to_columns(params: _Layer, direction: _Layer) -> _Layer:
    """Removes from each decoder column of `direction` its part along that of `params`."""
    columns, u = _columns(params), direction.decoder
    share = jnp.sum(columns * u, axis=0) / jnp.sum(columns * columns, axis=0)
    return direction._replace(decoder=u - share[None, :] * columns)


def _any_direction(params: PyTree, direction: PyTree) -> PyTree:
    del params
    return direction


def _anywhere(params: PyTree) -> PyTree:
    return params


def _tangent_without_bias(params: _Layer, direction: _Layer) -> _Layer:
    direction = _tangent_to_rows(params, direction)
    return direction._replace(bias=jnp.zeros_like(direction.bias))


def max_norm(radius: object) -> Constraint:
    """Rows of W no longer than `radius`: ‖W_j‖ <= c after every update (Arpit section 2.1.2).

    Longer rows are scaled to length c, shorter ones are left alone; gradient and momentum are not
    mapped. By name it is "max-norm-2" for c = 2, and "max-norm" for c = 1. `InputError` unless c
    is a finite number > 0.

    >>> rows = Params(jnp.array([[3.0, 4.0], [0.6, 0.8]]), jnp.zeros(2))
    >>> max_norm(2.5).project(rows).weight.round(3).tolist()
    [[1.5, 2.0], [0.6, 0.8]]
    """
    array = checked_numbers(radius, "The radius of a max-norm constraint is")
    if array.ndim or not (np.isfinite(array) and array > 0):
        raise InputError(
            f"The radius of a max-norm constraint is {shortened(radius)}; expected one finite "
            "number > 0, such as max_norm(2)."
        )
    return Constraint(_any_direction, _Ball(float(array)))


@dataclasses.dataclass(frozen=True)
class _Ball:
    """Scales rows longer than `radius` to it; equal radii are equal and share their programs."""

    radius: float

    def __call__(self, params: PyTree) -> _Layer:
        w = _rows(params)
        squared = row_sums(w * w)
        scale = jnp.where(squared > self.radius**2, self.radius * jax.lax.rsqrt(squared), 1.0)
        return params._replace(weight=w * scale[..., None])


#: The built-in constraints by name.
#: "unit" keeps the radial part of the gradient out of the momentum; "unit-rescale" does not,
#: which changes the effective step wherever a penalty's gradient is radial (ReLU with CAE or
#: mDAE). Arpit only says that lengths are fixed, so both readings are offered. "unit-frozen-bias"
#: is "unit" with the encoding bias left where it starts (Arpit section 2.1.1). "unit-columns" is
#: for an untied decoder, whose columns return to the unit sphere at every 10th update of an epoch
#: (SATAE section 4). "unit-atoms" is for the columns of such a decoder what "unit" is for rows, at
#: every update (Bricken et al. 2023).
CONSTRAINTS = {
    "free": Constraint(_any_direction, _anywhere),
    "unit": Constraint(_tangent_to_rows, _unit_rows, step=_unit_rows_step),
    "unit-rescale": Constraint(_any_direction, _unit_rows),
    "unit-frozen-bias": Constraint(_tangent_without_bias, _unit_rows, step=_frozen_bias_step),
    _MAX_NORM: max_norm(1.0),
    "unit-columns": Constraint(_any_direction, _unit_decoder_columns, every=10),
    "unit-atoms": Constraint(_tangent_to_columns, _unit_decoder_columns),
}


def as_constraint(value: object) -> Constraint:
    """`value` as a `Constraint`: as it is, a built-in by its name, or none ("free") for None.

    A name may also be that of a `max_norm` with its radius. `InputError` for anything else, and
    unless `every` is an integer of at least 1.

    >>> as_constraint("unit-columns").every
    10
    >>> as_constraint("max-norm-0.5") == max_norm(0.5)
    True
    """
    if value is None:
        return CONSTRAINTS["free"]
    if isinstance(value, str):
        name, _, radius = value.rpartition("-")
        if name == _MAX_NORM and (number := _number(radius)) is not None:
            return max_norm(number)
        if value not in CONSTRAINTS:
            raise unknown_name("constraint", value, CONSTRAINTS)
        return CONSTRAINTS[value]
    if not isinstance(value, Constraint):
        raise InputError(
            f"The constraint is {shortened(value)}; expected one of {', '.join(CONSTRAINTS)}, or "
            "Constraint(tangent, project) for functions of your own."
        )
    check_counts({"every": value.every})
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
