"""The conclusion of an audit, from what it measured and forecast. Shapes: m hidden units."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from aesparse.models.one_layer import Params
from aesparse.theory.audited import HOLDS, Audit
from aesparse.theory.forecast import FALLS, RISES
from aesparse.theory.properties import REACH

__all__ = [
    "INDIFFERENT",
    "LOWERS",
    "NOT_GUARANTEED",
    "NO_EFFECT",
    "SPARSIFIES",
    "conclude",
]

SPARSIFIES = "sparsifies"
LOWERS = "lowers E[a_j], but not surely the fraction"
INDIFFERENT = "indifferent to the strength"
NOT_GUARANTEED = "not guaranteed"
NO_EFFECT = "no effect: the gradient is zero"

_NEEDED = {
    1: ("s non-decreasing", "s(−∞) = 0"),
    2: ("s non-decreasing", "s convex", "s(−∞) = 0"),
}
_OFF_CENTRE = 0.1  # largest |E[x_i]| over the root mean square of X that is taken for centred
_GROWS = 1.5  # between an average and a sum over samples; see `Audit.growth_with_batch`
_FELT = 0.01  # the penalty's share of the reconstruction's bias gradient below which it is idle
_ACTS = 0.05  # deviations of a_j: a smaller change of E[a_j] along a path may be rounding


def _size(gradients: Sequence[Params]) -> float:
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(gradients))


def conclude(audit: Audit, values, gradients, tangents) -> Audit:
    """The audit with its conclusion: what is proved, as far as the forecast does not contradict."""
    conclusion, reason = _proved(audit, values, gradients, tangents)
    expected = audit.forecast
    acts = abs(expected.change_of_mean) > _ACTS * expected.spread
    if conclusion == SPARSIFIES and expected.says != FALLS:
        conclusion = LOWERS
        reason += "; the fraction is not forecast to fall"
    elif conclusion in (INDIFFERENT, NO_EFFECT) and (acts or expected.says in (FALLS, RISES)):
        conclusion = NOT_GUARANTEED
        reason = f"at the models looked at {reason}, but along the simulated path it acts"
    return dataclasses.replace(audit, conclusion=conclusion, reason=reason)


def _proved(audit: Audit, values, gradients, tangents) -> tuple[str, str]:
    """What follows from measurements and theorems, and why: plain facts first, then theorems."""
    size = _size(gradients)
    if size == 0:
        varies = float(max(values) - min(values))
        return NO_EFFECT, (
            f"its value varies by {varies:.3g} between the models looked at, but no derivative "
            "reaches the parameters (rounding, integer division, stop_gradient?)"
            if varies > 0
            else "its value is the same for every model looked at"
        )
    if _size(tangents) <= HOLDS * size:
        biases = max(float(jnp.max(jnp.abs(g.bias))) for g in gradients) > HOLDS * size
        what = "row lengths and biases" if biases else "row lengths"
        return INDIFFERENT, f"its gradient only changes {what}, which the constraint fixes"
    pushes = np.stack([t.bias for t in tangents])
    doubt = (
        _sum_over_samples(audit)
        or _hypothesis_that_fails(audit)
        or _push_that_fails(audit, pushes, size)
    )
    if doubt:
        return NOT_GUARANTEED, doubt
    needed = _median(audit.strength_now)
    start = f"from a strength of {needed:.3g} on" if needed > 0 else "with or without the penalty"
    return SPARSIFIES, (
        f"Corollary {audit.family.corollary} applies, no unit is pushed up at any bias level "
        f"looked at, and E[a_j] of half of the units now falls {start}"
    )


def _median(values: np.ndarray) -> float:
    return float(np.quantile(values, 0.5, method="higher"))


def _sum_over_samples(audit: Audit) -> str:
    """Whether the strength means another thing at every batch size; else nothing."""
    growth = audit.growth_with_batch
    if growth < _GROWS:
        return ""
    times = "doubles" if abs(growth - 2) < 1e-3 else f"grows by {growth:.2g}"
    return f"R {times} when the batch doubles: average over samples?"


def _hypothesis_that_fails(audit: Audit) -> str:
    """What the corollaries and the sparsity conclusion need and is not there; else nothing."""
    for name in _NEEDED.get(audit.family.corollary, ("s(−∞) = 0",)):
        worst = audit.conditions[name]
        if worst.residual > HOLDS:
            return f"{name} fails by {worst.residual:.3g} at a = {worst.at:.3g}"
    if not audit.family.corollary:
        return f"no corollary covers it: {audit.family.name}"
    low, high = (float(audit.activation(jnp.asarray(a))) for a in (-REACH, REACH))
    delta = audit.activation.threshold
    if not low <= delta < high:
        return (
            f"h never crosses δ_min = {delta:g} between a = −{REACH:g} ({low:.3g}) and a = "
            f"{REACH:g} ({high:.3g}), so the activation fraction cannot change; give another "
            "threshold"
        )
    off = audit.data["largest |E[x_i]| over rms"]
    if off > _OFF_CENTRE:
        return f"the data is not centred: its largest mean is {off:.3g} of its root mean square"
    return ""


def _push_that_fails(audit: Audit, pushes: np.ndarray, size: float) -> str:
    """Why the penalty's bias gradient does not do it; else nothing."""
    upwards = np.mean(pushes < -HOLDS * size)
    if upwards > 0:
        return f"it pushes {upwards:.0%} of the unit probes up"
    if not np.any(np.abs(pushes) > HOLDS * size):
        return "it moves no bias: its bias gradient is zero, or the constraint freezes biases"
    largest, needed = audit.largest_strength, _median(audit.strength_now)
    if np.isinf(needed):
        return "half of the units are pushed down by no strength: they are dead, or feel no push"
    if needed > largest:
        return (
            f"half of the units need a strength above {needed:.3g} before E[a_j] falls; the "
            f"largest looked at is {largest:g}"
        )
    share = largest * np.median(np.abs(audit.push)) / np.median(np.abs(audit.pull))
    if share < _FELT:
        return (
            f"at the largest strength, {largest:g}, its bias gradient is only {share:.1g} of the "
            "reconstruction's"
        )
    return ""
