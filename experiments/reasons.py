"""Explanations of claims that fail or are inconclusive: sentences with numbers.

A figure explains from its own stored runs and those of `further(plan)`
(`explain(found, verdict) -> list of sentences`). In addition the same statement is decided at other
scales and learning rates, where their runs are stored.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from aesparse.errors import InputError
from experiments.claims import Verdict
from experiments.making import decided
from experiments.protocol import DATA, RATES, SCALES, Plan
from experiments.registry import decides, gathered, stored_plan
from experiments.runs import RunSpec, RunStore

__all__ = ["reasons"]


def reasons(
    out: Path, figure: ModuleType, plan: Plan, found: Mapping, verdict: Verdict
) -> tuple[str, ...]:
    """Sentences for a verdict that fails or is inconclusive; none for the others."""
    if verdict.verdict not in ("fails", "inconclusive"):
        return ()
    own = []
    if hasattr(figure, "explain"):
        store, further = RunStore(out, plan.scale_name), getattr(figure, "further", lambda _: ())
        of_it = {
            spec: found[spec] if spec in found else store.load(spec)
            for spec in (*found, *further(plan))
            if verdict.dataset in (spec.dataset, "both")
        }
        own = figure.explain({s: r for s, r in of_it.items() if r is not None}, verdict)
    if not all(isinstance(spec, RunSpec) for spec in found):
        return tuple(own)
    others = [
        (f"At the scale {scale}", [stored_plan(out, figure, scale)])
        for scale in SCALES
        if scale != plan.scale_name and decides(figure, scale)
    ]
    others += [
        (
            f"At learning rate {rate:g}",
            [plan._replace(learning_rate=rate, seeds=n) for n in range(plan.seeds, 0, -1)],
        )
        for rate in RATES
        if verdict.dataset in DATA and rate != DATA[verdict.dataset].learning_rate
    ]
    told = [(what, _first(out, figure, plans, verdict)) for what, plans in others]
    return (*own, *(f"{what}: {v.verdict}, {v.numbers}." for what, v in told if v is not None))


def _first(out: Path, figure: ModuleType, plans: list[Plan], verdict: Verdict) -> Verdict | None:
    """The verdict on the same statement by the first of the plans that can decide it."""
    others = (_elsewhere(out, figure, plan, verdict) for plan in plans)
    return next((other for other in others if other is not None), None)


def _elsewhere(out: Path, figure: ModuleType, plan: Plan, verdict: Verdict) -> Verdict | None:
    """The verdict on the same statement by another plan, if its runs are stored."""
    try:
        figure.runs(plan)
    except InputError:  # a figure that goes through the rates itself
        return None
    found = gathered(figure, plan, RunStore(out, plan.scale_name))
    asked = {s: r if verdict.dataset in (s.dataset, "both") else None for s, r in found.items()}
    same = [
        v
        for v in decided(figure, asked)
        if (v.claim, v.dataset, v.statement) == verdict[:3] and v.verdict != "not run"
    ]
    return same[0] if same else None
