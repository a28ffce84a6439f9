"""Optimizers: SGD with momentum by default, L-BFGS, and any optax transformation."""

import dataclasses
import numbers
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.options import check_counts, checked_numbers, shortened
from aesparse.training.sweep import HYPERPARAMETERS

__all__ = [
    "Lbfgs",
    "Optimizer",
    "Sgd",
    "SgdState",
    "as_optimizer",
    "lbfgs",
    "momentum_after",
    "radial_feedback",
    "sgd",
]


@runtime_checkable
class Optimizer(Protocol):
    """What a training needs of an optax transformation.

    >>> import optax
    >>> adam, params = optax.adam(0.1), jnp.zeros(2)
    >>> isinstance(adam, Optimizer), isinstance("adam", Optimizer)
    (True, False)
    >>> adam.update(jnp.ones(2), adam.init(params), params)[0].round(4).tolist()
    [-0.1, -0.1]
    """

    def init(self, params: PyTree, /) -> Any:
        """The state before the first step from `params`."""

    def update(self, updates: PyTree, state: Any, params: PyTree, /) -> tuple[PyTree, Any]:
        """What to add to `params` for the gradient `updates`, and the new `state`."""


class SgdState(NamedTuple):
    """The state of `Sgd` for one model.

    Attributes:
        hyperparams: "learning_rate" and "momentum".
        trace: the momentum, like the parameters.
    """

    hyperparams: dict[str, Float[Array, ""]]
    trace: PyTree


@dataclasses.dataclass(frozen=True)
class Sgd:
    """`optax.sgd` with momentum whose hyperparameters are part of its state; see `sgd`.

    All compare equal: models with other rates share one compiled program.

    Args:
        learning_rate: η; 0.001 by default.
        momentum: μ; 0.9 by default.

    >>> optimizer, params, gradient = Sgd(0.1), jnp.zeros(2), jnp.ones(2)
    >>> state = optimizer.init(params)
    >>> for _ in range(2):
    ...     step, state = optimizer.update(gradient, state, params)
    >>> step.round(4).tolist(), momentum_after(state, gradient).round(4).tolist()  # −0.1 · 1.9
    ([-0.19, -0.19], [2.71, 2.71])
    >>> state.trace.round(4).tolist()
    [1.9, 1.9]
    """

    learning_rate: float = dataclasses.field(default=0.001, compare=False)
    momentum: float = dataclasses.field(default=0.9, compare=False)

    def init(self, params: PyTree) -> SgdState:
        """The state for `params`: no momentum, and the hyperparameters in their precision."""
        dtype = jnp.result_type(*jax.tree.leaves(params))
        values = {"learning_rate": self.learning_rate, "momentum": self.momentum}
        hyperparams = {name: jnp.asarray(value, dtype) for name, value in values.items()}
        return SgdState(hyperparams, jax.tree.map(jnp.zeros_like, params))

    def update(
        self, updates: PyTree, state: SgdState, params: PyTree = None
    ) -> tuple[PyTree, SgdState]:
        """−η · (μ · trace + gradient) for the gradient `updates`, and the new `state`.

        `params` are not read.
        """
        del params
        direction = momentum_after(state, updates)
        rate = state.hyperparams["learning_rate"]
        return jax.tree.map(lambda d: -rate * d, direction), state._replace(trace=direction)


def momentum_after(state: SgdState, gradient: PyTree) -> PyTree:
    """μ · trace + gradient, of an `SgdState` as `state`."""
    momentum = state.hyperparams["momentum"]
    return jax.tree.map(lambda m, g: momentum * m + g, state.trace, gradient)


