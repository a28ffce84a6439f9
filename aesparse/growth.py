"""Parts of an objective that are summed over the batch where a mean is expected.

Such a penalty weighs more in larger batches, so that its strength has no meaning of its own.
Shapes: n inputs, B batch, N samples, G strengths, K coefficients.
"""

import warnings
import weakref
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.model import init_params
from aesparse.objectives import Objective

__all__ = ["growing_parts", "warn_of_growth"]

_DOUBLES = 1e-3  # relative distance from twice the value
_EXAMINED: weakref.WeakSet[Objective] = weakref.WeakSet()


def growing_parts(
    parts: Callable[[Array, Array], Mapping[str, Array]],
    x: Float[Array, "B n"],
    eps: Float[Array, "B n"],
) -> tuple[str, ...]:
    """Names of the values of `parts(x, eps)` that double when every sample is there twice.

    A mean over samples stays as it is; a sum doubles. A value of 0 says nothing and is not named,
    nor is anything where `parts` takes this number of samples alone.
    """
    try:
        once = jax.jit(parts)(x, eps)
        twice = jax.jit(parts)(*(jnp.concatenate([v, v]) for v in (x, eps)))
    except Exception:  # the user's function may insist on its batch size
        return ()
    return tuple(
        name
        for name, value in jax.device_get(once).items()
        if np.all(np.isfinite(value))
        and np.any(value)
        and np.allclose(twice[name], 2 * np.float64(value), rtol=_DOUBLES, atol=0)
    )


def warn_of_growth(
    objective: Objective,
    X: Float[Array, "N n"],
    strengths: Array,  # [G] or [G, K]
    *,
    batch_size: int,
    hidden: int,
    tied: bool,
    decoder_bias: bool,
) -> None:
    """Warns once per objective of the parts that double when the batch does.

    They are measured at initial parameters, on the first batch, at the largest strengths.
    """
    if objective in _EXAMINED:
        return
    _EXAMINED.add(objective)
    key, noise = jax.random.split(jax.random.key(0, impl="threefry2x32"))
    options = {"tied": tied, "decoder_bias": decoder_bias, "dtype": X.dtype}
    params = init_params(key, X.shape[1], hidden, **options)
    x = X[:batch_size]
    eps = jax.random.normal(noise, x.shape, x.dtype)

    def parts(x, eps):
        loss, parts = objective(params, x, eps, jnp.max(strengths, axis=0))
        return {**parts, "loss": loss}

    growing = growing_parts(parts, x, eps)
    named = [name for name in growing if name != "loss"] or growing
    if named:
        warnings.warn(
            f"{' and '.join(map(repr, named))} of the objective doubles when the batch doubles; "
            "expected a mean over the samples of a batch. Average over samples?",
            stacklevel=3,
        )
