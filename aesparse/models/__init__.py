"""Models: activations, one-layer auto-encoders, dictionaries, pairs of flax modules."""

from aesparse.lazily import modules

__all__ = [
    "activations",
    "base",
    "codes",
    "constraints",
    "dictionary",
    "flax",
    "forward",
    "maxout",
    "one_layer",
    "saved",
    "selection",
    "starts",
]

__getattr__, __dir__ = modules(__name__, __all__)