def sgd(learning_rate: float = 0.001, momentum: float = 0.9) -> Sgd:
    """Stochastic gradient descent with momentum, the papers' optimizer (Arpit section 3).

    v ← μ v + ∇, W ← W − η v. Both `learning_rate` η, 0.001 by default, and `momentum` μ, 0.9 by
    default, can be swept by their names. `InputError` unless the rate is a finite number > 0 and
    the momentum lies in [0, 1).

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
    """Full-batch L-BFGS as `fit` takes it; see `lbfgs`.

    Args:
        max_iterations: at most so many.
        tolerance: of the gradient's norm, at which it ends.
        memory_size: pairs that stand for the Hessian.

    >>> params = jnp.array([2.0])
    >>> state = Lbfgs().init(params)
    >>> step, state = Lbfgs().update(2 * params, state, params, value=jnp.array(4.0),
    ...     grad=2 * params, value_fn=lambda p: jnp.sum(p**2))
    >>> float(step[0]) < 0, hasattr(Lbfgs().solver, "update")  # towards the minimum at 0; optax's
    (True, True)
    """

    max_iterations: int = dataclasses.field(default=400, compare=False)
    tolerance: float = dataclasses.field(default=1e-5, compare=False)
    memory_size: int = 10

    @property
    def solver(self) -> Optimizer:
        """optax's, with a zoom line search."""
        import optax  # see `aesparse.training.step`

        return optax.lbfgs(memory_size=self.memory_size)

    def init(self, params: PyTree) -> PyTree:
        """The solver's state before the first step from `params`."""
        return self.solver.init(params)

    def update(self, *arguments: PyTree, **more: PyTree) -> tuple[PyTree, PyTree]:
        """The solver's update."""
        return self.solver.update(*arguments, **more)


def lbfgs(max_iterations: int = 400, tolerance: float | int = 1e-5, memory_size: int = 10) -> Lbfgs:
    """L-BFGS over all samples at once, as the `optimizer` of `fit`.

    A model ends when the norm of its gradient is at most the tolerance, after so many iterations,
    or when the line search finds no step that lowers the loss (rounding, a kink, a loss that is not
    finite). The result's losses have one epoch: "loss", "gradient_norm" and "iterations" where each
    model ended. The same call with fewer iterations gives an earlier point of the same path.

    Args:
        max_iterations: 400 by default.
        tolerance: of the gradient's norm; 1e-5 by default.
        memory_size: pairs of steps and gradient changes that stand for the Hessian; 10 by default.

    Raises:
        InputError: for counts below 1 and a negative tolerance.

    >>> lbfgs(max_iterations=100)
    Lbfgs(max_iterations=100, tolerance=1e-05, memory_size=10)
    """
    check_counts({"max_iterations": max_iterations, "memory_size": memory_size})
    real = isinstance(tolerance, numbers.Real) and not isinstance(tolerance, bool)
    if not (real and tolerance >= 0):
        raise InputError(f"The tolerance is {shortened(tolerance)}; expected a number >= 0.")
    return Lbfgs(int(max_iterations), float(tolerance), int(memory_size))


def as_optimizer(value: object) -> Optimizer:
    """`value` as it is if it is an optax transformation, `sgd()` for None; `InputError` otherwise.

    >>> as_optimizer(None)
    Sgd(learning_rate=0.001, momentum=0.9)
    """
    if value is None:
        return sgd()
    if not all(callable(getattr(value, name, None)) for name in ("init", "update")):
        raise InputError(
            f"The optimizer is {shortened(value)}; expected an optax transformation, such as "
            "optax.adam(1e-3), or aesparse.sgd(learning_rate=0.001, momentum=0.9) or lbfgs()."
        )
    return value


def radial_feedback(
    pull: float | Float[np.ndarray, "..."], *, learning_rate: float, momentum: float
) -> float | Float[np.ndarray, "..."]:
    """The share of a unit row's turn that a gradient `pull`·W_j adds to it under "unit-rescale".

    Rescaling W − η Σ_k μᵏ pull W_{t−k} lengthens the tangential step by 1/(1 − η pull/(1 − μ)), and
    what lags behind adds η pull μ/(1 − μ)² of it: a steady turn is that without the gradient over 1
    − η pull/(1 − μ)². From 1 on it grows. η is `learning_rate`, μ `momentum`.

    >>> round(radial_feedback(0.01, learning_rate=0.1, momentum=0.9), 4)
    0.1
    """
    return learning_rate * pull / (1 - momentum) ** 2
