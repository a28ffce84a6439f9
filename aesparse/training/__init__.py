"""Training: one compiled program for a whole grid of models, checked, resumable, sharded."""

from aesparse.lazily import modules

__getattr__, __dir__, __all__ = modules(__name__, __path__)
