"""Saturating auto-encoders along growing penalties, and what is stored of them (SATAE section 4).

Shapes: S seeds, m hidden units, n inputs; a path's study says its options by name.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from aesparse.errors import InputError
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

__all__ = [
    "follow",
    "identity_numbers",
    "normalized",
    "scaled_identity",
    "stage_statistics",
    "stages",
    "tracked",
    "train_at",
]


def normalized(train: np.ndarray, *, binary: bool) -> np.ndarray:
    """(x − mean)/std with the mean and the std over all pixels of the data set (section 4).

    Two numbers rather than two per pixel: a pixel that never changes has no std, and binary
    data keeps two values. `binary` makes the pixels 0 and 1 first.
    """
    pixels = (train > 0.5 if binary else train).astype(np.float64)
    return ((pixels - pixels.mean()) / pixels.std()).astype(np.float32)


def scaled_identity(X: np.ndarray):
    """S4's solution for data of two values: tied weights c·e_i for every input i that varies.

    c is half the gap between the values; the pre-activations are ±c² around the middle, all in
    the flat parts where c >= 1, and ±c come back.
    """
    from aesparse.models.one_layer import Params

    low, high = X.min(), X.max()
    varies, half, middle = X.max(axis=0) > X.min(axis=0), (high - low) / 2, (high + low) / 2
    weight = half * np.eye(X.shape[1], dtype=X.dtype)[varies]
    bias = np.full(len(weight), -half * middle, X.dtype)
    return Params(weight, bias, decoder_bias=np.where(varies, middle, X[0]))


def identity_numbers(X: np.ndarray):
    """Loss and penalty of the scaled identity per sample, its units, half the gap of the data."""
    import jax
    import xarray as xr

    from aesparse.losses.objectives import saturating
    from aesparse.models.one_layer import OneLayer

    params = scaled_identity(X)
    loss = jax.jit(functools.partial(saturating(), OneLayer.of(params, "saturated-linear")))
    blocks = np.array_split(X, -(-len(X) // 2_000))
    one = {"strength": np.float32(1)}
    parts = [loss(params, block, block, one)[1] for block in blocks]
    means = {
        name: np.average([float(p[name]) for p in parts], weights=list(map(len, blocks)))
        for name in ("reconstruction", "saturation")
    }
    return xr.Dataset(means | {"units": len(params.weight), "half_gap": float(np.ptp(X)) / 2})


class _FailedError(Exception):
    """A learning rate at which a model diverges or collapses."""


def _stop_if_failed(epoch: int, metrics) -> None:
    from aesparse.metrics import collapsed, diverged

    if np.asarray(diverged(metrics) | collapsed(metrics)).any():
        raise _FailedError(f"a model diverged or collapsed by epoch {epoch}")


def stages(X: np.ndarray, model, *, path, seeds: Sequence[int], **options) -> Iterator:
    """Trains saturating models stage after stage, each from where the one before ended.

    A strong penalty from the start may leave units where no gradient reaches them (section 4).
    `path` has the α of every stage and model, `[K, G]`; the result of each stage is a
    `aesparse.Result` over seed and strength, `[S, G]`, with batches and noise of its own.
    `options` are further ones of `aesparse.fit`. `InputError` unless the strengths grow: none may
    fall from a stage to the next, and one at least must rise.
    """
    path = np.array(path, float)
    steps = np.diff(path, axis=0)
    bad = np.flatnonzero((steps < 0).any(axis=1) | ~(steps > 0).any(axis=1))
    if len(bad):
        raise InputError(
            f"The path goes from {path[bad[0]]} to {path[bad[0] + 1]}; expected strengths that "
            "grow from stage to stage. Sort them and leave out repetitions."
        )
    return _stages(X, model, path, list(seeds), options)


def _stages(X: np.ndarray, model, path: np.ndarray, seeds: list[int], options: dict) -> Iterator:
    import jax

    import aesparse as ae

    result = None
    for i, strengths in enumerate(path):
        result = ae.fit(
            X,
            model,
            "satae",
            sweep={"seed": seeds, "strength": strengths},
            start=result,
            key=jax.random.fold_in(jax.random.key(0), i),
            **options,
        )
        yield result


def follow(study: Study, X: np.ndarray):
    """Trains stage after stage, each from the parameters of the one before.

    Returns an xarray.Dataset over (seed, arm, stage); arm 0 follows the study's α, arm 1 (where
    there is a control) has as many updates on the same batches at α = 0.
    """
    import xarray as xr

    rate, results = _at_largest_rate(study, X)
    measured = [stage_statistics(result, X) for result in results]
    run = xr.Dataset(
        {
            name: (("seed", "arm", "stage"), np.stack([m[name] for m in measured], axis=-1))
            for name in measured[0]
        }
    )
    return run.assign(_pictures(study, results) | {"rate": rate, "inputs": X.shape[1]})


def _at_largest_rate(study: Study, X: np.ndarray) -> tuple[float, list]:
    """The largest rate at which no model of the path fails, and the results of its stages."""
    for rate in study.option("rates"):
        with contextlib.suppress(_FailedError):
            return rate, list(train_at(study, X, rate, on_epoch=_stop_if_failed))
    raise InputError(
        f"The models on '{study.dataset}' diverge at every learning rate of "
        f"{study.option('rates')}; give the figure's own command a smaller --learning-rate."
    )


def train_at(study: Study, X: np.ndarray, rate: float, **options) -> Iterator:
    """The study's `stages` at one learning rate; all stages and rates share a program."""
    import aesparse as ae
    from aesparse.models.activations import shrink

    width, constraint = study.option("width"), study.option("constraint")
    model = ae.OneLayer(
        study.option("hidden"),
        shrink(width) if width else study.option("nonlinearity"),
        tied=constraint == "free",
        decoder_bias=True,
    )
    return stages(
        X,
        model,
        path=[[alpha] + [0.0] * study.option("control") for alpha in study.option("alphas")],
        seeds=range(study.option("seeds")),
        optimizer=ae.sgd(rate, momentum=0.0),
        constraint=constraint,
        epochs=study.option("epochs"),
        batch_size=study.option("batch_size"),
        history_samples=min(500, len(X)),
        **options,
    )


