"""The public names of `aesparse`, whose own module imports this one when the first is used."""

from aesparse import data, errors, filters, losses, metrics, models, theory, training
from aesparse.errors import InputError
from aesparse.losses import corruption, objectives, penalties
from aesparse.losses.base import Objective
from aesparse.losses.objectives import get_objective
from aesparse.losses.sparse_coding import (
    SparseCoding,
    dictionary_step,
    random_atoms,
    sparse_codes,
    sparse_coding,
    sparse_coding_loss,
)
from aesparse.models import activations, starts
from aesparse.models.activations import Activation
from aesparse.models.constraints import Constraint, max_norm
from aesparse.models.flax import FlaxModel
from aesparse.models.forward import Forward
from aesparse.models.one_layer import OneLayer, Params
from aesparse.theory import audit, falsify
from aesparse.training.checkpoints import Checkpoints
from aesparse.training.fit import fit
from aesparse.training.optimizers import lbfgs, sgd
from aesparse.training.result import Result, TrainedModel

__all__ = [
    "Activation",
    "Checkpoints",
    "Constraint",
    "FlaxModel",
    "Forward",
    "InputError",
    "Objective",
    "OneLayer",
    "Params",
    "Result",
    "SparseCoding",
    "TrainedModel",
    "activations",
    "audit",
    "corruption",
    "data",
    "dictionary_step",
    "errors",
    "falsify",
    "filters",
    "fit",
    "get_objective",
    "lbfgs",
    "losses",
    "max_norm",
    "metrics",
    "models",
    "objectives",
    "penalties",
    "random_atoms",
    "sgd",
    "sparse_codes",
    "sparse_coding",
    "sparse_coding_loss",
    "starts",
    "theory",
    "training",
]
