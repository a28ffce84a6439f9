"""Runs: the unit of work, of storage and of restart.

A run is what one spec decides: by default one objective × data set × activation × constraint ×
seed over all strengths. It is stored as one small file (`experiments.pipeline.stored`) named by its
resolved spec, written atomically, and used again only if its checksum is right and its spec is the
one asked for.
"""

import contextlib
import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from aesparse.errors import InputError
from aesparse.files import (
    UNFINISHED,
    flush,
    read_bytes,
    readable_failure,
    replacing,
    require_writable,
)
from experiments.pipeline.locks import holder, locked, waiting
from experiments.pipeline.spec import Spec
from experiments.pipeline.stored import MOST_BYTES, damaged, decode, encode, run_key

__all__ = ["SUFFIX", "RunStore"]

SUFFIX = ".nc.gz"  # of a stored run's file


class RunStore:
    """The stored runs of one scale under `root/runs/<scale>`.

    A damaged run is an `InputError`; with `on_damage`, which gets the sentence, it is left out, so
    that commands go on with the others.
    """

    def __init__(
        self, root: Path, scale: str, on_damage: Callable[[str], object] | None = None
    ) -> None:
        self.scale, self.folder, self.on_damage = scale, root / "runs" / scale, on_damage
        self._left_out: set[Spec] = set()

    def path(self, spec: Spec) -> Path:
        """Where the run of `spec` is or will be."""
        return self._file(spec.key)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def load(self, spec: Spec):
        """The stored run as an `xarray.Dataset` of the caller's own, or None if there is none.

        `InputError` if it is damaged, of a newer schema, or another run.
        """
        try:
            return self._load(spec)
        except InputError as error:
            self.leave_out(spec, error)
            return None

    def lacks(self, spec: Spec) -> bool:
        """Whether a run is to be made: not stored, and neither it nor its baseline left out."""
        if self.load(spec) is not None:
            return False
        self.load(spec.baseline)
        return not {spec, spec.baseline} & self._left_out

    def leave_out(self, spec: Spec, error: InputError) -> None:
        """A run is not to be made, as what is stored of it is damaged: `error` says how.

        The error is raised if there is no `on_damage`.
        """
        if self.on_damage is None:
            raise error
        self.on_damage(str(error))
        self._left_out.add(spec)

    def _load(self, spec: Spec):
        path = self.path(spec)
        data = _content(path)
        if data is None:
            return None
        run = _verified(data, str(path)).copy(deep=True)
        stored = json.loads(run.attrs["spec"])
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

    def names(self) -> list[str]:
        """The names of all files of runs that are here."""
        return sorted(p.name.removesuffix(SUFFIX) for p in self.folder.glob(f"[!.]*{SUFFIX}"))

    def check(self, key: str) -> None:
        """`InputError` if the run of this name is damaged, or has another name by its spec."""
        path = self._file(key)
        data = _content(path)
        attributes = {} if data is None else _verified(data, str(path)).attrs
        if attributes and (own := run_key(attributes["kind"], attributes["spec"])) != key:
            raise InputError(f"{path} holds the run {own}; rename it, or move it away.")

    def save(self, spec: Spec, run) -> None:
        """Writes a run, all or nothing; its checkpoints have then done their work."""
        data = encode(run, spec.kind)
        with replacing(self.path(spec)) as temporary:
            temporary.write_bytes(data)
        self.forget(spec)

    def adopt(self, name: str, data: bytes) -> bool:
        """Stores a run that was encoded elsewhere under its name; call it inside `writing()`.

        True if it is new, False if the very same run is stored already. `InputError` if `data` is
        damaged or of a newer schema, if `name` is not the key of its spec, or if another run, or
        a damaged one, is stored under that name; nothing is then changed.
        """
        given = decode(data, f"The run {name}").attrs
        key = run_key(given["kind"], given["spec"])
        if name != key:
            raise InputError(f"The run {name} is {key} by its spec; take it from its source again.")
        path = self._file(name)
        there = _content(path)
        if there is None:
            with replacing(path) as temporary:
                temporary.write_bytes(data)
            return True
        stored = decode(there, str(path)).attrs
        if stored["sha256"] != given["sha256"]:
            raise InputError(
                f"{path} is stored with other content (SHA-256 {stored['sha256'][:12]}… stored, "
                f"{given['sha256'][:12]}… given); move it away to take the other one."
            )
        return False

    def discard(self, spec: Spec) -> None:
        """Deletes a run and its checkpoints."""
        with readable_failure(self.path(spec)):
            if self.path(spec).exists():
                self.path(spec).unlink()
                flush(self.folder)
        self.forget(spec)

    def forget(self, spec: Spec) -> None:
        """Deletes the checkpoints of a run."""
        shutil.rmtree(self.checkpoints(spec), ignore_errors=True)

    @contextlib.contextmanager
    def training(self, spec: Spec) -> Iterator[None]:
        """Holds one run, which shards of several commands may share; waits while another does."""
        with waiting(self.folder / f".training-{spec.key}"):
            yield

    @property
    def log(self) -> Path:
        """The lines, one JSON object an epoch, that trainings of this scale leave."""
        return self.folder / "epochs.jsonl"

    def writers(self) -> list[str]:
        """The processes that are writing these runs: one, or several that are shards."""
        held = (holder(path) for path in sorted(self.folder.glob(".lock*")))
        return sorted({process for process in held if process is not None})

    def in_training(self) -> list[str]:
        """The keys of the runs that are being trained."""
        paths = sorted(self.folder.glob(".training-*"))
        return [p.name.removeprefix(".training-") for p in paths if holder(p) is not None]

    def checkpoints(self, spec: Spec, *others: Spec) -> Path:
        """Where the unfinished training of `spec`, together with `others`, is kept."""
        seeds = "".join(f"+s{other.seed}" for other in others)
        return self.folder / ".checkpoints" / f"{spec.key}{seeds}"

    @contextlib.contextmanager
    def writing(self, *others: Path, shard: object | None = None) -> Iterator[None]:
        """Holds the runs against a second writer; `others` are folders written along with them.

        Different shards write at the same time, but not while a command without a shard does. A
        folder that cannot be written is found here, before any training.
        """
        for folder in (self.folder, *others):
            require_writable(folder)
        with contextlib.ExitStack() as stack:
            if shard is None:
                stack.enter_context(locked(self.folder / ".lock"))
                for folder in (self.folder, *others):
                    for leftover in (*folder.glob(f"{UNFINISHED}*"), *folder.glob(".training-*")):
                        with readable_failure(leftover):
                            leftover.unlink()  # of a writer that was killed
            else:
                stack.enter_context(locked(self.folder / ".lock", shared=True))
                stack.enter_context(locked(self.folder / f".lock-{shard}"))
            yield


def _content(path: Path) -> bytes | None:
    """The bytes of a run's file, None if there is none; `InputError` if it cannot be read."""
    try:
        return read_bytes(path, MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise damaged(str(path), error) from None


@functools.lru_cache(maxsize=4096)
def _verified(data: bytes, source: str):
    """`decode`, once for the same bytes: several figures share a run."""
    return decode(data, source)
