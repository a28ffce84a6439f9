"""How sparse a model's codes are and what they reconstruct: one definition of each, for any model.

`code_quality` is a measurement `(trained, x) -> CodeQuality` of a `Trained` model on data `x [N,
n]`, held out or not. Shapes: n inputs, m numbers of a code, N samples; params of one model.

>>> import jax
>>> from aesparse.losses.objectives import get_objective
>>> from aesparse.models.one_layer import OneLayer, Params
>>> params, key = Params(jnp.eye(3, 2), jnp.zeros(3)), jax.random.key(0)
>>> trained = Trained(OneLayer(3), get_objective("ae"), params, {}, key)
>>> x = jnp.array([[2.0, 1.0], [1.0, -1.0], [-3.0, 0.0], [0.0, 0.0]])
>>> trained.model.encode(params, x)[:2].tolist()  # the other codes are 0
[[2.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
>>> quality = code_quality(trained, x)
>>> quality.density.tolist()
[0.5, 0.25, 0.0]
>>> [float(number) for number in quality[:3]]  # L0, activation fraction, dead fraction
[0.75, 0.25, 0.33333]
>>> float(quality.error), float(quality.explained_variance)  # 10/4, and 1 − 10/16
(2.5, 0.375)
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from aesparse.errors import InputError
from aesparse.losses.reconstruction import squared_error
from aesparse.metrics.blocks import block_means
from aesparse.metrics.statistics import Trained
from aesparse.models.base import checked_reconstruction
from aesparse.models.one_layer import OneLayer
from aesparse.options import check_counts, checked_numbers

__all__ = ["CodeQuality", "DensityHistogram", "code_quality", "density_histogram"]


class CodeQuality(NamedTuple):
    """Sparsity and reconstruction of one model over the N samples measured.

    Attributes:
        l0: mean number of active units of a sample, Σ_j density_j.
        activation_fraction: l0 / m.
        dead_fraction: share of units active on no sample measured.
        density: share of samples on which unit j is active, `[m]`.
        error: E‖x − y‖², summed over inputs, whatever the objective's error.
        explained_variance: 1 − Σ‖x − y‖²/Σ‖x − E[x]‖², both sums over the samples measured: 1
            for y = x, 0 for y = E[x], negative for what is worse; NaN where all samples are equal.
    """

    l0: Float[Array, ""]
    activation_fraction: Float[Array, ""]
    dead_fraction: Float[Array, ""]
    density: Float[Array, " m"]
    error: Float[Array, ""]
    explained_variance: Float[Array, ""]


def code_quality(trained: Trained, x: Float[Array, "N n"]) -> CodeQuality:
    """L0, dead units, densities, squared error and explained variance of any model.

    A unit of a `OneLayer` is active where h_j > δ_min of its activation (Arpit eq. 14), a number of
    another model's code where h_j ≠ 0. y is what the model decodes, before an output function of
    the objective's error.

    Args:
        trained: the model and its parameters; objective and key are not used.
        x: the samples, `[N, n]`.

    Raises:
        InputError: if the decoder does not return the shape of its inputs.
    """
    model, params = trained.model, trained.params
    centre = jnp.mean(x, axis=0)

    def block_sums(block: Float[Array, "b n"]) -> tuple[Array, ...]:
        h = model.encode(params, block)
        y = checked_reconstruction(model.decode(params, h), block)
        active = h > model.activation.threshold if isinstance(model, OneLayer) else h != 0
        counts = jnp.sum(active.reshape(len(h), math.prod(h.shape[1:])), axis=0).astype(x.dtype)
        return (
            counts,
            jnp.sum(counts),
            jnp.sum(squared_error(block, y)),
            jnp.sum(squared_error(block, jnp.broadcast_to(centre, block.shape))),
        )

    density, l0, error, variance = block_means(block_sums, x)
    return CodeQuality(
        l0=l0,  # not Σ density, which rounds where every sample has exactly k active units
        activation_fraction=l0 / density.size,
        dead_fraction=jnp.mean(density == 0, dtype=x.dtype),
        density=density,
        error=error,
        explained_variance=jnp.where(jnp.all(x == x[:1]), jnp.nan, 1 - error / variance),
    )


class DensityHistogram(NamedTuple):
    """How many units are active how often.

    Attributes:
        counts: number of units whose log10 density lies in each bin, `[bins]`.
        edges: of the bins, in log10 density, `[bins + 1]`.
        dead: number of units active on no sample, which are in no bin.
    """

    counts: Int[np.ndarray, " bins"]
    edges: Float[np.ndarray, " edges"]
    dead: int


def density_histogram(density: Any, bins: Any = 20) -> DensityHistogram:
    """Counts of units over the log10 of their density, dead units apart (Bricken et al. 2023).

    Args:
        density: of each unit, from 0 to 1, `[m]`, as in `CodeQuality`.
        bins: how many of equal width, from the whole power of ten at or below the smallest density
            above 0 (0.1 at most) to 1; or the edges in log10 density, increasing, which must hold
            all densities above 0. By default 20.

    Raises:
        InputError: for densities that are not numbers from 0 to 1, and edges that do not increase
            or leave densities out.

    >>> histogram = density_histogram([0.0, 0.02, 0.05, 0.5, 1.0], bins=2)
    >>> histogram.counts.tolist(), histogram.edges.tolist(), histogram.dead
    ([2, 2], [-2.0, -1.0, 0.0], 1)
    """
    shares = checked_numbers(density, "The density is").astype(np.float64)
    if shares.ndim != 1 or not np.all((shares >= 0) & (shares <= 1)):
        raise InputError(
            f"The density of shape {shares.shape} runs from {np.min(shares, initial=1):.4g} to "
            f"{np.max(shares, initial=0):.4g}; expected one number from 0 to 1 for each unit, [m]."
        )
    logarithms = np.log10(shares[shares > 0])
    edges = _edges(bins, logarithms)
    counts, _ = np.histogram(logarithms, edges)
    return DensityHistogram(counts, edges, int(np.sum(shares == 0)))


def _edges(bins: Any, logarithms: Float[np.ndarray, " K"]) -> np.ndarray:
    lowest = np.min(logarithms, initial=0.0)
    if np.ndim(bins) == 0:
        check_counts({"bins": bins})
        return np.linspace(min(math.floor(lowest), -1), 0.0, bins + 1)
    edges = checked_numbers(bins, "The edges of the bins are").astype(np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
        raise InputError(
            f"The edges of the bins are {edges.tolist()}; expected two or more increasing numbers, "
            "of log10 density."
        )
    if len(logarithms) and not edges[0] <= lowest <= logarithms.max() <= edges[-1]:
        raise InputError(
            f"The log10 densities run from {lowest:.4g} to {logarithms.max():.4g}; expected edges "
            f"that hold them, but these run from {edges[0]:.4g} to {edges[-1]:.4g}."
        )
    return edges
