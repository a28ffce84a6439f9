"""Whether what an estimator trained can be used."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from aesparse.errors import InputError
from aesparse.training.result import Result

__all__ = ["require_trained", "warn_if_unfinished"]


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
