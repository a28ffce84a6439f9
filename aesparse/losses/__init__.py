"""Losses as pure functions: reconstruction, corruption, penalties, objectives."""

from aesparse.lazily import modules

__all__ = [
    "base",
    "composing",
    "contractive",
    "corruption",
    "denoising",
    "dictionary",
    "generalized_sparse",
    "marginalized",
    "objectives",
    "penalties",
    "probed",
    "reconstruction",
    "saturation",
    "scales",
    "second_order",
    "sparse_coding",
    "sparsity",
]

__getattr__, __dir__ = modules(__name__, __all__)
