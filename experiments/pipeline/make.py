"""Making a figure: train what is missing, draw from what is stored, print the verdicts."""

from collections.abc import Sequence
from pathlib import Path

from aesparse.errors import InputError
from experiments.pipeline.deadline import Deadline
from experiments.pipeline.figure import Figure
from experiments.pipeline.missing import describe_left, load_data, require_data_of, train_missing
from experiments.pipeline.plan import Plan, Shard
from experiments.pipeline.record import publish
from experiments.pipeline.registry import gathered, get_figure
from experiments.pipeline.store import RunStore

__all__ = ["make"]


def make(
    names: Sequence[str],
    plan: Plan,
    *,
    data_dir: Path | None,
    out: Path,
    recompute: bool = False,
    shard: Shard | None = None,
    deadline: Deadline | None = None,
) -> None:
    """Trains the missing runs of some figures, or a shard of them; draws those that are complete.

    One figure is trained in its own order, several of them shortest run first. Data that cannot
    be read, or is not that of the runs stored, stops one figure before any training; of several
    the others are made before the `InputError`. After the `deadline` nothing is begun, and what is
    left is printed.
    """
    chosen = {name: get_figure(name) for name in names}
    for name, figure in chosen.items():
        if plan.scale_name not in figure.scales:
            raise InputError(
                f"The figure '{name}' has no scale '{plan.scale_name}'; use --scale "
                f"{' or '.join(figure.scales)}."
            )
    if len(names) == 1:
        _require_effect(names[0], chosen[names[0]], plan)
    plans = {name: figure.effective(plan) for name, figure in chosen.items()}
    by_figure = {name: figure.runs(plans[name]) for name, figure in chosen.items()}
    specs = list(dict.fromkeys(spec for specs in by_figure.values() for spec in specs))
    if len(names) > 1:
        specs.sort(key=lambda spec: spec.cost)
    store, folder = RunStore(out, plan.scale_name), out / plan.scale_name
    with store.writing(folder, shard=shard):
        mine = shard.of(specs) if shard else specs
        missing = [spec for spec in mine if recompute or store.load(spec) is None]
        data, unreadable = load_data(missing, data_dir, alone=len(names) == 1)
        stored = [s for s in specs if s not in missing]
        require_data_of(stored, store, data, unreadable, alone=len(names) == 1)
        for spec in mine if recompute else ():  # now, so that what is interrupted can go on
            store.discard(spec)
        for spec in mine:  # of a command killed between storing a run and forgetting these
            if spec not in missing:
                store.forget(spec)
        readable = [s for s in missing if s.dataset not in unreadable]
        left = train_missing(readable, store, data, deadline=deadline)
        if left:
            print(describe_left(left))
        undrawn = []
        for name, figure in chosen.items():
            runs = gathered(figure, plans[name], store)
            absent = sum(run is None for run in runs.values())
            if absent:
                print(_undrawn(name, absent, len(by_figure[name]), shard))
                continue
            if deadline is not None and deadline.passed:
                print(f"{name} is not drawn: the time is up.")
                continue
            try:
                publish(figure, name, plans[name], runs, folder)
            except InputError as error:
                if len(names) == 1:
                    raise
                undrawn.append(f"{name} was not drawn: {error}")
    if unreadable:
        undrawn.append(
            f"Runs on {' and '.join(unreadable)} were left out: "
            f"{' '.join(map(str, unreadable.values()))} All others are done; the same command goes "
            "on when the data is there."
        )
    if undrawn:
        raise InputError(" ".join(undrawn))


def _require_effect(name: str, figure: Figure, plan: Plan) -> None:
    """An option that changes no run of the figure would be named in the command that made it."""
    without = {
        f"--learning-rate {plan.learning_rate}": plan._replace(learning_rate=None),
        f"--seeds {plan.seeds}": plan._replace(seeds=plan.scale.seeds),
    }
    for option, other in without.items():
        if other != plan and figure.runs(other) == figure.runs(plan):
            raise InputError(f"{option} changes no run of '{name}'; leave it out.")


def _undrawn(name: str, left: int, total: int, shard: Shard | None) -> str:
    if shard is None:
        return f"{left} of {total} runs of {name} are missing; it is not drawn."
    return (
        f"Shard {shard} is done; {left} of {total} runs of {name} are still missing. When the "
        "other shards are done, the same command without --shard draws."
    )
