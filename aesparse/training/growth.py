"""Parts of an objective that are summed over the batch where a mean is expected.

Such a penalty weighs more in larger batches, so that its strength has no meaning of its own.
Shapes: n inputs, B batch, N samples.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from aesparse.training.step import Recipe
from aesparse.training.sweep import Sweep

__all__ = ["growing_parts", "warn_of_growth"]

_DOUBLES = 1e-3  # relative distance from twice the value
_EXAMINED: OrderedDict[tuple, bool] = OrderedDict()
_REMEMBERED = 1000  # models and objectives


def growing_parts(
    parts: Callable[..., Mapping[str, Array]],
    x: Float[Array, "B n"],
    eps: Float[Array, "B n"],
    *others: PyTree,
) -> tuple[str, ...]:
    """Names of the values of `parts(x, eps, *others)` that double when every sample is there twice.

    A mean over samples stays as it is; a sum doubles. A value of 0 says nothing and is not named,
    nor is anything where `parts` takes this number of samples alone. Both batches are evaluated
    in one compiled program, of which all arguments are arguments.
    """
    try:
        once, twice = jax.device_get(_once_and_twice(parts, x, eps, *others))
    except Exception:  # the user's function may insist on its batch size
        return ()
    return tuple(
        name
        for name, value in once.items()
        if np.all(np.isfinite(value))
        and np.any(value)
        and np.allclose(twice[name], 2 * np.float64(value), rtol=_DOUBLES, atol=0)
    )


def _once_and_twice(parts: Callable, x: Array, eps: Array, *others) -> tuple[Mapping, Mapping]:
    def both(x, eps, *others):
        doubled = (jnp.concatenate([v, v]) for v in (x, eps))
        return parts(x, eps, *others), parts(*doubled, *others)

    return jax.jit(both)(x, eps, *others)


def warn_of_growth(recipe: Recipe, shapes: PyTree, X: Float[Array, "N n"], sweep: Sweep) -> None:
    """Warns once per model and objective of the parts that double when the batch does.

    They are measured at random parameters of these shapes, on the first batch, at the largest
    coefficients.
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
    x = X[: recipe.batch_size]
    eps = jnp.asarray(rng.standard_normal(x.shape, dtype))
    names = recipe.objective.coefficients
    largest = {name: jnp.asarray(sweep.column(name).max(), dtype) for name in names}

    def parts(x, eps, params, coefficients):
        loss, parts = recipe.loss(params, x, eps, coefficients)
        return {**parts, "loss": loss}

    growing = growing_parts(parts, x, eps, params, largest)
    named = [name for name in growing if name != "loss"] or growing
    if named:
        warnings.warn(
            f"{' and '.join(map(repr, named))} of the objective doubles when the batch doubles; "
            "expected a mean over the samples of a batch. Average over samples?",
            stacklevel=3,
        )
