"""Losses as pure functions: reconstruction, corruption, penalties, objectives."""

__all__ = [
    "base",
    "composing",
    "contractive",
    "corruption",
    "denoising",
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
