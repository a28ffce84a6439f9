"""What is stored, unfinished, running and missing, for every figure and scale."""

import contextlib
import json
from pathlib import Path

from aesparse.errors import InputError
from aesparse.tables import aligned
from experiments.pipeline.make import read_record
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.provenance import parentage
from experiments.pipeline.registry import figure_names, gathered, get_figure, stored_plan
from experiments.pipeline.spec import Spec
from experiments.pipeline.store import RunStore

__all__ = ["lines"]


def lines(out: Path, seeds: int | None = None) -> list[str]:
    """A table of figures against scales, then what is being trained or was interrupted."""
    rows, below, seen = [("figure", *SCALES)], [], {}
    for name in figure_names():
        figure = get_figure(name)
        cells = []
        for scale in SCALES:
            if scale not in figure.scales:
                cells.append("–")
                continue
            plan = stored_plan(out, figure, scale, seeds)
            specs = figure.runs(plan)
            known = [_origin(out, scale, spec, seen) for spec in specs]
            stored = sum(isinstance(origin, dict) for origin in known)
            state = "missing" if not stored else "done" if stored == len(specs) else "begun"
            if state == "done" and not _drawn(out, name, plan, seen):
                state = "to draw"
            option = f" with --seeds {plan.seeds}" if state == "to draw" and plan.suffix else ""
            cells.append(f"{stored}/{len(specs)} {state}{option}")
        rows.append((name, *cells))
    for scale in SCALES:
        below += _work(RunStore(out, scale), scale)
    damaged = [origin for origin in seen.values() if isinstance(origin, str)]
    return [aligned(rows), *below, *damaged]


def _origin(out: Path, scale: str, spec: Spec, seen: dict) -> dict | str | None:
    """Where a stored run comes from, None if there is none, or what is wrong with it.

    `seen` holds the answer for each, since figures share runs.
    """
    store = RunStore(out, scale)
    path = store.path(spec)
    if path not in seen:
        try:
            run = store.load(spec)
            seen[path] = None if run is None else parentage(run)
        except InputError as error:
            seen[path] = str(error)
    return seen[path]


def _drawn(out: Path, name: str, plan: Plan, seen: dict) -> bool:
    """Whether a picture was made of what is stored, by name and by where it comes from."""
    scale = plan.scale_name
    path = out / scale / f"{name}{plan.suffix}.json"
    if not path.exists():
        return False
    try:
        drawn = read_record(path)["runs"]
    except InputError as error:
        seen[path] = str(error)
        return False
    with contextlib.suppress(InputError):  # a damaged run, which `seen` names
        runs = gathered(get_figure(name), plan, RunStore(out, scale))
        return drawn == {spec.key: parentage(run) for spec, run in runs.items()}
    return False


def _work(store: RunStore, scale: str) -> list[str]:
    """Who is writing which runs, what was logged last, and which trainings can be continued."""
    writers, running, sentences = store.writers(), store.in_training(), []
    if writers:
        several = len(writers) > 1
        who = f"process{'es' * several} {', '.join(writers)} {'are' if several else 'is'} at work"
        on = f" on {', '.join(running)}" if running else ""
        sentences.append(f"{scale}: {who}{on}{_last(store)}.")
    checkpoints = store.folder / ".checkpoints"
    for folder in sorted(checkpoints.glob("*/")):
        epochs = [int(p.stem) for p in folder.glob("*") if p.stem.isdecimal()]
        if epochs:
            sentences.append(f"{scale}: {folder.name} has a checkpoint of epoch {max(epochs)}.")
    return sentences


def _last(store: RunStore) -> str:
    """The newest whole line of the log: a full disk or a kill may have cut one off."""
    if not store.log.exists():
        return ""
    with store.log.open("rb") as log:
        log.seek(max(0, log.seek(0, 2) - 2000))
        lines = [line for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            last = json.loads(line)
            epoch = f"{last['run']}, epoch {last['epoch']} of {last['epochs']} at {last['time']}"
            return f"; the last epoch logged is {epoch}"
    return ""
