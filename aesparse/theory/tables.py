"""The audit as JSON takes it."""

import numpy as np

from aesparse.theory.conclusion import Audit

__all__ = ["audit_record"]


def audit_record(audit: Audit) -> dict:
    """The audit's numbers as JSON takes them, per unit; what is infinite is None."""
    return {
        "conclusion": audit.conclusion,
        "reason": audit.reason,
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


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
