"""Means over samples, block by block: what bounds the memory of measurements of a whole grid.

Shapes: n inputs, N samples, b samples of a block.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

__all__ = ["MEASURE_SAMPLES", "block_means"]

MEASURE_SAMPLES = 500  #: samples of a block, which bound the memory of a grid's codes


def block_means(block_sums: Callable[[Array], PyTree], x: Float[Array, "N n"]) -> PyTree:
    """The sums of blocks of samples, added up and divided by N.

    Measurements of one's own use it in place of one pass over all of x, so that a grid's codes of
    `MEASURE_SAMPLES` samples at most are in memory at once.

    Args:
        block_sums: of `[b, n]` samples, b from 0 to `MEASURE_SAMPLES`: any pytree of arrays, each a
            sum over the samples of the block.
        x: the samples, `[N, n]`.

    >>> x = jnp.arange(1200.0)[:, None]
    >>> means = block_means(lambda block: (jnp.sum(block), jnp.sum(block > 299.0)), x)
    >>> [float(mean) for mean in means]
    [599.5, 0.75]
    """
    whole = len(x) // MEASURE_SAMPLES * MEASURE_SAMPLES
    totals = block_sums(x[whole:])
    if whole:
        blocks = x[:whole].reshape(-1, MEASURE_SAMPLES, x.shape[1])
        totals, _ = jax.lax.scan(
            lambda total, b: (jax.tree.map(jnp.add, total, block_sums(b)), None), totals, blocks
        )
    return jax.tree.map(lambda total: total / len(x), totals)
