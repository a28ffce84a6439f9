"""The audit as JSON takes it."""

import numpy as np

from aesparse.theory.conclusion import Audit

__all__ = ["audit_record"]


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
