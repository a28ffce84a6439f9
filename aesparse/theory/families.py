"""Which corollary covers a penalty, measured from its gradients at several parameters.

Corollary 1 speaks of Σ f(E[h_j]) with f increasing, Corollary 2 of E Σ s'_j^q ‖W_j‖^p. Both
leave a fingerprint in the gradient: the former's weight gradient follows from its bias
gradient, the latter's is that of the family member times one positive constant.
Shapes: n inputs, m hidden units, N samples, P probes.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from aesparse.losses import penalties
from aesparse.models.activations import Activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params, preactivation

__all__ = ["Family", "identify", "probes"]

_SAME = 1e-6  # relative disagreement of gradients that are taken to be the same
# (q, p), CAE's and mDAE's first: for a piecewise linear s many members have the same gradient.
_MEMBERS = sorted(
    itertools.product(range(1, 5), range(7)), key=lambda m: (m[0] != 2, abs(m[1] - 2))
)
_SHIFTS = (-2.0, -1.0, 0.0, 1.0)  # of E[a_j], in standard deviations of a_j


class Family(NamedTuple):
    """The form of a penalty and the corollary that speaks of it (0: none)."""

    name: str
    corollary: int


def probes(params: Params, X: Float[Array, "N n"]) -> list[Params]:
    """`params` with every E[a_j] moved down and up by standard deviations of a_j."""
    spread = jnp.std(preactivation(params, X), axis=0)
    return [params._replace(bias=params.bias + shift * spread) for shift in _SHIFTS]


def identify(
    at: Sequence[Params], gradients: Sequence[Params], X: Float[Array, "N n"], s: Activation
) -> Family:
    """The family of the penalty whose gradients at the parameters `at` are given.

    Where the gradient is zero (all units dead, say) it tells nothing and is left out.
    """
    informative = [(p, g) for p, g in zip(at, gradients, strict=True) if _size(g) > 0]
    if not informative:
        return Family("no gradient to tell", 0)
    at, gradients = zip(*informative, strict=True)
    slopes = [_mean_activation_slopes(p, g, X, s) for p, g in zip(at, gradients, strict=True)]
    if all(slope is not None for slope in slopes):
        lowest = min(float(jnp.min(slope)) for slope in slopes)
        if lowest >= 0:
            return Family("Σ f(E[h_j]), f increasing", 1)
        return Family(f"Σ f(E[h_j]), f' down to {lowest:.3g}", 0)
    for q, p in _MEMBERS:
        if _is_slope_member(q, p, at, gradients, X, s):
            return Family(f"E Σ s'^{q} ‖W_j‖^{p}", 2)
    return Family("neither family of the corollaries", 0)


def _mean_activation_slopes(
    params: Params, gradient: Params, X: Float[Array, "N n"], s: Activation
) -> Float[Array, " m"] | None:
    """f'(E[h_j]) if the gradient is that of some Σ f(E[h_j]), otherwise None."""
    slopes = s.slope(preactivation(params, X))
    mean = jnp.mean(slopes, axis=0)
    outer = jnp.where(mean != 0, gradient.bias / jnp.where(mean != 0, mean, 1.0), 0.0)
    of_family = jax.tree.map(jnp.zeros_like, gradient)._replace(
        weight=outer[:, None] * (slopes.T @ X) / len(X), bias=outer * mean
    )
    rest = _size(jax.tree.map(jnp.subtract, gradient, of_family))
    return outer if rest <= _SAME * _size(gradient) else None


def _is_slope_member(
    q: int,
    p: int,
    at: Sequence[Params],
    gradients: Sequence[Params],
    X: Float[Array, "N n"],
    s: Activation,
) -> bool:
    factors = []
    for params, gradient in zip(at, gradients, strict=True):
        member = jax.grad(lambda v: penalties.slope(q, p)(one_layer_forward(v, X, s), None))(params)
        size = _size(member)
        if size == 0:
            return False
        factor = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, member, gradient))) / size**2
        rest = jax.tree.map(lambda g, v, f=factor: g - f * v, gradient, member)
        if _size(rest) > _SAME * _size(gradient):
            return False
        factors.append(float(factor))
    return min(factors) > 0 and max(factors) - min(factors) <= _SAME * max(factors)


def _size(params: Params) -> Float[Array, ""]:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)))
