"""aesparse: grids of regularized auto-encoders, their sparsity, and why."""

from aesparse import (
    activations,
    corruption,
    data,
    deep,
    errors,
    gsae,
    guard,
    metrics,
    model,
    objectives,
    penalties,
    reconstruction,
    saturation,
    training,
)
from aesparse.activations import Activation
from aesparse.checkpoints import Checkpoints
from aesparse.continuation import fit_path
from aesparse.errors import InputError
from aesparse.fullbatch import FullBatchResult, fit_full_batch
from aesparse.grid import GridResult, fit_grid, measure_grid
from aesparse.model import Params, load_params, save_params
from aesparse.theory import audit, falsify

__version__ = "0.1.0"
__all__ = [
    "Activation",
    "Checkpoints",
    "FullBatchResult",
    "GridResult",
    "InputError",
    "Params",
    "activations",
    "audit",
    "corruption",
    "data",
    "deep",
    "errors",
    "falsify",
    "fit_full_batch",
    "fit_grid",
    "fit_path",
    "gsae",
    "guard",
    "load_params",
    "measure_grid",
    "metrics",
    "model",
    "objectives",
    "penalties",
    "reconstruction",
    "saturation",
    "save_params",
    "training",
]
