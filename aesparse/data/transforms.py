"""What is done to data before training: maps fitted on it, maps of single rows, crops of images.

Shapes: N samples, n inputs.
"""

import numbers
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from aesparse.data.matrix import as_array, check_matrix
from aesparse.errors import InputError
from aesparse.options import check_counts, check_positive, shortened

__all__ = [
    "Affine",
    "contrast_normalize",
    "random_crops",
    "remove_patch_mean",
    "standardize",
    "whiten",
    "zca",
]

_ROUNDINGS = 4  # a column whose entries differ by at most so many is constant


class Affine(NamedTuple):
    """A map of rows, x ↦ (x − mean) @ matrix, or (x − mean) · scale where the matrix is a vector.

    Called with floating-point rows `[N, n]` it returns `[N, k]` in their precision; `InputError`
    for others than its own.

    Attributes:
        mean: `[n]`.
        matrix: `[n, k]`, or `[n]` for a scale of each input.

    >>> scaler = Affine(mean=np.array([1.0, 2.0]), matrix=np.array([0.5, 2.0]))
    >>> scaler(np.array([[3.0, 3.0]])).tolist()
    [[1.0, 2.0]]
    """

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
    """(x − mean)/(std + ε) per input over training data `X [N, n]` (Arpit section 3, footnote 2).

    ε is `epsilon`, 0 by default; std is that over N. X may hold integers; the rows that the result
    is applied to are floating point. `InputError` for defective data, ε < 0, and columns that are
    constant up to rounding at ε = 0.

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
    """PCA whitening of `X [N, n]`: (x − mean) V diag(v)^(−1/2), after which E[zzᵀ] = I.

    To the `rank` directions of largest variance v, by default all that the data has. `InputError`
    for defective data, and a rank that it does not have.

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


def zca(X: Float[np.ndarray, "N n"], epsilon: float | int = 0.1) -> Affine:
    """Symmetric whitening x ↦ (x − mean) V diag(v + ε·mean(v))^(−1/2) Vᵀ (Bell & Sejnowski 1997).

    v [n] and V are the eigenvalues and eigenvectors of the covariance of `X` (mean over samples).
    The result has as many inputs as `X`, and images stay images. `epsilon` > 0 is a fraction of
    the mean eigenvalue: the covariance that is left has the eigenvalues v/(v + ε·mean(v)), near 1
    for directions that vary much and near 0 for those of little else than noise. `InputError`
    for defective data, for constant data, and for ε <= 0.

    >>> X = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # v: 4.5 and 0.5
    >>> Z = zca(X, epsilon=0.2)(X)
    >>> (Z.T @ Z / 4).round(6).tolist()
    [[0.9, 0.0], [0.0, 0.5]]
    """
    X = check_matrix(X).astype(np.float64)
    check_positive({"epsilon": epsilon})
    if (X[0] == X).all():
        raise InputError("All rows of the data to whiten are equal; expected rows that differ.")
    mean = X.mean(axis=0)
    values, vectors = np.linalg.eigh((X - mean).T @ (X - mean) / len(X))
    damped = np.maximum(values, 0) + epsilon * values.mean()  # a zero may round to −1e-17
    return Affine(mean, (vectors / np.sqrt(damped)) @ vectors.T)


def remove_patch_mean(X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "N n"]:
    """Each row of `X [N, n]` minus its own mean over all inputs, in the precision of the data.

    What a patch looks like is left, not how bright it is. `InputError` for defective data.

    >>> remove_patch_mean(np.array([[1.0, 3.0], [5.0, 5.0]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    X = check_matrix(X)
    return (X - X.mean(axis=1, keepdims=True, dtype=np.float64)).astype(X.dtype)


def contrast_normalize(
    X: Float[np.ndarray, "N n"], epsilon: float | int = 0.01
) -> Float[np.ndarray, "N n"]:
    """Each row of `X [N, n]` minus its mean, over its own standard deviation + ε.

    `epsilon` > 0 has the unit of the data. The default, 0.01, is 1% of the range of pixels in [0,
    1]; it leaves patches dark that have less contrast. Constant rows become 0. The precision is
    that of the data. `InputError` for defective data and ε <= 0.

    >>> contrast_normalize(np.array([[1.0, 3.0], [5.0, 5.0]]), epsilon=1.0).tolist()
    [[-0.5, 0.5], [0.0, 0.0]]
    """
    X = check_matrix(X)
    check_positive({"epsilon": epsilon})
    centred = X - X.mean(axis=1, keepdims=True, dtype=np.float64)
    spread = centred.std(axis=1, keepdims=True)
    return (centred / (spread + epsilon)).astype(X.dtype)


def random_crops(
    images: UInt8[np.ndarray, "K H W C"], count: int, size: int, seed: int
) -> UInt8[np.ndarray, "count size size C"]:
    """`count` random crops of `images [K, H, W, C]`; `[count, size, size, C]`.

    Image and position are drawn uniformly, with replacement, by NumPy's generator of that `seed`.
    `InputError` for crops larger than the images.

    >>> images = np.arange(2 * 3 * 3).reshape(2, 3, 3, 1).astype(np.uint8)
    >>> random_crops(images, count=1, size=2, seed=0)[0, :, :, 0].tolist()
    [[13, 14], [16, 17]]
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
