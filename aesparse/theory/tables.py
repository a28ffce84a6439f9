"""The audit as rows of text."""

import numpy as np
from jaxtyping import Float

from aesparse.theory.conclusion import HOLDS, Audit
from aesparse.theory.response import STRENGTHS, Response

__all__ = ["audit_record", "audit_rows"]


def audit_rows(found: Audit) -> list[tuple[str, str]]:
    """What was measured, as (name, value) in the order in which one reads it."""
    conclusion = f"{found.conclusion}: {found.reason}"
    conditions = [
        (
            f"condition {name}",
            "holds" if v.residual <= HOLDS else f"fails by {v.residual:.3g} at a = {v.at:.3g}",
        )
        for name, v in found.conditions.items()
    ]
    corollary = found.family.corollary
    push, pull = np.abs(found.push), np.abs(found.pull)
    return [
        ("conclusion", conclusion),
        *conditions,
        ("penalty's form", f"{found.family.name} (Corollary {corollary or 'none'})"),
        *((f"data, {name}", f"{value:.3g}") for name, value in found.data.items()),
        (
            "penalty's bias gradient",
            f"{_share(found.push > 0)} of units pushed down, {_share(found.push < 0)} up, "
            f"{_share(found.push == 0)} exactly zero; {_span(found.push)}",
        ),
        ("reconstruction's bias gradient", _span(found.pull)),
        ("their sizes", f"penalty {push.mean():.3g} at λ = 1, reconstruction {pull.mean():.3g}"),
        ("λ* of Theorem 1's condition", _span(found.strength_of_theorem1)),
        ("λ* from which E[a_j] falls now", _span(found.strength_now)),
        *((f"under {name}", _response(r)) for name, r in found.responses.items()),
        (
            "active now",
            f"{found.active.mean():.3f} of (sample, unit) pairs; predicted for Gaussian a_j "
            f"{found.predicted_active.mean():.3f}",
        ),
        (
            "dead now",
            f"{found.dead:.3f} of units on {found.samples} samples; predicted "
            f"{found.predicted_dead:.3f}",
        ),
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


def audit_record(found: Audit) -> dict:
    """The audit's numbers as JSON takes them, per unit; what is infinite is None."""
    return {
        "conclusion": found.conclusion,
        "reason": found.reason,
        "conditions": {
            name: dict(zip(v._fields, _finite(np.array(v)), strict=True))
            for name, v in found.conditions.items()
        },
        "family": found.family._asdict(),
        "data residuals": dict(found.data),
        "samples": found.samples,
        "penalty bias gradient": found.push.tolist(),
        "reconstruction bias gradient": found.pull.tolist(),
        "strength of theorem 1": _finite(found.strength_of_theorem1),
        "strength now": _finite(found.strength_now),
        "optimizers": {
            name: {
                "smallest strength": _finite(r.smallest),
                "saturation": _finite(np.array([r.saturation]))[0],
            }
            for name, r in found.responses.items()
        },
        "active": found.active.tolist(),
        "predicted active": found.predicted_active.tolist(),
    }


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
