"""Studies: what a figure computes itself instead of training a grid over strengths.

A study is stored, found again and drawn like a run; its figure's module computes it with
`compute(study, dataset)` for one data set and one seed.
"""

import json
import time
from types import ModuleType
from typing import NamedTuple

from experiments.pipeline.stored import run_key
from experiments.pipeline.train import provenance

__all__ = ["Study", "conduct"]


class Study(NamedTuple):
    """Everything that decides a study's numbers; its hash is part of the file name."""

    figure: str
    dataset: str = ""  # a name for `aesparse.data.load`; "" for none
    samples: int | None = None
    seed: int = 0
    options: tuple[tuple[str, str | float | tuple[float, ...]], ...] = ()  # in the figure's words
    work: float = 1e12  # beside `protocol.cost` of runs; decides their order alone

    @property
    def kind(self) -> str:
        """The kind of run that is stored."""
        return "study"

    @property
    def json(self) -> str:
        """The spec as canonical JSON."""
        fields = {k: v for k, v in self._asdict().items() if k not in ("work", "options")}
        return json.dumps(fields | {"options": dict(self.options)}, sort_keys=True)

    @property
    def baseline(self) -> "Study":
        """Itself: a study needs no other."""
        return self

    @property
    def key(self) -> str:
        """The name of the run: readable parts, then a hash of the whole spec."""
        return run_key(self.kind, self.json)

    def option(self, name: str) -> str | float | tuple[float, ...]:
        """One of the options, by its name."""
        return dict(self.options)[name]


def conduct(study: Study, figure: ModuleType, dataset):
    """Lets the figure's module compute the study; returns an xarray.Dataset with its parentage.

    `dataset` is the loaded `aesparse.data.Dataset`, or None.
    """
    begin = time.perf_counter()
    parents = provenance(None if dataset is None else dataset.train)
    found = figure.compute(study, dataset)
    parents["wall_seconds"] = round(time.perf_counter() - begin, 2)
    return found.assign_attrs(spec=study.json, provenance=json.dumps(parents, sort_keys=True))
