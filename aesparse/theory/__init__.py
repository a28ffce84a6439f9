"""Arpit's statements as functions with hypotheses, sides and margins; float64, no training."""

from aesparse.theory import expansion, properties, statements
from aesparse.theory.records import Claim, double_precision, hypotheses_hold

__all__ = [
    "Claim",
    "double_precision",
    "expansion",
    "hypotheses_hold",
    "properties",
    "statements",
]
