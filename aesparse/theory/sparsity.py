"""Theorem 2 and the sparsity conclusion: from E[a_j] to the share of inactive samples.

Arguments of all: `params` of one model, data `X [N, n]`, the activation `s` with its δ_min. Shapes:
n inputs, m hidden units, N samples.

>>> import jax
>>> from aesparse.models.activations import get_activation
>>> with jax.enable_x64(True):
...     params, X = Params(jnp.array([[1.0]]), jnp.array([-3.0])), jnp.array([[1.0], [-1.0]])
...     bounds = theorem2_bounds(params, X, get_activation("relu"))  # E[a] = −3, Var[a] = 1
...     lower = params._replace(bias=jnp.array([-4.0]))
...     step = theorem2_step(params, lower, X, get_activation("relu"))
...     off = deactivation(lower, X, get_activation("sigmoid"), size=0.1)
>>> {name: round(float(bound[0]), 4) for name, bound in bounds.items()}
{'chebyshev': 0.8889, 'cantelli': 0.9, 'gaussian': 0.9987, 'measured': 1.0}
>>> step.left.tolist(), float(step.margin[0]) >= 0, off.left.tolist()
([0.9375], True, [1.0])
"""

import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from aesparse.models.activations import Activation
from aesparse.models.one_layer import Params, preactivation
from aesparse.theory import properties
from aesparse.theory.records import Claim
from aesparse.theory.statements import mean_preactivation

__all__ = ["deactivation", "theorem2_bounds", "theorem2_step"]


def theorem2_bounds(
    params: Params, X: Float[Array, "N n"], s: Activation
) -> dict[str, Float[Array, " m"]]:
    """Lower bounds of Pr(h_j <= δ_min) and the measured frequency (Theorem 2, eq. 22).

    Chebyshev as in the paper, the one-sided (Cantelli) bound, which is strictly better, and
    the Gaussian value; bounds are 0 where E[a_j] >= a_min.
    """
    a = preactivation(params, X)
    mean, variance = jnp.mean(a, axis=0), jnp.var(a, axis=0)
    gap = properties.activation_threshold(s) - mean
    below = gap > 0
    safe = jnp.where(below, gap, 1.0)
    return {
        "chebyshev": jnp.where(below, jnp.maximum(1 - variance / safe**2, 0.0), 0.0),
        "cantelli": jnp.where(below, 1 - variance / (variance + safe**2), 0.0),
        "gaussian": ndtr(gap / jnp.sqrt(variance)),
        "measured": jnp.mean(s(a) <= s.threshold, axis=0),
    }


def deactivation(params: Params, X: Float[Array, "N n"], s: Activation, size: float) -> Claim:
    """The sparsity conclusion: a unit with E[a_j] < a_min is *small*, |h_j| <= `size`.

    The size is at least δ_min.

    `left` is the frequency of |h_j| <= size, `right` Chebyshev's bound at a_min = s⁻¹(size)
    (Theorem 2 with Arpit 2.1.2); it needs negative saturation at 0, which tanh has not.
    """
    switched = Activation(s.fn, size)
    bounds = theorem2_bounds(params, X, switched)
    left = jnp.mean(jnp.abs(s(preactivation(params, X))) <= size, axis=0)
    hypotheses = {
        "s non-decreasing": properties.non_decreasing(s).residual,
        "s(−∞) = 0": properties.negative_saturation(s).residual,
    }
    return Claim(hypotheses, left, bounds["chebyshev"], left - bounds["chebyshev"])


def theorem2_step(before: Params, after: Params, X: Float[Array, "N n"], s: Activation) -> Claim:
    """T5: fixed row lengths and a falling E[a_j] < a_min make Chebyshev's bound rise (Theorem 2).

    `before` and `after` are the parameters of two moments. `left` and `right` are the bounds after
    and before; the margin is the smaller of their difference and of the measured frequency minus
    the bound after.
    """
    old, new = theorem2_bounds(before, X, s), theorem2_bounds(after, X, s)
    lengths = [jnp.linalg.norm(p.weight, axis=-1) for p in (before, after)]
    means = [mean_preactivation(p, X) for p in (before, after)]
    hypotheses = {
        "s non-decreasing": properties.non_decreasing(s).residual,
        "E[xxᵀ] = I": properties.whiteness(X),
        "E[x] = 0": properties.zero_mean(X),
        "‖W_j‖ fixed": jnp.max(jnp.abs(lengths[1] - lengths[0])),
        "E[a_j] falls": jnp.max(means[1] - means[0]),
        "E[a_j] < a_min": jnp.max(means[0]) - properties.activation_threshold(s),
    }
    left, right = new["chebyshev"], old["chebyshev"]
    return Claim(hypotheses, left, right, jnp.minimum(left - right, new["measured"] - left))
