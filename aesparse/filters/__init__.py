"""What filters look like, in numbers: how local, smooth and oriented they are, and how Gabor-like.

A filter is a row of weights, such as W_j of an encoder or a column of a decoder, over an image of
shape (height, width, channels).
"""

from aesparse.filters.gabor import GaborFit, gabor_fit
from aesparse.filters.locality import (
    neighbour_correlation,
    participation_ratio,
    peak_share,
    windowed_energy,
)
from aesparse.filters.spectrum import (
    autocorrelation_half_width,
    mean_frequency,
    orientation_selectivity,
)

__all__ = [
    "GaborFit",
    "autocorrelation_half_width",
    "gabor_fit",
    "mean_frequency",
    "neighbour_correlation",
    "orientation_selectivity",
    "participation_ratio",
    "peak_share",
    "windowed_energy",
]
