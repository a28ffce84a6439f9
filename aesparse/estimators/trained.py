"""What an estimator trains, whether it can be used, and the attributes that it becomes."""

import warnings
from typing import Any

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from aesparse.errors import InputError
from aesparse.estimators.options import Options
from aesparse.estimators.rows import Start
from aesparse.metrics.codes import CodeQuality, code_quality
from aesparse.training.fit import fit
from aesparse.training.result import Result

__all__ = ["keep", "measured", "require_trained", "train", "warn_if_unfinished"]


def train(estimator: Any, rows: np.ndarray, options: Options, sweep: dict, **how) -> Result:
    """The grid `sweep` of an estimator's models on standardized rows, in their precision."""
    with jax.enable_x64(rows.dtype == np.float64):
        return fit(
            rows,
            options.model(rows.shape[1]),
            options.objective,
            sweep=sweep,
            optimizer=options.optimizer,
            constraint=estimator.constraint,
            batch_size=min(estimator.batch_size, len(rows)),
            history_epochs=[0],
            progress=bool(estimator.verbose),
            **how,
        )


def measured(result: Result, rows: np.ndarray) -> CodeQuality:
    """The code quality of every model on standardized rows, in their precision."""
    with jax.enable_x64(rows.dtype == np.float64):
        return result.measure(rows, code_quality)


def keep(estimator: Any, result: Result, begun: Start) -> None:
    """Makes the result of one model an estimator's attributes."""
    params = result.params
    estimator._activation, estimator._tied = estimator.activation, params.decoder is None
    estimator.encoder_, estimator.intercept_ = params.weight, params.bias
    estimator.components_ = params.weight if params.decoder is None else params.decoder.T
    estimator.n_components_ = len(estimator.components_)
    estimator.mean_, estimator.scale_ = begun.scaler.mean, 1 / begun.scaler.matrix
    estimator.activation_fraction_ = float(result.final.activation_fraction)
    estimator.n_iter_ = int(np.isfinite(result.losses["loss"]).sum())
    estimator.history_ = {n: loss[: estimator.n_iter_] for n, loss in result.losses.items()}
    estimator._start, estimator._optimizer_state = begun, result.optimizer_state


def require_trained(result: Result) -> None:
    """`InputError` if the model diverged, and has no earlier epoch to go back to."""
    if result.diverged_epoch >= 0 and not (result.best_epoch is not None and result.best_epoch > 0):
        raise InputError(
            f"The model diverged in epoch {int(result.diverged_epoch)}: a loss or parameter is not "
            "finite. Give a smaller learning rate, or smaller data."
        )


def warn_if_unfinished(result: Result, max_epochs: int) -> None:
    """A `ConvergenceWarning` where a model could have stopped and did not, or diverged."""
    if result.diverged_epoch >= 0:
        said = (
            f"The model diverged in epoch {int(result.diverged_epoch)} and has the parameters of "
            f"epoch {int(result.best_epoch)}; give a smaller learning rate."
        )
    elif result.stopped_epoch is not None and result.stopped_epoch < 0:
        said = (
            f"max_epochs={max_epochs} ended before the held-out loss stopped improving; give more, "
            "or a larger tol or learning_rate."
        )
    else:
        return
    warnings.warn(said, ConvergenceWarning, stacklevel=3)
