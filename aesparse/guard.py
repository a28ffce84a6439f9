"""The numerics guard: a compiled training program against the same step op by op.

Compilers have bugs (some jaxlib releases miscompile a matrix product with a broadcast
constant on CPU), and a wrong gradient trains without complaint. What runs is what is checked:
the caller executes one step of the very program that will train, and the same step with every
operation compiled alone; here the two results are compared, cell by cell, on the host.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

__all__ = ["LIMITS", "NumericsError", "compare"]

# Largest relative difference per cell that rounding can explain, by dtype.
LIMITS = {"float32": 1e-4, "float64": 1e-10}
# A leaf that is small beside the cell's whole gradient is judged against this share of it, so
# that an exact zero (or a cancellation to zero) does not turn rounding into a relative error.
_FLOOR = 1e-2


class NumericsError(RuntimeError):
    """A compiled program disagrees with the same step evaluated op by op."""


def compare(compiled: PyTree, reference: PyTree) -> float:
    """Checks equal-structured states `[C, ...]` and returns the largest difference.

    The difference of a leaf is its relative Frobenius norm per cell; a cell that is not
    finite in the reference is skipped. Raises `NumericsError` beyond `LIMITS`.
    """
    names = [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, _ in jax.tree_util.tree_leaves_with_path(reference)
    ]
    got = [_flatten(leaf) for leaf in jax.tree.leaves(compiled)]
    want = [_flatten(leaf) for leaf in jax.tree.leaves(reference)]
    size = np.sqrt(sum(np.sum(w**2, axis=-1) for w in want))
    limit = LIMITS[str(jnp.result_type(*jax.tree.leaves(reference)))]
    worst = 0.0
    for name, a, b in zip(names, got, want, strict=True):
        scale = np.maximum(np.linalg.norm(b, axis=-1), _FLOOR * size) + np.finfo(float).tiny
        difference = np.linalg.norm(a - b, axis=-1) / scale
        difference = np.where(np.isnan(difference), np.inf, difference)
        difference = np.where(np.isfinite(size), difference, 0.0)
        cell = int(np.argmax(difference))
        if difference[cell] > limit:
            raise NumericsError(
                f"The compiled program disagrees with the same step op by op: '{name}' of cell "
                f"{cell} has norm {np.linalg.norm(a[cell]):.6g} compiled, "
                f"{np.linalg.norm(b[cell]):.6g} op by op (relative difference "
                f"{difference[cell]:.2g}, limit {limit:.0e}). This is a compiler fault, not yours: "
                "pass matrices as arguments instead of building them from constants inside the "
                "objective, or set XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type= , or use "
                "another jaxlib."
            )
        worst = max(worst, float(difference[cell]))
    return worst


def _flatten(leaf: jax.Array | np.ndarray) -> np.ndarray:
    array = np.asarray(leaf, dtype=np.float64)
    return array.reshape(len(array), -1)
