"""What the report shows besides verdicts: the pictures with their records, and runs of seed 0."""

import re
from pathlib import Path
from typing import NamedTuple

from aesparse.errors import InputError
from experiments.pipeline.damage import Damage
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.record import read_record, record_path
from experiments.pipeline.registry import deciding_plans, figure_names, get_figure
from experiments.pipeline.spec import GridSpec
from experiments.pipeline.store import RunStore

__all__ = ["Picture", "collect"]

_SIZE = re.compile(r'<svg\b[^>]*?\bwidth="([\d.]+)pt" height="([\d.]+)pt"')
_PIXELS = 4 / 3  # of a point


class Picture(NamedTuple):
    """A figure as it was drawn by one plan."""

    scale: str
    anchor: str
    record: dict
    path: str  # of the SVG, from the folder of the figures
    width: int
    height: int


def collect(
    out: Path, seeds: int | None, damage: Damage
) -> tuple[dict[str, list[Picture]], dict[tuple[str, GridSpec], object]]:
    """Every figure's pictures, the largest scale first, and the stored runs of grids of seed 0.

    Damaged ones are left out, with a sentence each in `damage`.
    """
    pictures: dict[str, list[Picture]] = {}
    runs: dict[tuple[str, GridSpec], object] = {}
    for scale in reversed(SCALES):
        store = RunStore(out, scale, damage)
        for name in figure_names():
            figure = get_figure(name)
            if scale in figure.scales:
                plan, *unseen = deciding_plans(out, figure, scale, seeds)
                for drawn in (_drawn(out, name, plan) if seeds is None else plan, *unseen):
                    if record_path(out, name, drawn).exists():
                        with damage.noted():
                            pictures.setdefault(name, []).append(_picture(out, name, drawn))
                first = [s for s in figure.runs(plan) if s.kind == "grid" and s.seed == 0]
                runs |= {(scale, s): store.load(s) for s in first if (scale, s) not in runs}
    return pictures, {place: run for place, run in runs.items() if run is not None}


def _drawn(out: Path, name: str, plan: Plan) -> Plan:
    """The plan of all seeds that decide a figure's claims, or the usual if only that is drawn."""
    usual = plan._replace(seeds=plan.scale.seeds)
    return plan if record_path(out, name, plan).exists() else usual


def _picture(out: Path, name: str, plan: Plan) -> Picture:
    """`InputError` if the record or the picture is damaged."""
    stored = record_path(out, name, plan)
    record, svg = read_record(stored, name, plan), stored.with_suffix(".svg")
    size = _SIZE.search(svg.read_text(encoding="utf-8"))
    if size is None:
        raise InputError(f"{svg} has no size in points; repeat the command that made it.")
    width, height = (round(float(points) * _PIXELS) for points in size.groups())
    anchor = f"{plan.scale_name}-{name}{plan.suffix}"
    path = svg.relative_to(out).as_posix()
    return Picture(plan.scale_name, anchor, record, path, width, height)
