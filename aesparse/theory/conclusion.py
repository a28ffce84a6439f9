"""What an audit measured and forecast, and its conclusion. Shapes: n inputs, m hidden units."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from aesparse.models.activations import Activation
from aesparse.models.one_layer import Params
from aesparse.theory.families import Family
from aesparse.theory.forecast import ABSTAINS, FALLS, RISES, Forecast
from aesparse.theory.properties import REACH, Violation
from aesparse.theory.response import STRENGTHS, Response

__all__ = [
    "HOLDS",
    "INDIFFERENT",
    "LOWERS",
    "NOT_GUARANTEED",
    "NO_EFFECT",
    "SPARSIFIES",
    "Audit",
    "audit_rows",
    "conclude",
]

SPARSIFIES = "sparsifies"
LOWERS = "lowers E[a_j], but not surely the fraction"
INDIFFERENT = "indifferent to the strength"
NOT_GUARANTEED = "not guaranteed"
NO_EFFECT = "no effect: the gradient is zero"

HOLDS = 1e-6  # a residual up to this is rounding
_NEEDED = {
    1: ("s non-decreasing", "s(−∞) = 0"),
    2: ("s non-decreasing", "s convex", "s(−∞) = 0"),
}
_OFF_CENTRE = 0.1  # largest |E[x_i]| over the root mean square of X that is taken for centred
_GROWS = 1.5  # between an average and a sum over samples; see `Audit.growth_with_batch`
_FELT = 0.01  # the penalty's share of the reconstruction's bias gradient below which it is idle
_ACTS = 0.05  # deviations of a_j: a smaller change of E[a_j] along a path may be rounding


@dataclasses.dataclass(frozen=True, eq=False)
class Audit:
    """What was measured and forecast; `conclusion` is one of five constants, `reason` says why.

    Printed, it is a table.
    """

    conditions: Mapping[str, Violation]
    data: Mapping[str, float]  # residuals of what the theorems assume of X
    family: Family
    samples: int
    largest_strength: float
    push: Float[np.ndarray, " m"]  # ∂R/∂b_j
    pull: Float[np.ndarray, " m"]  # ∂J_AE/∂b_j
    fall_by_push: Float[np.ndarray, " m"]  # fall of E[a_j] in a plain step at unit rate on R
    fall_by_pull: Float[np.ndarray, " m"]  # the same on J_AE; = pull where E[x] = 0
    bound: Float[np.ndarray, " m"]  # 2 σ_r √n ‖D_j‖, D_j = W_j if tied
    responses: Mapping[str, Response]
    predicted_active: Float[np.ndarray, " m"]  # for Gaussian a_j
    active: Float[np.ndarray, " m"]
    preactivations: Float[np.ndarray, " K"]  # quantiles over samples and units
    activation: Activation
    growth_with_batch: float  # of ∂R when every sample is there twice; 2 for a sum
    forecast: Forecast
    conclusion: str = ""
    reason: str = ""

    def __str__(self) -> str:
        from aesparse.tables import aligned

        return aligned(audit_rows(self))

    @property
    def strength_of_theorem1(self) -> Float[np.ndarray, " m"]:
        """λ* per unit for the sufficient condition λ ∂R/∂b_j > 2 σ_r √n ‖W_j‖."""
        return _ratio(self.bound, self.push)

    @property
    def strength_now(self) -> Float[np.ndarray, " m"]:
        """λ* per unit from which on a plain step lowers E[a_j] at this model.

        0 where it falls anyway; inf where no strength, or only small ones, let it fall.
        """
        needed = np.maximum(_ratio(-self.fall_by_pull, self.fall_by_push), 0.0)
        idle = (self.fall_by_push == 0) & (self.fall_by_pull > 0)
        return np.where(idle, 0.0, needed)

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


def _size(gradients: Sequence[Params]) -> float:
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(gradients))


def conclude(audit: Audit, values, gradients, tangents) -> Audit:
    """The audit with its conclusion: what is proved, as far as the forecast does not contradict."""
    conclusion, reason = _proved(audit, values, gradients, tangents)
    expected = audit.forecast
    acts = abs(expected.change_of_mean) > _ACTS * expected.spread
    if conclusion == SPARSIFIES and expected.says != FALLS:
        conclusion = LOWERS
        reason += "; the fraction is not forecast to fall"
    elif conclusion in (INDIFFERENT, NO_EFFECT) and (acts or expected.says in (FALLS, RISES)):
        conclusion = NOT_GUARANTEED
        reason = f"at the models looked at {reason}, but along the simulated path it acts"
    return dataclasses.replace(audit, conclusion=conclusion, reason=reason)


def _proved(audit: Audit, values, gradients, tangents) -> tuple[str, str]:
    """What follows from measurements and theorems, and why: plain facts first, then theorems."""
    size = _size(gradients)
    if size == 0:
        varies = float(max(values) - min(values))
        return NO_EFFECT, (
            f"its value varies by {varies:.3g} between the models looked at, but no derivative "
            "reaches the parameters (rounding, integer division, stop_gradient?)"
            if varies > 0
            else "its value is the same for every model looked at"
        )
    if _size(tangents) <= HOLDS * size:
        biases = max(float(jnp.max(jnp.abs(g.bias))) for g in gradients) > HOLDS * size
        what = "row lengths and biases" if biases else "row lengths"
        return INDIFFERENT, f"its gradient only changes {what}, which the constraint fixes"
    pushes = np.stack([t.bias for t in tangents])
    doubt = (
        _sum_over_samples(audit)
        or _hypothesis_that_fails(audit)
        or _push_that_fails(audit, pushes, size)
    )
    if doubt:
        return NOT_GUARANTEED, doubt
    needed = _median(audit.strength_now)
    start = f"from a strength of {needed:.3g} on" if needed > 0 else "with or without the penalty"
    return SPARSIFIES, (
        f"Corollary {audit.family.corollary} applies, no unit is pushed up at any bias level "
        f"looked at, and E[a_j] of half of the units now falls {start}"
    )


def _median(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.5, method="higher"))


def _sum_over_samples(audit: Audit) -> str:
    """Whether the strength means another thing at every batch size; else nothing."""
    growth = audit.growth_with_batch
    if growth < _GROWS:
        return ""
    times = "doubles" if abs(growth - 2) < 1e-3 else f"grows by {growth:.2g}"
    return f"R {times} when the batch doubles: average over samples?"


def _hypothesis_that_fails(audit: Audit) -> str:
    """What the corollaries and the sparsity conclusion need and is not there; else nothing."""
    for name in _NEEDED.get(audit.family.corollary, ("s(−∞) = 0",)):
        worst = audit.conditions[name]
        if worst.residual > HOLDS:
            return f"{name} fails by {worst.residual:.3g} at a = {worst.at:.3g}"
    if not audit.family.corollary:
        return f"no corollary covers it: {audit.family.name}"
    low, high = (float(audit.activation(jnp.asarray(a))) for a in (-REACH, REACH))
    delta = audit.activation.threshold
    if not low <= delta < high:
        return (
            f"h never crosses δ_min = {delta:g} between a = −{REACH:g} ({low:.3g}) and a = "
            f"{REACH:g} ({high:.3g}), so the activation fraction cannot change; give another "
            "threshold"
        )
    off = audit.data["largest |E[x_i]| over rms"]
    if off > _OFF_CENTRE:
        return f"the data is not centred: its largest mean is {off:.3g} of its root mean square"
    return ""


def _push_that_fails(audit: Audit, pushes: np.ndarray, size: float) -> str:
    """Why the penalty's bias gradient does not do it; else nothing."""
    upwards = np.mean(pushes < -HOLDS * size)
    if upwards > 0:
        return f"it pushes {upwards:.0%} of the unit probes up"
    if not np.any(np.abs(pushes) > HOLDS * size):
        return "it moves no bias: its bias gradient is zero, or the constraint freezes biases"
    largest, needed = audit.largest_strength, _median(audit.strength_now)
    if np.isinf(needed):
        return "half of the units are pushed down by no strength: they are dead, or feel no push"
    if needed > largest:
        return (
            f"half of the units need a strength above {needed:.3g} before E[a_j] falls; the "
            f"largest looked at is {largest:g}"
        )
    share = largest * np.median(np.abs(audit.push)) / np.median(np.abs(audit.pull))
    if share < _FELT:
        return (
            f"at the largest strength, {largest:g}, its bias gradient is only {share:.1g} of the "
            "reconstruction's"
        )
    return ""


