"""Training one run: the grid, what is stored of it, and where it comes from."""

import dataclasses
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aesparse.errors import InputError
from experiments.pipeline.deadline import Deadline, TimedCheckpoints
from experiments.pipeline.provenance import provenance
from experiments.pipeline.spec import GridSpec
from experiments.pipeline.stored import signed_bytes

__all__ = ["SeedGrid", "failed", "flagged_epoch", "labelled", "train", "train_together"]

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 50
_FILTERS = 8  # rows kept of the first, the middle and the last strength of seed 0, for the report


def train(spec: GridSpec, dataset, on_epoch, baseline=None, checkpoints: Path | None = None):
    """Trains the run of `spec` on a loaded `aesparse.data.Dataset`; returns an xarray.Dataset.

    With the stored `baseline` run, also measures the activation fraction of the trained rows
    under biases that give every unit the baseline's E[a_j] (A8's other number). `checkpoints`
    is the folder in which an interrupted training is found again.
    """
    return train_together((spec,), dataset, on_epoch, (baseline,), checkpoints)[0]


def train_together(
    specs: Sequence[GridSpec],
    dataset,
    on_epoch,
    baselines: Sequence | None = None,
    checkpoints: Path | None = None,
    deadline: Deadline | None = None,
) -> list:
    """Trains runs that differ in their seed alone in one program; see `train`.

    The numbers of each are those of training it by itself, to rounding: the order of sums may
    depend on how many models there are. Returns an xarray.Dataset per spec.
    With a `deadline`, raises `OutOfTimeError` after a checkpoint once it has passed.
    """
    import jax

    import aesparse as ae

    begin, spec = time.perf_counter(), specs[0]
    if {s._replace(seed=spec.seed) for s in specs} != {spec} or len(set(specs)) < len(specs):
        raise InputError(
            f"The runs {', '.join(s.key for s in specs)} are asked for in one program; expected "
            "specs that differ in their seed alone."
        )
    parents = provenance(dataset.train) | {"matmul_precision": spec.matmul_precision}
    scaler = ae.data.standardize(dataset.train, spec.epsilon)
    X = scaler(dataset.train)
    saved = None
    if checkpoints is not None:
        saved = _checkpoints(checkpoints, specs, parents, deadline or Deadline())
    at_once, precision = spec.cells_per_program, spec.matmul_precision
    objective = ae.get_objective(spec.objective)
    result = ae.fit(
        X,
        ae.OneLayer(spec.hidden, spec.activation),
        objective,
        sweep=dict.fromkeys(objective.coefficients, spec.strengths)
        | {"seed": [s.seed for s in specs]},
        optimizer=ae.sgd(spec.learning_rate, spec.momentum),
        constraint=spec.constraint,
        measure={
            "metrics": ae.metrics.activation_statistics,
            "theorem1": ae.metrics.theorem1_ratio,
        },
        key=jax.random.key(0),
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        models_per_program=None if at_once is None else at_once * len(specs),
        matmul_precision=precision,
        on_epoch=on_epoch,
        checkpoints=saved,
    )
    measured = {
        "units": result.measure(X, ae.metrics.unit_statistics, precision=precision),
        "heldout": result.measure(
            scaler(dataset.heldout), ae.metrics.activation_statistics, precision=precision
        ),
    }
    grids = [_of_seed(result, measured, i) for i in range(len(specs))]
    runs = [labelled(s, grid) for s, grid in zip(specs, grids, strict=True)]
    for run, grid, s, baseline in zip(runs, grids, specs, baselines or (), strict=False):
        if baseline is not None and "baseline_preactivation_mean" in baseline:
            shift = baseline["baseline_preactivation_mean"].values - grid.units.mean
            fraction = _fraction_after(shift, result.select(seed=s.seed), X, precision)
            run["matched_activation_fraction"] = ("strength", fraction)
    interrupted = saved.history if saved else []
    earlier = sum(attempt["seconds"] for attempt in interrupted)
    parents |= {
        "wall_seconds": round((time.perf_counter() - begin + earlier) / len(specs), 2),
        "interrupted": interrupted,
        "guard_difference": result.guard,
    }
    if len(specs) > 1:
        parents["trained_together"] = len(specs)  # wall_seconds is this run's share
    return [
        run.assign_attrs(
            spec=s.json,
            provenance=json.dumps(
                parents
                | {"flagged_strengths": run["strength"].values[run["flagged_epoch"] >= 0].tolist()},
                sort_keys=True,
            ),
        )
        for s, run in zip(specs, runs, strict=True)
    ]


def _of_seed(result, measured: dict, i: int) -> "SeedGrid":
    """The i-th seed's models; those of an objective without coefficients as one strength."""
    import jax

    swept = len(result.axes) > 1
    parts = (
        result.params,
        result.losses,
        result.history["metrics"],
        result.history["theorem1"],
        result.final["metrics"],
        measured["units"],
        measured["heldout"],
        result.diverged_epoch,
    )
    return SeedGrid(*jax.tree.map(lambda leaf: leaf[:, i] if swept else leaf[i : i + 1], parts))


def _fraction_after(shift: np.ndarray, result, X: np.ndarray, precision: str) -> np.ndarray:
    """The activation fraction on X of a result's models with biases shifted by `[G, m]`; `[G]`."""
    from aesparse.metrics import activation_statistics

    params = result.params._replace(bias=result.params.bias + shift)
    moved = dataclasses.replace(result, params=params)
    return moved.measure(X, activation_statistics, precision=precision).activation_fraction


def _warn_of_other_code(spec: GridSpec, interrupted: list[dict], revision: str) -> None:
    others = {attempt["revision"] for attempt in interrupted} - {revision}
    if others:
        print(
            f"Warning: {spec.key} was begun by revision {', '.join(sorted(others))} and goes on "
            f"with {revision}; if the code between them changed its numbers, use --recompute.",
            file=sys.stderr,
        )


def _checkpoints(folder: Path, specs: Sequence[GridSpec], parents: dict, deadline: Deadline):
    """The checkpoints of this training on this data and this machine."""
    spec = specs[0]
    same = ("data_sha256", "device", "devices", "platform", "jax", "jaxlib")
    identity = json.loads(spec.json) | {name: parents[name] for name in same}
    if len(specs) > 1:
        identity["seed"] = [s.seed for s in specs]
    return TimedCheckpoints(
        folder,
        json.dumps(identity, sort_keys=True),
        deadline=deadline,
        about={"revision": parents["revision"]},
        on_damage=lambda sentence: print(f"Warning: {sentence}", file=sys.stderr),
        on_resume=lambda attempts: _warn_of_other_code(spec, attempts, parents["revision"]),
    )


class SeedGrid(NamedTuple):
    """The trained models of one seed and what was measured of them, NumPy arrays `[G, ...]`."""

    params: Any
    losses: Mapping[str, np.ndarray]  # [G, E]
    history: Any  # `metrics.Metrics`, [G, E + 1]
    theorem1: Any  # `metrics.Theorem1Ratio`, [G, E + 1]
    final: Any  # `metrics.Metrics` on all of the data, as are the next
    units: Any  # `metrics.UnitStatistics`, [G, m]
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


def _filters(weight: np.ndarray, active: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Some rows of some models as signed bytes, from the seldom to the often active unit."""
    models = sorted({0, len(weight) // 2, len(weight) - 1})
    ranks = np.linspace(0, weight.shape[1] - 1, _FILTERS).astype(int)
    rows = np.stack([weight[k, np.argsort(active[k], kind="stable")[ranks]] for k in models])
    return models, signed_bytes(rows)
