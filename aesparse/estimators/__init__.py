"""Auto-encoders as scikit-learn's estimators."""

from aesparse.estimators.autoencoder import SparseAutoencoder
from aesparse.estimators.path import SparseAutoencoderPath

__all__ = ["SparseAutoencoder", "SparseAutoencoderPath"]
