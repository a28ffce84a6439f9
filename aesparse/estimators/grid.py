"""The grids that a path trains one after the other, each of as many models as the first.

Equal sizes share a compiled program. Shapes: K points of a strength and a learning rate, S seeds.
"""

import math
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from aesparse.errors import InputError
from aesparse.estimators.options import Options
from aesparse.estimators.points import Bracket, Target, of_rate
from aesparse.estimators.rows import LARGEST_SEED
from aesparse.options import check_counts, checked_numbers, is_real, shortened
from aesparse.training.result import Result

__all__ = ["Grid", "PathOptions"]

_RANGE = (1e-2, 1e2)  # of strengths where only their number is given
_NEAR_ALL = 0.95  # of the largest level of a corruption
_FURTHER = 100.0  # how far beyond its end a range goes in search of a target


class Grid(NamedTuple):
    """Points and seeds of one program."""

    strengths: np.ndarray  # [K]
    rates: np.ndarray  # [K]
    seeds: int

    def sweep(self, options: Options, first_seed: int) -> dict:
        """What `fit` is given; the rate varies where the options have one."""
        (coefficient,) = options.objective.coefficients
        if "learning_rate" in options.sweep:
            points = list(zip(self.strengths, self.rates, strict=True))
            sweep = {(coefficient, "learning_rate"): points}
        else:
            sweep = {coefficient: self.strengths}
        seeds = (first_seed + np.arange(self.seeds)) % LARGEST_SEED
        return {**sweep, "seed": seeds}

    def between(self, bracket: Bracket) -> "Grid":
        """As many points inside a bracket, at its learning rate."""
        count = len(self.strengths)
        return Grid(bracket.inside(count), np.full(count, bracket.learning_rate), self.seeds)

    def table(self, result: Result, quality: Any) -> dict[str, np.ndarray]:
        """Its models as rows, from the result and the code quality of the samples held out."""
        seeds = result.coordinates["seed"]
        best = result.best_epoch
        lost = result.diverged_epoch >= 0 if best is None else best == 0
        ends = np.full(result.shape, result.epochs)
        if result.stopped_epoch is not None:
            ends = np.where(result.stopped_epoch < 0, ends, result.stopped_epoch)
        columns = {
            "strength": np.repeat(self.strengths, len(seeds)),
            "learning_rate": np.repeat(self.rates, len(seeds)),
            "seed": np.tile(seeds, len(self.strengths)),
            "activation_fraction": quality.activation_fraction,
            "l0": quality.l0,
            "unexplained": 1 - quality.explained_variance,
            "dead_fraction": quality.dead_fraction,
            "epochs": ends,
            "diverged": lost | ~np.isfinite(quality.explained_variance),
        }
        return {name: np.asarray(values).ravel() for name, values in columns.items()}


class PathOptions(NamedTuple):
    """The options of a path, looked at before anything is computed."""

    path: Any
    model: Options
    strengths: np.ndarray  # those of the first grid, in increasing order
    rates: np.ndarray
    largest: float  # strength

    @classmethod
    def of(cls, path: Any, estimator: Any) -> "PathOptions":
        """Those of a path whose models are an estimator's; `InputError`."""
        model = Options.of(estimator)
        _check_objective(model)
        check_counts({"seeds": path.seeds})
        _check_limits(path)
        largest = min((high for _, _, high in model.objective.levels), default=math.inf)
        strengths, rates = _strengths(path.strengths, largest), path.learning_rates
        if rates is None:
            rates = [model.sweep.get("learning_rate", math.nan)]
        elif "learning_rate" not in model.sweep:
            raise InputError(
                "learning_rates are given and the optimizer is an optax transformation; expected "
                "'adam' or 'sgd', whose rate they are."
            )
        else:
            rates = _values("learning_rates", rates, zero=False)
        return cls(path, model, strengths, np.asarray(rates, float), largest)

    def first(self) -> Grid:
        """All strengths at all learning rates."""
        strengths = np.tile(self.strengths, len(self.rates))
        return Grid(strengths, np.repeat(self.rates, len(self.strengths)), self.path.seeds)

    def beyond(self, table: dict, index: int) -> Grid | None:
        """The range on the side of the nearest model, if it stands at an end that may be left."""
        if not isinstance(self.path.strengths, int | np.integer):
            return None
        rate, strength = float(table["learning_rate"][index]), table["strength"][index]
        there = table["strength"][of_rate(table, rate)]
        most = _NEAR_ALL * self.largest
        if strength == there.max() and strength < most:
            ends = strength, min(_FURTHER * strength, most)
        elif strength == there.min():
            ends = strength / _FURTHER, strength
        else:
            return None
        bracket = Bracket(*map(float, ends), rate)
        return self.first().between(bracket)

    def target(self, estimator: Any, n: int) -> Target | None:
        """The one target that is given for data of n inputs; None for the knee. `InputError`."""
        hidden = n if estimator.n_components is None else estimator.n_components
        columns = {
            "target_activation": ("activation_fraction", 1),
            "target_l0": ("l0", hidden),
            "target_error": ("unexplained", 1),
        }
        asked = [name for name in columns if getattr(self.path, name) is not None]
        if len(asked) > 1:
            raise InputError(f"{' and '.join(asked)} are given; expected one target, or none.")
        for name in asked:
            value, (column, most) = getattr(self.path, name), columns[name]
            if not is_real(value) or not 0 < value < most:
                raise InputError(
                    f"{name} is {shortened(value)}; expected a number above 0 and below {most}."
                )
            return Target(column, float(value))
        return None

    def chosen(self, estimator: Any, result: Result) -> dict[str, Any]:
        """The parameters of the estimator by which it has the strength and rate of one model."""
        (coefficient,) = self.model.objective.coefficients
        strength = result.fixed[coefficient]
        mapped = isinstance(estimator.strength, Mapping)
        known: dict[str, Any] = {"strength": {coefficient: strength} if mapped else strength}
        if "learning_rate" in self.model.sweep:
            known["learning_rate"] = result.fixed["learning_rate"]
        return known


def _check_limits(path: Any) -> None:
    if not is_real(path.tolerance) or not 0 <= path.tolerance < math.inf:
        raise InputError(f"tolerance is {shortened(path.tolerance)}; expected a number from 0.")
    count = path.max_refinements
    if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 0:
        raise InputError(f"max_refinements is {shortened(count)}; expected an integer from 0.")


def _check_objective(options: Options) -> None:
    names = options.objective.coefficients
    if len(names) != 1:
        raise InputError(
            f"The objective has the coefficients {', '.join(names) or '(none)'}; expected exactly "
            "one, whose values are the path."
        )


def _strengths(given: object, largest: float) -> np.ndarray:
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        if given < 2:
            raise InputError(f"strengths is {given}; expected at least 2, or values.")
        low, high = _RANGE
        return np.geomspace(low, min(high, _NEAR_ALL * largest), given)
    values = _values("strengths", given, zero=True)
    if len(values) < 2:
        raise InputError(f"strengths are {shortened(given)}; expected at least 2 values.")
    return values


def _values(name: str, given: object, *, zero: bool) -> np.ndarray:
    """Different numbers in increasing order."""
    values = np.unique(checked_numbers(given, f"{name} are"))
    if not len(values) or values[0] < 0 or (values[0] == 0 and not zero):
        raise InputError(
            f"{name} are {shortened(given)}; expected numbers {'from' if zero else 'above'} 0."
        )
    return values.astype(float)
