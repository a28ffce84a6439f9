"""What an audit measured, forecast and concluded, as a record and as a table.

Shapes: n inputs, m hidden units, L strengths.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from aesparse.models.activations import Activation
from aesparse.theory.families import Family
from aesparse.theory.forecast import ABSTAINS, Forecast
from aesparse.theory.properties import Violation
from aesparse.theory.response import STRENGTHS, Response

__all__ = ["HOLDS", "Audit", "audit_rows"]

HOLDS = 1e-6  #: a residual up to this is rounding


@dataclasses.dataclass(frozen=True, eq=False)
class Audit:
    """What was measured and forecast of an activation-penalty pair, and the conclusion.

    Printed, it is a table. Gradients are those at the model that was looked at.

    Attributes:
        conditions: the worst violation of each property of the activation, by name.
        data: residuals of what the theorems assume of X, by name.
        family: the form of the penalty, and the corollary that covers it.
        samples: how many rows of X were used.
        largest_strength: the largest λ to train with.
        push: ∂R/∂b_j, `[m]`.
        pull: ∂J_AE/∂b_j, `[m]`.
        fall_by_push: fall of E[a_j] in a plain step at unit rate on R, `[m]`.
        fall_by_pull: the same on J_AE; ∂J_AE/∂b_j where E[x] = 0.
        bound: 2 σ_r √n ‖D_j‖ `[m]`, D_j = W_j if tied.
        responses: the step of each optimizer over strengths, by name.
        predicted_active: share of samples on which a Gaussian a_j is active, `[m]`.
        active: share of samples on which the unit is active, `[m]`.
        preactivations: quantiles of a_j over samples and units.
        activation: s.
        growth_with_batch: of ∂R when every sample is there twice: 1 for a mean, 2 for a sum.
        forecast: what training is expected to do to the activation fraction.
        conclusion: "sparsifies", "lowers E[a_j], but not surely the fraction", "indifferent to the
            strength", "not guaranteed" or "no effect: the gradient is zero".
        reason: why.
    """

    conditions: Mapping[str, Violation]
    data: Mapping[str, float]
    family: Family
    samples: int
    largest_strength: float
    push: Float[np.ndarray, " m"]
    pull: Float[np.ndarray, " m"]
    fall_by_push: Float[np.ndarray, " m"]
    fall_by_pull: Float[np.ndarray, " m"]
    bound: Float[np.ndarray, " m"]
    responses: Mapping[str, Response]
    predicted_active: Float[np.ndarray, " m"]
    active: Float[np.ndarray, " m"]
    preactivations: Float[np.ndarray, " K"]
    activation: Activation
    growth_with_batch: float
    forecast: Forecast
    conclusion: str = ""
    reason: str = ""

    def __str__(self) -> str:
        from aesparse.tables import aligned

        return aligned(audit_rows(self))

    @property
    def strength_of_theorem1(self) -> Float[np.ndarray, " m"]:
        """λ* per unit for the condition λ ∂R/∂b_j > 2 σ_r √n ‖D_j‖; inf for ∂R/∂b_j <= 0."""
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


def audit_rows(audit: Audit) -> list[tuple[str, str]]:
    """What an `audit` measured, as (name, value) in the order in which one reads it."""
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
