"""Training one run: the grid, what is stored of it, and where it comes from."""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aesparse.errors import InputError
from experiments.pipeline.contents import SeedGrid, labelled
from experiments.pipeline.deadline import Deadline, TimedCheckpoints
from experiments.pipeline.provenance import provenance
from experiments.pipeline.spec import GridSpec

__all__ = ["train", "train_together"]


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
        "codes": result.measure(X, ae.metrics.code_sizes, precision=precision),
        "pushed_down": result.measure(X, ae.metrics.pushed_down, precision=precision),
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


def _of_seed(result, measured: dict, i: int) -> SeedGrid:
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
        measured["codes"],
        measured["pushed_down"],
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
