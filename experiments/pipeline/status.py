"""What is stored, unfinished, running and missing, for every figure and scale."""

import contextlib
import json
from pathlib import Path

from aesparse.errors import InputError
from aesparse.files import listed
from aesparse.tables import aligned
from aesparse.training.checkpoint_files import stored_epochs
from experiments.pipeline.damage import Damage, require_folder
from experiments.pipeline.figure import Figure
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.provenance import parentage
from experiments.pipeline.record import read_pictured, read_record, record_path
from experiments.pipeline.registry import deciding_plans, figure_names, gathered, get_figure
from experiments.pipeline.seal import changed_page
from experiments.pipeline.store import RunStore

__all__ = ["lines"]


def lines(out: Path, seeds: int | None, damage: Damage) -> list[str]:
    """A table of figures against scales, and what is being trained or was interrupted.

    Every file is read: runs, records with their pictures, checkpoints and the report. `damage` gets
    a sentence for each that is damaged.
    `InputError` if the folder `out` does not exist.
    """
    require_folder(out)
    stores = {scale: RunStore(out, scale, damage) for scale in SCALES}
    rows: list[tuple[str, ...]] = [("figure", *SCALES)]
    checked: set[Path] = set()  # records
    for name in figure_names():
        figure = get_figure(name)
        states = [_state(out, name, figure, store, seeds, checked) for store in stores.values()]
        rows.append((name, *states))
    unfinished = [line for store in stores.values() for line in _work(store, damage)]
    _check_others(out, stores, damage, checked)
    return [aligned(rows), *unfinished]


def _state(
    out: Path, name: str, figure: Figure, store: RunStore, seeds: int | None, checked: set[Path]
) -> str:
    """How many runs of a figure are stored at a scale, and whether they are drawn, by plan.

    The path of a record that is read is added to `checked`.
    """
    if store.scale not in figure.scales:
        return "–"
    states = []
    for plan in deciding_plans(out, figure, store.scale, seeds):
        specs = figure.runs(plan)
        stored = sum(store.load(spec) is not None for spec in specs)
        state = "missing" if not stored else "done" if stored == len(specs) else "begun"
        if state == "done" and not _drawn(out, name, plan, store, checked):
            state = "to draw"
        if stored or not states:
            by = f" with {plan.options}" if plan.options and (states or state == "to draw") else ""
            states.append(f"{stored}/{len(specs)} {state}{by}")
    return "; ".join(states)


def _drawn(out: Path, name: str, plan: Plan, store: RunStore, checked: set[Path]) -> bool:
    """Whether a picture was made of what is stored, by name and by where it comes from."""
    path = record_path(out, name, plan)
    if not path.exists():
        return False
    checked.add(path)
    try:
        drawn = read_record(path, name, plan)["runs"]
    except InputError as error:
        store.on_damage(str(error))
        return False
    runs = gathered(get_figure(name), plan, store)
    return drawn == {spec.key: parentage(run) for spec, run in runs.items()}


def _check_others(
    out: Path, stores: dict[str, RunStore], damage: Damage, checked: set[Path]
) -> None:
    """Damage to what no figure of the table asks for, and runs in the folder of another scale.

    The records in `checked` were read before.
    """
    for path in (out / "theorems.json", *(p for s in SCALES for p in (out / s).glob("[!.]*.json"))):
        if path.exists() and path not in checked:
            with damage.noted():
                read_pictured(path)
    for page in (out / "index.html", *sorted((out / "report").glob("*.html"))):
        if changed := changed_page(page):
            damage(changed)
    for folder in (out / "runs").glob("[!.]*/"):
        if folder.name not in SCALES:
            damage(f"{folder} is the folder of no scale; expected {', '.join(SCALES)}. Rename it.")
    asked = {scale: _asked(scale) for scale in SCALES}
    for scale, store in stores.items():
        strangers: dict[str, int] = {}
        for key in store.names():
            with damage.noted():
                store.check(key)
            home = next((s for s in SCALES if key in asked[s]), scale)
            if key not in asked[scale] and home != scale:
                strangers[home] = strangers.get(home, 0) + 1
        for home, count in strangers.items():
            runs = f"{count} runs" if count > 1 else "a run"
            damage(
                f"{store.folder} holds {runs} of the scale {home}; move what is of that scale to "
                f"{stores[home].folder}, or rename the folder if it was renamed."
            )


def _asked(scale: str) -> set[str]:
    """The names of the runs that the figures ask for at a scale, by their usual plans."""
    plan = Plan.checked(scale, None, None)
    figures = [figure for figure in map(get_figure, figure_names()) if scale in figure.scales]
    return {
        spec.key
        for figure in figures
        for specs in (figure.runs(plan), figure.also(plan), figure.further(plan))
        for spec in specs
    }


def _work(store: RunStore, damage: Damage) -> list[str]:
    """Who is writing which runs, what was logged last, and which trainings can be continued."""
    writers, running, sentences = store.writers(), store.in_training(), []
    if writers:
        several = len(writers) > 1
        who = f"process{'es' * several} {', '.join(writers)} {'are' if several else 'is'} at work"
        on = f" on {', '.join(running)}" if running else ""
        sentences.append(f"{store.scale}: {who}{on}{_last(store)}.")
    checkpoints = store.folder / ".checkpoints"
    for folder in listed(checkpoints):
        parts = (folder, *(path for path in listed(folder) if path.name.startswith("part-")))
        epochs = [epoch for part in parts for epoch in stored_epochs(part, damage)]
        if epochs:
            newest = f"a checkpoint of epoch {max(epochs)}"
            sentences.append(f"{store.scale}: {folder.name} has {newest}.")
    return sentences


def _last(store: RunStore) -> str:
    """The newest whole line of the log: a full disk or a kill may have cut one off."""
    lines: list[bytes] = []
    with contextlib.suppress(OSError), store.log.open("rb") as log:
        log.seek(max(0, log.seek(0, 2) - 2000))
        lines = [line for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            last = json.loads(line)
            epoch = f"{last['run']}, epoch {last['epoch']} of {last['epochs']} at {last['time']}"
            if epoch.isprintable():
                return f"; the last epoch logged is {epoch}"
    return ""
