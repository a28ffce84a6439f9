"""How pixels become the inputs of SATAE's models (section 4: less the mean, over the deviation)."""

import numpy as np

from aesparse.errors import unknown_name
from experiments.figures.satae.common.panels import Panel

__all__ = ["PREPARATIONS", "inputs_of", "mixtures", "prepare"]


def _raw(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _binary(pixels: np.ndarray) -> np.ndarray:
    return pixels > 0.5


def _white(pixels: np.ndarray) -> np.ndarray:
    from aesparse.data.transforms import contrast_normalize, remove_patch_mean, zca

    centred = remove_patch_mean(pixels)
    return contrast_normalize(zca(centred)(centred))


PREPARATIONS = {"raw": _raw, "binary": _binary, "white": _white}


def prepare(train: np.ndarray, preparation: str) -> np.ndarray:
    """The named preparation of the rows of `train` `[N, n]`, of mean 0 and standard deviation 1.

    "raw": nothing else; "binary": pixels made 0 and 1 first; "white": each row less its mean, ZCA
    (ε a tenth of the mean eigenvalue), then contrast normalized. Mean and deviation at the end are
    two numbers for the whole data set, not two per pixel: a pixel that never changes has no
    deviation, and binary data keeps two values. `InputError` for another name.
    """
    if preparation not in PREPARATIONS:
        raise unknown_name("preparation", preparation, PREPARATIONS)
    pixels = np.asarray(PREPARATIONS[preparation](train), np.float64)
    return ((pixels - pixels.mean()) / pixels.std()).astype(np.float32)


def inputs_of(panel: Panel, train: np.ndarray) -> np.ndarray:
    """A panel's inputs from pixels `[N, n]`: prepared, for saturated-linear units over T."""
    prepared = prepare(train, panel.preparation)
    return prepared / np.float32(panel.width) if panel.tied else prepared


def mixtures(samples: int, inputs: int):
    """Sparse mixtures of fixed random directions `[N, n]`: data on which sparse codes differ."""
    import jax.numpy as jnp

    draws = np.random.default_rng(0)
    sources = draws.laplace(size=(samples, inputs)) * (draws.random((samples, inputs)) < 0.3)
    return jnp.asarray(sources @ draws.normal(size=(inputs, inputs)) / 2)
