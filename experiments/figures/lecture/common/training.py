"""What the Lecture's trained figures share: the options of a model, and its training from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from experiments.pipeline.protocol import MOMENTUM
from experiments.pipeline.spec import Study

__all__ = ["options", "train"]

_NAMES = ("hidden", "epochs", "batch_size", "learning_rate", "momentum")
_SUBSET = 500  # samples of the history where nobody reads it


def options(hidden: int, epochs: int, batch_size: int, learning_rate: float) -> tuple:
    """A study's options that say how its models are trained."""
    return tuple(zip(_NAMES, (hidden, epochs, batch_size, learning_rate, MOMENTUM), strict=True))


def train(
    study: Study,
    X: np.ndarray,
    activation: str,
    objective,
    values: Sequence[float],
    *,
    seeds: Iterable[int] = (0,),
    tied: bool = True,
    history_epochs: Sequence[int] | None = None,
    history_samples: int = _SUBSET,
    measure: Mapping[str, Callable] | None = None,
):
    """Trains `seeds` × `values` of the objective's coefficient, in one program, by study's options.

    Unconstrained rows and a decoder bias; what is recorded as of `aesparse.fit`. Returns
    an `aesparse.Result`.
    """
    import jax

    import aesparse as ae

    (coefficient,) = objective.coefficients
    return ae.fit(
        X,
        ae.OneLayer(study.option("hidden"), activation, tied=tied, decoder_bias=True),
        objective,
        sweep={"seed": list(seeds), coefficient: values},
        optimizer=ae.sgd(study.option("learning_rate"), study.option("momentum")),
        key=jax.random.key(0),
        epochs=study.option("epochs"),
        batch_size=study.option("batch_size"),
        history_epochs=history_epochs,
        history_samples=min(history_samples, len(X)),
        measure=measure,
    )
