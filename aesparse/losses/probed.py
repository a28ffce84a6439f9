"""The contractive penalty of any encoder by random probes (Hutchinson's estimate).

Shapes: n inputs, B batch, K probes.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from aesparse.errors import InputError
from aesparse.losses.base import Noise, Penalty
from aesparse.models.forward import Forward
from aesparse.options import check_counts

__all__ = ["contractive_estimate", "contractive_probed"]


def contractive_estimate(
    encode: Callable, params: PyTree, x: Float[Array, "B n"], probes: Float[Array, "K B n"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """E‖∂h/∂x‖_F² = E_v ‖(∂h/∂x) v‖² by random probes v (Hutchinson), and its standard error.

    Args:
        encode: `encode(params, x)` returns a code of any shape `[B, ...]`.
        params: its parameters.
        x: the batch `[B, n]`.
        probes: K a sample, `[K, B, n]`, whose entries have mean 0 and variance 1 and are
            independent: random signs, which have the smaller error, or normal.

    The error is that of the estimate for this very batch; NaN for K = 1.

    >>> signs = jnp.where(jax.random.normal(jax.random.key(0), (1, 2, 3)) > 0, 1.0, -1.0)
    >>> scales = jnp.diag(jnp.array([1.0, 2.0, 3.0]))  # ‖∂h/∂x‖² = 1 + 4 + 9
    >>> estimate, _ = contractive_estimate(lambda w, x: x @ w, scales, jnp.ones((2, 3)), signs)
    >>> float(estimate)
    14.0
    """
    _, push = jax.linearize(functools.partial(encode, params), x)
    pushed = jax.vmap(push)(probes)
    each = jnp.sum(pushed**2, axis=tuple(range(2, pushed.ndim)))  # [K, B]
    of_the_sum = jnp.sqrt(jnp.sum(jnp.var(each, axis=0, ddof=1)) / len(probes))
    return jnp.mean(each), of_the_sum / len(x)


@functools.cache
def contractive_probed(probes: int = 1) -> Penalty:
    """`contractive_estimate` as a penalty, for large n: unbiased, `probes` products a sample.

    The probes, 1 by default, are the signs of the step's noise; a sample's further ones are its
    neighbours'. `InputError` unless there are 1 to B probes, and where there is no noise.

    >>> from aesparse.models.forward import forward
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> params = Params(jnp.diag(jnp.array([1.0, 2.0])), jnp.ones(2))
    >>> seen = forward(OneLayer(2), params, jnp.ones((1, 2)))
    >>> float(contractive_probed()(seen, jnp.array([[0.3, -0.1]])))  # 1² + 2²
    5.0
    """
    check_counts({"probes": probes})

    def penalty(forward: Forward, eps: Noise) -> Float[Array, ""]:
        x = forward.x
        if eps is None:
            raise InputError(
                "contractive_probed is given no noise; expected the step's noise, whose signs are "
                "its probes. Use contractive_generic where nothing is random."
            )
        if probes > len(x):
            raise InputError(
                f"probes is {probes}; expected 1 to the batch size {len(x)}, whose noise they use."
            )
        signs = jnp.where(eps > 0, 1.0, -1.0).astype(x.dtype)
        rolled = jnp.stack([jnp.roll(signs, k, axis=0) for k in range(probes)])
        return contractive_estimate(forward.model.encode, forward.params, x, rolled)[0]

    return penalty
