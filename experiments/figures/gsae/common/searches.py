"""Full-batch searches of GSAE's figures: from one draw, and whether they are at a minimum."""

from collections.abc import Sequence

import numpy as np

from experiments.evidence.criteria import Criterion, largest_at_most
from experiments.pipeline.spec import Study

__all__ = ["CONVERGED", "converged", "minimize"]

CONVERGED = 1e-3  # relative fall of J over the last tenth of the iterations, at a minimum
# Starting weights in Glorot's unit. A weight on a pixel that no digit inks has no gradient but its
# decay's; at 1 such weights are still the larger part of a filter's picture after 400 iterations.
START = 0.05


def minimize(
    study: Study,
    X: np.ndarray,
    activation: str,
    objective,
    coefficients: Sequence[Sequence[float]] | np.ndarray,
):
    """Minimizes an objective for each row of its `coefficients [K, C]`, all from the same draw.

    Untied models with a decoder bias, by L-BFGS over all rows of `X [N, n]` from `START` times
    Glorot weights; the study has "hidden" and "iterations". The search starts anew for its last
    tenth. Returns the `aesparse.Result` `[K]` and by which part J fell over that tenth, `[K]`;
    infinite for a model that diverged.
    """
    import jax

    import aesparse as ae

    model = ae.OneLayer(int(study.option("hidden")), activation, tied=False, decoder_bias=True)
    start = model.init(jax.random.fold_in(jax.random.key(0), study.seed), X.shape[1])
    start = jax.tree.map(lambda leaf: np.stack([START * leaf] * len(coefficients)), start)
    last = max(1, int(study.option("iterations")) // 10)
    values = []
    for count in (int(study.option("iterations")) - last, last):
        result = ae.fit(
            X,
            model,
            objective,
            sweep={objective.coefficients: coefficients},
            optimizer=ae.lbfgs(count),
            start=start,
            check_compiled=not values,  # the same program; at a minimum gradients are rounding
        )
        start = result.params
        values.append(np.asarray(result.losses["loss"][:, -1], float))
    fall = (values[0] - values[1]) / values[1]
    return result, np.where(np.isfinite(fall), fall, np.inf)


def converged(fall: np.ndarray, name: str) -> Criterion:
    """Whether models `[S, ...]` are at a minimum: their largest mean fall over seeds is small."""
    return largest_at_most(fall, CONVERGED, f"fall of J over the last tenth, {name}")
