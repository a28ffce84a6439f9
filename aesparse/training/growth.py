"""A warning for parts of an objective that are summed over the batch."""

import warnings
from collections import OrderedDict
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.losses.growth import growth
from aesparse.training.step import Recipe

__all__ = ["warn_of_growth"]

_DOUBLES = 1e-3  # relative distance from twice the value
_EXAMINED: OrderedDict[tuple, bool] = OrderedDict()
_REMEMBERED = 1000  # models and objectives
_MOST_SAMPLES = 500  # of a batch


def warn_of_growth(
    recipe: Recipe, shapes: PyTree, X: Float[Array, "N n"], coefficients: Mapping[str, Array]
) -> None:
    """Warns once per model and objective of the parts that double when the batch does.

    They are measured at random parameters of these shapes, on the first samples.
    """
    if recipe[:2] in _EXAMINED:
        return
    _EXAMINED[recipe[:2]] = True
    while len(_EXAMINED) > _REMEMBERED:
        _EXAMINED.popitem(last=False)
    rng, dtype = np.random.default_rng(0), X.dtype  # NumPy's: JAX's would have to be compiled
    params = jax.tree.map(
        lambda leaf: (
            rng.standard_normal(leaf.shape, dtype) / dtype.type(np.sqrt(max(1, *leaf.shape[-1:])))
        ),
        shapes,
    )
    x = X[: min(recipe.batch_size, _MOST_SAMPLES)]
    eps = jnp.asarray(rng.standard_normal(x.shape, dtype))

    def parts(x, eps, params, coefficients):
        loss, parts = recipe.loss(params, x, eps, coefficients)
        return {**parts, "loss": loss}

    ratios = growth(parts, x, eps, params, coefficients)
    growing = [name for name, ratio in ratios.items() if abs(ratio - 2) < _DOUBLES * 2]
    named = [name for name in growing if name != "loss"] or growing
    if named:
        warnings.warn(
            f"{' and '.join(map(repr, named))} of the objective doubles when the batch doubles; "
            "expected a mean over the samples of a batch. Average over samples?",
            stacklevel=3,
        )
