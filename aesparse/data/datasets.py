"""Data sets by name, and users' files, as matrices.

`load` gives pixels in [0, 1], one row a sample. Shapes: N samples, n inputs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from aesparse.data.matrix import check_matrix
from aesparse.data.readers import (
    PATCHES,
    Folder,
    data_folder,
    is_users_file,
    patches_file,
    prepared_folder,
    read_cifar10,
    read_matrix,
    read_mnist,
    read_patches,
    read_prepared,
)
from aesparse.data.readers.files import shown
from aesparse.data.transforms import random_crops
from aesparse.errors import InputError, unknown_name
from aesparse.options import check_counts, shortened

__all__ = ["DATASETS", "Dataset", "load"]

_PATCH, _GREY_PATCH = 8, 12  # Arpit section 3: 8×8 colour crops; SATAE Figure 4: 12×12 grey ones
_INK = 0.5  # above it a pixel of binary digits is 1
_HELDOUT = 0.2  # of the embedded digits
MNIST_TRAIN = 50_000  # the rest of the 60,000 training digits is held out


class Dataset(NamedTuple):
    """Training and held-out samples as rows.

    Attributes:
        name: of the data set, or of the file.
        train: `[N, n]`, float32 (of a file: as `check_matrix` returns it).
        heldout: `[M, n]`; of a file there are none, M = 0.
        shape: (height, width, channels) of one sample; (n,) of a file's.
        labels: of both parts, `[N]` and `[M]`, for "mnist-labelled"; None for all else.
    """

    name: str
    train: Float[np.ndarray, "N n"]
    heldout: Float[np.ndarray, "M n"]
    shape: tuple[int, ...]
    labels: tuple[UInt8[np.ndarray, " N"], UInt8[np.ndarray, " M"]] | None = None


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
    images = _read("mnist", data_dir, read_mnist) / np.float32(255)
    return _dataset("mnist", images[:MNIST_TRAIN], images[MNIST_TRAIN:], samples)


def _mnist_binary(data_dir: Folder | None, samples: int | None) -> Dataset:
    digits = _mnist(data_dir, samples)
    train, heldout = ((part > _INK).astype(np.float32) for part in digits[1:3])
    return digits._replace(name="mnist-binary", train=train, heldout=heldout)


def _mnist_labelled(data_dir: Folder | None, samples: int | None) -> Dataset:
    train, test, *labels = (
        _read("mnist", data_dir, read_mnist, split=split, field=field)
        for field in ("image", "label")
        for split in ("train", "test")
    )
    dataset = _dataset("mnist-labelled", train / np.float32(255), test / np.float32(255), samples)
    return dataset._replace(labels=(labels[0][:samples], labels[1]))


def _cifar10(data_dir: Folder | None, samples: int | None) -> Dataset:
    samples = samples or 50_000
    if data_dir is not None and samples in PATCHES and (data_dir / patches_file(samples)).is_file():
        return _crops("cifar10", read_patches(data_dir, samples), samples)
    images = _read("cifar10", data_dir, read_cifar10)
    return _patches("cifar10", images, samples)


def _natural_cifar10(data_dir: Folder | None, samples: int | None) -> Dataset:
    samples = samples or 10_000
    images = _read("cifar10", data_dir, read_cifar10)
    crops = random_crops(images, samples + max(samples // 5, 1), _GREY_PATCH, seed=0)
    grey = crops.mean(axis=-1, keepdims=True, dtype=np.float32)
    return _crops("natural-cifar10", grey, samples)


def _cifar10_small(data_dir: Folder | None, samples: int | None) -> Dataset:
    whole = _cifar10_images(data_dir, samples)
    train, heldout = (_halved(part, whole.shape) for part in (whole.train, whole.heldout))
    return _dataset("cifar10-small", train, heldout, None)


def _halved(rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Images at half their height and width, each pixel the mean of 2×2."""
    height, width, channels = shape
    return rows.reshape(-1, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def _cifar10_images(data_dir: Folder | None, samples: int | None) -> Dataset:
    images = _read("cifar10", data_dir, read_cifar10) / np.float32(255)
    split = len(images) * 4 // 5
    return _dataset("cifar10-images", images[:split], images[split:], samples)


#: What `load` knows by name.
DATASETS: dict[str, Callable[[Folder | None, int | None], Dataset]] = {
    "digits": _digits,
    "photos": _photos,
    "natural": _natural,
    "natural-cifar10": _natural_cifar10,
    "mnist": _mnist,
    "mnist-binary": _mnist_binary,
    "mnist-labelled": _mnist_labelled,
    "cifar10": _cifar10,
    "cifar10-images": _cifar10_images,
    "cifar10-small": _cifar10_small,
}


def load(
    name: str | Path, *, data_dir: str | Path | None = None, samples: int | None = None
) -> Dataset:
    """A data set by name, or a user's matrix by the path of its file.

    **Names.** `digits` and `photos` come with scikit-learn, `natural` (12×12 grey crops of the same
    photographs), too. `mnist` (60,000 digits, 50,000 of them for training), `mnist-binary` (its
    pixels 0 or 1), `mnist-labelled` (60,000 and the 10,000 test digits, with labels), `cifar10`
    (8×8×3 crops, as `photos`), `natural-cifar10` (12×12 crops of the same images, grey: the mean of
    the colours), `cifar10-images` (whole images, 32×32×3) and `cifar10-small` (16×16×3, each pixel
    the mean of 2×2). Pixels are in [0, 1]. The published files' checksums are compared.

    **Paths.** Taken are `.npy` and `.npz` (its array `X`, or its only one) by NumPy, `.csv` and
    `.tsv` by `numpy.loadtxt` (all columns are inputs; a first line that is not all numbers is a
    header), `.parquet` by pandas if pyarrow is installed. The matrix is checked by `check_matrix`,
    which says what dtypes are taken. Files of other kinds (MATLAB, HDF5, spreadsheets, pictures, …)
    are refused with the line that converts them; a pickle, such as CIFAR-10's Python version, is
    never opened.

    Args:
        name: one of `DATASETS`, or a path.
        data_dir: where the files of MNIST and CIFAR-10 are: as downloaded (MNIST's IDX files,
            gzipped or not, or Keras' mnist.npz; CIFAR-10's binary batches), a folder of
            tensorflow-datasets, or a zip file made by `benchmarks/accelerator.py --pack`. By
            default they are read through tensorflow-datasets.
        samples: how many training rows: the first ones, or, of crops, that many drawn. By default
            all; 10,000 crops of photographs and 50,000 of CIFAR-10.

    Raises:
        InputError: for unknown names, more samples than there are, and files that are absent,
            damaged, not what their names say, or larger than the memory.

    >>> digits = load("digits")
    >>> digits.train.shape, digits.heldout.shape, digits.shape
    ((1438, 64), (359, 64), (8, 8, 1))
    """
    if samples is not None:
        check_counts({"samples": samples})
    if not isinstance(name, str | Path):
        raise InputError(
            f"The data set is {shortened(name)}; expected a name, such as 'digits', or a path."
        )
    if name in DATASETS:
        return DATASETS[name](None if data_dir is None else data_folder(data_dir), samples)
    if not is_users_file(name):
        raise unknown_name("data set", shown(name), DATASETS)
    X = check_matrix(read_matrix(Path(name)), f"The array in {shown(name)}")
    _check_samples(shown(name), samples, len(X))
    return Dataset(Path(name).stem, X[:samples], X[:0], X.shape[1:])


def _read(name: str, data_dir: Folder | None, read: Callable, **part: str) -> np.ndarray:
    if data_dir is None:
        return read_prepared(name, None, **part)
    prepared = prepared_folder(name, data_dir) if isinstance(data_dir, Path) else None
    return read(data_dir, **part) if prepared is None else read_prepared(name, prepared, **part)


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
