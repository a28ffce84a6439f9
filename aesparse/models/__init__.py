"""Models: activations, the one-layer auto-encoder, pairs of flax modules."""
