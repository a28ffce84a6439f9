"""aesparse: grids of regularized auto-encoders, their sparsity, and why."""

from aesparse import data, errors, metrics, training
from aesparse.errors import InputError
from aesparse.losses import corruption, objectives, penalties, reconstruction, saturation
from aesparse.losses import generalized_sparse as gsae
from aesparse.models import activations, deep
from aesparse.models import one_layer as model
from aesparse.models.activations import Activation
from aesparse.models.one_layer import Params, load_params, save_params
from aesparse.theory import audit, falsify
from aesparse.training import guard
from aesparse.training.checkpoints import Checkpoints
from aesparse.training.continuation import fit_path
from aesparse.training.fullbatch import FullBatchResult, fit_full_batch
from aesparse.training.grid import GridResult, fit_grid, measure_grid

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
