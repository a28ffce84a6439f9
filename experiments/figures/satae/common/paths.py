"""Saturating auto-encoders along growing penalties (SATAE section 4).

Shapes: S seeds, G models of a seed (the path and, where there is one, its control), m hidden units,
n inputs.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from aesparse.errors import InputError
from experiments.figures.satae.common.panels import Panel, panel_of
from experiments.figures.satae.common.stored_path import stage_numbers, stored
from experiments.pipeline.spec import Study

__all__ = ["follow", "model_of", "stages", "start_of", "train"]


def stages(
    X: np.ndarray,
    model,
    *,
    path,
    seeds: Sequence[int],
    epochs: Sequence[int],
    start=None,
    **options,
) -> Iterator:
    """Trains saturating models stage after stage, each from where the one before ended.

    A strong penalty from the start may leave units where no gradient reaches them (section 4).
    `path` has the α of every stage and model, `[K, G]`, and `epochs` the epochs of every stage; the
    result of each stage is a `aesparse.Result` over seed and strength, `[S, G]`, with batches of
    its own. `start`: parameters `[S, G, ...]`, by default the model's own. `options` are further
    ones of `aesparse.fit`. `InputError` unless the strengths grow: none may fall from a stage to
    the next, and one at least must rise.
    """
    path = np.array(path, float)
    steps = np.diff(path, axis=0)
    bad = np.flatnonzero((steps < 0).any(axis=1) | ~(steps > 0).any(axis=1))
    if len(bad):
        raise InputError(
            f"The path goes from {path[bad[0]]} to {path[bad[0] + 1]}; expected strengths that "
            "grow from stage to stage. Sort them and leave out repetitions."
        )
    return _stages(X, model, path, list(seeds), epochs, start, options)


def _stages(X, model, path, seeds: list[int], epochs, start, options: dict) -> Iterator:
    import jax

    import aesparse as ae

    for i, (strengths, count) in enumerate(zip(path, epochs, strict=True)):
        start = ae.fit(
            X,
            model,
            "satae",
            sweep={"seed": seeds, "strength": strengths},
            start=start,
            key=jax.random.fold_in(jax.random.key(0), i),
            epochs=count,
            **options,
        )
        yield start


def model_of(panel: Panel):
    """The panel's model: section 4's nonlinearity, and a decoder bias."""
    import aesparse as ae
    from aesparse.models.activations import shrink

    activation = shrink(panel.width) if panel.activation == "shrink" else panel.activation
    return ae.OneLayer(panel.hidden, activation, tied=panel.tied, decoder_bias=True)


def start_of(panel: Panel, shape: Sequence[int], seeds: Sequence[int]):
    """The parameters `[S, G, ...]` that the panel's models start from; None for Glorot's.

    "copied": the encoder is the transpose of Glorot's decoder, whose columns have unit length.
    """
    import jax
    import jax.numpy as jnp

    from aesparse.models.constraints import as_constraint
    from aesparse.models.starts import bumps, copied_encoder

    model, inputs = model_of(panel), int(np.prod(shape))

    def one(seed: int):
        key = jax.random.fold_in(jax.random.key(0), seed)
        if panel.start == "bumps":
            return bumps(key, tuple(shape), panel.hidden, panel.sigma, tied=panel.tied)
        drawn = as_constraint(panel.constraint).project(model.init(key, inputs))
        return copied_encoder(drawn)

    if panel.start == "glorot":
        return None
    each = [one(seed) for seed in seeds]
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.stack(leaves)] * _models(panel), 1), *each)


def _models(panel: Panel) -> int:
    """How many models a seed has: the path and its control."""
    return 1 + panel.control


def train(study: Study, X: np.ndarray, shape: Sequence[int], **options) -> Iterator:
    """The stages of a panel's study; all of them share a program."""
    import aesparse as ae

    panel, alphas = panel_of(study), study.option("alphas")
    seeds = [int(seed) for seed in study.option("seeds")]
    controls = [0.0] * panel.control
    return stages(
        X,
        model_of(panel),
        path=[[panel.penalty * alpha, *controls] for alpha in alphas],
        seeds=seeds,
        epochs=[panel.first_epochs] + [panel.epochs] * (len(alphas) - 1),
        start=start_of(panel, shape, seeds),
        optimizer=ae.sgd(panel.rate / panel.divisor, momentum=0.0),
        constraint=panel.constraint,
        batch_size=panel.batch_size,
        history_epochs=[0],
        history_samples=min(500, len(X)),
        **options,
    )


def follow(study: Study, X: np.ndarray, shape: Sequence[int]):
    """Trains a panel's path and control; returns the xarray.Dataset that is stored of them.

    The numbers of a model that diverged are NaN, and those of all models after that stage, whose
    filters stay those of the last α trained.
    """
    panel, numbers, kept, trained = panel_of(study), [], [], train(study, X, shape)
    lost = np.array(False)
    for alpha in study.option("alphas"):
        if lost.any():
            numbers.append({name: np.full_like(v, np.nan) for name, v in numbers[-1].items()})
        else:
            result = next(trained)
            lost = result.diverged_epoch >= 0
            found = stage_numbers(result, X, shape)
            numbers.append({name: _where_not(lost, values) for name, values in found.items()})
        if panel.tied or alpha in panel.shown:
            kept.append((alpha, result))
    return stored(study, X, numbers, kept, shape)


def _where_not(lost: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values `[S, G, ...]`, NaN for the models that are lost `[S, G]`."""
    return np.where(np.reshape(lost, lost.shape + (1,) * (values.ndim - 2)), np.nan, values)
