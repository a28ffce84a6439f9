"""The figures by discovery: their modules, scales, plans, and what is stored of their runs.

A figure's module has `CLAIMS` (what each says, briefly), `runs(plan)`, `draw(found, plan)` and
`caption(found, plan)`, and `compute(study, dataset)` if its runs are studies. It may have `SCALES`
(those it is made for), `verdicts(found, dataset)`, `GROUP` (what tells apart the runs whose claims
are decided together), `joint(found)` (verdicts across the data sets), `also(plan)` (runs that count
where they are stored), `explain(found, verdict)` (why a claim does not hold) and `further(plan)`
(runs that only `explain` sees, where they are stored).
"""

import functools
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from aesparse.errors import unknown_name
from experiments.pipeline.protocol import SCALES, Plan
from experiments.pipeline.spec import Study
from experiments.pipeline.store import RunSpec, RunStore, parentage

__all__ = [
    "decides",
    "effective",
    "figure_modules",
    "figure_names",
    "gathered",
    "get_figure",
    "group",
    "scales",
    "stored_plan",
]

_FIGURES = Path(__file__).parents[1] / "figures"
_MOST_SEEDS = 20  # looked for


def figure_names() -> list[str]:
    """Every figure's command name, sorted."""
    return sorted(figure_modules())


def get_figure(name: str) -> ModuleType:
    """The module of a figure by its command name; `InputError` with near matches otherwise."""
    modules = figure_modules()
    if name not in modules:
        raise unknown_name("figure", name, sorted(modules))
    return importlib.import_module(modules[name])


@functools.cache
def figure_modules() -> dict[str, str]:
    """The figures' modules by command name: those of the families' folders but `common`."""
    return {
        module.name.replace("_", "-"): f"experiments.figures.{family.name}.{module.name}"
        for family in pkgutil.iter_modules([str(_FIGURES)])
        for module in pkgutil.iter_modules([str(_FIGURES / family.name)])
        if module.name != "common"
    }


def scales(figure: ModuleType) -> tuple[str, ...]:
    """The scales a figure is made for: all, unless its module names some."""
    return getattr(figure, "SCALES", tuple(SCALES))


def decides(figure: ModuleType, scale: str) -> bool:
    """Whether a figure's numbers at a scale are evidence.

    A figure made for one scale alone has no other one to decide its claims.
    """
    return scale in scales(figure) and (SCALES[scale].evidence or len(scales(figure)) == 1)


def effective(figure: ModuleType, plan: Plan) -> Plan:
    """The plan as it names the figure: with the usual seeds where more change none of its runs."""
    usual = plan._replace(seeds=plan.scale.seeds)
    return usual if figure.runs(usual) == figure.runs(plan) else plan


def stored_plan(out: Path, figure: ModuleType, scale: str, seeds: int | None = None) -> Plan:
    """The plan by which a figure enters the record.

    With `seeds`, as far as they change its runs; else with the scale's default number of them,
    or with as many more as are stored for the whole figure.
    """
    plan, store = effective(figure, Plan.checked(scale, seeds, None)), RunStore(out, scale)
    usual = figure.runs(plan)
    for count in range(_MOST_SEEDS, plan.seeds, -1) if seeds is None else ():
        more = plan._replace(seeds=count)
        runs = figure.runs(more)
        if runs != usual and all(store.path(spec).exists() for spec in runs):
            return more
    return plan


def gathered(figure: ModuleType, plan: Plan, store: RunStore) -> dict:
    """What is stored of a figure's runs by spec, None where one is missing.

    Those of `also` come with their group once it is complete, each objective with all its seeds
    and of the same data, or not.
    """
    found = {spec: store.load(spec) for spec in figure.runs(plan)}
    begun = {group(figure, spec) for spec, run in found.items() if run is None}
    data = {
        (spec.dataset, parentage(run)["data_sha256"])
        for spec, run in found.items()
        if run is not None
    }
    series: dict = {}
    for spec in figure.also(plan) if hasattr(figure, "also") else ():
        if spec not in found and group(figure, spec) not in begun:
            series.setdefault(spec._replace(seed=0), {})[spec] = store.load(spec)
    for runs in series.values():
        if all(
            run is not None and (spec.dataset, parentage(run)["data_sha256"]) in data
            for spec, run in runs.items()
        ):
            found |= runs
    return found


def group(figure: ModuleType, spec: RunSpec | Study) -> tuple:
    """What tells apart the runs whose claims are decided together: the data set, or `GROUP`."""
    return tuple(getattr(spec, field) for field in getattr(figure, "GROUP", ("dataset",)))
