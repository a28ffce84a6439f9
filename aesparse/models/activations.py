"""Scalar activations with the threshold above which a unit counts as active.

An activation is nothing but a function R -> R and its δ_min (Arpit eq. 14). Slopes and
curvatures come from autodiff; monotonicity, convexity or saturation are measured where
they matter and never declared here.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.errors import InputError, running, unknown_name
from aesparse.options import check_positive, shortened

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "as_activation",
    "get_activation",
    "saturated_linear",
    "shrink",
]


@dataclasses.dataclass(frozen=True)
class Activation:
    """A scalar function and the threshold above which a unit counts as active.

    Calling it applies `fn` elementwise to an array of any shape, so a function of your own may be
    written for one number; `slope` and `curvature` are its derivatives by JAX.

    Args:
        fn: a function R -> R that JAX can trace and differentiate.
        threshold: δ_min (Arpit eq. 14): a unit is active where h > δ_min. 0 by default.

    Raises:
        InputError: when called, if `fn` returns anything but one number for one number.

    >>> square = Activation(lambda a: a**2, threshold=0.1)
    >>> a = jnp.array([-1.0, 2.0])
    >>> square(a).tolist(), square.slope(a).tolist(), square.curvature(a).tolist()
    ([1.0, 4.0], [-2.0, 4.0], [2.0, 2.0])
    >>> square.check()  # an `InputError` if it were not finite and elementwise
    """

    fn: Callable[[Float[Array, ""]], Float[Array, ""]]
    threshold: float = 0.0

    def __repr__(self) -> str:
        names = [name for name, built_in in ACTIVATIONS.items() if built_in == self]
        given = repr(names[0]) if names else f"{self.fn!r}, threshold={self.threshold}"
        return f"Activation({given})"

    def __call__(self, a: Float[Array, "..."]) -> Float[Array, "..."]:
        """The activation h = s(a), elementwise."""
        return jnp.vectorize(self._checked)(a)

    def slope(self, a: Float[Array, "..."]) -> Float[Array, "..."]:
        """The first derivative s'(a) by `jax.grad`, elementwise."""
        return jnp.vectorize(jax.grad(self._checked))(a)

    def curvature(self, a: Float[Array, "..."]) -> Float[Array, "..."]:
        """The second derivative s''(a) by `jax.grad` twice; ReLU's Dirac mass at 0 is not seen."""
        return jnp.vectorize(jax.grad(jax.grad(self._checked)))(a)

    # For a few activations, not for every one that there ever was.
    @functools.lru_cache(maxsize=64)  # noqa: B019
    def check(self) -> None:
        """Raises `InputError` unless `fn` is a finite function of one number, elementwise."""
        if not math.isfinite(self.threshold):
            raise InputError(f"δ_min is {self.threshold}; expected a finite number.")
        points = jnp.array([-1.5, 0.5, 2.0])
        with running(
            "The activation fails on one number",
            "a scalar function R -> R of floating-point numbers that JAX can differentiate.",
        ):
            alone, slopes = self(points), self.slope(points)
        if not bool(jnp.isfinite(alone).all() & jnp.isfinite(slopes).all()):
            raise InputError(
                f"The activation is {alone} with slopes {slopes} at {points}; expected finite "
                "numbers."
            )
        try:
            together = self.fn(points)
        except Exception:  # written for one number only: elementwise by definition
            return
        if jnp.shape(together) != points.shape or not bool(jnp.allclose(together, alone)):
            raise InputError(
                f"The activation is not elementwise: three units together give {together}, one by "
                f"one {alone}. Units that mix (maxout, softmax) are no function R -> R."
            )

    def _checked(self, a: Float[Array, ""]) -> Float[Array, ""]:
        h = self.fn(a)
        if jnp.shape(h) != ():
            raise InputError(
                f"The activation returned shape {jnp.shape(h)} for one number; expected a scalar "
                "function R -> R. Write it for a single pre-activation."
            )
        return h


