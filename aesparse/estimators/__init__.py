"""Auto-encoders as scikit-learn's estimators."""

from aesparse.estimators.autoencoder import SparseAutoencoder

__all__ = ["SparseAutoencoder"]
