"""Training the runs that are not stored yet: their data, their order, and how far time allows."""

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aesparse.errors import InputError
from aesparse.training.checkpoints import CheckpointError
from experiments.pipeline.deadline import Deadline, OutOfTimeError
from experiments.pipeline.figure import Figure
from experiments.pipeline.progress import Progress
from experiments.pipeline.provenance import checksum, parentage, provenance
from experiments.pipeline.registry import get_figure
from experiments.pipeline.spec import GridSpec, Spec, Study, some_keys
from experiments.pipeline.store import RunStore
from experiments.pipeline.train import train_together

__all__ = [
    "by_program",
    "conduct",
    "describe_left",
    "load_data",
    "one_by_one",
    "require_data_of",
    "train_missing",
]


def load_data(
    missing: list[Spec], data_dir: Path | None, *, alone: bool
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
    groups: Sequence[tuple[Spec, ...]],
    store: RunStore,
    data: dict,
    progress: Progress,
    *,
    deadline: Deadline | None = None,
    on_stored: Callable[[Spec], object] = lambda spec: None,
) -> list[Spec]:
    """Trains groups of runs in order and stores each; returns those left when the deadline passed.

    The runs of a group (`one_by_one`, `by_program`) are trained in one program. `progress` follows
    each group, and `on_stored(spec)` is called after each run is stored. Runs whose checkpoints
    are damaged are left out if the store goes on past damage (`RunStore`), else `InputError`.
    """
    deadline, left = deadline or Deadline(), []
    for group in groups:
        if left or not deadline.allows(progress.remaining.until_saved(group)):
            left += group
            continue
        with contextlib.ExitStack() as stack:
            for spec in group:
                stack.enter_context(store.training(spec))
            todo = [spec for spec in group if store.lacks(spec)]
            progress.begin(group, todo, store.log)
            try:
                if todo:
                    dataset = data.get((todo[0].dataset, todo[0].samples))
                    _COMPUTE[todo[0].kind](todo, dataset, store, progress, deadline)
            except OutOfTimeError:
                left += group
                continue
            except CheckpointError as error:
                for spec in todo:
                    store.leave_out(spec, error)
            stored = [spec for spec in group if store.load(spec) is not None]
            progress.end(left_out=not stored)
        for spec in stored:
            on_stored(spec)
    return left


def one_by_one(specs: Sequence[Spec]) -> list[tuple[Spec, ...]]:
    """Every run as a group of its own."""
    return [(spec,) for spec in specs]


def by_program(specs: Sequence[Spec]) -> list[tuple[Spec, ...]]:
    """Runs that differ in their seed alone as one group, in the order of their first one."""
    groups: dict = {}
    for spec in specs:
        groups.setdefault(spec.program, []).append(spec)
    return [tuple(group) for group in groups.values()]


def _train_grids(specs: list[GridSpec], dataset, store, progress, deadline) -> None:
    """Trains grids that differ in their seed alone in one program, and stores them."""
    baselines = [None if s == s.baseline else store.load(s.baseline) for s in specs]
    saved = store.checkpoints(*specs)
    runs = train_together(specs, dataset, progress.epoch, baselines, saved, deadline)
    for spec, run in zip(specs, runs, strict=True):
        store.save(spec, run)
    shutil.rmtree(saved, ignore_errors=True)


def _compute_studies(specs: list[Study], dataset, store, progress, deadline) -> None:
    """Computes studies one after the other, and stores them."""
    for study in specs:
        store.save(study, conduct(study, get_figure(study.figure), dataset))


_COMPUTE = {"grid": _train_grids, "study": _compute_studies}


def conduct(study: Study, figure: Figure, dataset):
    """Lets the figure compute the study; returns an xarray.Dataset with its parentage.

    `dataset` is the loaded `aesparse.data.Dataset`, or None.
    """
    begin = time.perf_counter()
    parents = provenance(None if dataset is None else dataset.train)
    run = figure.compute(study, dataset)
    parents["wall_seconds"] = round(time.perf_counter() - begin, 2)
    return run.assign_attrs(spec=study.json, provenance=json.dumps(parents, sort_keys=True))


def require_data_of(
    stored: list[Spec], store: RunStore, data: dict, unreadable: dict, *, alone: bool
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


def describe_left(left: Sequence[Spec]) -> str:
    """Which runs were left for want of time."""
    return (
        f"The time is up: {len(left)} run{'s are' if len(left) > 1 else ' is'} left "
        f"({some_keys(left)}). "
        "The same command goes on from there."
    )
