"""The audit as JSON takes it."""

import numpy as np

from aesparse.theory.audited import Audit
from aesparse.theory.forecast import Forecast

__all__ = ["audit_record"]


def audit_record(audit: Audit) -> dict:
    """The audit's numbers as JSON takes them, per unit; what is infinite is None."""
    return {
        "conclusion": audit.conclusion,
        "reason": audit.reason,
        "forecast": _forecast_record(audit.forecast),
        "conditions": {
            name: dict(zip(v._fields, _finite(np.array(v)), strict=True))
            for name, v in audit.conditions.items()
        },
        "family": audit.family._asdict(),
        "data residuals": dict(audit.data),
        "samples": audit.samples,
        "penalty bias gradient": audit.push.tolist(),
        "reconstruction bias gradient": audit.pull.tolist(),
        "strength of theorem 1": _finite(audit.strength_of_theorem1),
        "strength now": _finite(audit.strength_now),
        "optimizers": {
            name: {
                "smallest strength": _finite(r.smallest),
                "saturation": _finite(np.array([r.saturation]))[0],
            }
            for name, r in audit.responses.items()
        },
        "active": audit.active.tolist(),
        "predicted active": audit.predicted_active.tolist(),
    }


def _forecast_record(forecast: Forecast) -> dict:
    return {
        "fraction": forecast.says,
        "reason": forecast.reason,
        "updates": forecast.updates,
        "learning rate": forecast.learning_rate,
        "updates simulated": float(forecast.path.updates[-1]),
        "strengths": forecast.strengths.tolist(),
        "activation fraction": _finite(forecast.fraction),
        "mean of E[a_j]": _finite(forecast.mean),
        "deviation of a_j at strength 0": forecast.spread,
    }


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
