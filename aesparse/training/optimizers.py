"""Optimizers: SGD with momentum by default, any optax transformation, and their hyperparameters.

What `optax.inject_hyperparams` keeps in the optimizer's state can be swept like a coefficient: each
model of a grid has its own value there.
"""

import dataclasses
import numbers
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError, running
from aesparse.options import check_counts, checked_numbers, shortened
from aesparse.training.sweep import HYPERPARAMETERS

__all__ = [
    "Lbfgs",
    "Optimizer",
    "Sgd",
    "SgdState",
    "as_optimizer",
    "hyperparameters",
    "lbfgs",
    "momentum_after",
    "on_first_moments",
    "radial_feedback",
    "sgd",
    "with_hyperparameters",
]

_FIRST_MOMENTS = ("trace", "mu")  # of optax: momentum; the mean of gradients of Adam and its kin


@runtime_checkable
class Optimizer(Protocol):
    """What a training needs of an optax transformation."""

    def init(self, params: PyTree, /) -> Any:
        """The state before the first step."""

    def update(self, updates: PyTree, state: Any, params: PyTree, /) -> tuple[PyTree, Any]:
        """What to add to the parameters, and the new state."""


class SgdState(NamedTuple):
    """The hyperparameters of one model, and its momentum."""

    hyperparams: dict[str, Float[Array, ""]]
    trace: PyTree


@dataclasses.dataclass(frozen=True)
class Sgd:
    """`optax.sgd` with momentum whose hyperparameters are part of its state; see `sgd`.

    All compare equal: models with other rates share one compiled program.
    """

    learning_rate: float = dataclasses.field(default=0.001, compare=False)
    momentum: float = dataclasses.field(default=0.9, compare=False)

    def init(self, params: PyTree) -> SgdState:
        """No momentum, and the hyperparameters in the precision of the parameters."""
        dtype = jnp.result_type(*jax.tree.leaves(params))
        values = {"learning_rate": self.learning_rate, "momentum": self.momentum}
        hyperparams = {name: jnp.asarray(value, dtype) for name, value in values.items()}
        return SgdState(hyperparams, jax.tree.map(jnp.zeros_like, params))

    def update(
        self, updates: PyTree, state: SgdState, params: PyTree = None
    ) -> tuple[PyTree, SgdState]:
        """−learning_rate times the momentum that the gradient `updates` has been added to."""
        del params
        direction = momentum_after(state, updates)
        rate = state.hyperparams["learning_rate"]
        return jax.tree.map(lambda d: -rate * d, direction), state._replace(trace=direction)


def momentum_after(state: SgdState, gradient: PyTree) -> PyTree:
    """momentum · trace + gradient."""
    momentum = state.hyperparams["momentum"]
    return jax.tree.map(lambda m, g: momentum * m + g, state.trace, gradient)


def sgd(learning_rate: float = 0.001, momentum: float = 0.9) -> Sgd:
    """Stochastic gradient descent with momentum, the papers' optimizer (Arpit section 3).

    Both numbers can be swept by their names. `InputError` unless the rate is a finite number > 0
    and the momentum lies in [0, 1).

    >>> sgd(momentum=0.5)
    Sgd(learning_rate=0.001, momentum=0.5)
    """
    for name, value in {"learning_rate": learning_rate, "momentum": momentum}.items():
        number, (expected, fits) = checked_numbers(value, f"{name} is"), HYPERPARAMETERS[name]
        if number.ndim or not (np.isfinite(number) and fits(number)):
            raise InputError(f"{name} is {shortened(value)}; expected one of {expected}.")
    return Sgd(float(learning_rate), float(momentum))


@dataclasses.dataclass(frozen=True)
class Lbfgs:
    """Full-batch L-BFGS as `fit` takes it; see `lbfgs`."""

    max_iterations: int = dataclasses.field(default=400, compare=False)
    tolerance: float = dataclasses.field(default=1e-5, compare=False)
    memory_size: int = 10

    @property
    def solver(self) -> Optimizer:
        """optax's, with a zoom line search."""
        import optax  # see `aesparse.training.step`

        return optax.lbfgs(memory_size=self.memory_size)

    def init(self, params: PyTree) -> PyTree:
        """The solver's state."""
        return self.solver.init(params)

    def update(self, *arguments: PyTree, **more: PyTree) -> tuple[PyTree, PyTree]:
        """The solver's update."""
        return self.solver.update(*arguments, **more)


def lbfgs(max_iterations: int = 400, tolerance: float | int = 1e-5, memory_size: int = 10) -> Lbfgs:
    """L-BFGS over all samples at once, as the `optimizer` of `fit`.

    A model ends when the norm of its gradient is at most `tolerance`, after `max_iterations`, or
    when the line search finds no step that lowers the loss (rounding, a kink, a loss that is not
    finite). `memory_size` pairs of steps and gradient changes stand for the Hessian. The result's
    losses have one epoch: "loss", "gradient_norm" and "iterations" where each model ended.
    The same call with fewer iterations gives an earlier point of the same path.
    `InputError` for counts below 1 and a negative tolerance.

    >>> lbfgs(max_iterations=100)
    Lbfgs(max_iterations=100, tolerance=1e-05, memory_size=10)
    """
    check_counts({"max_iterations": max_iterations, "memory_size": memory_size})
    real = isinstance(tolerance, numbers.Real) and not isinstance(tolerance, bool)
    if not (real and tolerance >= 0):
        raise InputError(f"The tolerance is {shortened(tolerance)}; expected a number >= 0.")
    return Lbfgs(int(max_iterations), float(tolerance), int(memory_size))