def _of_a_stage(trained, x) -> dict:
    """Mean participation ratio of the decoder's columns, share of flat pre-activations, penalty.

    A pre-activation is flat where the activation's slope is 0: a silent shrink unit, a
    saturated-linear one at or beyond ±1.
    """
    import jax.numpy as jnp

    from aesparse.filters import participation_ratio
    from aesparse.losses.saturation import saturation
    from aesparse.models.forward import forward
    from aesparse.models.one_layer import decoder_matrix

    clean = forward(trained.model, trained.params, x)
    return {
        "participation": jnp.mean(participation_ratio(decoder_matrix(trained.params).T)),
        "flat": jnp.mean(clean.activation.slope(clean.preactivation) == 0),
        "saturation": saturation(clean, None),
    }


def stage_statistics(result, X: np.ndarray) -> dict[str, np.ndarray]:
    """What is stored of a stage, per seed for the path and its control; means over units."""
    measured = result.measure(X, _of_a_stage)
    measured |= {n: getattr(result.final, n) for n in ("reconstruction", "row_length_mean")}
    return {name: np.asarray(values, np.float32) for name, values in measured.items()}


def _pictures(study: Study, results: list) -> dict:
    """Decoder columns of seed 0 as signed bytes: some at two α, tracked ones at all α."""
    import jax
    import jax.numpy as jnp

    from aesparse.models.one_layer import decoder_matrix

    def columns(result) -> np.ndarray:
        first = jax.tree.map(lambda leaf: jnp.asarray(leaf[0, 0]), result.params)
        return np.asarray(decoder_matrix(first)).T

    at = [study.option("alphas").index(alpha) for alpha in study.option("shown")]
    tiles = np.stack([columns(results[i])[: study.option("tiles")] for i in at])
    pictures = {"tile": (("alpha", "shown", "input"), signed_bytes(tiles))}
    if study.option("tracked"):
        along = np.stack([columns(result) for result in results])
        pictures["tracked"] = (("unit", "stage", "input"), signed_bytes(tracked(along)))
    return pictures


def tracked(along: np.ndarray) -> np.ndarray:
    """Two units of `[stages, m, n]`, as `[2, stages, n]`.

    The most local one at the first α above 0, and of the others the one whose direction turns
    most over the last five steps.
    """
    import jax.numpy as jnp

    from aesparse.filters import participation_ratio

    local = int(np.argmin(participation_ratio(jnp.asarray(along[1]))))
    unit = along / np.linalg.norm(along, axis=-1, keepdims=True)
    cosine = np.abs(np.sum(unit[-6] * unit[-1], axis=-1))
    cosine[local] = np.inf
    return along[:, [local, int(np.argmin(cosine))]].swapaxes(0, 1)
