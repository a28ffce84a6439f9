"""The cells of a grid over devices: placed, padded, trained apart, gathered once.

Cells are independent, so every device trains its own and nothing is exchanged in between. The
same code serves one device, all devices of a host and, after `jax.distributed.initialize()`,
those of several hosts. Shapes: C cells, D devices.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, ArrayLike, Float, Int, PyTree

__all__ = ["CELLS", "SHARED", "Cells", "cell_mesh", "first_shard", "gather", "over_cells", "place"]

_AXIS = "cells"
CELLS, SHARED = PartitionSpec(_AXIS), PartitionSpec()


class Cells(NamedTuple):
    """Which model each cell is."""

    seed: Int[Array | np.ndarray, " C"]  # its position among the seeds' keys
    strength: Float[Array | np.ndarray, "C ..."]
    rate: Float[Array | np.ndarray, " C"]

    @classmethod
    def of_seeds(cls, seeds: int, strengths: ArrayLike, rates: ArrayLike) -> "Cells":
        """Every strength with its rate, for one seed after the other."""
        parts = (np.concatenate([np.asarray(v)] * seeds) for v in (strengths, rates))
        return cls(np.repeat(np.arange(seeds, dtype=np.int32), len(strengths)), *parts)

    def padded(self, devices: int) -> "Cells":
        """As many cells as fill all devices evenly; the last is repeated."""
        missing = -len(self.seed) % devices
        last = (np.repeat(np.asarray(leaf)[-1:], missing, axis=0) for leaf in self)
        return Cells(*map(np.concatenate, zip(self, last, strict=True)))


def cell_mesh(devices: Sequence[jax.Device] | None = None, *, cells: int | None = None) -> Mesh:
    """A line of devices, by default all there are on all hosts.

    On a single host no more of them than `cells`: a padded cell would only slow the others.
    """
    devices = list(jax.devices() if devices is None else devices)
    if jax.process_count() == 1:
        devices = devices[:cells]
    return Mesh(np.array(devices), (_AXIS,))


def over_cells(
    f: Callable, mesh: Mesh, specs: Sequence[PartitionSpec], *, donate: Sequence[int] = ()
) -> Callable:
    """`f` compiled to run on every device for its own cells; results have a leading cell axis.

    `specs` has `CELLS` or `SHARED` for each argument.
    """
    each = jax.shard_map(f, mesh=mesh, in_specs=tuple(specs), out_specs=CELLS, check_vma=False)
    return jax.jit(each, donate_argnums=tuple(donate))


def place(tree: PyTree, mesh: Mesh, spec: PartitionSpec) -> PyTree:
    """Arrays that every host has, on the devices: split by cell, or whole on each."""
    sharding = NamedSharding(mesh, spec)

    def one(leaf: Array | np.ndarray) -> Array:
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = one(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        return jax.device_put(np.asarray(leaf), sharding)  # other hosts' devices take host arrays

    return jax.tree.map(one, tree)


def first_shard(tree: PyTree) -> PyTree:
    """What the first device of this host holds."""
    return jax.tree.map(lambda leaf: leaf.addressable_shards[0].data, tree)


def gather(tree: PyTree, mesh: Mesh) -> PyTree:
    """All cells' arrays on every host; as they are on a single device."""
    if mesh.size == 1:
        return tree
    if all(leaf.is_fully_addressable for leaf in jax.tree.leaves(tree)):
        return jax.tree.map(np.asarray, tree)
    return multihost_utils.process_allgather(tree, tiled=True)