def audit_rows(audit: Audit) -> list[tuple[str, str]]:
    """What was measured, as (name, value) in the order in which one reads it."""
    conclusion = f"{audit.conclusion}: {audit.reason}"
    conditions = [
        (
            f"condition {name}",
            "holds" if v.residual <= HOLDS else f"fails by {v.residual:.3g} at a = {v.at:.3g}",
        )
        for name, v in audit.conditions.items()
    ]
    corollary = audit.family.corollary
    push, pull = np.abs(audit.push), np.abs(audit.pull)
    return [
        ("conclusion", conclusion),
        *_forecast_rows(audit.forecast),
        *conditions,
        ("penalty's form", f"{audit.family.name} (Corollary {corollary or 'none'})"),
        *((f"data, {name}", f"{value:.3g}") for name, value in audit.data.items()),
        (
            "penalty's bias gradient",
            f"{_share(audit.push > 0)} of units pushed down, {_share(audit.push < 0)} up, "
            f"{_share(audit.push == 0)} exactly zero; {_span(audit.push)}",
        ),
        ("reconstruction's bias gradient", _span(audit.pull)),
        ("their sizes", f"penalty {push.mean():.3g} at λ = 1, reconstruction {pull.mean():.3g}"),
        ("λ* of Theorem 1's condition", _span(audit.strength_of_theorem1)),
        ("λ* from which E[a_j] falls now", _span(audit.strength_now)),
        *((f"under {name}", _response(r)) for name, r in audit.responses.items()),
        (
            "active now",
            f"{audit.active.mean():.3f} of (sample, unit) pairs; predicted for Gaussian a_j "
            f"{audit.predicted_active.mean():.3f}",
        ),
        (
            "dead now",
            f"{audit.dead:.3f} of units on {audit.samples} samples; predicted "
            f"{audit.predicted_dead:.3f}",
        ),
    ]


