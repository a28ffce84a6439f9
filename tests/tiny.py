"""Both deciding scales with the embedded data, and the runs of Arpit's figures made up for them."""

import shutil
from collections.abc import Mapping

import pytest
import stored_runs

from experiments.pipeline import protocol
from experiments.pipeline.figure import Figure
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.registry import figure_names, gathered, get_figure
from experiments.pipeline.store import RunStore

SCALE = SCALES["quick"]._replace(hidden=6, samples=100, epochs=6, evidence=True, seeds=3)
ARPIT = [n for n in figure_names() if n.startswith("arpit") and "reduced" in get_figure(n).scales]


def use(monkeypatch) -> None:
    """The scales `reduced` and `paper` become tiny; `paper` has one seed."""
    monkeypatch.setitem(protocol.SCALES, "reduced", SCALE)
    monkeypatch.setitem(protocol.SCALES, "paper", SCALE._replace(seeds=1))


def plan(scale: str = "reduced", seeds: int | None = None) -> Plan:
    """The usual plan of a scale."""
    return Plan.checked(scale, seeds, None)


def store_arpit(out) -> None:
    """All runs of Arpit's figures at the tiny reduced scale."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(monkeypatch)
        specs = [spec for name in ARPIT for spec in get_figure(name).runs(plan())]
        stored_runs.store_all(out, "reduced", specs)


def runs_of(out, name: str, dataset: str | None = None) -> tuple[Figure, dict]:
    """A figure with its stored runs, of all data sets or of one; copies that may be changed."""
    figure, store = get_figure(name), RunStore(out, "reduced")
    specs = [s for s in figure.runs(plan()) if dataset in (None, s.dataset)]
    return figure, {spec: store.load(spec).copy() for spec in specs}


def gathered_runs(out, name: str, dataset: str | None = None) -> tuple[Figure, Mapping]:
    """The same with the runs of other figures that count where they are stored."""
    figure = get_figure(name)
    runs = gathered(figure, plan(), RunStore(out, "reduced"))
    return figure, {spec: run for spec, run in runs.items() if dataset in (None, spec.dataset)}


def copy_runs(source, out, *names: str) -> None:
    """The stored runs of these figures alone, in another folder."""
    first, second = RunStore(source, "reduced"), RunStore(out, "reduced")
    second.folder.mkdir(parents=True, exist_ok=True)
    for spec in dict.fromkeys(s for name in names for s in get_figure(name).runs(plan())):
        shutil.copy(first.path(spec), second.path(spec))
