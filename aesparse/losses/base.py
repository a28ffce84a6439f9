"""The contracts of penalties and objectives.

A penalty is a function `penalty(forward, eps) -> scalar`, summed over units and averaged over the
batch; an objective `objective(model, params, x, eps, coefficients) -> (loss, parts)`. `forward` is
the model's pass over the clean batch (`models.forward.Forward`), `eps [B, n]` the step's unit
normal noise, drawn by the trainer and scaled inside, or None for a penalty where there is none.
Shapes: n inputs, B batch; params of one model.

>>> from aesparse.models.forward import forward
>>> from aesparse.models.one_layer import OneLayer, Params
>>> def mean_square(seen, eps):  # E Σ_j h_j²
...     return jnp.mean(jnp.sum(seen.code**2, axis=1))
>>> check_function(mean_square, "penalty", "penalty(forward, eps)")
>>> seen = forward(OneLayer(2), Params(jnp.eye(2), jnp.zeros(2)), jnp.array([[1.0, -1.0]]))
>>> float(scalar(mean_square(seen, None)))
1.0
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PyTree

from aesparse.errors import InputError
from aesparse.losses.reconstruction import ErrorFunction, squared_error
from aesparse.models.base import Model
from aesparse.models.forward import Forward
from aesparse.options import shortened

__all__ = [
    "Noise",
    "Objective",
    "Penalty",
    "check_function",
    "per_example",
    "scalar",
]

Noise = Float[Array, "B n"] | None
Penalty = Callable[[Forward, Noise], Float[Array, ""]]
Parts = Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class Objective:
    """A loss of one model on a batch, and what it is made of. Objectives of equal fields are equal.

    Args:
        fn: `fn(model, params, x, eps, coefficients) -> (loss, parts)`: the loss is a scalar,
            averaged over the batch; the parts map names to scalars.
        coefficients: names of the numbers that it takes; `("strength",)` by default.
        levels: (name, low, high) of those coefficients that must lie in [low, high).
        error: the error function whose mean the reconstruction error is; by default the squared
            one.

    Raises:
        InputError: for fields of other kinds, and when called with other coefficients.

    >>> def fn(model, params, x, eps, coefficients):
    ...     y = model.decode(params, model.encode(params, x))
    ...     error = jnp.mean(jnp.sum(jnp.abs(x - y), axis=1))
    ...     return coefficients["scale"] * error, {"reconstruction": error}
    >>> objective = Objective(fn, ("scale",))
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> params, x = Params(jnp.eye(2), jnp.zeros(2)), jnp.array([[1.0, -3.0]])
    >>> loss, parts = objective(OneLayer(2), params, x, x, {"scale": 2.0})
    >>> float(loss), float(parts["reconstruction"])
    (6.0, 3.0)
    """

    fn: Callable[..., tuple[Array, Parts]]
    coefficients: tuple[str, ...] = ("strength",)
    levels: tuple[tuple[str, float, float], ...] = ()
    error: ErrorFunction = squared_error

    def __post_init__(self) -> None:
        check_function(self.fn, "objective", "fn(model, params, x, eps, coefficients)")
        names = self.coefficients
        listed = isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)
        if not listed or len(set(names)) < len(names):
            raise InputError(
                f"The coefficients of an objective are {shortened(names)}; expected a tuple of "
                "different names, such as ('strength',)."
            )
        object.__setattr__(self, "coefficients", tuple(names))
        if not isinstance(self.error, ErrorFunction):
            raise InputError(
                f"The error is {shortened(self.error)}; expected an ErrorFunction, such as "
                "squared_error, or ErrorFunction(fn) for a function of your own."
            )

    def __call__(
        self,
        model: Model,
        params: PyTree,
        x: Float[Array, "B n"],
        eps: Float[Array, "B n"],
        coefficients: Mapping[str, ArrayLike],
    ) -> tuple[Array, Parts]:
        """The loss of a batch and its parts; `coefficients` has a number for each of the names."""
        if not isinstance(coefficients, Mapping) or set(coefficients) != set(self.coefficients):
            came = sorted(coefficients) if isinstance(coefficients, Mapping) else coefficients
            raise InputError(
                f"The coefficients are {shortened(came)}; expected a mapping with the names "
                f"{list(self.coefficients)}, which this objective takes."
            )
        return self.fn(model, params, x, eps, coefficients)


def check_function(value: object, kind: str, form: str) -> None:
    """`InputError` unless `value` is a function that can be hashed.

    Its `kind` and its `form` are what the sentence says of it.
    """
    fitting = callable(value) and not isinstance(value, type)
    try:
        hash(value)
    except TypeError:
        fitting = False
    if not fitting:
        raise InputError(
            f"The {kind} is {shortened(value)}; expected a name, or a function {form} that can be "
            "hashed."
        )


def per_example(f: Callable[..., Float[Array, ""]]) -> Penalty:
    """Lifts `f(model, params, x)` for one example `x [n]` to a penalty, the mean over a batch.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> @per_example
    ... def largest(model, params, x):
    ...     return jnp.max(model.encode(params, x))
    >>> x = jnp.array([[1.0, 2.0], [4.0, 3.0]])
    >>> float(largest(forward(OneLayer(2), Params(jnp.eye(2), jnp.zeros(2)), x), None))
    3.0
    """

    @functools.wraps(f)
    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        del eps
        each = jax.vmap(lambda one: f(forward.model, forward.params, one))(forward.x)
        return jnp.mean(each)

    return penalty


def scalar(value: ArrayLike) -> Array:
    """The `value` that a penalty returned, as it is; `InputError` unless it is one number."""
    if jnp.shape(value) != ():
        raise InputError(
            f"The penalty returned shape {jnp.shape(value)}; expected one number. Sum over units "
            "and average over samples."
        )
    return value
