"""Explanations of claims that fail or are inconclusive: sentences with numbers.

A figure explains from its own stored runs and those of `further(plan)`
(`explain(runs, verdict) -> list of sentences`). In addition the same statement is decided at other
scales and learning rates, where their runs are stored.
"""

from collections.abc import Mapping
from pathlib import Path

from aesparse.errors import InputError
from experiments.pipeline.damage import Damage
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, RATES, SCALES
from experiments.pipeline.registry import gathered, stored_plan
from experiments.pipeline.store import RunStore
from experiments.pipeline.verdicts import judged

__all__ = ["explanations"]


def explanations(
    out: Path,
    figure: Figure,
    plan: Plan,
    runs: Mapping,
    verdict: Verdict,
    damage: Damage | None = None,
) -> tuple[str, ...]:
    """Sentences for a verdict that fails or is inconclusive; none for the others.

    Damaged runs are an `InputError`, or left out with a sentence in `damage`.
    """
    if verdict.verdict not in ("fails", "inconclusive"):
        return ()
    own = []
    if figure.explain:
        store = RunStore(out, plan.scale_name, damage)
        of_it = {
            spec: runs[spec] if spec in runs else store.load(spec)
            for spec in (*runs, *figure.further(plan))
            if verdict.dataset in (spec.dataset, "both")
        }
        own = figure.explain({s: r for s, r in of_it.items() if r is not None}, verdict)
    if figure.compute:  # its studies are asked for at one scale and rate
        return tuple(own)
    others = [
        (f"At the scale {scale}", [stored_plan(out, figure, scale)])
        for scale in SCALES
        if scale != plan.scale_name and figure.decides(scale)
    ]
    others += [
        (
            f"At learning rate {rate:g}",
            [
                plan._replace(learning_rate=rate, first_seed=0, seeds=n)
                for n in range(plan.seeds, 0, -1)
            ],
        )
        for rate in RATES
        if verdict.dataset in DATA and rate != DATA[verdict.dataset].learning_rate
    ]
    elsewhere = [(what, _first(out, figure, plans, verdict, damage)) for what, plans in others]
    return (
        *own,
        *(
            f"{what}: {v.verdict}{f' ({v.rests_on})' if v.rests_on else ''}, {v.numbers}."
            for what, v in elsewhere
            if v is not None
        ),
    )


def _first(
    out: Path, figure: Figure, plans: list[Plan], verdict: Verdict, damage: Damage | None
) -> Verdict | None:
    """The verdict on the same statement by the first of the plans that can decide it."""
    stores = ((plan, RunStore(out, plan.scale_name, damage)) for plan in plans)
    others = (_elsewhere(figure, plan, verdict, store, damage) for plan, store in stores)
    return next((other for other in others if other is not None), None)


def _elsewhere(
    figure: Figure, plan: Plan, verdict: Verdict, store: RunStore, damage: Damage | None
) -> Verdict | None:
    """The verdict on the same statement by another plan, if its runs are stored."""
    try:
        figure.runs(plan)
    except InputError:  # a figure that goes through the rates itself
        return None
    runs = gathered(figure, plan, store)
    asked = {s: r if verdict.dataset in (s.dataset, "both") else None for s, r in runs.items()}
    same = [
        v
        for v, _ in judged(figure, plan.scale_name, asked, damage=damage)
        if (v.claim, v.dataset, v.statement) == verdict[:3] and v.verdict != "not run"
    ]
    return same[0] if same else None
