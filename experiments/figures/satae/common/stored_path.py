"""What is stored of a path: numbers at every α, filters at some.

Shapes: S seeds, G models of a seed (path, control), m hidden units, n inputs, K stages. A filter is
a decoder column.
"""

from collections.abc import Sequence

import numpy as np

from aesparse import filters
from experiments.figures.satae.common.panels import ALPHAS, Panel, panel_of
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

__all__ = ["TILES", "followed", "pictures", "stage_numbers", "stored"]

TILES = 25  # filters stored of the path and of its control, at each α shown
_WINDOWS = (7, 8)
_FITTED = (12, 12, 1)  # the shape of filters to which Gabor functions are fitted


def _of_a_stage(trained, x) -> dict:
    """Of one model: what needs all samples, or its gradient.

    A pre-activation is flat where the activation's slope is 0: a silent shrink unit, a
    saturated-linear one at or beyond ±T. A silent unit is flat on all samples.
    """
    import jax.numpy as jnp

    from aesparse.losses.saturation import saturation
    from aesparse.models.forward import forward
    from aesparse.models.one_layer import decoder_matrix

    clean = forward(trained.model, trained.params, x)
    flat = clean.activation.slope(clean.preactivation) == 0
    lengths = jnp.sum(decoder_matrix(trained.params) ** 2, axis=0)
    return {
        "flat": jnp.mean(flat),
        "silent_units": jnp.mean(jnp.all(flat, axis=0)),
        "saturation": saturation(clean, None),
        "share": jnp.mean(clean.code**2, axis=0) * lengths,
    }


def columns(result) -> np.ndarray:
    """The filters of all models of a stage, `[S, G, m, n]`."""
    params = result.params
    return np.asarray(params.weight if params.decoder is None else params.decoder.swapaxes(-1, -2))


def stage_numbers(result, X: np.ndarray, shape: Sequence[int]) -> dict[str, np.ndarray]:
    """The numbers of a stage, `[S, G]`; the units' shares of the reconstruction, `[S, G, m]`.

    Means of the participation ratio and medians of all else over filters; the share of a unit is
    E h_j² ‖D_j‖², over the data. Correlation and selectivity are those of grey images.
    """
    import jax.numpy as jnp

    numbers = result.measure(X, _of_a_stage)
    numbers |= {n: getattr(result.final, n) for n in ("reconstruction", "row_length_mean")}
    each = columns(result)
    rows, ahead, shape = each.reshape(-1, each.shape[-1]), each.shape[:3], tuple(shape)
    numbers["participation"] = np.mean(filters.participation_ratio(jnp.asarray(each)), axis=-1)
    medians = {"peak_share": filters.peak_share(rows, shape)}
    for window in _WINDOWS:
        if window <= min(shape[:2]):
            medians[f"win{window}"] = filters.windowed_energy(rows, shape, window)
    if shape[2] == 1:
        medians["neighbour_correlation"] = filters.neighbour_correlation(rows, shape)
        medians["orientation_selectivity"] = filters.orientation_selectivity(rows, shape)
    numbers |= {n: np.median(np.reshape(v, ahead), axis=-1) for n, v in medians.items()}
    return {name: np.asarray(values, np.float32) for name, values in numbers.items()}


def pictures(panel: Panel, drawn: list, shares: np.ndarray) -> dict:
    """Filters of the first seed as signed bytes: at the α shown, and two followed along α.

    `drawn`: (α, result) of stages; the units are those with the largest `shares` `[m]`.
    """
    units = np.argsort(-shares, kind="stable")[:TILES]
    tiles = np.stack([columns(r)[0][:, units] for alpha, r in drawn if alpha in panel.shown])
    stored = {"tile": (("shown", "run", "unit", "input"), signed_bytes(tiles))}
    if panel.tied:
        along = np.stack([columns(result)[0] for _, result in drawn])
        two = along[:, :, list(followed(along[:, 0]))].transpose(2, 1, 0, 3)
        stored["followed"] = (("which", "run", "stage", "input"), signed_bytes(two))
    return stored


def stored(study: Study, X: np.ndarray, numbers: list[dict], results: list, shape: Sequence[int]):
    """The xarray.Dataset of a path from the numbers of all stages and the results kept.

    `results`: (α, result) of the stages shown, of all stages where filters are followed.
    """
    import xarray as xr

    panel = panel_of(study)
    shares = numbers[-1]["share"][0, 0]
    curves = {
        name: (("seed", "run", "stage"), np.stack([n[name] for n in numbers], axis=-1))
        for name in numbers[0]
        if name != "share"
    }
    run = xr.Dataset(curves | pictures(panel, results, shares))
    if tuple(shape) == _FITTED:
        run["gabor_r2"] = (("seed", "run"), _gabor(columns(results[-1][1]), tuple(shape)))
    rate = panel.rate / panel.divisor
    return run.assign(rate=rate, inputs=X.shape[1]).assign_attrs(shape=tuple(shape))


def _gabor(each: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Median over filters of R² of the best Gabor function, `[S, G]`."""
    fit = filters.gabor_fit(each.reshape(-1, each.shape[-1]), shape)
    return np.median(np.reshape(fit.r_squared, each.shape[:3]), axis=-1).astype(np.float32)


def followed(along: np.ndarray) -> tuple[int, int]:
    """The two units of `[K, m, n]` that Figure 5 follows, chosen by its words.

    "An element from the identity basis transforms to a localized edge": of the half of the units
    that is the more local at α = 0.5, the one whose direction turns most from α = 0.1 to 0.5. "A
    localized edge transforms to a template": of the others of that half, the one whose
    participation ratio grows most from α = 0.5 to 1.
    """
    import jax.numpy as jnp

    first, middle, last = (along[ALPHAS.index(alpha)] for alpha in (0.1, 0.5, 1.0))
    spread, at_end = np.asarray(filters.participation_ratio(jnp.stack([middle, last])))
    local = spread <= np.median(spread)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(middle, axis=-1)
    turned = np.where(local, 1 - np.abs(np.sum(first * middle, axis=-1)) / lengths, -1)
    edge = int(np.argmax(turned))
    grown = np.where(local, at_end / spread, -1)
    grown[edge] = -1
    return edge, int(np.argmax(grown))
