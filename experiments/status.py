"""What is stored, unfinished, running and missing, for every figure and scale."""

import json
from pathlib import Path

from aesparse.tables import aligned
from experiments.making import figure_names, get_figure, scales
from experiments.protocol import SCALES, Plan
from experiments.runs import RunStore

__all__ = ["lines"]


def lines(out: Path, seeds: int | None = None) -> list[str]:
    """A table of figures against scales, then what is being trained or was interrupted."""
    rows, below = [("figure", *SCALES)], []
    for name in figure_names():
        figure = get_figure(name)
        cells = []
        for scale in SCALES:
            if scale not in scales(figure):
                cells.append("–")
                continue
            specs = figure.runs(Plan.checked(scale, seeds, None))
            stored = sum(RunStore(out, scale).path(spec).exists() for spec in specs)
            drawn = (out / scale / f"{name}.png").exists()
            state = "missing" if not stored else "done" if stored == len(specs) else "begun"
            if state == "done" and not drawn:
                state = "to draw"
            cells.append(f"{stored}/{len(specs)} {state}")
        rows.append((name, *cells))
    for scale in SCALES:
        below += _work(RunStore(out, scale), scale)
    return [aligned(rows), *below]


def _work(store: RunStore, scale: str) -> list[str]:
    """Who is writing, what was written last, and which trainings can be continued."""
    writer, found = store.writer(), []
    if writer is not None:
        found.append(f"{scale}: process {writer} is training{_last(store)}.")
    kept = store.folder / ".checkpoints"
    for folder in sorted(kept.glob("*/")):
        epochs = [int(p.name) for p in folder.glob("*") if p.name.isdecimal()]
        if epochs:
            found.append(f"{scale}: {folder.name} has a checkpoint of epoch {max(epochs)}.")
    return found


def _last(store: RunStore) -> str:
    if not store.log.exists():
        return ""
    with store.log.open("rb") as log:
        log.seek(max(0, log.seek(0, 2) - 2000))
        lines = [line for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]
    if not lines:
        return ""
    last = json.loads(lines[-1])
    return f" {last['run']}, epoch {last['epoch']} of {last['epochs']} at {last['time']}"
