"""Making a figure: train what is missing, draw from what is stored, print the verdicts."""

from collections.abc import Sequence
from pathlib import Path

from aesparse.errors import InputError
from experiments.pipeline.damage import Damage
from experiments.pipeline.deadline import Deadline
from experiments.pipeline.figure import Figure
from experiments.pipeline.missing import (
    describe_left,
    load_data,
    one_by_one,
    require_data_of,
    train_missing,
)
from experiments.pipeline.pictures import Pictures
from experiments.pipeline.plan import Plan, Shard
from experiments.pipeline.progress import Detail, Progress
from experiments.pipeline.registry import get_figure
from experiments.pipeline.spec import Spec
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
    detail: Detail = Detail.USUAL,
    stored_only: bool = False,
) -> None:
    """Trains the missing runs of some figures, or a shard of them; draws those that are complete.

    One figure is trained in its own order, several of them shortest run first; each is drawn as
    soon as its last run is stored. Damaged runs and checkpoints, and data that cannot be read
    or is not that of the runs stored, stop one figure; of several all others are made first, and
    what was left out is the `InputError` at the end.
    After the `deadline` nothing is begun, and what is left is printed. `detail` is how much of the
    progress is shown. With `stored_only` nothing is trained: the figures that are complete are
    drawn, those that are `partial` from what is stored; one figure alone that cannot be drawn is
    an `InputError`.
    """
    if stored_only and (recompute or shard):
        raise InputError("--stored trains nothing; leave out --recompute and --shard.")
    deadline = deadline or Deadline()
    chosen, alone = _chosen(names, plan), len(names) == 1
    plans = {name: figure.effective(plan) for name, figure in chosen.items()}
    by_figure = {name: figure.runs(plans[name]) for name, figure in chosen.items()}
    specs = list(dict.fromkeys(spec for specs in by_figure.values() for spec in specs))
    if not alone:
        specs.sort(key=lambda spec: spec.cost)
    damage, folder = Damage(), out / plan.scale_name
    store = RunStore(out, plan.scale_name, None if alone else damage)
    with store.writing(folder, shard=shard):
        mine = shard.of(specs) if shard else specs
        missing = [s for s in mine if not stored_only and (recompute or store.lacks(s))]
        data, unreadable = load_data(missing, data_dir, alone=alone)
        stored = [s for s in specs if s not in missing]
        require_data_of(stored, store, data, unreadable, alone=alone)
        for spec in mine if recompute else ():  # now, so that what is interrupted can go on
            store.discard(spec)
        for spec in mine:  # of a command killed between storing a run and forgetting these
            if spec not in missing and store.load(spec) is not None:
                store.forget(spec)
        groups = one_by_one([s for s in missing if s.dataset not in unreadable])
        pictures = Pictures(plans, missing, store, folder, deadline)
        with Progress(groups, detail) as progress:

            def draw(stored: Spec | None) -> None:
                with progress.aside():
                    pictures.draw_after(stored)

            draw(None)
            left = train_missing(groups, store, data, progress, deadline=deadline, on_stored=draw)
        if left:
            print(describe_left(left))
        pictures.draw_rest(shard, damage, stored_only=stored_only)
    for name, error in unreadable.items():
        damage(f"Runs on {name} were left out: {error}")
    if pictures.fault is not None:
        damage.say()
        raise pictures.fault
    damage.require_none("Nothing else failed; the same command goes on once this is mended.")


def _chosen(names: Sequence[str], plan: Plan) -> dict[str, Figure]:
    """The figures by name; `InputError` if one has not this scale, or is alone and not affected."""
    chosen = {name: get_figure(name) for name in names}
    for name, figure in chosen.items():
        if plan.scale_name not in figure.scales:
            raise InputError(
                f"The figure '{name}' has no scale '{plan.scale_name}'; use --scale "
                f"{' or '.join(figure.scales)}."
            )
    if len(names) == 1:
        _require_effect(names[0], chosen[names[0]], plan)
    return chosen


def _require_effect(name: str, figure: Figure, plan: Plan) -> None:
    """An option that changes no run of the figure would be named in the command that made it."""
    without = {
        f"--learning-rate {plan.learning_rate}": plan._replace(learning_rate=None),
        f"--seeds {plan.seeds}": plan._replace(seeds=plan.scale.seeds),
        f"--first-seed {plan.first_seed}": plan._replace(first_seed=0),
    }
    for option, other in without.items():
        if other != plan and figure.runs(other) == figure.runs(plan):
            raise InputError(f"{option} changes no run of '{name}'; leave it out.")
