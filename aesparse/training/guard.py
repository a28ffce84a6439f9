"""The numerics guard: a compiled training program against the same step op by op.

Compilers have bugs (some jaxlib releases miscompile a matrix product with a broadcast
constant on CPU), and a wrong gradient trains without complaint. What runs is what is checked:
the caller executes steps of the very program that will train, and the same steps with every
operation compiled alone; here the two results are compared on the host, model by model and row by
row. Shapes: C models, R rows of an array (the entries of a vector).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aesparse.errors import NumericsError

__all__ = [
    "LIMITS",
    "PRODUCT_LIMITS",
    "Differences",
    "NumericsError",
    "above",
    "compare",
    "differences",
    "judge",
    "limit",
    "smaller",
]

Differences = Mapping[str, np.ndarray]  # by array, [C, R]

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
# An array that is small beside its group (all parameters, the whole momentum, all losses of the
# model) is judged against this share of the group, so that an exact zero, or a cancellation to
# zero, does not turn rounding into a relative error.
_FLOOR = 1e-2
# Parameters move by a rate times the gradient, so rounding moves them less than the momentum.
_TIGHTER = {"params": 0.3}


def limit(dtype: str, precision: str | None = "highest") -> float:
    """The largest difference accepted at a matmul precision; None is JAX's own default.

    Names without a limit of their own have that of "default"; float64 products never round their
    factors.
    """
    if dtype != "float32":
        return LIMITS[dtype]
    return PRODUCT_LIMITS.get(precision or "default", PRODUCT_LIMITS["default"])


def differences(
    compiled: Mapping[str, PyTree], reference: Mapping[str, PyTree], *, by_row: bool = True
) -> Differences:
    """How far equal-structured groups of arrays `[C, ...]` are apart, relatively.

    The difference of a row is the norm of what it differs by, over its own norm or, where that is
    larger, the root mean square of the rows of its array. A model that is not finite in the
    reference has 0. Those of parameters count more than three times: they move by a rate times
    the gradient, so rounding moves them less than the momentum. Not `by_row`, an array counts as
    one row.
    """
    by_array = {}
    for group, wanted in reference.items():
        leaves = jax.tree_util.tree_leaves_with_path(wanted)
        got = [np.asarray(leaf) for leaf in jax.tree.leaves(compiled[group])]
        want = [np.asarray(leaf) for _, leaf in leaves]
        norms = [_row_norms(w, by_row=by_row) for w in want]
        lengths = [np.linalg.norm(rows, axis=-1) for rows in norms]
        size = np.sqrt(sum(length**2 for length in lengths))
        for (path, _), a, b, rows, length in zip(leaves, got, want, norms, lengths, strict=True):
            usual = np.maximum(length, _FLOOR * size) / np.sqrt(rows.shape[-1])
            scale = np.maximum(rows, usual[:, None]) + np.finfo(float).tiny
            apart = _row_norms(a, b, by_row=by_row) / scale / _TIGHTER.get(group, 1.0)
            apart = np.where(np.isnan(apart), np.inf, apart)
            name = f"{group}.{jax.tree_util.keystr(path, simple=True, separator='.')}"
            by_array[name] = np.where(np.isfinite(size)[:, None], apart, 0.0)
    return by_array


def smaller(first: Differences, second: Differences) -> Differences:
    """The smaller difference of every row on two batches.

    Rounding may switch a ReLU unit on one batch; a wrong program is wrong on both.
    """
    return {name: np.minimum(apart, second[name]) for name, apart in first.items()}


def above(by_array: Differences, largest: float) -> bool:
    """Whether a row differs by more."""
    return any(rows.max() > largest for rows in by_array.values())


def judge(by_array: Differences, largest: float) -> float:
    """The largest difference; `NumericsError` if it is above `largest`."""
    name = max(by_array, key=lambda name: by_array[name].max())
    apart = by_array[name]
    model, row = np.unravel_index(np.argmax(apart), apart.shape)
    if apart[model, row] > largest:
        where = f", row {row}" if apart.shape[-1] > 1 else ""
        raise NumericsError(
            f"The compiled program disagrees with the same step op by op: '{name}' of model "
            f"{model}{where} differs by {apart[model, row]:.2g} (limit {largest:.0e}). Most likely "
            "the compiler is at fault: pass matrices as arguments instead of building them from "
            "constants inside the objective, or set "
            "XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type= , or use another jaxlib."
        )
    return float(apart[model, row])


def compare(
    compiled: Mapping[str, PyTree],
    reference: Mapping[str, PyTree],
    precision: str | None = "highest",
) -> float:
    """The largest difference of whole arrays; `NumericsError` above the `limit` of their dtype."""
    dtype = jnp.result_type(*jax.tree.leaves(reference))
    return judge(differences(compiled, reference, by_row=False), limit(str(dtype), precision))


def _row_norms(a: np.ndarray, b: np.ndarray | None = None, *, by_row: bool) -> np.ndarray:
    """Norms of the rows of a, or of a − b, in float64: `[C, R]`.

    One model at a time, since a grid may fill the memory.
    """

    count = a.shape[1] if by_row and a.ndim > 1 else 1

    def rows(model: np.ndarray | np.generic) -> np.ndarray:
        return np.asarray(model, np.float64).reshape(count, -1)

    if b is None:
        return np.array([np.linalg.norm(rows(model), axis=-1) for model in a])
    pairs = zip(a, b, strict=True)
    with np.errstate(invalid="ignore"):  # of two infinities
        return np.array([np.linalg.norm(rows(p) - rows(q), axis=-1) for p, q in pairs])
