"""What GSAE's trained figures share: full-batch searches from one draw."""

from collections.abc import Sequence

import numpy as np

from experiments.pipeline.spec import Study

__all__ = ["minimize"]


def minimize(
    study: Study,
    X: np.ndarray,
    activation: str,
    objective,
    coefficients: Sequence[Sequence[float]] | np.ndarray,
):
    """Minimizes an objective for each row of its `coefficients [K, C]`, all from the same draw.

    Untied models with a decoder bias, by L-BFGS over all rows of `X [N, n]`; the study has
    "hidden" and "iterations". Returns the `aesparse.Result` `[K]`.
    """
    import jax

    import aesparse as ae

    model = ae.OneLayer(int(study.option("hidden")), activation, tied=False, decoder_bias=True)
    start = model.init(jax.random.fold_in(jax.random.key(0), study.seed), X.shape[1])
    return ae.fit(
        X,
        model,
        objective,
        sweep={objective.coefficients: coefficients},
        optimizer=ae.lbfgs(int(study.option("iterations"))),
        start=jax.tree.map(lambda leaf: np.stack([leaf] * len(coefficients)), start),
    )
