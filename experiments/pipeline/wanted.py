"""Runs in the order of a list that is data: `wanted.toml`, the most valuable first."""

import contextlib
import itertools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aesparse.errors import InputError, reason
from aesparse.files import read_bytes
from experiments.pipeline.archive import Archive
from experiments.pipeline.damage import Damage
from experiments.pipeline.deadline import Deadline
from experiments.pipeline.missing import (
    by_program,
    describe_left,
    load_data,
    require_data_of,
    train_missing,
)
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.progress import Detail, Progress
from experiments.pipeline.registry import figure_names, get_figure
from experiments.pipeline.spec import Spec
from experiments.pipeline.store import RunStore

__all__ = ["WANTED", "Entry", "read", "train_wanted"]

WANTED = Path(__file__).parents[1] / "wanted.toml"
_MOST_BYTES = 2**20  # of a list


class Entry(NamedTuple):
    """One line of the list: a figure's runs, or some objectives of one activation and constraint.

    Empty `datasets` are all of the scale; `learning_rate` None is each data set's own.
    """

    scale: str
    seeds: tuple[int, ...]
    figure: str = ""
    objectives: tuple[str, ...] = ()
    activation: str = "relu"
    constraint: str = "unit"
    datasets: tuple[str, ...] = ()
    learning_rate: float | None = None

    def specs(self) -> list[Spec]:
        """The runs of this line in their figure's order, those of AE at strength 0 first."""
        first, count = min(self.seeds), max(self.seeds) - min(self.seeds) + 1
        plan = Plan.checked(self.scale, count, self.learning_rate, first)
        if self.figure:
            runs = get_figure(self.figure).runs(plan)
        else:
            runs = needed(plan, self.objectives, self.activation, self.constraint)
        datasets = self.datasets or {spec.dataset for spec in runs}
        return [s for s in runs if s.seed in self.seeds and s.dataset in datasets]


def read(path: Path = WANTED) -> list[Entry]:
    """The list in a TOML file; `InputError` that names the first bad line."""
    try:
        lines = tomllib.loads(read_bytes(path, _MOST_BYTES).decode())["wanted"]
        if not (isinstance(lines, list) and all(isinstance(line, dict) for line in lines)):
            raise ValueError("wanted is no list of tables")
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise InputError(
            f"{path} is not a list of wanted runs ({reason(error)}); expected TOML with "
            "[[wanted]] tables."
        ) from None
    return [_entry(path, number, line) for number, line in enumerate(lines, start=1)]


def _entry(path: Path, number: int, line: dict) -> Entry:
    try:
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in line.items()}
        entry = Entry(**lists)
        figure = get_figure(entry.figure) if entry.figure else None
        if bool(figure) == bool(entry.objectives) or not entry.specs():
            raise InputError("a line names a figure or objectives, and at least one run")
        if figure and entry.scale not in figure.scales:
            raise InputError(f"{entry.figure} has no scale {entry.scale}")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {number} of the list, is {line}: {error}") from None
    return entry


def train_wanted(
    entries: Sequence[Entry],
    *,
    data_dir: Path | None,
    out: Path,
    archive: Path | None,
    deadline: Deadline,
    detail: Detail = Detail.USUAL,
) -> list[Spec]:
    """Trains what is missing of a list, line by line; returns what is left at the deadline.

    Each run is stored under `out`, and appended to the `archive` as soon as it is. Runs that
    differ in their seed alone are trained in one program. `detail` is how much of the progress is
    shown. `InputError` for data that cannot be read or is not that of the runs stored, and, once
    all others are done, for damaged runs and checkpoints, which are left out.
    """
    damage = Damage()
    store_of = {entry.scale: RunStore(out, entry.scale, damage) for entry in entries}
    growing, left = None if archive is None else Archive(archive), []
    if growing is not None:
        growing.names()  # what cannot be appended to is found before any training
    with contextlib.ExitStack() as held:
        for store in store_of.values():
            held.enter_context(store.writing())
        groups = _missing(entries, store_of)
        progress = held.enter_context(Progress(list(itertools.chain(*groups)), detail))
        data: dict = {}
        for entry, groups_of_entry in zip(entries, groups, strict=True):
            store, missing = store_of[entry.scale], list(itertools.chain(*groups_of_entry))
            if left:
                left += missing
                continue
            sizes = {(spec.dataset, spec.samples) for spec in missing}
            data = {size: data[size] for size in sizes & data.keys()}  # two data sets at most
            absent = [s for s in missing if (s.dataset, s.samples) not in data]
            fresh, _ = load_data(absent, data_dir, alone=True)
            require_data_of(_others(entry.scale, fresh), store, fresh, {}, alone=True)
            data |= fresh

            def on_stored(spec, store=store, scale=entry.scale):
                if growing is not None:
                    growing.add(scale, store.path(spec))

            left += train_missing(
                groups_of_entry, store, data, progress, deadline=deadline, on_stored=on_stored
            )
    if left:
        print(describe_left(left))
    damage.require_none("Nothing else failed; the same command goes on once this is mended.")
    return left


def _missing(entries: Sequence[Entry], store_of: dict[str, RunStore]) -> list[list[tuple]]:
    """For each line the runs that are neither stored nor of an earlier line, by program."""
    seen: set[tuple[str, Spec]] = set()
    groups = []
    for entry in entries:
        store, scale = store_of[entry.scale], entry.scale
        missing = [s for s in entry.specs() if (scale, s) not in seen and store.lacks(s)]
        seen.update((scale, spec) for spec in missing)
        groups.append(by_program(missing))
    return groups


def _others(scale: str, data: dict) -> list[Spec]:
    """All runs of a scale's figures on some data, of which stored ones tell its checksum."""
    if not data:
        return []
    figures = [get_figure(name) for name in figure_names()]
    specs = [
        spec
        for figure in figures
        if scale in figure.scales
        for spec in figure.runs(Plan.checked(scale, None, None))
        if (spec.dataset, spec.samples) in data
    ]
    return list(dict.fromkeys(specs))
