"""Data sets and generated data as matrices, and what is done to them before training."""

from aesparse.data.chunks import chunks
from aesparse.data.datasets import DATASETS, Dataset, load
from aesparse.data.generator import GENERATED_KINDS, Generated, generated
from aesparse.data.matrix import check_matrix
from aesparse.data.transforms import (
    Affine,
    contrast_normalize,
    random_crops,
    remove_patch_mean,
    standardize,
    whiten,
    zca,
)

__all__ = [
    "DATASETS",
    "GENERATED_KINDS",
    "Affine",
    "Dataset",
    "Generated",
    "check_matrix",
    "chunks",
    "contrast_normalize",
    "generated",
    "load",
    "random_crops",
    "remove_patch_mean",
    "standardize",
    "whiten",
    "zca",
]
