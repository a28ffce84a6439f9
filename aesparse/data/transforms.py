"""What is done to data before training: maps fitted on training data, and crops of images.

Shapes: N samples, n inputs.
"""

import numbers
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from aesparse.data.matrix import as_array, check_matrix
from aesparse.errors import InputError
from aesparse.options import check_counts, shortened

__all__ = ["Affine", "random_crops", "standardize", "whiten"]

_ROUNDINGS = 4  # a column whose entries differ by at most so many is constant


class Affine(NamedTuple):
    """x ↦ (x − mean) @ matrix, or (x − mean) · scale where `matrix` is a vector."""

    mean: Float[np.ndarray, " n"]
    matrix: Float[np.ndarray, "n k"] | Float[np.ndarray, " n"]

    def __call__(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N k"]:
        """Transforms rows, in the precision of the data; `InputError` for others than its own."""
        X, n = as_array(X, "The rows to transform"), len(self.mean)
        if X.ndim != 2 or X.shape[1] != n or X.dtype.kind != "f":
            raise InputError(
                f"The rows to transform are {X.dtype} of shape {X.shape}; expected floating-point "
                f"[N, {n}], as in the data the transformation was made from."
            )
        centred = X.astype(np.float64) - self.mean
        moved = centred * self.matrix if self.matrix.ndim == 1 else centred @ self.matrix
        return moved.astype(X.dtype)


def standardize(X: Float[np.ndarray, "N n"], epsilon: float = 0.0) -> Affine:
    """(x − mean)/(std + ε) per input over the training set `X` (Arpit section 3, footnote 2).

    `X` may hold integers; the rows that the result is applied to are floating point.
    `InputError` for defective data, ε < 0, and columns that are constant up to rounding at ε = 0.

    >>> X = np.array([[0.0, 2.0], [4.0, 6.0]])
    >>> standardize(X)(X).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    X = check_matrix(X)
    real = isinstance(epsilon, numbers.Real) and not isinstance(epsilon, bool)
    if not (real and np.isfinite(epsilon) and epsilon >= 0):
        raise InputError(
            f"epsilon is {shortened(epsilon)}; expected a finite number >= 0, such as 0.1."
        )
    spread = X.std(axis=0, dtype=np.float64) + epsilon
    high, low = X.max(axis=0).astype(np.float64), X.min(axis=0).astype(np.float64)
    rounding = _ROUNDINGS * np.finfo(X.dtype).eps * np.maximum(np.abs(high), np.abs(low))
    constant = np.flatnonzero(high - low <= rounding)
    if len(constant) and epsilon == 0:
        raise InputError(
            f"The data has {len(constant)} constant columns, the first is {constant[0]}; with "
            "epsilon = 0 they cannot be standardized. Give an epsilon > 0 or drop them."
        )
    return Affine(X.mean(axis=0, dtype=np.float64), 1.0 / spread)


def whiten(X: Float[np.ndarray, "N n"], rank: int | None = None) -> Affine:
    """PCA whitening to `rank` components (all that the data has by default): E[xxᵀ] = I.

    >>> X = np.random.default_rng(0).normal(size=(100, 3)) + 1
    >>> Z = whiten(X, rank=2)(X)
    >>> np.allclose(Z.T @ Z / len(Z), np.eye(2))
    True
    """
    X = check_matrix(X)
    if rank is not None:
        check_counts({"rank": rank})
    eps = np.finfo(X.dtype).eps
    X = np.asarray(X, np.float64)
    mean = X.mean(axis=0)
    values, vectors = np.linalg.eigh((X - mean).T @ (X - mean) / len(X))
    values, vectors = values[::-1], vectors[:, ::-1]
    # A direction without variance has that of the numbers' rounding, or of the eigenvalues'.
    rounding = eps**2 * (mean @ mean + values.sum())
    rounding = max(rounding, np.finfo(np.float64).eps * len(values) * values[0])
    available = int(np.sum(values > rounding))
    rank = available if rank is None else rank
    if available == 0 or not 1 <= rank <= available:
        raise InputError(
            f"Cannot whiten to rank {rank}: the data has rank {available}; expected a rank from "
            f"1 to {available}. Data of rank 0 is constant."
        )
    return Affine(mean, vectors[:, :rank] / np.sqrt(values[:rank]))


def random_crops(
    images: UInt8[np.ndarray, "K H W C"], count: int, size: int, seed: int
) -> UInt8[np.ndarray, "count size size C"]:
    """`count` random size×size crops, image and position drawn uniformly with `seed`.

    >>> random_crops(np.zeros((2, 9, 9, 3), np.uint8), count=5, size=4, seed=0).shape
    (5, 4, 4, 3)
    """
    k, height, width, _ = images.shape
    if size > min(height, width):
        raise InputError(
            f"The crops of {size}×{size} are larger than the images, {height}×{width}; choose a "
            f"size of at most {min(height, width)}."
        )
    rng = np.random.default_rng(seed)
    which = rng.integers(k, size=count)
    top, left = (
        rng.integers(height - size + 1, size=count),
        rng.integers(width - size + 1, size=count),
    )
    rows = top[:, None, None] + np.arange(size)[None, :, None]
    columns = left[:, None, None] + np.arange(size)[None, None, :]
    return images[which[:, None, None], rows, columns]
