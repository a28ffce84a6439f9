"""What the estimators look at before and after a training."""

import numbers
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from aesparse.data import Affine
from aesparse.errors import InputError
from aesparse.options import check_counts, shortened
from aesparse.training.result import Result
from aesparse.training.stopping import EarlyStopping

__all__ = ["checked_scaler", "require_finite", "warn_if_unfinished", "with_held_out"]

_FAR = 1.0  # squared length of the mean over the variance, from which data is far off centre


def checked_scaler(X: np.ndarray, *, standardize: bool) -> Affine:
    """z = (x − mean)/deviation of the data `[N, n]`, or z = x with a warning if it is off centre.

    Inputs without variance are only centred.
    """
    if standardize:
        known = StandardScaler().fit(X)
        return Affine(known.mean_, 1 / known.scale_)
    mean, variance = X.mean(axis=0, dtype=np.float64), X.var(axis=0, dtype=np.float64)
    if mean @ mean > _FAR * variance.sum():
        warnings.warn(
            f"The data is far off centre: the squared length of its mean, {mean @ mean:.3g}, "
            f"exceeds its variance, {variance.sum():.3g}, and the model has no bias in its "
            "decoder; the units will spend themselves on the mean. Give standardize=True.",
            stacklevel=4,
        )
    return Affine(np.zeros(X.shape[1]), np.ones(X.shape[1]))


def with_held_out(
    rows: np.ndarray, seed: int, *, fraction: object, n_iter_no_change: object, tol: object
) -> tuple[np.ndarray, EarlyStopping]:
    """The rows `[N, n]` less a fraction, drawn at random, on which the training may stop."""
    check_counts({"n_iter_no_change": n_iter_no_change})
    for name, number, low in (("validation_fraction", fraction, "above 0"), ("tol", tol, "from 0")):
        real = isinstance(number, numbers.Real) and not isinstance(number, bool)
        if not (real and 0 <= number < 1) or (number == 0 and name != "tol"):
            raise InputError(
                f"{name} is {shortened(number)}; expected a number {low} and below 1, or "
                "early_stopping=False to train for all epochs."
            )
    count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
    held_out = np.zeros(len(rows), bool)
    held_out[np.random.default_rng(seed).permutation(len(rows))[:count]] = True
    return rows[~held_out], EarlyStopping(rows[held_out], n_iter_no_change, tol)


def require_finite(result: Result, learning_rate: object) -> None:
    """`InputError` if a model diverged and no earlier epoch can stand for its end."""
    if all(np.isfinite(leaf).all() for leaf in result.params if leaf is not None):
        return
    raise InputError(
        f"The model diverged in epoch {int(result.diverged_epoch)} at the learning rate "
        f"{learning_rate}; give a smaller one."
    )


def warn_if_unfinished(result: Result, stopping: EarlyStopping | None, max_epochs: int) -> None:
    """A `ConvergenceWarning` where a model could have stopped and did not, or diverged."""
    if result.diverged_epoch >= 0:
        warnings.warn(
            f"The model diverged in epoch {int(result.diverged_epoch)} and has the parameters of "
            f"epoch {int(result.best_epoch)}; give a smaller learning_rate.",
            ConvergenceWarning,
            stacklevel=3,
        )
    elif stopping is not None and result.stopped_epoch < 0:
        warnings.warn(
            f"The loss was still falling after {max_epochs} epochs; give more max_epochs, or a "
            "larger tol or learning_rate.",
            ConvergenceWarning,
            stacklevel=3,
        )
