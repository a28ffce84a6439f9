"""What a training is, in values that can be stored with its checkpoints and compared."""

import hashlib
import re
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from aesparse.losses.objectives import Objective
from aesparse.models.one_layer import Params
from aesparse.training.arguments import parameter_shapes

__all__ = ["training_settings"]

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def training_settings(
    key: PRNGKeyArray,
    X: Array,
    *,
    objective: Objective,
    strengths: Array,
    seeds: Sequence[int],
    learning_rate: Array,
    init: Params | None,
    batch_size: int,
    hidden: int,
    tied: bool,
    decoder_bias: bool,
    **options: str | float | int | bool,
) -> dict:
    """Everything that decides a training's numbers but its length, as JSON values by name.

    Arrays of data and parameters, and the objective's trace with its constants, stand as SHA-256
    checksums. `options` are stored as they are.
    """
    model = {"hidden": hidden, "tied": tied, "decoder_bias": decoder_bias}
    start = jax.tree.leaves(init)
    return {
        "X": f"{X.dtype} {X.shape}, SHA-256 {_checksum(X)}",
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "generator": str(jax.random.key_impl(key)),
        "partitionable generator": bool(jax.config.jax_threefry_partitionable),
        "objective": f"trace with SHA-256 {_trace(objective, X, strengths, batch_size, **model)}",
        "strengths": np.asarray(strengths).tolist(),
        "learning_rate": np.asarray(learning_rate).tolist(),
        "seeds": list(seeds),
        "init": f"SHA-256 {_checksum(*start)}" if start else "from the seeds",
        "batch_size": int(batch_size),
        "jax": jax.__version__,
        **model,
        **options,
    }


def _checksum(*arrays) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array)
    return digest.hexdigest()[:16]


def _trace(objective, X, strengths, batch_size, **model) -> str:
    """Checksum of what the objective computes for one model and batch."""
    batch = jax.ShapeDtypeStruct((batch_size, X.shape[1]), X.dtype)
    strength = jax.ShapeDtypeStruct(strengths.shape[1:], X.dtype)
    closed = jax.make_jaxpr(objective)(parameter_shapes(X, **model), batch, batch, strength)
    text = _ADDRESS.sub("", str(closed.jaxpr))
    return _checksum(np.frombuffer(text.encode(), np.uint8), *closed.consts)
