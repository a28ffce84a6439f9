"""Memory and time of whole trainings, each in a process of its own, beside what `plan` says.

    python benchmarks/memory.py

Writes benchmarks/memory.json: four grids with planned bytes, measured growth of the process's
resident memory and their ratio; and 100, 1,000 and 10,000 epochs of one tiny model with seconds
and peak. The growth is that of a second training of the same grid, check included, so that
Python, JAX, compiled programs and the data given are left out; `fixed` says what they take.
"""

import argparse
import ctypes
import gc
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

import aesparse as ae
from aesparse.command import run
from aesparse.files import write_text
from aesparse.metrics import activation_statistics
from aesparse.models.constraints import as_constraint
from aesparse.training.cost import estimate
from aesparse.training.program import grid_program
from aesparse.training.sharding import model_mesh
from aesparse.training.step import Recipe

OUT = Path(__file__).with_suffix(".json")
GRIDS = {  # strengths, seeds, inputs, hidden, samples, objective
    "256 strengths, m = 8": (256, 1, 784, 8, 1000, "dae"),
    "256 seeds, m = 8": (1, 256, 784, 8, 1000, "dae"),
    "100 strengths, m = 1,000": (100, 1, 784, 1000, 1000, "dae"),
    "4 strengths, m = 1,000, N = 20,000": (4, 1, 784, 1000, 20_000, "cae"),
}
EPOCHS = (100, 1000, 10_000)


def resident(name: str) -> int:
    """Bytes of this process: VmRSS now, or VmHWM since the last `reset`."""
    line = next(
        s
        for s in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if s.startswith(name)
    )
    return 1024 * int(line.split()[1])


def reset() -> None:
    """The peak is counted from here on (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def fit(objective: str, strengths: int, seeds: int, X: np.ndarray, hidden: int, epochs: int):
    """A training of ReLU models with unit rows over strengths, if there are any, and seeds."""
    names = ae.get_objective(objective).coefficients
    sweep = dict.fromkeys(names, np.linspace(0, 0.5, strengths)) | {"seed": range(seeds)}
    model = ae.OneLayer(hidden)
    return ae.fit(X, model, objective, sweep=sweep, constraint="unit", epochs=epochs)


def one_grid(name: str) -> dict:
    """Plan and peak of one grid, in this process."""
    strengths, seeds, n, m, samples, objective = GRIDS[name]
    X = np.random.default_rng(0).normal(size=(samples, n)).astype(np.float32)
    fit(objective, strengths, seeds, X, m, 2)
    recipe = Recipe(
        ae.OneLayer(m),
        ae.get_objective(objective),
        ae.sgd(),
        as_constraint("unit"),
        activation_statistics,
        batch_size=50,
    )
    program = grid_program(recipe, model_mesh(models=strengths * seeds))
    if not program.checked:
        raise RuntimeError("this is not the program that fit compiled")
    program.checked.clear()  # so that the second training runs the guard too
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    reset()
    before = resident("VmRSS")
    fit(objective, strengths, seeds, X, m, 2)
    peak = resident("VmHWM") - before
    plan = estimate(
        recipe.model, recipe.objective, inputs=n, samples=samples, models=strengths * seeds,
        constraint=recipe.constraint, seeds=seeds, rate=1e9, devices=1,
    )  # fmt: skip
    planned = plan.state + plan.working
    return {"planned": planned, "peak": peak, "ratio": planned / peak, "fixed": before}


def many_epochs(epochs: int) -> dict:
    """Seconds and peak of so many epochs of one tiny model, compiled before."""
    X = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    fit("ae", 1, 1, X, 4, 2)
    begin = time.perf_counter()
    fit("ae", 1, 1, X, 4, epochs)
    return {"seconds": time.perf_counter() - begin, "peak": resident("VmHWM")}


def child(kind: str, which: str) -> dict:
    """The result of a process of its own."""
    command = [sys.executable, __file__, "--one", kind, which]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measures everything, or with `--one` a single line, printed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, which = arguments.one
        print(json.dumps(one_grid(which) if kind == "grid" else many_epochs(int(which))))
        return
    found = {
        "jax": jax.__version__,
        "machine": platform.machine(),
        "grids": {name: child("grid", name) for name in GRIDS},
        "epochs": {str(epochs): child("epochs", str(epochs)) for epochs in EPOCHS},
    }
    write_text(OUT, json.dumps(found, indent=2) + "\n")
    for name, row in found["grids"].items():
        sizes = f"{row['planned'] / 2**20:.0f} MiB planned, {row['peak'] / 2**20:.0f} at the peak"
        print(f"{name}: {sizes}, ratio {row['ratio']:.2f}")
    for epochs, row in found["epochs"].items():
        print(f"{epochs} epochs: {row['seconds']:.1f} s, {row['peak'] / 2**20:.0f} MiB")


if __name__ == "__main__":
    run(main)
