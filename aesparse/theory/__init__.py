"""Arpit's statements as functions with hypotheses, sides and margins; no training.

Evaluate them in float64: `with jax.enable_x64(True): …`, inputs made inside.
"""

from aesparse.theory import expansion, properties, statements
from aesparse.theory.records import Claim, hypotheses_hold

__all__ = [
    "Claim",
    "expansion",
    "hypotheses_hold",
    "properties",
    "statements",
]
