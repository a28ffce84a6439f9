"""Runs: the unit of work, of storage and of restart.

A run is one objective × data set × activation × constraint × seed over all strengths. It is
stored as one small netCDF 3 file named by its resolved spec, written atomically, and used again
only if its spec is the one asked for.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aesparse.errors import InputError
from aesparse.files import UNFINISHED, replacing, require_writable

__all__ = ["RunSpec", "RunStore", "train"]

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 50
_FILTERS = 8  # rows kept of the first, the middle and the last strength of seed 0, for the report


class RunSpec(NamedTuple):
    """Everything that decides a run's numbers; its hash is part of the file name."""

    dataset: str
    samples: int
    epsilon: float
    objective: str
    activation: str
    constraint: str
    strengths: tuple[float, ...]
    seed: int
    hidden: int
    batch_size: int
    epochs: int
    learning_rate: float
    momentum: float
    matmul_precision: str = "highest"
    cells_per_program: int | None = None

    @property
    def json(self) -> str:
        """The spec as canonical JSON, less optional fields at their default.

        A later optional field then leaves the names of stored runs as they are.
        """
        defaults = self._field_defaults
        fields = {k: v for k, v in self._asdict().items() if k not in defaults or v != defaults[k]}
        return json.dumps(fields, sort_keys=True)

    @property
    def baseline(self) -> "RunSpec":
        """The unregularized model of the same seed, the cell at strength 0 of every objective."""
        return self._replace(objective="ae", strengths=(0.0,))

    @property
    def key(self) -> str:
        """A file stem: readable parts, then a hash of the whole spec."""
        parts = (self.dataset, self.objective, self.activation, self.constraint, f"s{self.seed}")
        return "-".join((*parts, hashlib.sha256(self.json.encode()).hexdigest()[:10]))


class RunStore:
    """The stored runs of one scale under `root/runs/<scale>`."""

    def __init__(self, root: Path, scale: str) -> None:
        self.folder = root / "runs" / scale

    def path(self, spec: RunSpec) -> Path:
        """Where the run of `spec` is or will be."""
        return self.folder / f"{spec.key}.nc"

    def load(self, spec: RunSpec):
        """The stored run as an `xarray.Dataset`, or None; `InputError` if it is another one."""
        import xarray as xr

        path = self.path(spec)
        if not path.exists():
            return None
        try:
            run = xr.load_dataset(path, engine="scipy")
            stored = json.loads(run.attrs["spec"])
        except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"{path} is not a readable run ({error}); delete it or use --recompute."
            ) from None
        asked = json.loads(spec.json)
        names = sorted(stored.keys() | asked.keys())
        differing = [n for n in names if stored.get(n) != asked.get(n)]
        if differing:
            shown = "; ".join(
                f"{n}: {stored.get(n)} stored, {asked.get(n)} asked" for n in differing
            )
            raise InputError(
                f"{path} holds a run with another spec ({shown}). Move it away, or use "
                "--recompute to replace it."
            )
        return run

    def save(self, spec: RunSpec, run) -> None:
        """Writes a run, all or nothing; its checkpoints have then done their work."""
        with replacing(self.path(spec)) as temporary:
            run.to_netcdf(temporary, engine="scipy")
        shutil.rmtree(self.checkpoints(spec), ignore_errors=True)

    @property
    def log(self) -> Path:
        """The lines, one JSON object an epoch, that trainings of this scale leave."""
        return self.folder / "epochs.jsonl"

    def writer(self) -> str | None:
        """The process that is writing these runs, if one is."""
        try:
            with _locked(self.folder / ".lock", note=False):
                return None
        except InputError:
            return (self.folder / ".lock").read_text().strip() or "?"
        except OSError:
            return None

    def checkpoints(self, spec: RunSpec) -> Path:
        """Where the unfinished training of `spec` is kept."""
        return self.folder / ".checkpoints" / spec.key

    @contextlib.contextmanager
    def writing(self, *others: Path, shard: object | None = None) -> Iterator[None]:
        """Holds the runs against a second writer; `others` are folders written along with them.

        Different shards write side by side, but not beside a writer of everything. A folder
        that cannot be written is found here, before any training.
        """
        for folder in (self.folder, *others):
            require_writable(folder)
        with contextlib.ExitStack() as stack:
            if shard is None:
                stack.enter_context(_locked(self.folder / ".lock"))
                for folder in (self.folder, *others):
                    for leftover in folder.glob(f"{UNFINISHED}*"):
                        leftover.unlink()  # of a writer killed in the middle of a file
            else:
                stack.enter_context(_locked(self.folder / ".lock", shared=True))
                stack.enter_context(_locked(self.folder / f".lock-{shard}"))
            yield


