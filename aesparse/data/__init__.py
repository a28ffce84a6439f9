"""Data sets as matrices, and what is done to them before training."""

from aesparse.data.datasets import DATASETS, Dataset, load
from aesparse.data.matrix import check_matrix
from aesparse.data.transforms import Affine, random_crops, standardize, whiten

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
