"""Whether a loss is summed over the batch where a mean is expected.

Such a penalty weighs more in larger batches, so that its coefficient has no meaning of its own.
Shapes: n inputs, B batch.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

__all__ = ["growth"]


def growth(
    parts: Callable[..., Mapping[str, Array]],
    x: Float[Array, "B n"],
    eps: Float[Array, "B n"],
    *others: PyTree,
) -> dict[str, float]:
    """By what each value of `parts(x, eps, *others)` grows when every sample is there twice.

    1 for a mean over samples, 2 for a sum. A value of 0 or one that is not finite says nothing and
    counts as 1, and so do all where `parts` takes this number of samples alone. Both batches are
    evaluated in one compiled program, of which all arguments are arguments.

    >>> x = jnp.ones((3, 2))
    >>> growth(lambda x, eps: {"mean": jnp.mean(x), "sum": jnp.sum(x)}, x, x)
    {'mean': 1.0, 'sum': 2.0}
    """

    def both(x, eps, *others):
        doubled = (jnp.concatenate([v, v]) for v in (x, eps))
        return parts(x, eps, *others), parts(*doubled, *others)

    try:
        once, twice = jax.device_get(jax.jit(both)(x, eps, *others))
    except Exception:  # the user's function may insist on its batch size
        return {}
    return {name: _ratio(value, twice[name]) for name, value in once.items()}


def _ratio(once: np.ndarray, twice: np.ndarray) -> float:
    once, twice = np.float64(once), np.float64(twice)
    if once == 0 or not np.isfinite(once) or not np.isfinite(twice):
        return 1.0
    return float(twice / once)
