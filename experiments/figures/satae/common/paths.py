"""Saturating auto-encoders along growing penalties, and what is kept of them (SATAE section 4).

Shapes: S seeds, m hidden units, n inputs; a path's study says its options by name.
"""

import contextlib
import functools

import numpy as np

from aesparse.errors import InputError
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

__all__ = [
    "follow",
    "identity_numbers",
    "normalized",
    "scaled_identity",
    "tracked",
    "trainer",
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
    from aesparse.models.activations import get_activation

    params, loss = scaled_identity(X), jax.jit(saturating(get_activation("saturated-linear")))
    blocks = np.array_split(X, -(-len(X) // 2_000))
    parts = [loss(params, block, block, np.float32(1))[1] for block in blocks]
    found = {
        name: np.average([float(p[name]) for p in parts], weights=list(map(len, blocks)))
        for name in ("reconstruction", "saturation")
    }
    return xr.Dataset(found | {"units": len(params.weight), "half_gap": float(np.ptp(X)) / 2})


class _LostError(Exception):
    """A learning rate at which a model is lost."""


def _stop_if_lost(epoch: int, metrics) -> None:
    from aesparse.metrics import flagged

    if np.asarray(flagged(metrics)).any():
        raise _LostError(f"a model is lost after {epoch} epochs")


def follow(study: Study, X: np.ndarray):
    """Trains stage after stage, each from the parameters of the one before.

    Returns an xarray.Dataset over (seed, arm, stage); arm 0 follows the study's α, arm 1 (where
    there is a control) has as many updates on the same batches at α = 0.
    """
    import xarray as xr

    rate, stages = _at_largest_rate(study, trainer(study, X))
    measured = [stage_statistics(study, stage, X) for stage in stages]
    run = xr.Dataset(
        {
            name: (("seed", "arm", "stage"), np.stack([m[name] for m in measured], axis=-1))
            for name in measured[0]
        }
    )
    return run.assign(_pictures(study, stages) | {"rate": rate, "inputs": X.shape[1]})


def _at_largest_rate(study: Study, train):
    """The largest rate at which no model of the path is lost, and its stages."""
    for rate in study.option("rates"):
        with contextlib.suppress(_LostError):
            return rate, list(train(rate))
    raise InputError(
        f"The models on '{study.dataset}' diverge at every learning rate of "
        f"{study.option('rates')}; give the figure's own command a smaller --learning-rate."
    )


def trainer(study: Study, X: np.ndarray):
    """`train(rate)` yields the stages; one compiled program for all stages and rates."""
    import jax

    from aesparse.losses.objectives import saturating
    from aesparse.training.continuation import fit_path

    objective = saturating(_activation(study))
    same = {n: study.option(n) for n in ("hidden", "epochs", "batch_size", "constraint")}

    def train(rate: float):
        return fit_path(
            jax.random.key(0),
            X,
            objective=objective,
            path=[[alpha] + [0.0] * study.option("control") for alpha in study.option("alphas")],
            seeds=range(study.option("seeds")),
            tied=study.option("constraint") == "free",
            decoder_bias=True,
            learning_rate=rate,
            momentum=0.0,
            history_samples=min(500, len(X)),
            on_epoch=_stop_if_lost,
            **same,
        )

    return train


def _activation(study: Study):
    from aesparse.models.activations import get_activation, shrink

    width = study.option("width")
    return shrink(width) if width else get_activation(study.option("nonlinearity"))


@functools.cache
def _measure(activation):
    """Mean participation ratio of the decoder's columns, share of flat pre-activations, penalty.

    A pre-activation is flat where the activation's slope is 0: a silent shrink unit, a
    saturated-linear one at or beyond ±1.
    """
    import jax
    import jax.numpy as jnp

    from aesparse.losses.saturation import saturation
    from aesparse.metrics import participation_ratio
    from aesparse.models.one_layer import decoder_matrix, forward, preactivation

    def one(params, x):
        return {
            "participation": jnp.mean(participation_ratio(decoder_matrix(params).T)),
            "flat": jnp.mean(activation.slope(preactivation(params, x)) == 0),
            "saturation": saturation(forward(params, x, activation), None),
        }

    cells = jax.vmap(jax.vmap(one, in_axes=(0, None)), in_axes=(0, None))
    return jax.jit(cells)


def stage_statistics(study: Study, stage, X: np.ndarray) -> dict[str, np.ndarray]:
    """What is kept of a stage, per seed for the path and its control; means over units."""
    found = _measure(_activation(study))(stage.params, X)
    found |= {n: getattr(stage.metrics, n) for n in ("reconstruction", "row_length_mean")}
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def _pictures(study: Study, stages: list) -> dict:
    """Decoder columns of seed 0 as signed bytes: some at two α, tracked ones at all α."""
    import jax
    import jax.numpy as jnp

    from aesparse.models.one_layer import decoder_matrix

    def columns(stage) -> np.ndarray:
        first = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0, 0], stage.params)
        return np.asarray(decoder_matrix(first)).T

    at = [study.option("alphas").index(alpha) for alpha in study.option("shown")]
    tiles = np.stack([columns(stages[i])[: study.option("tiles")] for i in at])
    found = {"tile": (("alpha", "shown", "input"), signed_bytes(tiles))}
    if study.option("tracked"):
        along = np.stack([columns(stage) for stage in stages])
        found["tracked"] = (("unit", "stage", "input"), signed_bytes(tracked(along)))
    return found


def tracked(along: np.ndarray) -> np.ndarray:
    """Two units of `[stages, m, n]`, as `[2, stages, n]`.

    The most local one at the first α above 0, and of the others the one whose direction turns
    most over the last five steps.
    """
    import jax.numpy as jnp

    from aesparse.metrics import participation_ratio

    local = int(np.argmin(participation_ratio(jnp.asarray(along[1]))))
    unit = along / np.linalg.norm(along, axis=-1, keepdims=True)
    cosine = np.abs(np.sum(unit[-6] * unit[-1], axis=-1))
    cosine[local] = np.inf
    return along[:, [local, int(np.argmin(cosine))]].swapaxes(0, 1)
