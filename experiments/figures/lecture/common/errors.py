"""Errors over epochs on training, validation and held-out samples, and what is read from them.

Shapes: S seeds, K strengths, E epochs.
"""

import numpy as np

from experiments.figures.lecture.common.training import train
from experiments.pipeline.contents import failed
from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import Study

__all__ = ["errors_over_epochs", "lowest", "stopped"]


def errors_over_epochs(study: Study, dataset, objective, *, tied: bool, every: int):
    """Errors `[S, E]` of models of all seeds, before training and `every` few epochs.

    With several strengths, at the one that has the lowest final validation error in the models of
    seed 0 (`chosen` is its place), whose final errors at every strength are `grid_<part> [K]`. The
    data is standardized by its training samples. The two halves of the held-out samples are called
    "validation" and "heldout". NaN throughout for a model that diverged or collapsed.
    """
    import xarray as xr

    from aesparse.data import standardize

    half, strengths = study.option("half"), study.option("strengths")
    scale = standardize(dataset.train, DATA[study.dataset].epsilon)
    parts = {
        "train": dataset.train,
        "validation": dataset.heldout[:half],
        "heldout": dataset.heldout[half : 2 * half],
    }
    parts = {name: np.asarray(scale(part), np.float32) for name, part in parts.items()}
    epochs = range(0, study.option("epochs") + 1, every)
    common = study, parts, objective, tied, epochs
    seeds = list(range(study.option("seeds")))
    alone = seeds if len(strengths) == 1 else seeds[:1]  # the seeds trained at every strength
    models = [_trained(*common, alone, strengths)]
    chosen = lowest(models[0]["validation"][0, :, -1])
    variables = {"chosen": chosen} | {
        f"grid_{name}": ("strength", models[0][name][0, :, -1]) for name in parts
    }
    models[0] = {name: errors[:, chosen : chosen + 1] for name, errors in models[0].items()}
    if rest := seeds[len(alone) :]:
        models.append(_trained(*common, rest, strengths[chosen : chosen + 1]))
    for name in parts:
        errors = np.concatenate([each[name][:, 0] for each in models])
        variables[name] = (("seed", "epoch"), errors)
    return xr.Dataset(variables, {"epoch": list(epochs), "strength": list(strengths)})


def _trained(study, parts, objective, tied, epochs, seeds, strengths) -> dict[str, np.ndarray]:
    """Errors `[S, K, E]` by part."""
    from aesparse.metrics import activation_statistics

    result = train(
        study,
        parts["train"],
        "relu",
        objective,
        strengths,
        seeds=seeds,
        tied=tied,
        history_epochs=epochs,
        history_samples=len(parts["train"]),
        measure={name: _Error(rows) for name, rows in parts.items()}
        | {"units": activation_statistics},
    )
    bad = failed(result.final["units"], result.diverged_epoch)[..., None]
    return {name: np.where(bad, np.nan, result.history[name]) for name in parts}


class _Error:
    """Mean squared reconstruction error on given rows, as a measurement."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __call__(self, trained, x):
        import jax.numpy as jnp

        from aesparse.losses.reconstruction import reconstruction_error

        del x
        rows = jnp.asarray(self.rows)
        return reconstruction_error(trained.model, trained.params, rows, rows)


def lowest(errors: np.ndarray) -> int:
    """The place of the smallest finite error `[K]`; the first one where none is finite."""
    return int(np.argmin(np.where(np.isfinite(errors), errors, np.inf)))


def stopped(errors: dict[str, np.ndarray]) -> np.ndarray:
    """Held-out error `[S]` after the epoch at which each seed's validation error is lowest.

    `errors` has "validation" and "heldout" `[S, E]`.
    """
    at = np.argmin(errors["validation"], axis=1)
    return np.take_along_axis(errors["heldout"], at[:, None], axis=1)[:, 0]
