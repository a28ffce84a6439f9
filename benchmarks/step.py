"""One update of the grid beside this machine's limits and beside what a user would do instead.

    python benchmarks/step.py [--quick] [--out benchmarks/step.json]

Measured in turn, in one process, compilation apart: the float32 matrix-product rate and the
copy bandwidth; our grid step for six objectives, two sizes and several numbers of models; a
plain JAX loop over models; PyTorch's eager loop, torch.compile and torch.func.vmap (`pip install
'.[benchmarks]'`). Counted are the five products of an update (two forward, three backward) of every
model. ReLU, unit rows with momentum in their tangent space, batch 50, float32. Run it on an idle
machine; it writes numbers (.json) and a picture (.png, .svg).
"""

import argparse
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aesparse import command
from aesparse.files import write_text
from aesparse.losses.objectives import get_objective
from aesparse.metrics import activation_statistics
from aesparse.models.constraints import as_constraint
from aesparse.models.one_layer import OneLayer
from aesparse.pictures import save
from aesparse.process import prepare
from aesparse.training.draws import shuffled
from aesparse.training.optimizers import sgd
from aesparse.training.program import Program, grid_program
from aesparse.training.sharding import MODELS, SHARED, Points, model_mesh, padded, place
from aesparse.training.step import Recipe, TrainState

OBJECTIVES = ("ae", "dae", "edae", "cae", "mdae", "sae")
SIZES = {"mnist": (784, 1000), "cifar10": (192, 1000)}
GRIDS, COMPARED = (12, 48, 1), 12
BATCH, SAMPLES, PRODUCT, COPIED, TIMES, SPEED = 50, 5000, 2000, 2**26, 8, 1e-3
MOMENTUM = 0.9
EPOCH = 1000  # updates of an epoch at paper scale
SECONDS = 0.5  # how long one timing of a step takes, about


def seconds(run: Callable) -> float:
    """The wall time of `run()` until its result is there."""
    begin = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begin


class Machine:
    """The float32 product rate and the copy bandwidth, each the best of a few."""

    def __init__(self) -> None:
        key = jax.random.key(0)
        self._square = jax.random.normal(key, (PRODUCT, PRODUCT))
        self._long = jnp.zeros(COPIED)
        self._product = jax.jit(jnp.matmul)
        # Within a loop, as in training: a fresh array would measure the system's new pages.
        self._copy = jax.jit(lambda x: jax.lax.fori_loop(0, TIMES, lambda _, y: y + 1.0, x))
        self.measure()

    def measure(self) -> tuple[float, float]:
        """FLOP/s and bytes/s now."""
        product = min(seconds(lambda: self._product(self._square, self._square)) for _ in range(5))
        copy = min(seconds(lambda: self._copy(self._long)) for _ in range(3))
        return 2 * PRODUCT**3 / product, 2 * 4 * COPIED * TIMES / copy


def recipe(objective: str, m: int) -> Recipe:
    """ReLU, unit rows, momentum, the default measurement."""
    return Recipe(
        OneLayer(m),
        get_objective(objective),
        sgd(SPEED, MOMENTUM),
        as_constraint("unit"),
        activation_statistics,
        BATCH,
    )


def started(
    program: Program, keys: jax.Array, X: jax.Array, strengths: np.ndarray
) -> tuple[TrainState, Points]:
    """Fresh models of one seed over strengths, and their points, on the program's devices."""
    levels = dict.fromkeys(program.recipe.objective.coefficients, strengths)
    rates = {
        name: np.full_like(strengths, value)
        for name, value in {"learning_rate": SPEED, "momentum": MOMENTUM}.items()
    }
    points = Points(np.zeros(len(strengths), np.int32), levels)
    points, rates = (
        place(padded(v, program.mesh.size), program.mesh, MODELS) for v in (points, rates)
    )
    return program.starting.state(program.starting.init(keys, X, points.seed), rates), points


