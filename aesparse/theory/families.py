"""Which corollary covers a penalty, measured from its gradients at several parameters.

Corollary 1 speaks of Σ f(E[h_j]) with f increasing, Corollary 2 of E Σ s'_j^q ‖W_j‖^p. Both
leave a fingerprint in the gradient: the former's weight gradient follows from its bias
gradient, the latter's is that of the family member times one positive constant.
Shapes: n inputs, m hidden units, N samples, P probes.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.models.activations import Activation
from aesparse.models.one_layer import Params, preactivation

__all__ = ["Family", "identify", "probes"]

_SAME = 1e-6  # relative disagreement of gradients that are taken to be the same
# (q, p), CAE's and mDAE's first: for a piecewise linear s many members have the same gradient.
_POWERS = range(1, 5)
_MEMBERS = sorted(itertools.product(_POWERS, range(7)), key=lambda m: (m[0] != 2, abs(m[1] - 2)))
_SHIFTS = (-2.0, -1.0, 0.0, 1.0)  # of E[a_j], in standard deviations of a_j


class Family(NamedTuple):
    """The form of a penalty and the corollary that speaks of it.

    Attributes:
        name: the form.
        corollary: 1 or 2; 0 for none.

    >>> Family("E Σ s'^2 ‖W_j‖^2", corollary=2).corollary
    2
    """

    name: str
    corollary: int


@jax.jit
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
    informative = [(p, g) for p, g in zip(at, gradients, strict=True) if _flat(g).any()]
    if not informative:
        return Family("no gradient to tell", 0)
    at, gradients = zip(*informative, strict=True)
    fits = [_mean_activation_slopes(p, g, X, s=s) for p, g in zip(at, gradients, strict=True)]
    sizes = [np.linalg.norm(_flat(g)) for g in gradients]
    if all(
        np.linalg.norm(_flat(rest)) <= _SAME * size
        for (_, rest), size in zip(fits, sizes, strict=True)
    ):
        lowest = min(float(jnp.min(slope)) for slope, _ in fits)
        if lowest >= 0:
            return Family("Σ f(E[h_j]), f increasing", 1)
        return Family(f"Σ f(E[h_j]), f' down to {lowest:.3g}", 0)
    slopes = [jax.device_get(_slope_means(p, X, s=s)) for p in at]
    for q, p in _MEMBERS:
        members = [_member(q, p, v, means) for v, means in zip(at, slopes, strict=True)]
        if _same_up_to_a_factor(members, [_flat(g) for g in gradients]):
            return Family(f"E Σ s'^{q} ‖W_j‖^{p}", 2)
    return Family("neither family of the corollaries", 0)


@functools.partial(jax.jit, static_argnames="s")
def _mean_activation_slopes(params, gradient, X, *, s) -> tuple[Float[Array, " m"], Params]:
    """f'(E[h_j]) if the gradient is that of some Σ f(E[h_j]), and what it leaves unexplained."""
    slopes = s.slope(preactivation(params, X))
    mean = jnp.mean(slopes, axis=0)
    outer = jnp.where(mean != 0, gradient.bias / jnp.where(mean != 0, mean, 1.0), 0.0)
    of_family = jax.tree.map(jnp.zeros_like, gradient)._replace(
        weight=outer[:, None] * (slopes.T @ X) / len(X), bias=outer * mean
    )
    return outer, jax.tree.map(jnp.subtract, gradient, of_family)


@functools.partial(jax.jit, static_argnames="s")
def _slope_means(params, X, *, s) -> dict[int, tuple[Params, Float[Array, " m"]]]:
    """E s'_j^q by q, and its gradient by row j and bias j."""

    def total(p, q):
        means = jnp.mean(s.slope(preactivation(p, X)) ** q, axis=0)
        return jnp.sum(means), means

    return {q: jax.grad(total, has_aux=True)(params, q) for q in _POWERS}


def _member(q: int, p: int, params: Params, slopes) -> np.ndarray:
    """The gradient of E Σ s'_j^q ‖W_j‖^p, by the product rule."""
    gradient, means = slopes[q]
    weight = np.asarray(params.weight)
    lengths = np.linalg.norm(weight, axis=1, keepdims=True)
    where = lengths > 0
    of_lengths = p * np.where(where, np.where(where, lengths, 1.0) ** (p - 2), 0.0) * weight
    of_weight = lengths**p * gradient.weight + means[:, None] * of_lengths
    return _flat(gradient._replace(weight=of_weight, bias=lengths[:, 0] ** p * gradient.bias))


def _same_up_to_a_factor(members: list[np.ndarray], gradients: list[np.ndarray]) -> bool:
    """Whether all gradients are those of the member times one positive number."""
    factors = []
    for member, gradient in zip(members, gradients, strict=True):
        if not member.any():
            return False
        factor = member @ gradient / (member @ member)
        rest = np.linalg.norm(gradient - factor * member)
        if rest > _SAME * np.linalg.norm(gradient):
            return False
        factors.append(factor)
    low, high = float(min(factors)), float(max(factors))
    return low > 0 and high - low <= _SAME * high


def _flat(params: Params) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])
