"""Runs: the unit of work, of storage and of restart.

A run is one objective × data set × activation × constraint × seed over all strengths. It is
stored as one small netCDF 3 file named by its resolved spec, written atomically, and used again
only if its spec is the one asked for.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aesparse.errors import InputError
from aesparse.files import UNFINISHED, readable_failure, replacing, require_writable

__all__ = ["RunSpec", "RunStore", "parentage"]


class RunSpec(NamedTuple):
    """What decides a run's numbers beside the code; its hash is part of the file name.

    What an objective's definition fixes (the pole of SAE, its ρ, the width of a kink) belongs to
    the code, whose revision is kept with the run.
    """

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
        return _key(json.loads(self.json))


def _key(spec: dict) -> str:
    """The key of a run or a study from its spec's JSON."""
    names = ("dataset", "objective", "activation", "constraint")
    parts = [spec[n] for n in names] if "objective" in spec else ["study", spec["figure"]]
    parts += [] if "objective" in spec else [spec["dataset"]] * bool(spec["dataset"])
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    return "-".join([*parts, f"s{spec['seed']}", digest[:10]])


def parentage(run) -> dict:
    """Where a stored run comes from: code, versions, machine and data."""
    return json.loads(run.attrs["provenance"])


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
            stored, _ = json.loads(run.attrs["spec"]), parentage(run)
        except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"{path} is not a readable run ({error}); delete it and repeat the command that "
                "made it."
            ) from None
        asked = json.loads(spec.json)
        names = sorted(stored.keys() | asked.keys())
        differing = [n for n in names if stored.get(n) != asked.get(n)]
        if differing:
            shown = "; ".join(
                f"{n}: {stored.get(n)} stored, {asked.get(n)} asked" for n in differing
            )
            raise InputError(
                f"{path} holds a run with another spec ({shown}). Move it away and repeat the "
                "command that made it."
            )
        return run

    def save(self, spec: RunSpec, run) -> None:
        """Writes a run, all or nothing; its checkpoints have then done their work."""
        with replacing(self.path(spec)) as temporary:
            run.to_netcdf(temporary, engine="scipy")
        self.forget(spec)

    def adopt(self, name: str, data: bytes) -> bool:
        """Stores a run made elsewhere from its file's name and bytes; True if it is new.

        `InputError` if it is damaged, is not the run of that name, or differs from the one stored.
        """
        import xarray as xr

        path = self.folder / name
        try:
            run = xr.load_dataset(io.BytesIO(data), engine="scipy")
            key, _ = _key(json.loads(run.attrs["spec"])), parentage(run)
        except Exception as error:  # whatever SciPy makes of damaged bytes
            raise InputError(f"{name} is not a readable run ({error}).") from None
        if name != f"{key}.nc":
            raise InputError(f"{name} is not the run it is named after.")
        if path.exists():
            if path.read_bytes() != data:
                raise InputError(f"{name} differs from the run stored as {path}.")
            return False
        with replacing(path) as temporary:
            temporary.write_bytes(data)
        return True

    def discard(self, spec: RunSpec) -> None:
        """Deletes a run and its checkpoints."""
        self.path(spec).unlink(missing_ok=True)
        self.forget(spec)

    def forget(self, spec: RunSpec) -> None:
        """Deletes the checkpoints of a run."""
        shutil.rmtree(self.checkpoints(spec), ignore_errors=True)

    @contextlib.contextmanager
    def training(self, spec: RunSpec) -> Iterator[None]:
        """Holds one run, which shards of several commands may share; waits while another does."""
        path = self.folder / f".training-{spec.key}"
        with path.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
            path.unlink(missing_ok=True)

    @property
    def log(self) -> Path:
        """The lines, one JSON object an epoch, that trainings of this scale leave."""
        return self.folder / "epochs.jsonl"

    def writers(self) -> list[str]:
        """The processes that are writing these runs: one, or several that are shards."""
        held = (_holder(path) for path in sorted(self.folder.glob(".lock*")))
        return sorted({process for process in held if process is not None})

    def in_training(self) -> list[str]:
        """The keys of the runs that are being trained."""
        paths = sorted(self.folder.glob(".training-*"))
        return [p.name.removeprefix(".training-") for p in paths if _holder(p) is not None]

    def checkpoints(self, spec: RunSpec, *others: RunSpec) -> Path:
        """Where the unfinished training of `spec`, together with `others`, is kept."""
        seeds = "".join(f"+s{other.seed}" for other in others)
        return self.folder / ".checkpoints" / f"{spec.key}{seeds}"

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
                    for leftover in (*folder.glob(f"{UNFINISHED}*"), *folder.glob(".training-*")):
                        leftover.unlink()  # of a writer that was killed
            else:
                stack.enter_context(_locked(self.folder / ".lock", shared=True))
                stack.enter_context(_locked(self.folder / f".lock-{shard}"))
            yield


def _holder(path: Path) -> str | None:
    """What the process that holds a lock wrote into it; None if no process holds it."""
    with contextlib.suppress(FileNotFoundError), path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "?"
    return None


@contextlib.contextmanager
def _locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with readable_failure():
            lock = stack.enter_context(path.open("ab+", buffering=0))
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().decode().strip() or "?"
                raise InputError(
                    f"{path.parent} is being written by process {holder}; wait for it, or choose "
                    "another folder with --out."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        yield
