"""Models: activations, the one-layer auto-encoder, pairs of flax modules."""

from aesparse.lazily import modules

__getattr__, __dir__, __all__ = modules(__name__, __path__)
