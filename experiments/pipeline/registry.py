"""The figures by discovery, and what is stored of their runs.

A figure is a module of a family's folder under `experiments/figures` that defines
`FIGURE = Figure(...)`; its file name is its command. What a family shares is in its `common`.
"""

import functools
import importlib
import pkgutil
from pathlib import Path

from aesparse.errors import InputError, unknown_name
from experiments.pipeline.figure import Figure
from experiments.pipeline.plan import MOST_SEEDS, Plan
from experiments.pipeline.provenance import parentage
from experiments.pipeline.store import RunStore

__all__ = [
    "deciding_plans",
    "family_of",
    "figure_modules",
    "figure_names",
    "gathered",
    "get_figure",
    "stored_plan",
]

_FIGURES = Path(__file__).parents[1] / "figures"


def figure_names() -> list[str]:
    """Every figure's command name, sorted."""
    return sorted(figure_modules())


def get_figure(name: str) -> Figure:
    """A figure by its command name.

    `InputError` with near matches for an unknown name, and for a module without a `FIGURE`.
    """
    modules = figure_modules()
    if name not in modules:
        raise unknown_name("figure", name, sorted(modules))
    figure = getattr(importlib.import_module(modules[name]), "FIGURE", None)
    if not isinstance(figure, Figure):
        raise InputError(
            f"{modules[name]} has no FIGURE = Figure(...); add it, or move what figures share to "
            "its family's common.py."
        )
    return figure


@functools.cache
def figure_modules() -> dict[str, str]:
    """The figures' modules by command name: those of the families' folders but `common`."""
    return {
        module.name.replace("_", "-"): f"experiments.figures.{family.name}.{module.name}"
        for family in pkgutil.iter_modules([str(_FIGURES)])
        for module in pkgutil.iter_modules([str(_FIGURES / family.name)])
        if module.name != "common"
    }


def family_of(name: str) -> str:
    """The folder of a figure's module, which is that of its paper."""
    return figure_modules()[name].split(".")[-2:][0]


def stored_plan(out: Path, figure: Figure, scale: str, seeds: int | None = None) -> Plan:
    """The plan by which a figure enters the record.

    With `seeds`, as far as they change its runs; else with the scale's default number of them,
    or with as many more as are stored for the whole figure.
    """
    plan, store = figure.effective(Plan.checked(scale, seeds, None)), RunStore(out, scale)
    runs = figure.runs(plan)
    for count in range(plan.seeds + 1, MOST_SEEDS + 1) if seeds is None else ():
        fewer, more = runs, plan._replace(seeds=count)
        runs = figure.runs(more)
        if runs == fewer or not all(store.path(spec).exists() for spec in runs):
            break
        plan = more
    return plan


def deciding_plans(out: Path, figure: Figure, scale: str, seeds: int | None = None) -> list[Plan]:
    """The plans whose runs decide a figure's claims: its `stored_plan`, then one of other seeds.

    That is of the seeds after the scale's usual ones, which were seen when criteria were revised:
    3 to 5 at `reduced`. There is none with `seeds`, and where it would change no run.
    """
    usual = Plan.checked(scale, None, None)
    unseen = usual._replace(first_seed=usual.seeds)
    changes = seeds is None and figure.runs(unseen) != figure.runs(usual)
    return [stored_plan(out, figure, scale, seeds), *([unseen] if changes else [])]


def gathered(figure: Figure, plan: Plan, store: RunStore) -> dict:
    """What is stored of a figure's runs by spec, None where one is missing.

    Those of `also` come with their group once it is complete, each objective with all its seeds
    and of the same data, or not.
    """
    stored = {spec: store.load(spec) for spec in figure.runs(plan)}
    begun = {figure.group_of(spec) for spec, run in stored.items() if run is None}
    data = {
        (spec.dataset, parentage(run)["data_sha256"])
        for spec, run in stored.items()
        if run is not None
    }
    series: dict = {}
    for spec in figure.also(plan):
        if spec not in stored and figure.group_of(spec) not in begun:
            series.setdefault(spec._replace(seed=0), {})[spec] = store.load(spec)
    for runs in series.values():
        if all(
            run is not None and (spec.dataset, parentage(run)["data_sha256"]) in data
            for spec, run in runs.items()
        ):
            stored |= runs
    return stored
