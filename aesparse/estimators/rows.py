"""What an estimator's rows become before they are trained on."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from aesparse.data import Affine
from aesparse.errors import InputError
from aesparse.training.stopping import EarlyStopping

__all__ = ["LARGEST_SEED", "Start", "fitted_scaler", "split_if_asked"]

LARGEST_SEED = 2**31 - 1
_FAR = 1.0  # squared length of the mean over the variance, from which data is far off centre


class Start(NamedTuple):
    """What the first call decides on."""

    seed: int
    scaler: Affine

    @classmethod
    def of(cls, X: np.ndarray, random_state: object, *, standardize: bool) -> "Start":
        """That of the data `[N, n]`."""
        seed = int(check_random_state(random_state).randint(LARGEST_SEED))
        return cls(seed, fitted_scaler(X, standardize=standardize))


def fitted_scaler(X: np.ndarray, *, standardize: bool) -> Affine:
    """z = (x − mean)/deviation of the data `[N, n]`, or z = x with a warning if it is off centre.

    Inputs without variance are only centred.
    """
    if standardize:
        known = StandardScaler().fit(X)
        if not np.isfinite(known.scale_).all():
            raise InputError(
                "The variance of the data exceeds the largest number; divide the data by one."
            )
        return Affine(known.mean_, 1 / known.scale_)
    mean, variance = X.mean(axis=0, dtype=np.float64), X.var(axis=0, dtype=np.float64)
    if mean @ mean > _FAR * variance.sum():
        warnings.warn(
            f"The data is far off centre: the squared length of its mean, {mean @ mean:.3g}, "
            f"exceeds its variance, {variance.sum():.3g}, and the model has no bias in its "
            "decoder; the units will spend themselves on the mean. Give standardize=True.",
            stacklevel=5,
        )
    return Affine(np.zeros(X.shape[1]), np.ones(X.shape[1]))


def _split(rows: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows `[N, n]` to train on, and that fraction of them, at least one, drawn at random."""
    count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
    held_out = np.random.default_rng(seed).permutation(len(rows))[:count]
    return np.delete(rows, held_out, axis=0), rows[held_out]


def split_if_asked(
    estimator: Any, rows: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, EarlyStopping | None]:
    """The rows to train on, those held out, and how training stops by them.

    Without early stopping all rows are trained on, and are what stands for those held out.
    """
    if not estimator.early_stopping:
        return rows, rows, None
    rows, held_out = _split(rows, estimator.validation_fraction, seed)
    return rows, held_out, EarlyStopping(held_out, estimator.n_iter_no_change, estimator.tol)
