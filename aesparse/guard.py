"""The numerics guard: a compiled training program against the same step op by op.

Compilers have bugs (some jaxlib releases miscompile a matrix product with a broadcast
constant on CPU), and a wrong gradient trains without complaint. What runs is what is checked:
the caller executes one step of the very program that will train, and the same step with every
operation compiled alone; here the two results are compared, cell by cell, on the host.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

__all__ = ["LIMITS", "PRODUCT_LIMITS", "NumericsError", "compare", "limit"]

# Largest relative difference per model that rounding can explain, by dtype.
LIMITS = {"float32": 1e-4, "float64": 1e-10}
# The same for float32 where products round their factors, by JAX's name of the matmul precision.
# The unit roundoff u is 4.9e-4 for TF32 and 3.9e-3 for bfloat16. Both sides of the comparison
# round alike, except where rounding before differs by one unit, which a step's chain of five
# products passes on: about 20 u and 13 u. A wrong gradient is off by 1. "high" and "default" are
# what a GPU or a TPU makes of them at worst.
PRODUCT_LIMITS = {
    "highest": LIMITS["float32"],
    "float32": LIMITS["float32"],
    "high": 1e-2,
    "tensorfloat32": 1e-2,
    "default": 5e-2,
    "bfloat16": 5e-2,
}
# A leaf that is small beside its group (all parameters, the whole momentum, all losses of the
# cell) is judged against this share of the group, so that an exact zero, or a cancellation to
# zero, does not turn rounding into a relative error.
_FLOOR = 1e-2


class NumericsError(RuntimeError):
    """A compiled program disagrees with the same step evaluated op by op."""


def limit(dtype: str, precision: str | None = "highest") -> float:
    """The largest difference accepted at a matmul precision; None is JAX's own default.

    Names without a limit of their own have that of "default"; float64 products never round their
    factors.
    """
    if dtype != "float32":
        return LIMITS[dtype]
    return PRODUCT_LIMITS.get(precision or "default", PRODUCT_LIMITS["default"])


def compare(
    compiled: Mapping[str, PyTree],
    reference: Mapping[str, PyTree],
    precision: str | None = "highest",
) -> float:
    """Checks equal-structured groups of arrays `[C, ...]` and returns the largest difference.

    The difference of a leaf is its relative Frobenius norm per cell; a cell that is not
    finite in the reference is skipped. Raises `NumericsError` beyond the `limit` of the dtype at
    the matmul `precision` of both.
    """
    worst = 0.0
    for group, wanted in reference.items():
        leaves = jax.tree_util.tree_leaves_with_path(wanted)
        got = [np.asarray(leaf) for leaf in jax.tree.leaves(compiled[group])]
        want = [np.asarray(leaf) for _, leaf in leaves]
        size = np.sqrt(sum(_norms(w) ** 2 for w in want))
        largest = limit(str(jnp.result_type(*[leaf for _, leaf in leaves])), precision)
        for (path, _), a, b in zip(leaves, got, want, strict=True):
            name = f"{group}.{jax.tree_util.keystr(path, simple=True, separator='.')}"
            worst = max(worst, _check_leaf(name, a, b, size, largest))
    return worst


def _check_leaf(name: str, a: np.ndarray, b: np.ndarray, size: np.ndarray, limit: float) -> float:
    scale = np.maximum(_norms(b), _FLOOR * size) + np.finfo(float).tiny
    difference = _norms(a, b) / scale
    difference = np.where(np.isnan(difference), np.inf, difference)
    difference = np.where(np.isfinite(size), difference, 0.0)
    cell = int(np.argmax(difference))
    if difference[cell] > limit:
        raise NumericsError(
            f"The compiled program disagrees with the same step op by op: '{name}' of cell "
            f"{cell} has norm {_norms(a)[cell]:.6g} compiled, "
            f"{_norms(b)[cell]:.6g} op by op (relative difference "
            f"{difference[cell]:.2g}, limit {limit:.0e}). Most likely the compiler is at fault: "
            "pass matrices as arguments instead of building them from constants inside the "
            "objective, or set XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type= , or use "
            "another jaxlib."
        )
    return float(difference[cell])


def _norms(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """‖a‖ or ‖a − b‖ of every model in float64, one at a time: a grid may fill the memory."""
    doubles = (row.astype(np.float64) for row in a)
    if b is not None:
        doubles = (p - q for p, q in zip(doubles, b, strict=True))
    return np.array([np.linalg.norm(row.ravel()) for row in doubles])
