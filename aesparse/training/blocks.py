"""How many models of a device work side by side, and block after block of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import ArrayLike, PyTree

from aesparse.training.sharding import Points

__all__ = ["in_blocks", "measured_blocks", "models_at_once", "over_blocks", "steps_ahead"]

CACHE_BYTES = 3e6  # of weights, momentum and gradient of a CPU device's models at once
_AHEAD_BYTES, _MOST_AHEAD = 8e6, 64  # of batches drawn at once, and updates they are for
_STOPPING_TOGETHER = {"cpu": 8, "other": 256}  # models side by side, where they stop one by one
_MEASURED_BYTES = {"cpu": 64e6, "other": 1e9}  # temporaries of the models measured side by side


def models_at_once(mesh: Mesh, weight_bytes: int, models: int, *, stopping: bool = False) -> int:
    """How many of a device's models train side by side; block after block, segment by segment.

    All of them on an accelerator. On a CPU as many as keep weights, momentum and gradient in
    the cache: the update of a larger block waits for the memory. Where models stop one by one, on
    either no more than leave blocks that hold none but stopped ones soon.
    """
    cpu = mesh.devices.flat[0].platform == "cpu"
    most = max(1, round(CACHE_BYTES / (3 * weight_bytes))) if cpu else models
    return min(models, most, _STOPPING_TOGETHER["cpu" if cpu else "other"] if stopping else models)


def steps_ahead(seeds: int, batch_bytes: int) -> int:
    """For how many updates batches and noise are drawn at once, for all models."""
    return max(1, min(_MOST_AHEAD, int(_AHEAD_BYTES / (seeds * batch_bytes))))


def in_blocks(train: Callable, block: int, carry: PyTree, points: Points) -> PyTree:
    """`train(carry, point)` of every active model, `block` of them side by side, in place."""
    if points.active is not None:
        return _active_in_blocks(train, block, carry, points)
    each, count = _side_by_side(train), len(points.seed)

    def part(first: ArrayLike, size: int, carry: PyTree) -> PyTree:
        some, chosen = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, size), (carry, points)
        )
        return jax.tree.map(
            lambda leaf, new: jax.lax.dynamic_update_slice_in_dim(leaf, new, first, 0),
            carry,
            each(some, chosen),
        )

    whole = count // block
    carry = jax.lax.fori_loop(0, whole, lambda k, carry: part(k * block, block, carry), carry)
    return part(whole * block, count % block, carry) if count % block else carry


def _active_in_blocks(train: Callable, block: int, carry: PyTree, points: Points) -> PyTree:
    """The same with the active models gathered in front; blocks without one are left out."""
    each, count = _side_by_side(train), len(points.seed)
    order = jnp.argsort(~points.active)  # stable
    order = jnp.pad(order, (0, -count % block), constant_values=count)
    active = jnp.sum(points.active)

    def part(k: ArrayLike, carry: PyTree) -> PyTree:
        rows = jax.lax.dynamic_slice_in_dim(order, k * block, block)
        there = jnp.minimum(rows, count - 1)
        some, chosen = jax.tree.map(lambda leaf: leaf[there], (carry, points))
        places = jnp.where(k * block + jnp.arange(block) < active, rows, count)
        return jax.tree.map(
            lambda leaf, new: leaf.at[places].set(new, mode="drop"), carry, each(some, chosen)
        )

    return jax.lax.fori_loop(0, (active + block - 1) // block, part, carry)


def _side_by_side(train: Callable) -> Callable:
    """`train` of several models `[K, ...]`."""

    def each(*trees: PyTree) -> PyTree:
        if len(jax.tree.leaves(trees)[0]) > 1:
            return jax.vmap(train)(*trees)
        # Without a batch axis of length 1, for which XLA transposes the weights at every step.
        trained = train(*jax.tree.map(lambda leaf: leaf[0], trees))
        return jax.tree.map(lambda leaf: leaf[None], trained)

    return each


def measured_blocks(mesh: Mesh, bytes_each: int, models: int) -> np.ndarray:
    """Which models are measured side by side, block after block, `[blocks, models of a block]`.

    As many as fit `_MEASURED_BYTES`, blocks of equal length; the last repeats its last model.
    """
    limit = _MEASURED_BYTES["cpu" if mesh.devices.flat[0].platform == "cpu" else "other"]
    blocks = -(-models // max(1, int(limit // bytes_each)))
    block = -(-models // blocks)
    return np.minimum(np.arange(blocks * block), models - 1).reshape(blocks, block)


def over_blocks(f: Callable, carry, rows: np.ndarray, models: int):
    """What `f(carry, rows) -> carry, results` returns for every block of models, joined."""
    _, results = jax.lax.scan(f, carry, jnp.asarray(rows))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:models], results)
