"""Which pre-activations enter a code: the largest ones, or those above a trained threshold.

Shapes: m hidden units.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["jump", "largest", "step"]


def largest(a: Float[Array, "... m"], k: int) -> Bool[Array, "... m"]:
    """Where the `k` largest of the last axis of `a` are; of equal ones those that come first.

    >>> largest(jnp.array([1.0, 3.0, 2.0, 2.0]), 2).tolist()
    [False, True, True, False]
    """
    _, places = jax.lax.top_k(jax.lax.stop_gradient(a), k)
    nowhere = jnp.zeros(a.shape, bool)
    return jnp.put_along_axis(nowhere, places, True, axis=-1, inplace=False)


def _window(a: Array, threshold: Array, bandwidth: float) -> Array:
    """K((a − θ)/ε)/ε with the rectangle kernel K(u) = 1 for |u| < 1/2."""
    return (jnp.abs(a - threshold) < bandwidth / 2).astype(a.dtype) / bandwidth


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def jump(
    a: Float[Array, "..."], threshold: Float[Array, "..."], bandwidth: float
) -> Float[Array, "..."]:
    """JumpReLU: `a` where a > θ, 0 elsewhere, elementwise (Rajamanoharan et al. 2024b).

    Its derivative is 1 for a > θ; the pseudo-derivative by the `threshold` θ is −(θ/ε) K((a − θ)/ε)
    with ε = `bandwidth` and K(u) = 1 for |u| < 1/2, else 0.

    >>> a = jnp.array([0.875, 1.125, 2.0])  # the last one is far from the threshold 1
    >>> jump(a, jnp.ones(3), 0.5).tolist()
    [0.0, 1.125, 2.0]
    >>> jax.grad(lambda t: jnp.sum(jump(a, t, 0.5)))(jnp.ones(3)).tolist()
    [-2.0, -2.0, -0.0]
    """
    del bandwidth
    return jnp.where(a > threshold, a, jnp.zeros_like(a))


@jump.defjvp
def _jump_jvp(bandwidth, primals, tangents):
    (a, threshold), (da, dt) = primals, tangents
    passed = jnp.where(a > threshold, da, jnp.zeros_like(da))
    return jump(a, threshold, bandwidth), passed - threshold * _window(a, threshold, bandwidth) * dt


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def step(
    a: Float[Array, "..."], threshold: Float[Array, "..."], bandwidth: float
) -> Float[Array, "..."]:
    """1 where a > θ, 0 elsewhere, elementwise: the summands of L0.

    Its derivative by `a` is 0; the pseudo-derivative by the `threshold` θ is −K((a − θ)/ε)/ε with ε
    = `bandwidth` and the kernel of `jump` (Rajamanoharan et al. 2024b).

    >>> a = jnp.array([0.875, 1.125, 2.0])
    >>> step(a, jnp.ones(3), 0.5).tolist()
    [0.0, 1.0, 1.0]
    >>> jax.grad(lambda t: jnp.sum(step(a, t, 0.5)))(jnp.ones(3)).tolist()
    [-2.0, -2.0, -0.0]
    """
    del bandwidth
    return (a > threshold).astype(a.dtype)


@step.defjvp
def _step_jvp(bandwidth, primals, tangents):
    (a, threshold), (_, dt) = primals, tangents
    return step(a, threshold, bandwidth), -_window(a, threshold, bandwidth) * dt
