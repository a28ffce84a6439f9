"""What an estimator's options are to `fit`."""

import functools
from collections.abc import Mapping
from typing import NamedTuple

from aesparse.errors import InputError, unknown_name
from aesparse.losses.base import Objective
from aesparse.losses.objectives import as_objective
from aesparse.options import shortened
from aesparse.training.optimizers import Optimizer, as_optimizer, sgd

__all__ = ["Options"]


class Options(NamedTuple):
    """An objective with the values of its coefficients, an optimizer with its learning rate."""

    objective: Objective
    sweep: dict[str, object]  # coefficients and learning rate, as they were given
    optimizer: Optimizer

    @classmethod
    def of(
        cls,
        objective: object,
        strength: object,
        optimizer: object,
        learning_rate: object,
    ) -> "Options":
        """Checked but for the range of the numbers, which `fit` looks at; `InputError`."""
        named = tuple(strength) if isinstance(strength, Mapping) else ("strength",)
        objective = as_objective(objective, named)
        return cls(
            objective,
            _coefficients(objective, strength) | _rate(optimizer, learning_rate),
            _optimizer(optimizer),
        )


def _coefficients(objective: Objective, strength: object) -> dict[str, object]:
    names = objective.coefficients
    if isinstance(strength, Mapping):
        return dict(strength)
    if len(names) > 1:
        raise InputError(
            f"strength is {shortened(strength)} and the objective has the coefficients "
            f"{', '.join(names)}; give a mapping with a number for each."
        )
    return dict.fromkeys(names, strength)


def _optimizer(optimizer: object) -> Optimizer:
    if not isinstance(optimizer, str):
        return as_optimizer(optimizer)
    if optimizer not in _OPTIMIZERS:
        raise unknown_name("optimizer", optimizer, _OPTIMIZERS)
    return _OPTIMIZERS[optimizer]()


@functools.cache
def _adam() -> Optimizer:
    """One for all, since equal functions share a compiled program; its rate is an argument."""
    import optax

    return optax.inject_hyperparams(optax.adam)(0.001)


_OPTIMIZERS = {"adam": _adam, "sgd": sgd}


def _rate(optimizer: object, learning_rate: object) -> dict[str, object]:
    """A transformation of the user's own has its rate already."""
    return {"learning_rate": learning_rate} if isinstance(optimizer, str) else {}