def ours(
    objective: str, n: int, m: int, models: int, devices: int | None = None
) -> tuple[Callable[[int], float], Callable[[], float]]:
    """Seconds of `steps` grid updates, and of an epoch's measurements, as `fit` runs them."""
    mesh = model_mesh(jax.devices()[:devices], models=models)
    program = grid_program(recipe(objective, m), mesh)
    keys = jax.random.split(jax.random.key(0), 1)
    X = jax.random.normal(keys[0], (SAMPLES, n))
    keys, X = (place(v, mesh, SHARED) for v in (keys, X))
    state, points = started(program, keys, X, np.linspace(0, 1, models, dtype=np.float32))
    draws = shuffled(keys, 1, len(X))

    def run(steps: int) -> float:
        nonlocal state

        def epoch():
            nonlocal state
            state, losses = program.epoch(state, draws, X, points, np.int32(0), np.int32(steps))
            return losses

        return seconds(epoch)

    def record() -> float:
        return seconds(lambda: program.measure(state.params, keys, points, X))

    return run, record


def jax_loop(objective: str, n: int, m: int, models: int) -> Callable[[int], float]:
    """A Python loop over models, each its own jitted training loop on all cores."""
    runs = [ours(objective, n, m, 1, devices=1)[0] for _ in range(models)]
    return lambda steps: sum(run(steps) for run in runs)


def torch_variants(objective: str, n: int, m: int, models: int) -> dict[str, Callable]:
    """What a PyTorch user would write; empty without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return {}
    from kit.torch_step import variants

    return variants(objective, n, m, models, batch=BATCH, rate=SPEED)


def per_step(run: Callable[[int], float]) -> float:
    """Seconds a step, over about `SECONDS`; the first calls compile and warm up."""
    run(1)
    steps = max(1, round(SECONDS / max(run(2) / 2, 1e-5)))
    return run(steps) / steps


def measured(machine: Machine, rounds: int, objective: str, size: str, models: int) -> dict:
    """One row: every variant in turn, `rounds` times, medians; beside the machine's rates."""
    n, m = SIZES[size]
    begin = time.perf_counter()
    update, record = ours(objective, n, m, models)
    variants = {"aesparse": update}
    variants["aesparse"](1)
    compile_seconds = time.perf_counter() - begin
    if models == COMPARED:  # the comparison; a plain loop costs the same a model at any number
        variants["jax loop"] = jax_loop(objective, n, m, 3)
        variants |= torch_variants(objective, n, m, models)
    times = {name: [] for name in variants}
    rates = []
    for _ in range(rounds):
        rates.append(machine.measure())
        for name, run in variants.items():
            count = 3 if name == "jax loop" else models
            times[name].append(per_step(run) / count)
    rate, bandwidth = (statistics.median(r) for r in zip(*rates, strict=True))
    each = {name: statistics.median(t) for name, t in times.items()}
    record()
    recording = statistics.median(record() for _ in range(rounds))
    # The roofline: the products at the machine's rate, and W, momentum and gradient read and
    # written once, which nothing overlaps: the update needs the whole gradient of a row.
    work, moved = 5 * 2 * BATCH * n * m, 6 * 4 * n * m
    torch = [t for name, t in each.items() if name.startswith("torch")]
    return {
        "objective": objective, "size": size, "n": n, "m": m, "cells": models,
        "seconds per cell and step": each,
        "ranges": {name: [min(t), max(t)] for name, t in times.items()},
        "GFLOP/s": work / each["aesparse"] / 1e9,
        "product GFLOP/s": rate / 1e9, "copy GB/s": bandwidth / 1e9,
        "share of product rate": work / each["aesparse"] / rate,
        "share of roofline": (work / rate + moved / bandwidth) / each["aesparse"],
        "times best torch": min(torch) / each["aesparse"] if torch else None,
        "measuring, share of a paper epoch": recording / (EPOCH * models * each["aesparse"]),
        "seconds to compile and start": compile_seconds,
    }  # fmt: skip


def line(row: dict) -> str:
    """A row of the printed table."""
    each = row["seconds per cell and step"]
    others = ", ".join(f"{k} {1e3 * v:.2f}" for k, v in each.items() if k != "aesparse")
    ratio = row["times best torch"]
    return (
        f"{row['objective']:<5} {row['n']}×{row['m']} G = {row['cells']:<3} "
        f"{1e3 * each['aesparse']:6.2f} ms  {row['GFLOP/s']:4.0f} GFLOP/s  "
        f"{row['share of product rate']:.2f} of products  "
        f"{row['share of roofline']:.2f} of roofline  "
        f"measuring {row['measuring, share of a paper epoch']:.1%}  compiled in "
        f"{row['seconds to compile and start']:.1f} s"
        + (f"  {ratio:.2f} × best torch" if ratio else "")
        + (f"  ({others} ms)" if others else "")
    )