def shrink(width: float | int) -> Activation:
    """The soft threshold sign(a)·max(|a| − λ, 0) with λ = `width` (SATAE section 3.2).

    Flat on [−λ, λ], slope 0 at ±λ; the built-in "shrink" has λ = 0.5. Equal widths give equal
    activations. `InputError` unless the width is a finite number > 0.

    >>> shrink(0.5)(jnp.array([-2.0, 0.25, 2.0])).tolist()
    [-1.5, 0.0, 1.5]
    """
    check_positive({"The width of shrink": width})
    return Activation(_SoftThreshold(float(width)))


@dataclasses.dataclass(frozen=True)
class _SoftThreshold:
    width: float  # equal widths are equal and share their programs

    def __call__(self, a: Float[Array, ""]) -> Float[Array, ""]:
        # As a sum of two ReLUs the slope at the corners is 0, like that of the flat part.
        return jax.nn.relu(a - self.width) - jax.nn.relu(-a - self.width)


def saturated_linear(width: float | int = 1.0) -> Activation:
    """max(−T, min(a, T)) with T = `width` (SATAE section 3.2): flat outside [−T, T].

    SATAE does not state T; it is 1 by default, as in the built-in "saturated-linear". The slope at
    ±T is 0, that of the flat parts. Equal widths give equal activations. `InputError` unless the
    width is a finite number > 0.

    >>> saturated_linear(3.0)(jnp.array([-5.0, 2.0, 4.0])).tolist()
    [-3.0, 2.0, 3.0]
    """
    check_positive({"The width of saturated linear": width})
    return Activation(_SaturatedLinear(float(width)))


@dataclasses.dataclass(frozen=True)
class _SaturatedLinear:
    width: float

    def __call__(self, a: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.where(jnp.abs(a) < self.width, a, self.width * jnp.sign(a))


def _taylor_sigmoid(a: Float[Array, ""]) -> Float[Array, ""]:
    """The sigmoid's Taylor polynomial of order 3 at 0; GSAE section 5 names no order."""
    return 0.5 + a / 4 - a**3 / 48


#: The built-in activations by name.
#: δ_min as in Arpit section 3: 0 for ReLU, 0.1 for sigmoid and softplus. The paper names none for
#: the others: 0.1 for those shaped like a sigmoid or tending to 0, 0 for all that change sign.
ACTIVATIONS = {
    "relu": Activation(jax.nn.relu, 0.0),
    "softplus": Activation(jax.nn.softplus, 0.1),
    "sigmoid": Activation(jax.nn.sigmoid, 0.1),
    "hard-sigmoid": Activation(jax.nn.hard_sigmoid, 0.1),
    "elu+1": Activation(lambda a: jax.nn.elu(a) + 1, 0.1),
    "gelu": Activation(functools.partial(jax.nn.gelu, approximate=False), 0.0),
    "tanh": Activation(jnp.tanh, 0.0),
    "identity": Activation(lambda a: a, 0.0),
    "shrink": shrink(0.5),
    "saturated-linear": saturated_linear(),
    "taylor-sigmoid": Activation(_taylor_sigmoid, 0.1),
}


def get_activation(name: str) -> Activation:
    """The built-in activation called `name`; `InputError` with near matches otherwise.

    >>> get_activation("softplus").threshold
    0.1
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def as_activation(value: object) -> Activation:
    """`value` as an `Activation`: as it is, a built-in by its name, or a plain function R -> R.

    A plain function has the threshold 0. `InputError` for anything else.

    >>> as_activation("sigmoid").threshold, as_activation(jnp.sin).threshold
    (0.1, 0.0)
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        return get_activation(value)
    if isinstance(value, type) or not callable(value):
        raise InputError(
            f"The activation is {shortened(value)}; expected a name, such as 'relu', a function "
            "R -> R, or an Activation, which also has a threshold."
        )
    return Activation(value)
