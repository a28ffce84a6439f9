"""Models: activations, the one-layer auto-encoder, pairs of flax modules."""

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
