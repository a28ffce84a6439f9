"""Checkpoints of one training: whole or absent, the last two kept, each known by its content.

Orbax writes them; beside the arrays stand what they belong to and their checksum, so that a
damaged checkpoint or one of another training is recognised instead of continued.
"""

import contextlib
import hashlib
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from aesparse.errors import InputError, first_line
from aesparse.files import require_writable

__all__ = ["Checkpoints", "Resumed", "check_checkpoints"]

_KEPT = 2
_LONGEST_LIST = 8  # of what a message shows in full
_LATE_SECONDS = 0.5  # within which the threads of a failed write have ended


class Resumed(NamedTuple):
    """What a checkpoint held: the last finished epoch and its arrays."""

    epoch: int
    tree: PyTree


class Checkpoints:
    """The checkpoints of the training called `identity`, in a folder of its own.

    `identity` is any text that equal trainings share and others do not; a save is due when the
    last one lies `every_seconds` back. Damaged checkpoints are told to `on_damage(sentence)`.
    `about` is kept with every checkpoint; after `latest`, `history` lists the interrupted
    attempts that led to it: their last epoch, what they said about themselves, their seconds.
    `on_resume(history)` is called before a training goes on from one.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        *,
        every_seconds: float | int = 60,
        on_damage: Callable[[str], object] = warnings.warn,
        on_resume: Callable[[list[dict]], object] = lambda history: None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.identity = Path(folder).resolve(), identity
        self.about, self._begin = about or {}, time.monotonic()
        self._attempts, self._parts, self._damaged = [], [], set()
        self._every, self._last = every_seconds, time.monotonic()
        self._on_damage, self._on_resume = on_damage, on_resume

    @contextlib.contextmanager
    def _manager(self) -> Iterator:
        with _quiet():
            import orbax.checkpoint as ocp

            options = ocp.CheckpointManagerOptions(
                max_to_keep=_KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
            )
            with ocp.CheckpointManager(self.folder, options=options) as manager:
                yield manager, ocp.args

    def part(self, number: int) -> "Checkpoints":
        """Those of one of several trainings that follow each other."""
        of_part = Checkpoints(
            self.folder / f"part-{number}",
            self.identity,
            every_seconds=self._every,
            on_damage=self._on_damage,
            on_resume=self._on_resume,
            about=self.about,
        )
        self._parts.append(of_part)
        return of_part

    @property
    def history(self) -> list[dict]:
        """The interrupted attempts that what was resumed goes back to, those of parts included."""
        return [*self._attempts, *(attempt for part in self._parts for attempt in part.history)]

    @property
    def due(self) -> bool:
        """Whether the last save lies so far back that another is wanted."""
        return time.monotonic() - self._last >= self._every

    def save(self, epoch: int, tree: PyTree, *, settings: Mapping | None = None) -> None:
        """Saves `tree` as the state after `epoch`; older ones but one are removed.

        `settings` are JSON values by name that `latest` compares. `InputError` if it cannot be
        written, with the one before intact.
        """
        leaves = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}
        known = {
            "identity": self.identity,
            "settings": settings,
            "sha256": _checksum(leaves),
            "about": {**self.about, "seconds": time.monotonic() - self._begin},
            "history": self._attempts,
        }
        try:
            with self._manager() as (manager, args):
                parts = args.Composite(leaves=args.StandardSave(leaves), known=args.JsonSave(known))
                try:
                    for passed_over in self._damaged & set(manager.all_steps()):
                        manager.delete(passed_over)  # it would be kept in place of a sound one
                    manager.save(epoch, args=parts, force=True)
                except (OSError, ValueError):
                    time.sleep(_LATE_SECONDS)  # other arrays' threads fail too, while kept quiet
                    raise
        except (OSError, ValueError) as error:  # tensorstore reports a full disk as the latter
            raise InputError(
                f"The checkpoint {self.folder / str(epoch)} could not be written "
                f"({first_line(error)}); what was saved before is intact. Make room and "
                "repeat the command."
            ) from None
        self._last = time.monotonic()

    def latest(
        self, like: PyTree, *, before: int | None = None, settings: Mapping | None = None
    ) -> Resumed | None:
        """The newest sound checkpoint, with the structure of `like`; None if there is none yet.

        The leaves of `like` have the dtypes and the leading axes of those saved. `InputError` if
        all are damaged, if the newest sound one is of another training (one with another identity,
        other `settings`, another structure or shapes, or not `before` that many epochs), or if
        none could be saved here.
        """
        begun = self.folder.exists()
        require_writable(self.folder)
        if not begun:  # not left empty by a training too short for a save
            self.folder.rmdir()
            return None
        damaged, found = {}, None
        with self._manager() as (manager, args):
            for epoch in sorted(manager.all_steps(), reverse=True):
                try:
                    found = _restored(manager, args, epoch)
                    break
                except Exception as error:  # orbax raises whatever its parts raise
                    damaged[epoch] = first_line(error)
        for passed_over, reason in damaged.items():
            self._on_damage(
                f"The checkpoint {self.folder / str(passed_over)} is damaged ({reason}); "
                "going on from the one before."
            )
        self._damaged = set(damaged)
        if found is None:
            if damaged:
                raise InputError(
                    f"All checkpoints under {self.folder} are damaged; delete the folder to begin "
                    "this training again."
                )
            return None
        leaves, known = found
        self._require_own(epoch, known, settings)
        structure = jax.tree.structure(like)
        late = before is not None and epoch >= before
        if late or not _fitting(leaves, jax.tree.leaves(like)):
            raise InputError(
                f"The checkpoint {self.folder / str(epoch)} does not fit this training: "
                f"{len(leaves)} arrays after epoch {epoch}; expected {structure.num_leaves}, of "
                f"this grid's shapes, after one before {before}. Give another folder."
            )
        self._attempts = [*known["history"], {"epoch": epoch, **known["about"]}]
        self._on_resume(self._attempts)
        return Resumed(epoch, jax.tree.unflatten(structure, leaves))

    def _require_own(self, epoch: int, known: dict, settings: Mapping | None) -> None:
        if known["identity"] != self.identity:
            differing = _difference(known["identity"], self.identity)
        elif known["settings"] != settings:
            differing = _difference(*map(json.dumps, (known["settings"], settings)))
        else:
            return
        raise InputError(
            f"The checkpoint {self.folder / str(epoch)} belongs to another training ({differing}); "
            "delete the folder to begin this one."
        )


def _restored(manager, args, epoch: int) -> tuple[list[np.ndarray], dict]:
    """The arrays of a checkpoint in their order and what is known of it; raises if damaged."""
    parts = args.Composite(leaves=args.StandardRestore(), known=args.JsonRestore())
    found = manager.restore(epoch, args=parts)
    leaves, known = dict(found.leaves), dict(found.known)
    if known["sha256"] != _checksum(leaves):
        raise ValueError("its checksum is another one")
    kept = {name: known.get(name) for name in ("identity", "settings", "about", "history")}
    return [leaves[name] for name in sorted(leaves, key=int)], kept


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what orbax says of itself, in warnings, logs and tracebacks of its threads.

    Its failures are raised as well, and told in one sentence.
    """
    log, hook, unraisable = logging.getLogger("absl"), threading.excepthook, sys.unraisablehook
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.CRITICAL + 1)
        threading.excepthook = sys.unraisablehook = lambda arguments: None
        try:
            yield
        finally:
            log.setLevel(level)
            threading.excepthook, sys.unraisablehook = hook, unraisable


