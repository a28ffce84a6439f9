"""The audit's forecasts on pairs that it was calibrated on and on pairs held out, and training."""

import numpy as np

from experiments.figures.beyond.common import pairs
from experiments.figures.beyond.common.functions import activation_of, penalty_of
from experiments.figures.beyond.common.pairs import Pair
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

NAME = "audit-calibration"


def runs(plan: Plan) -> list[Study]:
    """One study per pair, in which it is trained, and one with the audit of all of them."""
    return [_training(pair) for pair in pairs.pairs()]


def _training(pair: Pair) -> Study:
    options = {name: getattr(pair, name) for name in Pair._fields if name != "part"} | {
        "shares": pairs.SHARES,
        "hidden": pairs.HIDDEN,
        "batch_size": pairs.BATCH,
        "epochs": pairs.EPOCHS,
        "learning_rate": pairs.DATA[pair.data][1],
        "momentum": pairs.MOMENTUM,
        "seeds": pairs.SEEDS,
    }
    return Study(NAME, options=tuple(options.items()), work=2e9)


def compute(study: Study, dataset):
    """Trains a pair, all strengths and seeds in one program."""
    import xarray as xr

    import aesparse as ae
    from aesparse.metrics import unit_statistics

    option = study.option
    make, rate = pairs.DATA[option("data")]
    result = ae.fit(
        make(),
        ae.OneLayer(option("hidden"), activation_of(option("activation"))),
        ae.objectives.regularized(penalty_of(option("penalty"))),
        sweep={
            "seed": range(option("seeds")),
            "strength": option("largest") * np.array(option("shares")),
        },
        optimizer=ae.sgd(rate, option("momentum")),
        constraint=option("constraint"),
        measure=unit_statistics,
        epochs=option("epochs"),
        batch_size=option("batch_size"),
        history_epochs=[0],
        check_compiled=False,  # it would take longer than the training, a hundred times
    )
    axes, units = ("seed", "strength"), result.final
    return xr.Dataset(
        {
            "fraction": (axes, units.active.mean(axis=-1)),
            "dead": (axes, (units.active == 0).mean(axis=-1)),
            "mean": (axes, units.mean.mean(axis=-1)),
            "spread": (axes, np.sqrt(units.variance).mean(axis=-1)),
            "diverged_epoch": (axes, result.diverged_epoch),
        }
    )
