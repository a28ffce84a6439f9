"""Data sets as matrices, and what is done to them before training."""

from aesparse.data.datasets import (
    DATASETS,
    Affine,
    Dataset,
    check_matrix,
    load,
    random_crops,
    standardize,
    whiten,
)

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
