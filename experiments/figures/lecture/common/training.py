"""What the Lecture's trained figures share: the options of a model, and its training from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from experiments.pipeline.protocol import MOMENTUM
from experiments.pipeline.spec import Study

__all__ = ["options", "scaled_start", "train"]

_NAMES = ("hidden", "epochs", "batch_size", "learning_rate", "momentum")
_SUBSET = 500  # samples of the history where nobody reads it


def options(
    hidden: int, epochs: int, batch_size: int, learning_rate: float, momentum: float = MOMENTUM
) -> tuple:
    """A study's options that say how its models are trained."""
    return tuple(zip(_NAMES, (hidden, epochs, batch_size, learning_rate, momentum), strict=True))


def scaled_start(model, seeds: Sequence[int], levels: int, inputs: int, gain: float):
    """Parameters `[S, G, ...]` with weights of `gain` times Glorot's, equal for all G levels."""
    import jax
    import jax.numpy as jnp

    started = [model.init(jax.random.key(seed), inputs) for seed in seeds]
    every = jax.tree.map(
        lambda *leaves: jnp.repeat(jnp.stack(leaves)[:, None], levels, axis=1), *started
    )
    return every._replace(weight=gain * every.weight)


def train(
    study: Study,
    X: np.ndarray,
    activation: str,
    objective,
    values: Sequence[float],
    *,
    seeds: Iterable[int] = (0,),
    tied: bool = True,
    gain: float | None = None,
    history_epochs: Sequence[int] | None = None,
    history_samples: int = _SUBSET,
    measure: Mapping[str, Callable] | None = None,
):
    """Trains `seeds` × `values` of the objective's coefficient, in one program, by study's options.

    Unconstrained rows and a decoder bias; what is recorded as of `aesparse.fit`. With `gain` they
    start from `scaled_start`. Returns an `aesparse.Result`.
    """
    import jax

    import aesparse as ae

    (coefficient,) = objective.coefficients
    model, seeds = (
        ae.OneLayer(study.option("hidden"), activation, tied=tied, decoder_bias=True),
        list(seeds),
    )
    return ae.fit(
        X,
        model,
        objective,
        sweep={"seed": seeds, coefficient: values},
        optimizer=ae.sgd(study.option("learning_rate"), study.option("momentum")),
        start=None if gain is None else scaled_start(model, seeds, len(values), X.shape[1], gain),
        key=jax.random.key(0),
        epochs=study.option("epochs"),
        batch_size=study.option("batch_size"),
        history_epochs=history_epochs,
        history_samples=min(history_samples, len(X)),
        measure=measure,
    )
