"""Models: activations, the one-layer auto-encoder, pairs of flax modules."""

from aesparse.lazily import modules

__all__ = [
    "activations",
    "base",
    "constraints",
    "flax",
    "forward",
    "maxout",
    "one_layer",
    "saved",
    "starts",
]

__getattr__, __dir__ = modules(__name__, __all__)
