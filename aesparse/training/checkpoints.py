"""Atomic, checksummed checkpoints of one training; the last two are kept.

A damaged checkpoint is passed over for the one before, and one of another training is refused.
"""

import json
import numbers
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from aesparse.errors import InputError, reason
from aesparse.files import UNFINISHED, listed, readable_failure, replacing, require_writable
from aesparse.options import shortened
from aesparse.training.checkpoint_files import epochs, read, write

__all__ = ["CheckpointError", "Checkpoints", "Resumed", "check_checkpoints"]

_KEPT = 2
_LONGEST_LIST = 8  # of what a message shows in full


class CheckpointError(InputError):
    """Checkpoints that a training cannot go on from: all damaged, or of another training.

    >>> issubclass(CheckpointError, InputError)
    True
    """


class Resumed(NamedTuple):
    """What a checkpoint held.

    Attributes:
        epoch: the last finished one.
        tree: its arrays.
    """

    epoch: int
    tree: PyTree


class Checkpoints:
    """The checkpoints of one training, in a folder of its own, for `fit(…, checkpoints=…)`.

    Args:
        folder: where they are; made when the first is due.
        identity: any text that equal trainings share and others do not.
        every_seconds: a save is due when the last one lies so far back; 60 by default.
        on_damage: `on_damage(sentence)` is called for each damaged one; by default it warns.
        on_resume: `on_resume(history)` is called before a training goes on from one; by default
            nothing.
        about: texts by name that are kept with every checkpoint, and listed in `history`.

    Raises:
        InputError: for arguments of the wrong kind.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> first = Checkpoints(folder, "digits, dae", every_seconds=600)
    >>> first.due
    False
    >>> first.save(3, {"weight": np.ones(2)})
    >>> again = Checkpoints(folder, "digits, dae")
    >>> resumed = again.latest({"weight": np.zeros(2)})
    >>> resumed.epoch, resumed.tree["weight"].tolist(), again.history[0]["epoch"]
    (3, [1.0, 1.0], 3)
    >>> again.part(0).folder.name
    'part-0'
    """

    def __init__(
        self,
        folder: Path | str,
        identity: str,
        *,
        every_seconds: float | int = 60,
        on_damage: Callable[[str], object] = warnings.warn,
        on_resume: Callable[[list[dict]], object] = lambda history: None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(folder, str | Path) or not isinstance(identity, str):
            raise InputError(
                f"Checkpoints are given {shortened(folder)} and {shortened(identity)}; expected a "
                "folder and a text, such as Checkpoints('checkpoints', 'first training')."
            )
        if not (isinstance(every_seconds, numbers.Real) and every_seconds >= 0):
            raise InputError(
                f"every_seconds is {shortened(every_seconds)}; expected a number >= 0."
            )
        self.folder, self.identity = Path(folder).resolve(), identity
        self.about, self._begin = about or {}, time.monotonic()
        self._attempts, self._parts, self._damaged = [], [], set()
        self._every, self._last = every_seconds, time.monotonic()
        self._on_damage, self._on_resume = on_damage, on_resume

    def part(self, number: int) -> "Checkpoints":
        """Checkpoints of the `number`-th of several consecutive trainings."""
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
        """The interrupted attempts that what was resumed goes back to, those of parts included.

        Each has its last "epoch", the texts `about` itself, and its "seconds".
        """
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
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
        known = {
            "epoch": int(epoch),
            "dtypes": [str(leaf.dtype) for leaf in leaves],  # bfloat16 is not one of NumPy's
            "identity": self.identity,
            "settings": settings,
            "about": {**self.about, "seconds": time.monotonic() - self._begin},
            "history": self._attempts,
        }
        path = self._path(epoch)
        with replacing(path) as temporary:
            write(temporary, known, leaves)
        self._remove_older(epoch)
        self._last = time.monotonic()

    def _path(self, epoch: int) -> Path:
        return self.folder / f"{epoch}.npz"

    def _remove_older(self, saved: int) -> None:
        """Leaves the last two sound checkpoints, and nothing of writes that a kill cut short."""
        damaged = self._damaged - {saved}
        sound = [epoch for epoch in epochs(self.folder) if epoch not in damaged]
        with readable_failure(self.folder):
            for epoch in (*damaged, *sound[_KEPT:]):
                self._path(epoch).unlink(missing_ok=True)
            for path in listed(self.folder):
                if path.name.startswith(UNFINISHED):
                    path.unlink(missing_ok=True)

    def latest(
        self, like: PyTree, *, before: int | None = None, settings: Mapping | None = None
    ) -> Resumed | None:
        """The newest sound checkpoint, with the structure of `like`; None if there is none yet.

        The leaves of `like` have the dtypes and the leading axes of those saved. `CheckpointError`
        if all are damaged, if the newest sound one is of another training (one with another
        identity, other `settings`, another structure or shapes, or not `before` that many epochs),
        or if the folder's are of an earlier version; `InputError` if none could be saved here.
        """
        begun = self.folder.exists()
        require_writable(self.folder)
        if not begun:  # not left empty by a training too short for a save
            self.folder.rmdir()
            return None
        if any(path.is_dir() and path.name.isdecimal() for path in listed(self.folder)):
            raise CheckpointError(
                f"The checkpoints under {self.folder} were written by an earlier version, which "
                "saved each as a folder; expected files such as 3.npz. Delete the folder to begin "
                "this training again."
            )
        damaged, newest = {}, None
        for epoch in epochs(self.folder):
            try:
                newest = read(self._path(epoch), epoch)
                break
            except Exception as error:  # whatever NumPy's reader makes of bytes that are none
                damaged[epoch] = reason(error)
        for passed_over, why in damaged.items():
            self._on_damage(
                f"The checkpoint {self._path(passed_over)} is damaged ({why}); "
                "going on from the one before."
            )
        self._damaged = set(damaged)
        if newest is None:
            if damaged:
                raise CheckpointError(
                    f"All checkpoints under {self.folder} are damaged; delete the folder to begin "
                    "this training again."
                )
            return None
        leaves, known = newest
        self._require_own(epoch, known, settings)
        structure = jax.tree.structure(like)
        late = before is not None and epoch >= before
        if late or not _fitting(leaves, jax.tree.leaves(like)):
            raise CheckpointError(
                f"The checkpoint {self._path(epoch)} does not fit this training: "
                f"{len(leaves)} arrays after epoch {epoch}; expected {structure.num_leaves}, of "
                f"this grid's shapes, after one before {before}. Give another folder."
            )
        self._attempts = [*known["history"], {"epoch": epoch, **known["about"]}]
        self._on_resume(self._attempts)
        return Resumed(epoch, jax.tree.unflatten(structure, leaves))

    def _require_own(self, epoch: int, known: dict, settings: Mapping | None) -> None:
        if known["identity"] != self.identity:
            differing = _difference(known["identity"], self.identity)
        elif known["settings"] != json.loads(json.dumps(settings)):
            differing = _difference(*map(json.dumps, (known["settings"], settings)))
        else:
            return
        raise CheckpointError(
            f"The checkpoint {self._path(epoch)} belongs to another training ({differing}); "
            "delete the folder to begin this one."
        )


def _fitting(leaves: list[np.ndarray], like: list) -> bool:
    """Whether arrays have the dtypes and the leading axes of others."""
    return len(leaves) == len(like) and all(
        a.dtype == b.dtype and a.shape[: len(b.shape)] == b.shape
        for a, b in zip(leaves, like, strict=True)
    )


def _difference(stored: str, expected: str) -> str:
    """What differs between two identities; field by field where both are JSON objects."""
    try:
        a, b = json.loads(stored), json.loads(expected)
        names = [n for n in sorted(a.keys() | b.keys()) if a.get(n) != b.get(n)]
        return "; ".join(_named(n, a.get(n), b.get(n)) for n in names)
    except (ValueError, AttributeError):
        return f"{stored} there, {expected} here"


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
    """`InputError` unless `checkpoints` is None, or `Checkpoints` on the only host.

    >>> check_checkpoints(None)
    """
    if checkpoints is None:
        return
    if not isinstance(checkpoints, Checkpoints):
        raise InputError(f"checkpoints is {checkpoints!r}; expected Checkpoints(folder, identity).")
    if jax.process_count() > 1:
        raise InputError(
            f"checkpoints are given on {jax.process_count()} hosts; expected one host. Give each "
            "host its own grid instead."
        )
