"""The audit of an activation-penalty pair: will it sparsify, and why?

Everything is measured, by autodiff and in float64, at one model on given data: nothing is
trained and no property is taken from a name. Shapes: n inputs, m hidden units, N samples.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from aesparse.activations import Activation
from aesparse.data import check_matrix
from aesparse.errors import InputError
from aesparse.metrics import measure
from aesparse.model import Params, get_constraint, init_params, preactivation
from aesparse.objectives import reconstruction_error
from aesparse.penalties import Penalty
from aesparse.theory import properties, statements
from aesparse.theory.families import Family, identify, probes
from aesparse.theory.properties import Violation
from aesparse.theory.response import Response, responses

__all__ = [
    "INDIFFERENT",
    "NOT_GUARANTEED",
    "NO_EFFECT",
    "SPARSIFIES",
    "Audit",
    "audit",
]

SPARSIFIES = "sparsifies"
INDIFFERENT = "indifferent to the strength"
NOT_GUARANTEED = "not guaranteed"
NO_EFFECT = "no effect: the gradient is zero"

_HOLDS = 1e-6  # a residual up to this is rounding
_SAMPLES = 2000
_NEEDED = {
    1: ("s non-decreasing", "s(−∞) = 0"),
    2: ("s non-decreasing", "s convex", "s(−∞) = 0"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Audit:
    """What was measured; `conclusion` is one of the four constants, `reason` says why.

    Printed, it is a table.
    """

    conclusion: str
    reason: str
    conditions: Mapping[str, Violation]
    data: Mapping[str, float]  # residuals of what the theorems assume of X
    family: Family
    samples: int
    largest_strength: float
    push: Float[np.ndarray, " m"]  # ∂R/∂b_j
    pull: Float[np.ndarray, " m"]  # ∂J_AE/∂b_j
    bound: Float[np.ndarray, " m"]  # 2 σ_r √n ‖W_j‖
    responses: Mapping[str, Response]
    predicted_active: Float[np.ndarray, " m"]  # for Gaussian a_j
    active: Float[np.ndarray, " m"]
    preactivations: Float[np.ndarray, " K"]  # quantiles over samples and units
    activation: Activation

    def __str__(self) -> str:
        from aesparse.tables import aligned
        from aesparse.theory.tables import audit_rows

        return aligned(audit_rows(self))

    @property
    def strength_of_theorem1(self) -> Float[np.ndarray, " m"]:
        """λ* per unit for the sufficient condition λ ∂R/∂b_j > 2 σ_r √n ‖W_j‖."""
        return _ratio(self.bound, self.push)

    @property
    def strength_now(self) -> Float[np.ndarray, " m"]:
        """λ* per unit from which a plain step lowers E[a_j] at this model; 0 if it falls anyway."""
        return np.where(self.pull > 0, 0.0, _ratio(-self.pull, self.push))

    @property
    def predicted_dead(self) -> float:
        """The expected share of units active on none of the samples, for Gaussian a_j."""
        return float(np.mean((1 - self.predicted_active) ** self.samples))

    @property
    def dead(self) -> float:
        """The share of units active on none of the samples."""
        return float(np.mean(self.active == 0))


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.inf)


def audit(
    activation: Activation | Callable,
    penalty: Penalty,
    X: Array | np.ndarray,
    *,
    params: Params | None = None,
    hidden: int = 64,
    constraint: str = "unit",
    batch_size: int = 50,
    largest_strength: float = 1.0,
) -> Audit:
    """Measures whether J_AE + λ·penalty pushes hidden units of `activation` to inactivity on X.

    `params` is the model to look at, by default a fresh one of `hidden` units with its rows on
    `constraint`. The first 2,000 rows of X are used. "sparsifies" is said where a corollary of
    Arpit covers the pair, no unit is pushed up at any of several bias levels, and strengths up
    to `largest_strength` turn at least half of the units' E[a_j] downwards.

    Raises `InputError` for an activation that is not elementwise, a penalty that is no finite
    scalar, and defective data.
    """
    s = activation if isinstance(activation, Activation) else Activation(activation)
    X = np.asarray(check_matrix(X), np.float64)[:_SAMPLES]
    if min(hidden, batch_size) < 1:
        raise InputError(
            f"hidden is {hidden} and batch_size {batch_size}; expected at least 1 each."
        )
    with jax.enable_x64(True):
        s.check()
        X = jnp.asarray(X)
        if params is None:
            params = init_params(jax.random.key(0), X.shape[1], hidden, dtype=X.dtype)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, X.dtype), params)
        rows = get_constraint(constraint)
        params = rows.project(params)
        return _audit(
            s, _checked(penalty, params, X, s), X, params, rows, batch_size, largest_strength
        )


def _audit(s, penalty, X, params, constraint, batch_size, largest_strength) -> Audit:
    at = probes(params, X)
    value_and_gradient = jax.jit(jax.value_and_grad(lambda p: penalty(p, X, activation=s)))
    values, gradients = zip(*map(value_and_gradient, at), strict=True)
    tangents = [constraint.tangent(p, g) for p, g in zip(at, gradients, strict=True)]
    error = lambda p: reconstruction_error(p, X, X, s)  # noqa: E731
    conditions = {
        "s non-decreasing": properties.non_decreasing(s),
        "s convex": properties.convex(s),
        "s' in [0, 1]": properties.slope_in_unit_interval(s),
        "s(−∞) = 0": properties.negative_saturation(s),
    }
    units = measure(params, X, s)
    a = preactivation(params, X)
    measured = {
        "conditions": {name: Violation(*map(float, v)) for name, v in conditions.items()},
        "data": {
            "largest |E[x_i]|": float(properties.zero_mean(X)),
            "largest |E[xxᵀ] − I|": float(properties.whiteness(X)),
        },
        "family": identify(at, gradients, X, s),
        "samples": len(X),
        "largest_strength": largest_strength,
        "push": np.asarray(jax.grad(lambda p: penalty(p, X, activation=s))(params).bias),
        "pull": np.asarray(jax.grad(error)(params).bias),
        "bound": np.asarray(statements.lemma1_bound(params, X, s)),
        "responses": responses(params, X, s, penalty, constraint, batch_size),
        "predicted_active": np.asarray(_gaussian_activity(a, s)),
        "active": np.asarray(units.active),
        "preactivations": np.quantile(np.asarray(a), np.linspace(0.001, 0.999, 201)),
        "activation": s,
    }
    unconcluded = Audit("", "", **measured)
    conclusion, reason = _conclude(unconcluded, values, gradients, tangents)
    return dataclasses.replace(unconcluded, conclusion=conclusion, reason=reason)


def _checked(penalty: Penalty, params: Params, X: Float[Array, "N n"], s: Activation) -> Penalty:
    """The penalty as a float scalar; integer values have gradient 0 and are let through."""
    value = penalty(params, X, activation=s)
    if jnp.shape(value) != ():
        raise InputError(
            f"The penalty returned shape {jnp.shape(value)}; expected one number. Sum over units "
            "and average over samples."
        )
    if not bool(jnp.isfinite(value)):
        raise InputError(
            f"The penalty is {float(value)} at a fresh model with ordinary data; expected a finite "
            "number. Look for logarithms or roots of means that can be negative or above 1."
        )
    return lambda p, x, *, activation: jnp.asarray(penalty(p, x, activation=activation), x.dtype)


def _gaussian_activity(a: Float[Array, "N m"], s: Activation) -> Float[Array, " m"]:
    """P(s(a_j) > δ_min) for Gaussian a_j with the mean and variance on the data."""
    z = jax.scipy.special.ndtri((jnp.arange(4000) + 0.5) / 4000)
    mean, spread = jnp.mean(a, axis=0), jnp.std(a, axis=0)
    return jnp.mean(s(mean[None] + z[:, None] * spread[None]) > s.threshold, axis=0)


def _size(gradients: Sequence[Params]) -> float:
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(gradients))


def _conclude(found: Audit, values, gradients, tangents) -> tuple[str, str]:
    """The conclusion and its reason: the first that applies, from plain facts to theorems."""
    size = _size(gradients)
    if size == 0:
        varies = float(max(values) - min(values))
        return NO_EFFECT, (
            f"its value varies by {varies:.3g} between the models looked at, but no derivative "
            "reaches the parameters (rounding, integer division, stop_gradient?)"
            if varies > 0
            else "its value is the same for every model looked at"
        )
    if _size(tangents) <= _HOLDS * size:
        return INDIFFERENT, "its gradient only changes row lengths, which the constraint fixes"
    pushes = jnp.stack([g.bias for g in gradients])
    failing = {
        name: found.conditions[name]
        for name in _NEEDED.get(found.family.corollary, ("s(−∞) = 0",))
        if found.conditions[name].residual > _HOLDS
    }
    if failing:
        name, worst = next(iter(failing.items()))
        return NOT_GUARANTEED, (f"{name} fails by {worst.residual:.3g} at a = {worst.at:.3g}")
    if not found.family.corollary:
        return NOT_GUARANTEED, f"no corollary covers it: {found.family.name}"
    upwards = float(jnp.mean(pushes < -_HOLDS * size))
    if upwards > 0:
        return NOT_GUARANTEED, f"it pushes {upwards:.0%} of the unit probes up"
    if not bool(jnp.any(jnp.abs(pushes) > _HOLDS * size)):
        return NOT_GUARANTEED, "its bias gradient is zero: only the weights feel it"
    needed, largest = float(np.median(found.strength_now)), found.largest_strength
    if needed > largest:
        return NOT_GUARANTEED, (
            f"half of the units need a strength above {needed:.3g} before E[a_j] falls; the "
            f"largest looked at is {largest:g}"
        )
    start = f"from a strength of {needed:.3g} on" if needed > 0 else "at any strength"
    return SPARSIFIES, (
        f"Corollary {found.family.corollary} applies, no unit is pushed up at any bias level "
        f"looked at, and E[a_j] of half of the units falls {start}"
    )