def draw(rows: list[dict]):
    """Cost of a model and step: against the number of models, and beside what others take."""
    from matplotlib.figure import Figure

    looks = dict(
        zip(OBJECTIVES, zip("osv^Dx", ("-", "--", ":", "-.", "-", "--"), strict=True), strict=True)
    )
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    sizes = [size for size in SIZES if any(r["size"] == size for r in rows)]
    panels = figure.subplots(2, len(sizes), squeeze=False)
    for (above, below), size in zip(panels.T, sizes, strict=True):
        n, m = SIZES[size]
        for objective, (marker, style) in looks.items():
            mine = [r for r in rows if r["size"] == size and r["objective"] == objective]
            mine.sort(key=lambda r: r["cells"])
            ms = [1e3 * r["seconds per cell and step"]["aesparse"] for r in mine]
            above.plot([r["cells"] for r in mine], ms, style, marker=marker, label=objective)
        above.set_xscale("log", base=2)
        above.set_xticks(sorted(GRIDS), map(str, sorted(GRIDS)))
        above.set_ylim(bottom=0)
        above.set_xlabel("models in the grid")
        above.set_title(f"n = {n}, m = {m}", fontsize=10)
        bars(below, [r for r in rows if (r["size"], r["cells"]) == (size, COMPARED)])
        for axis in (above, below):
            axis.grid(alpha=0.25, linewidth=0.5)
    for axis in panels[:, 0]:
        axis.set_ylabel("ms per model and step")
    panels[0, 0].legend(fontsize=7, frameon=False)
    panels[1, 0].legend(fontsize=7, frameon=False)
    return figure


def bars(axis, rows: list[dict]) -> None:
    """Every variant's median and range at `COMPARED` models, objective by objective."""
    names = list(rows[0]["seconds per cell and step"]) if rows else []
    width = 0.8 / max(len(names), 1)
    for k, name in enumerate(names):
        at = np.arange(len(rows)) + (k - (len(names) - 1) / 2) * width
        ms = np.array([1e3 * r["seconds per cell and step"][name] for r in rows])
        ends = 1e3 * np.array([r["ranges"][name] for r in rows]).T
        shade = "#1f5fa8" if name == "aesparse" else str(0.35 + 0.5 * k / len(names))
        axis.bar(at, ms, width, color=shade, label=name)
        axis.errorbar(at, ms, np.abs(ends - ms), fmt="none", ecolor="black", elinewidth=0.7)
    axis.set_xticks(range(len(rows)), [r["objective"] for r in rows])
    axis.set_xlabel(f"objective, {COMPARED} models")


def main() -> None:
    """Prints the table and writes numbers and picture."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each")
    parser.add_argument("--quick", action="store_true", help="784×1000 and 12 models only")
    parser.add_argument(
        "--objectives", nargs="+", default=OBJECTIVES, choices=OBJECTIVES, help="by name"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    prepare()
    machine, rows = Machine(), []
    device = jax.devices()[0].device_kind
    count = jax.device_count()
    print(f"{count} × {device}, {platform.machine()}, jax {jax.__version__}", flush=True)
    for size in ("mnist",) if options.quick else SIZES:
        for models in (COMPARED,) if options.quick else GRIDS:
            for objective in options.objectives:
                rows.append(measured(machine, options.rounds, objective, size, models))
                print(line(rows[-1]), flush=True)
                if options.out is not None:  # row by row: a measurement may be stopped
                    record = {"device": device, "devices": count, "jax": jax.__version__}
                    text = json.dumps(record | {"rows": rows}, indent=1)
                    write_text(options.out, text + "\n")
    if options.out is not None:
        save(draw(rows), options.out.with_suffix(".png"), options.out.with_suffix(".svg"))


if __name__ == "__main__":
    command.run(main)
