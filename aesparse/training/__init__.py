"""Training: one compiled program for a whole grid of models, checked, resumable, sharded."""

__all__ = ["checkpoints", "cost", "fit", "optimizers", "result"]
