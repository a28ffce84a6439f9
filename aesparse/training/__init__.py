"""Training: one compiled program for a whole grid of models, checked, resumable, sharded."""

from aesparse.lazily import modules

__all__ = ["checkpoints", "cost", "fit", "optimizers", "resampling", "result"]

__getattr__, __dir__ = modules(__name__, __all__)
