"""Arpit's statements as functions with margins, the falsifier and the audit; no training.

Evaluate them in float64: `with jax.enable_x64(True): …`, inputs made inside.
"""

from aesparse.theory import (
    conjectures,
    convexity,
    expansion,
    falsifier,
    maxout,
    properties,
    residuals,
    sparsity,
    statements,
)
from aesparse.theory.audit import audit
from aesparse.theory.audited import Audit
from aesparse.theory.dictionary_audit import audit_dictionary
from aesparse.theory.dictionary_audited import DictionaryAudit
from aesparse.theory.errata import errata
from aesparse.theory.falsifier import Falsification, Problem, falsify
from aesparse.theory.families import Family
from aesparse.theory.forecast import Forecast
from aesparse.theory.records import Claim, hypotheses_hold
from aesparse.theory.response import Response

__all__ = [
    "Audit",
    "Claim",
    "DictionaryAudit",
    "Falsification",
    "Family",
    "Forecast",
    "Problem",
    "Response",
    "audit",
    "audit_dictionary",
    "conjectures",
    "convexity",
    "errata",
    "expansion",
    "falsifier",
    "falsify",
    "hypotheses_hold",
    "maxout",
    "properties",
    "residuals",
    "sparsity",
    "statements",
]