def as_optimizer(value: object) -> Optimizer:
    """An optax transformation as it is, `sgd()` for None; `InputError` for anything else."""
    if value is None:
        return sgd()
    if not all(callable(getattr(value, name, None)) for name in ("init", "update")):
        raise InputError(
            f"The optimizer is {shortened(value)}; expected an optax transformation, such as "
            "optax.adam(1e-3), or aesparse.sgd(learning_rate=0.001, momentum=0.9) or lbfgs()."
        )
    return value


def hyperparameters(optimizer: Optimizer, params: PyTree) -> dict[str, float]:
    """Names and values of what can be swept of an optimizer, for `params` of these shapes.

    Those that follow a schedule are not among them. `InputError` where the optimizer cannot be
    started, or two of its parts have hyperparameters of one name.

    >>> import optax
    >>> optimizer = optax.inject_hyperparams(optax.rmsprop)(0.01)
    >>> sorted(hyperparameters(optimizer, {"w": jnp.zeros(3)}))
    ['decay', 'eps', 'initial_scale', 'learning_rate']
    """
    if isinstance(optimizer, Sgd):
        return dataclasses.asdict(optimizer)  # nothing to compile

    def values() -> list[dict[str, Array]]:
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), params)
        return [_numbers(state) for state in _injected(optimizer.init(zeros))]

    with running(
        "The optimizer cannot be started for this model",
        "an optax transformation of its parameters.",
    ):
        parts = jax.device_get(jax.jit(values)())
    names = [name for part in parts for name in part]
    if len(set(names)) < len(names):
        raise InputError(
            f"Parts of the optimizer have hyperparameters of one name among {sorted(names)}; "
            "expected different ones. Make one optimizer of them, with names of your own."
        )
    # As they were written: 0.001 for the float32 number nearest to it.
    return {name: float(str(value)) for part in parts for name, value in part.items()}


def with_hyperparameters(state: PyTree, values: Mapping[str, Array]) -> PyTree:
    """The state of an optimizer with other values of its hyperparameters."""

    def replaced(part):
        chosen = {
            name: jnp.asarray(values[name], number.dtype)
            for name, number in _numbers(part).items()
            if name in values
        }
        return part._replace(hyperparams={**part.hyperparams, **chosen})

    return _map_states(_is_injected, replaced, state)


def on_first_moments(f: Callable[[PyTree], PyTree], state: PyTree, params: PyTree) -> PyTree:
    """The state with `f` applied to its first moments, which have the structure of `params`."""
    structure = jax.tree.structure(params)

    def has_moments(part) -> bool:
        return any(
            jax.tree.structure(getattr(part, name, None)) == structure for name in _FIRST_MOMENTS
        )

    def moved(part):
        names = [name for name in _FIRST_MOMENTS if hasattr(part, name)]
        return part._replace(**{name: f(getattr(part, name)) for name in names})

    return _map_states(has_moments, moved, state)


def _is_injected(part: object) -> bool:
    return isinstance(part, tuple) and isinstance(getattr(part, "hyperparams", None), dict)


def _injected(state: PyTree) -> Iterator:
    if _is_injected(state):
        yield state
    if isinstance(state, tuple | list):
        for part in state:
            yield from _injected(part)


def _numbers(part) -> dict[str, Array]:
    """The hyperparameters that are one floating-point number and follow no schedule."""
    scheduled = getattr(part, "hyperparams_states", {})
    return {
        name: value
        for name, value in part.hyperparams.items()
        if name not in scheduled and jnp.issubdtype(jnp.result_type(value), jnp.floating)
    }


def _map_states(matches: Callable, f: Callable, state: PyTree) -> PyTree:
    """`f` applied to every part of an optimizer's state that matches, inner parts first."""
    if not isinstance(state, tuple | list):
        return state
    parts = [_map_states(matches, f, part) for part in state]
    named = hasattr(state, "_fields")
    state = type(state)(*parts) if named else type(state)(parts)
    return f(state) if named and matches(state) else state


def radial_feedback(
    pull: float | Float[np.ndarray, "..."], *, learning_rate: float, momentum: float
) -> float | Float[np.ndarray, "..."]:
    """The share of a unit row's turn that a gradient `pull`·W_j adds to it under "unit-rescale".

    Rescaling W − η Σ_k μᵏ pull W_{t−k} lengthens the tangential step by 1/(1 − η pull/(1 − μ)),
    and what lags behind adds η pull μ/(1 − μ)² of it: a steady turn is that without the gradient
    over 1 − η pull/(1 − μ)². From 1 on it grows.
    """
    return learning_rate * pull / (1 - momentum) ** 2
