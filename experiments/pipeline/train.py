"""Training one run: the grid, what is stored of it, and where it comes from."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aesparse.errors import InputError
from experiments.pipeline.deadline import Deadline, TimedCheckpoints
from experiments.pipeline.provenance import provenance
from experiments.pipeline.spec import GridSpec
from experiments.pipeline.stored import signed_bytes

__all__ = ["labelled", "train", "train_together"]

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
    activation = ae.activations.get_activation(spec.activation)
    objective = ae.objectives.get_objective(spec.objective, activation)
    saved = None
    if checkpoints is not None:
        saved = _checkpoints(checkpoints, specs, parents, deadline or Deadline())
    at_once = spec.cells_per_program
    result = ae.fit_grid(
        jax.random.key(0),
        X,
        objective=objective,
        strengths=spec.strengths,
        seeds=tuple(s.seed for s in specs),
        hidden=spec.hidden,
        constraint=spec.constraint,
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        learning_rate=spec.learning_rate,
        momentum=spec.momentum,
        cells_per_program=None if at_once is None else at_once * len(specs),
        matmul_precision=spec.matmul_precision,
        on_epoch=on_epoch,
        checkpoints=saved,
    )
    _, heldout = ae.measure_grid(
        result.params,
        scaler(dataset.heldout),
        objective,
        matmul_precision=spec.matmul_precision,
    )
    runs = [labelled(s, *_of_seed((result, heldout), i)) for i, s in enumerate(specs)]
    for i, baseline in enumerate(baselines or ()):
        if baseline is not None and "baseline_preactivation_mean" in baseline:
            one, _ = _of_seed((result, heldout), i)
            runs[i]["matched_activation_fraction"] = (
                "strength",
                _matched(one, baseline, X, objective, spec.matmul_precision),
            )
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
                | {
                    "flagged_strengths": [
                        float(strength)
                        for strength, epoch in zip(s.strengths, first, strict=True)
                        if epoch >= 0
                    ]
                },
                sort_keys=True,
            ),
        )
        for s, run, first in zip(specs, runs, result.flagged_epoch, strict=True)
    ]


def _of_seed(tree, i: int):
    """The i-th seed's part of results, as results of one seed."""
    import jax

    def part(leaf):
        return leaf if np.ndim(leaf) == 0 else np.asarray(leaf)[i : i + 1]

    return jax.tree.map(part, tree)


def _matched(result, baseline, X, objective, precision: str) -> np.ndarray:
    """The activation fraction under biases that give every unit the baseline's E[a_j]; [G]."""
    import aesparse as ae

    shift = baseline["baseline_preactivation_mean"].values[None] - result.units.mean
    moved = result.params._replace(bias=result.params.bias + shift)
    _, matched = ae.measure_grid(moved, X, objective, matmul_precision=precision)
    return np.asarray(matched.activation_fraction)[0]


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


def labelled(spec: GridSpec, result, heldout):
    """What is stored of a trained grid of one seed, as an xarray.Dataset of named dimensions.

    `result` is its `GridResult` (`[1, G, ...]`), `heldout` its metrics on held-out data.
    """
    import xarray as xr

    def one_seed(leaf) -> np.ndarray:
        return np.asarray(leaf)[0]

    variables = {}
    for name, values in result.history._asdict().items():
        variables[f"history_{name}"] = (("strength", "epoch"), one_seed(values))
    for name, values in result.pressure._asdict().items():
        variables[f"history_pressure_{name}"] = (("strength", "epoch"), one_seed(values))
    for name, values in result.losses.items():
        variables[f"loss_{name}"] = (("strength", "trained_epoch"), one_seed(values))
    for name, values in result.metrics._asdict().items():
        variables[name] = ("strength", one_seed(values))
    variables["heldout_reconstruction"] = ("strength", one_seed(heldout.reconstruction))
    variables["flagged_epoch"] = ("strength", result.flagged_epoch[0].astype(np.int32))
    lengths = np.linalg.norm(np.asarray(result.params.weight), axis=-1)
    per_unit = {
        "active": result.units.active,
        "preactivation_mean": result.units.mean,
        "preactivation_variance": result.units.variance,
        "bias": result.params.bias,
        "row_length": lengths,
    }
    for name, values in per_unit.items():
        with np.errstate(invalid="ignore"):  # a diverged cell's are infinite
            quantiles = np.quantile(one_seed(values), _QUANTILES, axis=-1).T
        variables[f"unit_{name}"] = (("strength", "quantile"), quantiles.astype(np.float32))
    if spec.baseline == spec:
        # Units of one seed start as the same rows: the others are compared unit by unit.
        variables["baseline_preactivation_mean"] = (
            ("strength", "unit"),
            one_seed(result.units.mean),
        )
    if spec.seed == 0:
        shown, pixels = _filters(one_seed(result.params.weight), one_seed(result.units.active))
        variables["filter_strength"] = ("shown", np.array(spec.strengths)[shown])
        variables["filters"] = (("shown", "filter", "input"), pixels)
    edges = np.linspace(0, 1, _BINS + 1)
    counts = [np.histogram(row, edges)[0] for row in one_seed(result.units.active)]
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
    """Some rows of some cells as signed bytes, from the seldom to the often active unit."""
    cells = sorted({0, len(weight) // 2, len(weight) - 1})
    ranks = np.linspace(0, weight.shape[1] - 1, _FILTERS).astype(int)
    rows = np.stack([weight[c, np.argsort(active[c], kind="stable")[ranks]] for c in cells])
    return cells, signed_bytes(rows)
