"""What the Lecture's trained figures share: the options of a model, and its training from them."""

from collections.abc import Sequence

import numpy as np

from experiments.pipeline.protocol import MOMENTUM
from experiments.pipeline.spec import Study

__all__ = ["options", "train"]

_NAMES = ("hidden", "epochs", "batch_size", "learning_rate", "momentum")
_SUBSET = 500  # samples of the history that nobody reads here


def options(hidden: int, epochs: int, batch_size: int, learning_rate: float) -> tuple:
    """A study's options that say how its models are trained."""
    return tuple(zip(_NAMES, (hidden, epochs, batch_size, learning_rate, MOMENTUM), strict=True))


def train(
    study: Study,
    X: np.ndarray,
    objective,
    strengths: Sequence[float],
    *,
    seeds: int = 1,
    tied: bool = True,
):
    """`fit_grid` by a study's options: free rows, a decoder bias, all cells in one program."""
    import jax

    from aesparse.training.grid import fit_grid

    return fit_grid(
        jax.random.key(0),
        X,
        objective=objective,
        strengths=strengths,
        seeds=range(seeds),
        constraint="free",
        tied=tied,
        decoder_bias=True,
        history_samples=min(_SUBSET, len(X)),
        **{name: study.option(name) for name in _NAMES},
    )
