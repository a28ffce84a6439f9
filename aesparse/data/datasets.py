"""Data sets as matrices, and what is done to them before training.

`load` gives pixels in [0, 1], one row a sample; `standardize` and `whiten` fit on training
data and apply to any. Shapes: N samples, n inputs.
"""

import numbers
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from aesparse.data.matrix import as_array, check_matrix
from aesparse.data.readers import (
    PATCHES,
    Folder,
    data_folder,
    patches_file,
    read_array,
    read_cifar10,
    read_mnist,
    read_patches,
    read_prepared,
)
from aesparse.errors import InputError, unknown_name
from aesparse.options import check_counts, shortened

__all__ = [
    "DATASETS",
    "Affine",
    "Dataset",
    "check_matrix",
    "load",
    "random_crops",
    "standardize",
    "whiten",
]

_PATCH, _GREY_PATCH = 8, 12  # Arpit section 3: 8×8 colour crops; SATAE Figure 4: 12×12 grey ones
_INK = 0.5  # above it a pixel of binary digits is 1
_ROUNDINGS = 4  # a column whose entries differ by at most so many is constant
_HELDOUT = 0.2  # of the embedded digits
MNIST_TRAIN = 50_000  # the rest of the 60,000 training digits is held out


class Dataset(NamedTuple):
    """Training and held-out samples as rows, with the shape (height, width, channels) of one.

    `labels` are those of both parts, where the data has any and they were asked for.
    """

    name: str
    train: Float[np.ndarray, "N n"]
    heldout: Float[np.ndarray, "M n"]
    shape: tuple[int, ...]
    labels: tuple[UInt8[np.ndarray, " N"], UInt8[np.ndarray, " M"]] | None = None


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


def _digits(data_dir: Folder | None, samples: int | None) -> Dataset:
    from sklearn.datasets import load_digits

    images = np.random.default_rng(0).permutation(load_digits().images / 16.0)[..., None]
    split = round(len(images) * (1 - _HELDOUT))
    return _dataset("digits", images[:split], images[split:], samples)


def _photos(data_dir: Folder | None, samples: int | None) -> Dataset:
    from sklearn.datasets import load_sample_images

    return _patches("photos", np.stack(load_sample_images().images), samples or 10_000)


def _natural(data_dir: Folder | None, samples: int | None) -> Dataset:
    from sklearn.datasets import load_sample_images

    grey = np.stack(load_sample_images().images).mean(axis=-1, keepdims=True)
    return _patches("natural", np.rint(grey).astype(np.uint8), samples or 10_000, _GREY_PATCH)


def _mnist(data_dir: Folder | None, samples: int | None) -> Dataset:
    images = _read("mnist", data_dir, "mnist", read_mnist) / np.float32(255)
    return _dataset("mnist", images[:MNIST_TRAIN], images[MNIST_TRAIN:], samples)


def _mnist_binary(data_dir: Folder | None, samples: int | None) -> Dataset:
    digits = _mnist(data_dir, samples)
    train, heldout = ((part > _INK).astype(np.float32) for part in digits[1:3])
    return digits._replace(name="mnist-binary", train=train, heldout=heldout)


def _mnist_labelled(data_dir: Folder | None, samples: int | None) -> Dataset:
    train, test, *labels = (
        _read("mnist", data_dir, "mnist", read_mnist, split=split, field=field)
        for field in ("image", "label")
        for split in ("train", "test")
    )
    dataset = _dataset("mnist-labelled", train / np.float32(255), test / np.float32(255), samples)
    return dataset._replace(labels=(labels[0][:samples], labels[1]))


def _cifar10(data_dir: Folder | None, samples: int | None) -> Dataset:
    samples = samples or 50_000
    if data_dir is not None and samples in PATCHES and (data_dir / patches_file(samples)).is_file():
        return _crops("cifar10", read_patches(data_dir, samples), samples)
    images = _read("cifar10", data_dir, "cifar-10-batches-bin", read_cifar10)
    return _patches("cifar10", images, samples)


def _cifar10_images(data_dir: Folder | None, samples: int | None) -> Dataset:
    images = _read("cifar10", data_dir, "cifar-10-batches-bin", read_cifar10) / np.float32(255)
    split = len(images) * 4 // 5
    return _dataset("cifar10-images", images[:split], images[split:], samples)


DATASETS: dict[str, Callable[[Folder | None, int | None], Dataset]] = {
    "digits": _digits,
    "photos": _photos,
    "natural": _natural,
    "mnist": _mnist,
    "mnist-binary": _mnist_binary,
    "mnist-labelled": _mnist_labelled,
    "cifar10": _cifar10,
    "cifar10-images": _cifar10_images,
}


def load(name: str, *, data_dir: str | Path | None = None, samples: int | None = None) -> Dataset:
    """A data set by name, or a user's `.npy`/`.npz` file by its path.

    `digits` and `photos` come with scikit-learn; `mnist` and `cifar10` are read from
    `data_dir` (files as downloaded, or a tensorflow-datasets folder, or a zip file made by
    `benchmarks/accelerator.py --pack`), without one through
    tensorflow-datasets. `photos` and `cifar10` are 8×8×3 crops, `natural` 12×12 grey crops of
    the photographs, `cifar10-images` whole images; `mnist-binary` has pixels 0 and 1, and
    `mnist-labelled` all 60,000 training digits, the 10,000 test digits and labels. `samples` is
    how many training rows: the first ones, or, of crops, that many drawn. Raises `InputError` for
    unknown names and defective files.

    >>> load("digits").train.shape
    (1438, 64)
    """
    if samples is not None:
        check_counts({"samples": samples})
    if not isinstance(name, str | Path):
        raise InputError(
            f"The data set is {shortened(name)}; expected a name, such as 'digits', or a path."
        )
    if Path(name).suffix in (".npy", ".npz"):
        X = check_matrix(read_array(Path(name)), f"The array in {name}")
        _check_samples(name, samples, len(X))
        return Dataset(Path(name).stem, X[:samples], X[:0], X.shape[1:])
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    return DATASETS[name](None if data_dir is None else data_folder(data_dir), samples)


def _read(
    name: str, data_dir: Folder | None, folder: str, read: Callable, **part: str
) -> np.ndarray:
    if data_dir is None:
        return read_prepared(name, None, **part)
    if not data_dir.is_dir():
        raise InputError(f"No data directory {data_dir}; expected a folder with the {name} files.")
    if isinstance(data_dir, Path) and any((data_dir / name).glob("*/dataset_info.json")):
        return read_prepared(name, data_dir, **part)
    return read(data_dir / folder if (data_dir / folder).is_dir() else data_dir, **part)


def _patches(name: str, images: np.ndarray, samples: int, size: int = _PATCH) -> Dataset:
    heldout = max(samples // 5, 1)
    return _crops(name, random_crops(images, samples + heldout, size, seed=0), samples)


def _crops(name: str, crops: np.ndarray, samples: int) -> Dataset:
    crops = crops / np.float32(255)
    return _dataset(name, crops[:samples], crops[samples:], None)


def _dataset(name: str, train: np.ndarray, heldout: np.ndarray, samples: int | None) -> Dataset:
    _check_samples(name, samples, len(train))
    rows = [part.reshape(len(part), -1).astype(np.float32) for part in (train[:samples], heldout)]
    return Dataset(name, *rows, train.shape[1:])


def _check_samples(name: str, asked: int | None, available: int) -> None:
    if asked is not None and asked > available:
        raise InputError(f"{asked} samples of '{name}' asked for; it has {available}.")
