"""Training one run: the grid, what is stored of it, and where it comes from."""

import contextlib
import functools
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from experiments.filters import signed_bytes
from experiments.runs import RunSpec

__all__ = ["checksum", "provenance", "train"]

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 50
_FILTERS = 8  # rows kept of the first, the middle and the last strength of seed 0, for the report


def train(spec: RunSpec, dataset, on_epoch, baseline=None, checkpoints: Path | None = None):
    """Trains the run of `spec` on a loaded `aesparse.data.Dataset`; returns an xarray.Dataset.

    With the stored `baseline` run, also measures the activation fraction of the trained rows
    under biases that give every unit the baseline's E[a_j] (A8's other number). `checkpoints`
    is the folder in which an interrupted training is found again.
    """
    import jax

    import aesparse as ae

    begin = time.perf_counter()
    parents = provenance(dataset.train) | {"matmul_precision": spec.matmul_precision}
    scaler = ae.data.standardize(dataset.train, spec.epsilon)
    X = scaler(dataset.train)
    activation = ae.activations.get_activation(spec.activation)
    objective = ae.objectives.get_objective(spec.objective, activation)
    kept = None if checkpoints is None else _checkpoints(checkpoints, spec, parents)
    result = ae.fit_grid(
        jax.random.key(0),
        X,
        objective=objective,
        strengths=spec.strengths,
        seeds=(spec.seed,),
        hidden=spec.hidden,
        constraint=spec.constraint,
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        learning_rate=spec.learning_rate,
        momentum=spec.momentum,
        cells_per_program=spec.cells_per_program,
        matmul_precision=spec.matmul_precision,
        on_epoch=on_epoch,
        checkpoints=kept,
    )
    _, heldout = ae.measure_grid(
        result.params,
        scaler(dataset.heldout),
        objective,
        matmul_precision=spec.matmul_precision,
    )
    run = _labelled(spec, result, heldout)
    if baseline is not None and "baseline_preactivation_mean" in baseline:
        shift = baseline["baseline_preactivation_mean"].values[None] - result.units.mean
        moved = result.params._replace(bias=result.params.bias + shift)
        _, matched = ae.measure_grid(moved, X, objective, matmul_precision=spec.matmul_precision)
        run["matched_activation_fraction"] = (
            "strength",
            np.asarray(matched.activation_fraction)[0],
        )
    interrupted = kept.history if kept else []
    earlier = sum(attempt["seconds"] for attempt in interrupted)
    parents |= {
        "wall_seconds": round(time.perf_counter() - begin + earlier, 2),
        "interrupted": interrupted,
        "guard_difference": result.guard,
        "flagged_strengths": [
            float(s) for s, f in zip(spec.strengths, result.flagged_epoch[0], strict=True) if f >= 0
        ],
    }
    return run.assign_attrs(spec=spec.json, provenance=json.dumps(parents, sort_keys=True))


def _warn_of_other_code(spec: RunSpec, interrupted: list[dict], revision: str) -> None:
    others = {attempt["revision"] for attempt in interrupted} - {revision}
    if others:
        print(
            f"Warning: {spec.key} was begun by revision {', '.join(sorted(others))} and goes on "
            f"with {revision}; if the code between them changed its numbers, use --recompute.",
            file=sys.stderr,
        )


def _checkpoints(folder: Path, spec: RunSpec, parents: dict):
    """The checkpoints of this training on this data and this machine."""
    from aesparse.checkpoints import Checkpoints

    same = ("data_sha256", "device", "devices", "platform", "jax", "jaxlib")
    identity = json.loads(spec.json) | {name: parents[name] for name in same}
    return Checkpoints(
        folder,
        json.dumps(identity, sort_keys=True),
        about={"revision": parents["revision"]},
        on_damage=lambda sentence: print(f"Warning: {sentence}", file=sys.stderr),
        on_resume=lambda attempts: _warn_of_other_code(spec, attempts, parents["revision"]),
    )


def _labelled(spec: RunSpec, result, heldout):
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


def checksum(train: np.ndarray) -> str:
    """What tells one set of training rows from another."""
    return hashlib.sha256(np.ascontiguousarray(train)).hexdigest()


def provenance(train: np.ndarray | None) -> dict:
    """Where numbers come from: the training rows' checksum, machine, versions, code, generator."""
    import jax
    import jaxlib
    import optax

    device = jax.devices()[0]
    return {
        "data_sha256": "" if train is None else checksum(train),
        "device": device.device_kind if device.platform != "cpu" else _processor(),
        "devices": jax.device_count(),
        "platform": f"{device.platform} {platform.machine()}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "optax": optax.__version__,
        "revision": _revision(),
        "random": {
            "implementation": str(jax.config.jax_default_prng_impl),
            "threefry_partitionable": bool(jax.config.jax_threefry_partitionable),
        },
    }


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


@functools.cache
def _revision() -> str:
    """The commit of the code that runs, and that code's own checksum if it was changed since."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        if not git("status", "--porcelain", "--", "aesparse", "experiments"):
            return commit
        files = sorted(
            p for name in ("aesparse", "experiments") for p in (root / name).rglob("*.py")
        )
        code = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        return f"{commit}-changed-{code[:8]}"
    except (OSError, subprocess.SubprocessError):
        return "unknown"
