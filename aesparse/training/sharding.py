"""The models of a grid over devices: placed, padded, trained apart, gathered once.

Models are independent, so every device trains its own and nothing is exchanged in between. The
same code serves one device, all devices of a host and, after `jax.distributed.initialize()`,
those of several hosts. Shapes: C models, D devices.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PyTree

__all__ = [
    "MODELS",
    "SHARED",
    "Points",
    "first_shard",
    "gather",
    "model_mesh",
    "over_models",
    "padded",
    "place",
    "transfers",
]

_AXIS = "models"
MODELS, SHARED = PartitionSpec(_AXIS), PartitionSpec()


class Points(NamedTuple):
    """Which model each grid point is: what its program takes beside the parameters."""

    seed: Int[Array | np.ndarray, " C"]  # its position among the seeds' keys
    coefficients: Mapping[str, Float[Array | np.ndarray, " C"]]  # of the objective
    active: Bool[Array, " C"] | None = None  # whether it still trains; None: all do


def padded(tree: PyTree, devices: int) -> PyTree:
    """Arrays `[C, ...]` with as many models as fill all devices evenly; the last is repeated."""

    def filled(leaf: Array | np.ndarray) -> np.ndarray:
        leaf = np.asarray(leaf)
        return np.concatenate([leaf, np.repeat(leaf[-1:], -len(leaf) % devices, axis=0)])

    return jax.tree.map(filled, tree)


def model_mesh(devices: Sequence[jax.Device] | None = None, *, models: int | None = None) -> Mesh:
    """A line of devices, by default all there are on all hosts.

    On a single host no more of them than `models`: a padded one would only slow the others.
    """
    devices = list(jax.devices() if devices is None else devices)
    if jax.process_count() == 1:
        devices = devices[:models]
    return Mesh(np.array(devices), (_AXIS,))


def over_models(
    f: Callable, mesh: Mesh, specs: Sequence[PartitionSpec], *, donate: Sequence[int] = ()
) -> Callable:
    """`f` compiled to run on every device for its own models; results have a leading model axis.

    `specs` has `MODELS` or `SHARED` for each argument.
    """
    each = jax.shard_map(f, mesh=mesh, in_specs=tuple(specs), out_specs=MODELS, check_vma=False)
    return jax.jit(each, donate_argnums=tuple(donate))


def place(tree: PyTree, mesh: Mesh, spec: PartitionSpec) -> PyTree:
    """Arrays that every host has, on the devices: split by model, or whole on each."""
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
    """All models' arrays on every host, as NumPy's."""
    one_host = mesh.size == 1 or jax.process_count() == 1
    if one_host or all(leaf.is_fully_addressable for leaf in jax.tree.leaves(tree)):
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def transfers(count: int, mesh: Mesh) -> tuple[Callable, Callable]:
    """From padded models on the devices to NumPy arrays of all on every host, and back."""

    def on_hosts(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf[:count], gather(tree, mesh))

    def on_devices(tree: PyTree) -> PyTree:
        return place(padded(tree, mesh.size), mesh, MODELS)

    return on_hosts, on_devices
