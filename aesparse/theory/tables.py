"""The audit as rows of text."""

import numpy as np
from jaxtyping import Float

from aesparse.theory.audit import Audit
from aesparse.theory.response import STRENGTHS, Response

__all__ = ["audit_rows"]


def audit_rows(found: Audit) -> list[tuple[str, str]]:
    """What was measured, as (name, value) in the order in which one reads it."""
    conclusion = f"{found.conclusion}: {found.reason}"
    conditions = [
        (
            f"condition {name}",
            "holds" if v.residual <= 1e-6 else f"fails by {v.residual:.3g} at a = {v.at:.3g}",
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
        ("their sizes", f"penalty over reconstruction {push.mean() / pull.mean():.3g} at λ = 1"),
        ("λ* of Theorem 1's condition", _span(found.strength_of_theorem1)),
        ("λ* at which E[a_j] falls now", _span(found.strength_now)),
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
    smallest = np.median(response.smallest)
    falls = (
        f"half of the units fall from λ = {smallest:.3g} on"
        if smallest > STRENGTHS[0]
        else "half of the units fall at any λ"
    )
    if np.isinf(smallest):
        falls = f"half of the units fall at no λ up to {STRENGTHS[-1]:g}"
    if np.isinf(response.saturation):
        return f"{falls}; the step never saturates in λ"
    return f"{falls}; beyond λ = {response.saturation:.3g} the step no longer changes"
