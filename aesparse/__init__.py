"""aesparse: grids of regularized auto-encoders, their sparsity, and why."""

from aesparse import (
    activations,
    corruption,
    data,
    errors,
    guard,
    metrics,
    model,
    objectives,
    penalties,
    training,
)
from aesparse.activations import Activation
from aesparse.checkpoints import Checkpoints
from aesparse.errors import InputError
from aesparse.grid import GridResult, fit_grid, measure_grid
from aesparse.model import Params, load_params, save_params
from aesparse.theory import audit, falsify

__version__ = "0.1.0"
__all__ = [
    "Activation",
    "Checkpoints",
    "GridResult",
    "InputError",
    "Params",
    "activations",
    "audit",
    "corruption",
    "data",
    "errors",
    "falsify",
    "fit_grid",
    "guard",
    "load_params",
    "measure_grid",
    "metrics",
    "model",
    "objectives",
    "penalties",
    "save_params",
    "training",
]
