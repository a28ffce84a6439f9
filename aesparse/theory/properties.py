"""Properties of activations, penalties' outer functions and data, measured and never declared.

All residuals are at most 0 up to rounding where the property holds, and positive by the size
of the worst violation where it does not.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.activations import Activation

__all__ = [
    "Violation",
    "activation_threshold",
    "convex",
    "negative_saturation",
    "non_decreasing",
    "slope_in_unit_interval",
    "whiteness",
    "zero_mean",
]

_REACH, _STEP = 40.0, 0.01


class Violation(NamedTuple):
    """The largest violation of a property and where it occurs."""

    residual: float | Float[Array, ""]
    at: float | Float[Array, ""]


def _points() -> Float[Array, " K"]:
    return jnp.linspace(-_REACH, _REACH, round(2 * _REACH / _STEP) + 1)


def _worst(residuals: Float[Array, " K"], points: Float[Array, " K"]) -> Violation:
    residuals = jnp.where(jnp.isnan(residuals), jnp.inf, residuals)
    where = jnp.argmax(residuals)
    return Violation(residuals[where], points[where])


def non_decreasing(f: Callable) -> Violation:
    """−(f(t + h) − f(t))/h over a fine grid: difference quotients see jumps, slopes do not."""
    t = _points()
    values = jnp.vectorize(f)(t)
    return _worst(-jnp.diff(values) / _STEP, t[:-1])


def convex(f: Callable) -> Violation:
    """−(f(t − h) − 2f(t) + f(t + h))/h² over a fine grid; kinks count, unlike in s''."""
    t = _points()
    values = jnp.vectorize(f)(t)
    bend = values[:-2] - 2 * values[1:-1] + values[2:]
    # a bend below rounding of the values is no violation
    bend = jnp.where(jnp.abs(bend) <= 8 * jnp.finfo(t.dtype).eps * (1 + jnp.abs(t[1:-1])), 0, bend)
    return _worst(-bend / _STEP**2, t[1:-1])


def slope_in_unit_interval(activation: Activation) -> Violation:
    """How far s' leaves [0, 1] (Lemma 1), by autodiff and by difference quotients."""
    t = _points()
    quotients = jnp.diff(activation(t)) / _STEP
    rounding = 64 * jnp.finfo(t.dtype).eps / _STEP
    slopes = jnp.concatenate([activation.slope(t), quotients])
    outside = jnp.maximum(slopes - 1 - rounding, -slopes)
    return _worst(outside, jnp.concatenate([t, t[:-1]]))


def negative_saturation(activation: Activation) -> Violation:
    """|s(a)| far to the left: the limit at −∞ must be 0 for units to deactivate."""
    far = jnp.array([-_REACH, -2 * _REACH])
    return _worst(jnp.abs(activation(far)), far)


def activation_threshold(activation: Activation) -> Float[Array, ""]:
    """a_min, the largest a on the grid's range with s(a) <= δ_min, by bisection (Theorem 2)."""

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        inactive = activation(middle) <= activation.threshold
        return jnp.where(inactive, middle, low), jnp.where(inactive, high, middle)

    low, _ = jax.lax.fori_loop(0, 200, halve, (jnp.array(-_REACH), jnp.array(_REACH)))
    return low


def zero_mean(X: Float[Array, "N n"]) -> Float[Array, ""]:
    """The largest |E[x_i]|."""
    return jnp.max(jnp.abs(jnp.mean(X, axis=0)))


def whiteness(X: Float[Array, "N n"]) -> Float[Array, ""]:
    """The largest entry of |E[xxᵀ] − I| (Assumption 1)."""
    return jnp.max(jnp.abs(X.T @ X / len(X) - jnp.eye(X.shape[1])))