@contextlib.contextmanager
def _locked(path: Path, *, shared: bool = False, note: bool = True) -> Iterator[None]:
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InputError(
                f"{path.parent} is being written by process {lock.read().strip() or '?'}; wait "
                "for it, or choose another folder with --out."
            ) from None
        if note:
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield


def train(spec: RunSpec, dataset, on_epoch, baseline=None, checkpoints: Path | None = None):
    """Trains the run of `spec` on a loaded `aesparse.data.Dataset`; returns an xarray.Dataset.

    With the stored `baseline` run, also measures the activation fraction of the trained rows
    under biases that give every unit the baseline's E[a_j] (A8's other number). `checkpoints`
    is the folder in which an interrupted training is found again.
    """
    import jax

    import aesparse as ae

    begin, provenance = time.perf_counter(), _provenance(dataset, spec)
    scaler = ae.data.standardize(dataset.train, spec.epsilon)
    X = scaler(dataset.train)
    activation = ae.activations.get_activation(spec.activation)
    objective = ae.objectives.get_objective(spec.objective, activation)
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
        checkpoints=None if checkpoints is None else _checkpoints(checkpoints, spec, provenance),
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
    provenance |= {
        "wall_seconds": round(time.perf_counter() - begin, 2),
        "guard_difference": result.guard,
        "flagged_strengths": [
            float(s) for s, f in zip(spec.strengths, result.flagged_epoch[0], strict=True) if f >= 0
        ],
    }
    return run.assign_attrs(spec=spec.json, provenance=json.dumps(provenance, sort_keys=True))


def _checkpoints(folder: Path, spec: RunSpec, provenance: dict):
    """The checkpoints of this training on this data and this machine."""
    from aesparse.checkpoints import Checkpoints

    same = ("data_sha256", "device", "devices", "platform", "jax", "jaxlib")
    identity = json.loads(spec.json) | {name: provenance[name] for name in same}
    return Checkpoints(
        folder,
        json.dumps(identity, sort_keys=True),
        on_damage=lambda sentence: print(f"Warning: {sentence}", file=sys.stderr),
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
    largest = np.abs(rows).max(-1, keepdims=True)
    scaled = np.divide(127 * rows, largest, out=np.zeros_like(rows), where=largest > 0)
    return cells, np.nan_to_num(np.rint(scaled)).astype(np.int8)


def _provenance(dataset, spec: RunSpec) -> dict:
    import jax
    import jaxlib
    import optax

    device = jax.devices()[0]
    return {
        "data_sha256": hashlib.sha256(np.ascontiguousarray(dataset.train)).hexdigest(),
        "device": device.device_kind if device.platform != "cpu" else _processor(),
        "devices": jax.device_count(),
        "platform": f"{device.platform} {platform.machine()}",
        "matmul_precision": spec.matmul_precision,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "optax": optax.__version__,
        "revision": _revision(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


@functools.cache
def _revision() -> str:
    """The commit of the code that runs, marked if that code was changed since."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "aesparse", "experiments")
        return git("rev-parse", "--short=12", "HEAD") + ("-changed" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
