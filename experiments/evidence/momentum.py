"""A1's momentum artefact: what rescaled rows leave of a radial gradient in the momentum.

The gradients of CAE and mDAE with ReLU point along the rows. Where rows are only rescaled, that
gradient shortens a row and is stored; as the row turns, the stored part acts along the turn, which
feeds back V = c η λ p/(1 − μ) of itself: the momentum μ acts as μ/(1 − V).
"""

from collections.abc import Mapping

import numpy as np

from experiments.evidence.curves import Curve, of_curve

__all__ = ["COUNTED", "RADIAL", "counted", "effective", "feedback"]

RADIAL = {"cae": 2, "mdae": 4}  # c: the gradient of s'²‖W‖² and s'²‖W‖⁴ along a unit row, by s'²
COUNTED = 0.92  # models with a larger μ/(1 − V) decide nothing


def feedback(runs: Mapping, curve: Curve) -> np.ndarray:
    """V of every model of a curve of CAE or mDAE, `[S, G]`.

    p is the largest share of active units at any recorded epoch: an artefact may have lowered that
    after training. NaN where no epoch has a finite one.
    """
    from aesparse.training.optimizers import radial_feedback

    history = of_curve(runs, curve, "history_activation_fraction")
    active = np.max(history, axis=-1, initial=-np.inf, where=np.isfinite(history))
    pull = RADIAL[curve.objective] * curve.strengths * np.where(np.isfinite(active), active, np.nan)
    of_turn = radial_feedback(pull, learning_rate=curve.learning_rate, momentum=curve.momentum)
    return (1 - curve.momentum) * of_turn


def effective(curve: Curve, v: np.ndarray) -> np.ndarray:
    """The momentum that acts, μ/(1 − V), `[S, G]`; infinite where a turn grows, 0 if μ is."""
    if curve.momentum == 0:
        return np.zeros_like(v)
    return np.where(v < 1, curve.momentum / (1 - np.minimum(v, 1 - 1e-12)), np.inf)


def counted(runs: Mapping, curve: Curve) -> Curve:
    """The curve of the models that decide: those of the others have no fraction."""
    away = effective(curve, feedback(runs, curve)) > COUNTED
    return curve._replace(
        fraction=np.where(away, np.nan, curve.fraction), flagged=curve.flagged & ~away
    )
