"""What a training records at every epoch, without a round trip to the host at each of them.

Shapes: C models, E moments.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from aesparse.errors import InputError
from aesparse.options import shortened
from aesparse.training.sharding import MODELS, SHARED, over_models

__all__ = ["Recorder", "checked_epochs"]

_ON_DEVICE = 50  # moments that stay on the devices before they move to the host together


@functools.cache
def _programs(mesh: Mesh) -> tuple[Callable, Callable]:
    """Compiled: the empty buffers for records like one, and one record written to its place."""

    def empty(record):
        return jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape, _ON_DEVICE), leaf.dtype), record)

    def write(buffers, record, i):
        return jax.tree.map(lambda b, leaf: b.at[..., i].set(leaf), buffers, record)

    return (
        over_models(empty, mesh, (MODELS,)),
        over_models(write, mesh, (MODELS, MODELS, SHARED), donate=(0,)),
    )


class Recorder:
    """Collects trees of small arrays `[C, ...]`, one for each of `moments` moments.

    `on_hosts` takes arrays of all models from the devices to the host, without
    padding; `like` has the shapes of a record on the devices.
    """

    def __init__(
        self,
        moments: int,
        mesh: Mesh,
        on_hosts: Callable[[PyTree], PyTree],
        like: PyTree,
        *,
        models: int,
    ) -> None:
        self._on_hosts, (self._empty, self._write) = on_hosts, _programs(mesh)
        self._buffers, self._waiting, self._on_host = None, 0, 0
        self._arrays = jax.tree.map(
            lambda leaf: np.zeros((models, *leaf.shape[1:], moments), leaf.dtype), like
        )

    def add(self, record: PyTree) -> None:
        """Appends one moment's record; every record has the structure of the first."""
        if self._buffers is None:
            self._buffers = self._empty(record)
        self._buffers = self._write(self._buffers, record, np.int32(self._waiting))
        self._waiting += 1
        if self._waiting == _ON_DEVICE:
            self._move()

    def arrays(self) -> PyTree:
        """All records so far, on the host, moments along the last axis: `[C, ..., E]`."""
        self._move()
        return jax.tree.map(lambda leaf: leaf[..., : self._on_host], self._arrays)

    def restore(self, arrays: PyTree) -> None:
        """Begins again with what `arrays` returned earlier."""
        self._waiting, self._on_host = 0, 0
        leaves = jax.tree.leaves(arrays)
        self._append(arrays, leaves[0].shape[-1] if leaves else 0)

    def _move(self) -> None:
        if self._waiting:
            self._append(self._on_hosts(self._buffers), self._waiting)
        self._waiting = 0

    def _append(self, arrays: PyTree, count: int) -> None:
        for whole, leaf in zip(*map(jax.tree.leaves, (self._arrays, arrays)), strict=True):
            whole[..., self._on_host : self._on_host + count] = np.asarray(leaf)[..., :count]
        self._on_host += count


def checked_epochs(chosen: object, last: int) -> Sequence[int]:
    """At which epochs history is recorded: those chosen, or 0 and every one up to the last."""
    if chosen is None:
        return range(last + 1)
    whole = [] if isinstance(chosen, str | bytes) or not np.iterable(chosen) else list(chosen)
    if not all(isinstance(e, int | np.integer) and not isinstance(e, bool) for e in whole):
        whole = []
    if not whole or sorted(set(whole)) != whole or not 0 <= whole[0] <= whole[-1] <= last:
        raise InputError(
            f"history_epochs are {shortened(chosen)}; expected increasing integers from 0 to the "
            f"last epoch, {last}."
        )
    return tuple(map(int, whole))
