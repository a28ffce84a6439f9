"""The numbers of a finished call, kept with a picture under the device's name."""

import re
import shutil
from pathlib import Path

from aesparse.errors import InputError
from aesparse.files import replacing
from kit.numbers import Numbers

__all__ = ["keep"]

_COMPARED = 12  # models at which all variants are measured


def keep(folder: Path, target: Path) -> list[Path]:
    """Copies a call's numbers to `target/accelerator-<device>.json`, and draws them.

    `InputError` for an unfinished or dry call.
    """
    from aesparse.pictures import save

    numbers = Numbers(folder)
    stored = numbers.read()
    if not stored.get("finished") or stored.get("dry"):
        kind = "dry" if stored.get("dry") else "unfinished"
        raise InputError(
            f"{folder} holds no numbers to keep, but those of a call that is {kind}; expected a "
            "finished call without --dry."
        )
    name = re.sub(r"[^a-z0-9]+", "-", stored["device"].lower()).strip("-")
    paths = [target / f"accelerator-{name}{suffix}" for suffix in (".json", ".svg", ".png")]
    with replacing(paths[2]) as png, replacing(paths[1]) as svg, replacing(paths[0]) as copy:
        save(draw(stored), png, svg)
        shutil.copyfile(numbers.path, copy)
    return paths


def draw(stored: dict):
    """Left, milliseconds per model and step by variant; right, agreement against updates."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = [r for r in stored["parts"]["speed"]["rows"] if "seconds" in r]
    rows = [r for r in rows if r["size"] == "mnist" and r["models"] == _COMPARED]
    rows = [r for r in rows if r["precision"] == "highest"]
    objectives = list(dict.fromkeys(r["objective"] for r in rows))
    variants = list(dict.fromkeys(r["variant"] for r in rows))
    for i, variant in enumerate(variants):
        mine = [r for r in rows if r["variant"] == variant]
        at = [objectives.index(r["objective"]) + i / (len(variants) + 1) for r in mine]
        left.bar(at, [1e3 * r["seconds"] for r in mine], 1 / (len(variants) + 1), label=variant)
    left.set_xticks([i + 0.4 for i in range(len(objectives))], objectives)
    left.set_yscale("log")
    left.set_ylabel("ms per model and step")
    left.set_title(f"{_COMPARED} models of 784×1000, float32", fontsize=10)
    if rows:
        left.legend(fontsize=7, frameon=False)
    apart: dict[str, list[dict]] = {}
    for row in stored["parts"]["agreement"]["rows"]:
        apart.setdefault(row["objective"], []).append(row)
    for objective, found in apart.items():
        points = [(r["updates"], r["difference"]) for r in found]
        right.plot(*zip(*points, strict=True), marker="o", markersize=3, label=objective)
    right.set_xscale("log")
    right.set_yscale("symlog", linthresh=1e-9)
    right.set_xlabel("updates")
    right.set_ylabel("‖Δ params‖ / ‖params‖")
    right.set_title("Against the CPU, equal starts", fontsize=10)
    if apart:
        right.legend(fontsize=7, frameon=False)
    figure.suptitle(stored["device"], fontsize=10)
    return figure
