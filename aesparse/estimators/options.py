"""What an estimator's options are to `fit`."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from aesparse.errors import InputError, unknown_name
from aesparse.losses.base import Objective
from aesparse.losses.objectives import as_objective
from aesparse.models.activations import Activation
from aesparse.models.one_layer import OneLayer
from aesparse.options import check_counts, check_flags, check_positive, is_real, shortened
from aesparse.training.optimizers import Lbfgs, Optimizer, as_optimizer, sgd

__all__ = ["Options"]

_FLAGS = ("tied", "early_stopping", "standardize")
_COUNTS = ("batch_size", "max_epochs", "n_iter_no_change")


class Options(NamedTuple):
    """An objective with its coefficients, an optimizer with its learning rate, and a model."""

    objective: Objective
    sweep: dict[str, object]  # coefficients and learning rate
    optimizer: Optimizer
    hidden: int | None
    activation: Activation | Any
    tied: bool

    @classmethod
    def of(cls, estimator: Any) -> "Options":
        """Those of an estimator, looked at before anything is computed; `InputError`."""
        check_flags({name: getattr(estimator, name) for name in _FLAGS}, {})
        counts = {name: getattr(estimator, name) for name in _COUNTS}
        if estimator.n_components is not None:
            counts["n_components"] = estimator.n_components
        check_counts(counts)
        _check_share("tol", estimator.tol, zero=True)
        _check_share("validation_fraction", estimator.validation_fraction, zero=False)
        strength, optimizer = estimator.strength, estimator.optimizer
        named = tuple(strength) if isinstance(strength, Mapping) else ("strength",)
        objective, sweep = as_objective(estimator.objective, named), {}
        if isinstance(optimizer, str):
            check_positive({"learning_rate": estimator.learning_rate})
            sweep["learning_rate"] = estimator.learning_rate
        sweep |= _coefficients(objective, strength)
        model = (estimator.n_components, estimator.activation, bool(estimator.tied))
        return cls(objective, sweep, _optimizer(optimizer), *model)

    def model(self, n: int) -> OneLayer:
        """The model for n inputs."""
        hidden = n if self.hidden is None else self.hidden
        return OneLayer(hidden, self.activation, tied=self.tied)


def _check_share(name: str, number: object, *, zero: bool) -> None:
    if not is_real(number) or not (0 <= number < 1 if zero else 0 < number < 1):
        low = "from 0" if zero else "above 0"
        raise InputError(f"{name} is {shortened(number)}; expected a number {low} and below 1.")


def _coefficients(objective: Objective, strength: object) -> dict[str, object]:
    """The value of every coefficient of the objective; an objective may have none."""
    names, given = objective.coefficients, strength
    if not isinstance(strength, Mapping):
        if len(names) > 1:
            raise InputError(
                f"strength is {shortened(strength)} and the objective has the coefficients "
                f"{', '.join(names)}; give a mapping with a number for each."
            )
        strength = dict.fromkeys(names, strength)
    right = set(strength) == set(names) and all(map(is_real, strength.values()))
    if not right or not all(np.isfinite(v) and v >= 0 for v in strength.values()):
        raise InputError(
            f"strength is {shortened(given)}; expected one finite number >= 0 for each of "
            f"the objective's coefficients, {', '.join(names)}."
        )
    return dict(strength)


def _optimizer(optimizer: object) -> Optimizer:
    if isinstance(optimizer, Lbfgs):
        raise InputError(
            "The optimizer is L-BFGS, which takes all samples at once; expected 'adam', 'sgd' or "
            "an optax transformation. aesparse.fit(…, optimizer=lbfgs()) trains by it."
        )
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
