"""Properties of activations, penalties' outer functions and data, measured and never declared.

All residuals are at most 0 up to rounding where the property holds, and positive by the size of the
worst violation where it does not. `activation` is an `Activation`, `f` any function of one number;
`reach` is how far to look, on [−reach, reach], 40 by default.

>>> from aesparse.models.activations import get_activation
>>> relu, tanh = get_activation("relu"), get_activation("tanh")
>>> with jax.enable_x64(True):
...     rows = table(tanh)
...     bend, slope = convex(tanh), slope_in_unit_interval(get_activation("gelu"))
...     fall, left = non_decreasing(jnp.sin), negative_saturation(tanh)
...     threshold = float(activation_threshold(get_activation("sigmoid")))  # s(a) = 0.1
>>> {name: round(residual, 4) + 0.0 for name, residual in rows.items()}
{'non-decreasing': 0.0, 'convex': 0.7698, "s' in [0, 1]": 0.0, 's(−∞) = 0': 1.0}
>>> round(float(bend.residual), 4), round(float(slope.residual), 4), round(threshold, 4)
(0.7698, 0.1289, -2.1972)
>>> round(float(fall.residual), 4), float(left.residual)
(1.0, 1.0)
>>> X = jnp.array([[1.0, 0.0], [3.0, 0.0]])
>>> float(zero_mean(X)), float(whiteness(X))
(2.0, 4.0)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.models.activations import Activation

__all__ = [
    "REACH",
    "Violation",
    "activation_threshold",
    "convex",
    "negative_saturation",
    "non_decreasing",
    "slope_in_unit_interval",
    "table",
    "whiteness",
    "zero_mean",
]

REACH, _STEP = 40.0, 0.01  # the interval looked at by default, and the spacing there
_FAR = 1e8
Number = float | Float[Array, ""]  # traced or not


class Violation(NamedTuple):
    """The largest violation of a property and where it occurs.

    Attributes:
        residual: its size, at most 0 up to rounding where the property holds.
        at: the point.
    """

    residual: float | Float[Array, ""]
    at: float | Float[Array, ""]


def _points(reach: Number) -> tuple[Float[Array, " K"], Number]:
    t = jnp.linspace(-reach, reach, round(2 * REACH / _STEP) + 1)
    return t, 2 * reach / (len(t) - 1)


def _worst(residuals: Float[Array, " K"], points: Float[Array, " K"]) -> Violation:
    residuals = jnp.where(jnp.isnan(residuals), jnp.inf, residuals)
    where = jnp.argmax(residuals)
    return Violation(residuals[where], points[where])


def non_decreasing(f: Callable, reach: Number = REACH) -> Violation:
    """−(f(t + h) − f(t))/h on [−reach, reach]: difference quotients see jumps, slopes do not."""
    t, step = _points(reach)
    values = jnp.vectorize(f)(t)
    rise = jnp.diff(values)
    return _worst(
        -jnp.where(jnp.abs(rise) <= _rounding(reach, values[1:], values[:-1]), 0, rise) / step,
        t[:-1],
    )


def convex(f: Callable, reach: Number = REACH) -> Violation:
    """−(f(t − h) − 2f(t) + f(t + h))/h² on [−reach, reach]; kinks count, unlike in s''."""
    t, step = _points(reach)
    values = jnp.vectorize(f)(t)
    bend = values[:-2] - 2 * values[1:-1] + values[2:]
    return _worst(
        -jnp.where(
            jnp.abs(bend) <= _rounding(reach, values[:-2], values[1:-1], values[2:]), 0, bend
        )
        / step**2,
        t[1:-1],
    )


def _rounding(reach: Number, *neighbours: Float[Array, " K"]) -> Float[Array, " K"]:
    """Differences of neighbouring values up to this are rounding of t or f, no violation.

    By the values at hand: the largest anywhere would hide what happens where f is small.
    """
    return 8 * jnp.finfo(neighbours[0].dtype).eps * (reach + sum(map(jnp.abs, neighbours)))


def slope_in_unit_interval(activation: Activation, reach: Number = REACH) -> Violation:
    """How far s' leaves [0, 1] (Lemma 1), by autodiff and by difference quotients."""
    t, step = _points(reach)
    quotients = jnp.diff(activation(t)) / step
    rounding = 64 * jnp.finfo(t.dtype).eps / step * reach / REACH
    slopes = jnp.concatenate([activation.slope(t), quotients])
    outside = jnp.maximum(slopes - 1 - rounding, -slopes)
    return _worst(outside, jnp.concatenate([t, t[:-1]]))


def negative_saturation(activation: Activation) -> Violation:
    """|s(a)| at a = −10⁸: the limit at −∞ must be 0 for units to deactivate."""
    far = jnp.array([-_FAR])
    return _worst(jnp.abs(activation(far)), far)


def table(activation: Activation) -> dict[str, float]:
    """T11: the residuals of what the corollaries and the sparsity conclusion need."""
    return {
        "non-decreasing": float(non_decreasing(activation).residual),
        "convex": float(convex(activation).residual),
        "s' in [0, 1]": float(slope_in_unit_interval(activation).residual),
        "s(−∞) = 0": float(negative_saturation(activation).residual),
    }


def activation_threshold(activation: Activation) -> Float[Array, ""]:
    """a_min, the largest a with s(a) <= δ_min, by bisection (Theorem 2); −∞ if there is none.

    Searched on [−REACH, REACH].
    """

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        inactive = activation(middle) <= activation.threshold
        return jnp.where(inactive, middle, low), jnp.where(inactive, high, middle)

    low, _ = jax.lax.fori_loop(0, 200, halve, (jnp.array(-REACH), jnp.array(REACH)))
    return jnp.where(activation(jnp.array(-REACH)) <= activation.threshold, low, -jnp.inf)


def zero_mean(X: Float[Array, "N n"]) -> Float[Array, ""]:
    """The largest |E[x_i]| of data `X [N, n]`."""
    return jnp.max(jnp.abs(jnp.mean(X, axis=0)))


def whiteness(X: Float[Array, "N n"]) -> Float[Array, ""]:
    """The largest entry of |E[xxᵀ] − I| of data `X [N, n]` (Assumption 1)."""
    return jnp.max(jnp.abs(X.T @ X / len(X) - jnp.eye(X.shape[1])))
