"""aesparse: grids of regularized auto-encoders, their sparsity, and why.

The module that a public name comes from is imported, and JAX with it, when the name is first used:
`import aesparse` takes no time, and a command takes charge of signals before the long imports.
"""

import importlib

TYPE_CHECKING = False  # as type checkers know it; the module `typing` takes long to import
if TYPE_CHECKING:
    from aesparse import data as data
    from aesparse import errors as errors
    from aesparse import estimators as estimators
    from aesparse import filters as filters
    from aesparse import losses as losses
    from aesparse import metrics as metrics
    from aesparse import models as models
    from aesparse import theory as theory
    from aesparse import training as training
    from aesparse.errors import InputError as InputError
    from aesparse.estimators import SparseAutoencoder as SparseAutoencoder
    from aesparse.estimators import SparseAutoencoderPath as SparseAutoencoderPath
    from aesparse.losses import corruption as corruption
    from aesparse.losses import objectives as objectives
    from aesparse.losses import penalties as penalties
    from aesparse.losses.base import Objective as Objective
    from aesparse.losses.objectives import get_objective as get_objective
    from aesparse.losses.sparse_coding import SparseCoding as SparseCoding
    from aesparse.losses.sparse_coding import dictionary_step as dictionary_step
    from aesparse.losses.sparse_coding import random_atoms as random_atoms
    from aesparse.losses.sparse_coding import sparse_codes as sparse_codes
    from aesparse.losses.sparse_coding import sparse_coding as sparse_coding
    from aesparse.losses.sparse_coding import sparse_coding_loss as sparse_coding_loss
    from aesparse.models import activations as activations
    from aesparse.models import codes as codes
    from aesparse.models import starts as starts
    from aesparse.models.activations import Activation as Activation
    from aesparse.models.constraints import Constraint as Constraint
    from aesparse.models.constraints import max_norm as max_norm
    from aesparse.models.dictionary import DictionaryModel as DictionaryModel
    from aesparse.models.dictionary import DictionaryParams as DictionaryParams
    from aesparse.models.flax import FlaxModel as FlaxModel
    from aesparse.models.forward import Forward as Forward
    from aesparse.models.one_layer import OneLayer as OneLayer
    from aesparse.models.one_layer import Params as Params
    from aesparse.theory import audit as audit
    from aesparse.theory import audit_dictionary as audit_dictionary
    from aesparse.theory import falsify as falsify
    from aesparse.training.checkpoints import Checkpoints as Checkpoints
    from aesparse.training.fit import fit as fit
    from aesparse.training.optimizers import lbfgs as lbfgs
    from aesparse.training.optimizers import sgd as sgd
    from aesparse.training.published import read_published as read_published
    from aesparse.training.result import Result as Result
    from aesparse.training.result import TrainedModel as TrainedModel
    from aesparse.training.stopping import EarlyStopping as EarlyStopping

# The same for Python: the public names by what they are imported from.
_NAMES = {
    "aesparse": (
        "data",
        "errors",
        "estimators",
        "filters",
        "losses",
        "metrics",
        "models",
        "theory",
        "training",
    ),
    "aesparse.errors": ("InputError",),
    "aesparse.estimators": ("SparseAutoencoder", "SparseAutoencoderPath"),
    "aesparse.losses": ("corruption", "objectives", "penalties"),
    "aesparse.losses.base": ("Objective",),
    "aesparse.losses.objectives": ("get_objective",),
    "aesparse.losses.sparse_coding": (
        "SparseCoding",
        "dictionary_step",
        "random_atoms",
        "sparse_codes",
        "sparse_coding",
        "sparse_coding_loss",
    ),
    "aesparse.models": ("activations", "codes", "starts"),
    "aesparse.models.activations": ("Activation",),
    "aesparse.models.constraints": ("Constraint", "max_norm"),
    "aesparse.models.dictionary": ("DictionaryModel", "DictionaryParams"),
    "aesparse.models.flax": ("FlaxModel",),
    "aesparse.models.forward": ("Forward",),
    "aesparse.models.one_layer": ("OneLayer", "Params"),
    "aesparse.theory": ("audit", "audit_dictionary", "falsify"),
    "aesparse.training.checkpoints": ("Checkpoints",),
    "aesparse.training.fit": ("fit",),
    "aesparse.training.optimizers": ("lbfgs", "sgd"),
    "aesparse.training.published": ("read_published",),
    "aesparse.training.result": ("Result", "TrainedModel"),
    "aesparse.training.stopping": ("EarlyStopping",),
}
_SOURCES = {name: source for source, names in _NAMES.items() for name in names}

__all__ = sorted(_SOURCES)
__version__ = "0.1.0"


if not TYPE_CHECKING:  # to which any name would exist

    def __getattr__(name: str) -> object:
        if name not in _SOURCES:
            raise AttributeError(f"module 'aesparse' has no attribute '{name}'")
        if _SOURCES[name] == __name__:
            return importlib.import_module(f"{__name__}.{name}")
        return getattr(importlib.import_module(_SOURCES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_SOURCES})
