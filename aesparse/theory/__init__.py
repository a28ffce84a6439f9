"""Arpit's statements as functions with margins, the falsifier and the audit; no training.

Evaluate them in float64: `with jax.enable_x64(True): …`, inputs made inside.
"""

from aesparse.theory import conjectures, expansion, properties, statements
from aesparse.theory.audit import audit
from aesparse.theory.conclusion import Audit
from aesparse.theory.errata import errata
from aesparse.theory.falsifier import Falsification, Problem, falsify
from aesparse.theory.records import Claim, hypotheses_hold

__all__ = [
    "Audit",
    "Claim",
    "Falsification",
    "Problem",
    "audit",
    "conjectures",
    "errata",
    "expansion",
    "falsify",
    "hypotheses_hold",
    "properties",
    "statements",
]
