"""Training the runs that are not stored yet: their data, their order, and how far time allows."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from aesparse.errors import InputError
from experiments.pipeline.deadline import Deadline, OutOfTimeError
from experiments.pipeline.protocol import cost
from experiments.pipeline.registry import get_figure
from experiments.pipeline.spec import Study, conduct
from experiments.pipeline.store import RunSpec, RunStore, parentage
from experiments.pipeline.train import checksum, train_together

__all__ = ["load_data", "require_data_of", "told_left", "train_missing"]


def load_data(
    missing: list[RunSpec | Study], data_dir: Path | None, *, alone: bool
) -> tuple[dict, dict[str, InputError]]:
    """All data before any training: a missing file is found now, not after an hour.

    Returns what was read by name and size, and by name what could not be; raises if `alone`.
    """
    data, unreadable = {}, {}
    for name, samples in dict.fromkeys((s.dataset, s.samples) for s in missing if s.dataset):
        import aesparse as ae

        try:
            data[name, samples] = ae.data.load(name, data_dir=data_dir, samples=samples)
        except InputError as error:
            if alone:
                raise
            unreadable[name] = error
            print(f"Warning: runs on {name} are left out: {error}", file=sys.stderr)
    return data, unreadable


def train_missing(
    missing: list[RunSpec | Study],
    store: RunStore,
    data: dict,
    *,
    together: bool = False,
    deadline: Deadline | None = None,
    on_stored: Callable[[RunSpec | Study], object] = lambda spec: None,
) -> list[RunSpec | Study]:
    """Trains runs in order and stores each; returns those left when the deadline passed.

    With `together`, runs that differ in their seed alone are trained in one program.
    `on_stored(spec)` is called after each is stored.
    """
    deadline = deadline or Deadline()
    groups = _by_program(missing) if together else [(spec,) for spec in missing]
    if not groups:
        return []
    from experiments.pipeline.progress import Progress

    left, costs = [], [sum(map(cost, group)) for group in groups]
    with Progress(costs, store.log) as progress:
        for i, (group, work) in enumerate(zip(groups, costs, strict=True), start=1):
            begun = work if isinstance(group[0], Study) else work / group[0].epochs
            if left or not deadline.allows(begun):
                left += group
                continue
            with contextlib.ExitStack() as stack:
                for spec in group:
                    stack.enter_context(store.training(spec))
                try:
                    _train_group(f"[{i}/{len(groups)}] ", group, store, data, progress, deadline)
                except OutOfTimeError:
                    left += group
                    continue
            deadline.finished(work)
            for spec in group:
                on_stored(spec)
    return left


def _by_program(specs: list[RunSpec | Study]) -> list[tuple[RunSpec | Study, ...]]:
    """Runs that differ in their seed alone, together, in the order of their first one."""
    groups: dict = {}
    for spec in specs:
        alike = spec if isinstance(spec, Study) else spec._replace(seed=0)
        groups.setdefault(alike, []).append(spec)
    return [tuple(group) for group in groups.values()]


def _train_group(label: str, group, store: RunStore, data: dict, progress, deadline) -> None:
    first = group[0]
    dataset = data.get((first.dataset, first.samples))
    todo = [spec for spec in group if store.load(spec) is None]
    if not todo:
        progress.whole(f"{label}{first.key} was made meanwhile")
        progress.done()
    elif isinstance(first, Study):
        progress.whole(f"{label}{first.figure} {first.dataset} seed {first.seed}")
        store.save(first, conduct(first, get_figure(first.figure), dataset))
        progress.done()
    else:
        name = f"{first.dataset} {first.objective} {first.activation} {first.constraint}"
        seeds = ", ".join(str(spec.seed) for spec in todo)
        progress.run(f"{label}{name} seed {seeds}", todo)
        baselines = [None if s == s.baseline else store.load(s.baseline) for s in todo]
        saved = store.checkpoints(*todo)
        runs = train_together(todo, dataset, progress.epoch, baselines, saved, deadline)
        for spec, run in zip(todo, runs, strict=True):
            store.save(spec, run)
        shutil.rmtree(saved, ignore_errors=True)


def require_data_of(
    stored: list[RunSpec | Study], store: RunStore, data: dict, unreadable: dict, *, alone: bool
) -> None:
    """Data read now is that of the runs stored; else its runs are left out, or refused if alone."""
    now = {key: checksum(dataset.train) for key, dataset in data.items()}
    for spec in stored:
        here, run = now.get((spec.dataset, spec.samples)), store.load(spec)
        if here is None or run is None or spec.dataset in unreadable:
            continue
        then = parentage(run)["data_sha256"]
        if then != here:
            unreadable[spec.dataset] = InputError(
                f"The data '{spec.dataset}' read now has the checksum {here[:12]}…, the stored run "
                f"{spec.key} was trained on {then[:12]}…. Use one source of it, or --recompute on "
                "a figure to train all its runs on the new one."
            )
            if alone:
                raise unreadable[spec.dataset]


def told_left(left: Sequence[RunSpec | Study]) -> str:
    """Which runs were left for want of time."""
    shown = ", ".join(spec.key for spec in left[:3]) + (", …" if len(left) > 3 else "")
    return (
        f"The time is up: {len(left)} run{'s are' if len(left) > 1 else ' is'} left ({shown}). "
        "The same command goes on from there."
    )
