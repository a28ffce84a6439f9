"""The falsifier set on each conjecture, and the row of the table that it gives. In float64."""

import functools
import time
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from aesparse.theory.conjectures import Conjecture
from aesparse.theory.falsifier import (
    SIZES,
    Problem,
    Size,
    describe,
    draw_many,
    falsify,
    smallest_margin,
)
from aesparse.theory.records import TOLERANCE

__all__ = ["EFFORT", "PROBLEMS", "SIZE", "Row", "attacked", "margins"]

PROBLEMS = 1000
SIZE, _REDRAWS = Size(2, 4, 12), 20
# For statements taken to be true: 100 times `falsify`'s default effort, over all of its sizes.
EFFORT = {"sizes": SIZES, "starts": 128, "steps": 1279}


class Row(NamedTuple):
    """One line of the table: a statement, what became of it, and the number that says so."""

    id: str
    statement: str
    verdict: str
    number: str
    details: dict


@functools.cache
def margins(conjecture: Conjecture, count: int) -> Float[np.ndarray, " K"]:
    """The smallest margin of a conjecture on `count` random problems at which it claims something.

    Problems outside its hypotheses, or where nothing is claimed, are drawn again.
    """

    @jax.jit
    @jax.vmap
    def each(problem):
        return smallest_margin(conjecture.statement, conjecture.project(problem))

    smallest = np.zeros(0)
    for round_ in range(_REDRAWS):
        drawn = np.asarray(each(draw_many(jax.random.key(1 + round_), SIZE, count)))
        smallest = np.concatenate([smallest, drawn[np.isfinite(drawn)]])
        if len(smallest) >= count:
            break
    return smallest[:count]


def attacked(conjecture: Conjecture) -> Row:
    """The row of a conjecture after a search, and 1,000 random problems where none violates it.

    Its verdict is "false" with a counter-example, "nothing was tested" where neither claimed
    anything, "inconclusive" where too few random problems did, else "holds" or "fails".
    """
    begin = time.perf_counter()
    effort = EFFORT if conjecture.true else {}
    attack = falsify(conjecture.statement, project=conjecture.project, **effort)
    seconds = time.perf_counter() - begin
    sampled = margins(conjecture, PROBLEMS)
    smallest, counts = float(sampled.min(initial=np.inf)), attack.counts
    details = {
        "expected": "true" if conjecture.true else "false",
        "random_problems": len(sampled),
        "smallest_margin_on_random_problems": smallest,
        "smallest_margin_searched": attack.margin,
        "evaluations": attack.evaluations,
        "tested": counts.tested,
        "margin_undefined": counts.undefined,
        "seconds": round(seconds, 1),
    }
    undefined = f", margin NaN at {counts.undefined:,}" if counts.undefined else ""
    spent = f"{attack.evaluations:,} evaluations, {counts.tested:,} tested{undefined}"
    number = (
        f"smallest margin {smallest:.1e} on {len(sampled):,} problems, "
        f"{attack.margin:.1e} in the search ({spent}, {seconds:.1f} s)"
    )
    verdict = "holds"
    if attack.violated:
        details["counter_example"] = _numbers(attack.problem)
        number = f"margin {attack.margin:.3g} at {describe(attack.problem)} ({spent})"
        verdict = "false"
    elif smallest < -TOLERANCE:
        verdict = "fails"
    elif not counts.tested:
        verdict, number = "nothing was tested", f"{attack.outcome} ({spent})"
    elif len(sampled) < PROBLEMS:
        verdict = "inconclusive"
    return Row(conjecture.id, conjecture.title, verdict, number, details)


def _numbers(problem: Problem) -> dict:
    return {
        "x": problem.X.tolist(),
        "weight": problem.params.weight.tolist(),
        "bias": problem.params.bias.tolist(),
        "weight_after": problem.after.weight.tolist(),
        "bias_after": problem.after.bias.tolist(),
        "strength": float(problem.strength),
    }