def _fitting(leaves: list[np.ndarray], like: list) -> bool:
    """Whether arrays have the dtypes and the leading axes of others."""
    return len(leaves) == len(like) and all(
        a.dtype == b.dtype and a.shape[: len(b.shape)] == b.shape
        for a, b in zip(leaves, like, strict=True)
    )


def _checksum(leaves: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(leaves):
        leaf = np.ascontiguousarray(leaves[name])
        digest.update(f"{name} {leaf.dtype} {leaf.shape}".encode())
        digest.update(leaf)
    return digest.hexdigest()


def _difference(found: str, expected: str) -> str:
    """What differs between two identities; field by field where both are JSON objects."""
    try:
        a, b = json.loads(found), json.loads(expected)
        names = [n for n in sorted(a.keys() | b.keys()) if a.get(n) != b.get(n)]
        return "; ".join(_named(n, a.get(n), b.get(n)) for n in names)
    except (ValueError, AttributeError):
        return f"{found} there, {expected} here"


def _named(name: str, a: object, b: object) -> str:
    """One difference; of long lists of equal length the first numbers that differ."""
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) > _LONGEST_LIST:
        i = next(i for i, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1])
        return f"{name}[{i}]: {a[i]} there, {b[i]} here"
    return f"{name}: {_short(a)} there, {_short(b)} here"


def _short(value: object) -> object:
    if isinstance(value, list) and len(value) > _LONGEST_LIST:
        return f"{len(value)} numbers"
    return value


def check_checkpoints(checkpoints: object) -> None:
    """`InputError` unless it is None, or `Checkpoints` on the only host."""
    if checkpoints is None:
        return
    if not isinstance(checkpoints, Checkpoints):
        raise InputError(f"checkpoints is {checkpoints!r}; expected Checkpoints(folder, identity).")
    if jax.process_count() > 1:
        raise InputError(
            f"checkpoints are given on {jax.process_count()} hosts; expected one host. Give each "
            "host its own grid instead."
        )