def _forecast_rows(forecast: Forecast) -> list[tuple[str, str]]:
    change, spread = forecast.change_of_mean, forecast.spread
    points = zip(forecast.strengths, forecast.fraction, strict=True)
    over = ", ".join(f"{strength:g}: {fraction:.3f}" for strength, fraction in points)
    says = f"the fraction {forecast.says}" if forecast.says != ABSTAINS else "no forecast"
    return [
        (
            "forecast, no proof",
            f"{says} ({forecast.fraction[0]:.3f} to {forecast.fraction[-1]:.3f} from strength 0 to "
            f"{forecast.strengths[-1]:g}): {forecast.reason}, rate {forecast.learning_rate:g}",
        ),
        ("forecast of E[a_j]", f"changes by {change:.3g}, {change / spread:.2g} deviations of a_j"),
        ("forecast of the fraction, by strength", over),
    ]


def _share(where: np.ndarray) -> str:
    return f"{where.mean():.0%}"


def _span(values: Float[np.ndarray, " m"]) -> str:
    low, middle, high = np.quantile(values, [0.0, 0.5, 1.0], method="nearest")
    return f"median {middle:.3g}, from {low:.3g} to {high:.3g} over units"


def _response(response: Response) -> str:
    smallest = np.quantile(response.smallest, 0.5, method="higher")
    if np.isinf(smallest):
        falls = f"fewer than half of the units fall at λ = {STRENGTHS[-1]:g}"
    elif smallest > STRENGTHS[0]:
        falls = f"half of the units fall from λ = {smallest:.3g} on"
    else:
        falls = f"half of the units fall from λ = {STRENGTHS[0]:g} on, or less"
    if np.isinf(response.saturation):
        return f"{falls}; the step never saturates in λ"
    return f"{falls}; beyond λ = {response.saturation:.3g} the step no longer changes"
