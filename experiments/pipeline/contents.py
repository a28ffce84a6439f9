"""What is stored of a trained grid of one seed: named variables and their dimensions."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.pipeline.spec import GridSpec
from experiments.pipeline.stored import signed_bytes

__all__ = ["SeedGrid", "failed", "flagged_epoch", "labelled"]

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 50
_FILTERS = 8  # rows kept of the first, the middle and the last strength of seed 0, for the report
_RARELY = (0.001, 0.3)  # a unit is rarely active on a share of the samples between these, included


class SeedGrid(NamedTuple):
    """The trained models of one seed and what was measured of them, NumPy arrays `[G, ...]`."""

    params: Any
    losses: Mapping[str, np.ndarray]  # [G, E]
    history: Any  # `metrics.Metrics`, [G, E + 1]
    theorem1: Any  # `metrics.Theorem1Ratio`, [G, E + 1]
    final: Any  # `metrics.Metrics` on all of the data, as are the next
    units: Any  # `metrics.UnitStatistics`, [G, m]
    codes: Any  # `metrics.CodeSizes`, [G, m]
    pushed_down: np.ndarray  # share of units, [G]
    heldout: Any  # `metrics.Metrics` on held-out data
    diverged_epoch: np.ndarray  # as in `aesparse.Result`


def flagged_epoch(grid: SeedGrid) -> np.ndarray:
    """The first epoch at which a model that ends diverged or collapsed was so; −1 for others.

    Returns int32 `[G]`.
    """
    from aesparse.metrics import collapsed, diverged

    bad = np.array(diverged(grid.history) | collapsed(grid.history))
    not_finite = grid.diverged_epoch >= 0
    bad[not_finite, grid.diverged_epoch[not_finite]] = True
    first = np.where(bad.any(axis=-1), bad.argmax(axis=-1), bad.shape[-1] - 1)
    return np.where(failed(grid.final, grid.diverged_epoch), first, -1).astype(np.int32)


def failed(final, diverged_epoch: np.ndarray) -> np.ndarray:
    """Which models ended diverged or collapsed, by their `metrics.Metrics`; arrays of one shape."""
    from aesparse.metrics import collapsed, diverged

    return np.asarray(diverged(final) | collapsed(final)) | (diverged_epoch >= 0)


def labelled(spec: GridSpec, grid: SeedGrid):
    """What is stored of a trained grid of one seed, as an xarray.Dataset of named dimensions."""
    import xarray as xr

    variables = {}
    for name, values in grid.history._asdict().items():
        variables[f"history_{name}"] = (("strength", "epoch"), values)
    for name, values in grid.theorem1._asdict().items():
        variables[f"history_pressure_{name}"] = (("strength", "epoch"), values)
    for name, values in grid.losses.items():
        variables[f"loss_{name}"] = (("strength", "trained_epoch"), values)
    for name, values in grid.final._asdict().items():
        variables[name] = ("strength", values)
    variables["heldout_reconstruction"] = ("strength", grid.heldout.reconstruction)
    variables["flagged_epoch"] = ("strength", flagged_epoch(grid))
    variables |= {name: ("strength", v) for name, v in _over_units(spec, grid).items()}
    per_unit = {
        "active": grid.units.active,
        "preactivation_mean": grid.units.mean,
        "preactivation_variance": grid.units.variance,
        "bias": grid.params.bias,
        "row_length": np.linalg.norm(grid.params.weight, axis=-1),
    }
    for name, values in per_unit.items():
        with np.errstate(invalid="ignore"):  # a diverged model's are infinite
            quantiles = np.quantile(values, _QUANTILES, axis=-1).T
        variables[f"unit_{name}"] = (("strength", "quantile"), quantiles.astype(np.float32))
    if spec.baseline == spec:
        # Units of one seed start as the same rows: the others are compared unit by unit.
        variables["baseline_preactivation_mean"] = (("strength", "unit"), grid.units.mean)
    if spec.seed == 0:
        shown, pixels = _filters(grid.params.weight, grid.units.active)
        variables["filter_strength"] = ("shown", np.array(spec.strengths)[shown])
        variables["filters"] = (("shown", "filter", "input"), pixels)
    edges = np.linspace(0, 1, _BINS + 1)
    counts = [np.histogram(row, edges)[0] for row in grid.units.active]
    variables["unit_active_histogram"] = (("strength", "bin"), np.array(counts, np.int32))
    coordinates = {
        "strength": np.array(spec.strengths),
        "epoch": np.arange(spec.epochs + 1),
        "trained_epoch": np.arange(1, spec.epochs + 1),
        "quantile": np.array(_QUANTILES),
        "bin": edges[:-1],
    }
    return xr.Dataset(variables, coordinates)


def _over_units(spec: GridSpec, grid: SeedGrid) -> dict[str, np.ndarray]:
    """Means and shares over the units of each model; `[G]`."""
    import jax

    from aesparse.models.activations import get_activation
    from aesparse.theory.properties import activation_threshold

    with jax.enable_x64(True):
        a_min = float(activation_threshold(get_activation(spec.activation)))
    units, codes = grid.units, grid.codes
    with np.errstate(invalid="ignore", divide="ignore"):  # of diverged models, and of constant a_j
        deviation = np.sqrt(units.variance.astype(float))
        gap = (units.mean - a_min) / deviation
    low, high = _RARELY
    return {
        "preactivation_deviation": deviation.mean(axis=-1),
        "threshold_distance": gap.mean(axis=-1),  # of E[a_j] from a_min, in deviations of a_j
        "rarely_active": np.mean((units.active >= low) & (units.active <= high), axis=-1),
        "pushed_down": grid.pushed_down,  # share of units with ∂R/∂b_j > 0
        "code_mean": codes.mean.mean(axis=-1),
        "code_small": codes.small.mean(axis=-1),
    }


def _filters(weight: np.ndarray, active: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Some rows of some models as signed bytes, from the seldom to the often active unit."""
    models = sorted({0, len(weight) // 2, len(weight) - 1})
    ranks = np.linspace(0, weight.shape[1] - 1, _FILTERS).astype(int)
    rows = np.stack([weight[k, np.argsort(active[k], kind="stable")[ranks]] for k in models])
    return models, signed_bytes(rows)
