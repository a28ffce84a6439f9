"""Part 3: how far apart equal trainings on two devices are after some updates.

    python -m kit.agreement OUT [--dry]

Five objectives from equal starts, on the device and on a CPU; stored are the relative differences
‖Δparams‖/‖params‖ over all models together. Without an accelerator the first and the last CPU
device are compared.
"""

import sys
from pathlib import Path

import jax
import numpy as np
from step import BATCH, recipe, started

from aesparse.process import prepare
from aesparse.training.draws import shuffled
from aesparse.training.program import grid_program
from aesparse.training.sharding import MODELS, SHARED, model_mesh, place
from aesparse.training.step import Recipe
from kit.numbers import Numbers

OBJECTIVES = ("ae", "dae", "cae", "edae", "sae")
_DRY = 2  # of the objectives, and of the numbers of updates
UPDATES = (1, 10, 50, 100, 200, 500)
STRENGTHS = np.array([0.01, 0.1, 0.5, 1.0], np.float32)


def trained(trainer: Recipe, device, start, X, draws, points, updates: int):
    """Parameters after some updates from `start`, on one device, as NumPy arrays."""
    mesh = model_mesh([device])
    state, points = (place(v, mesh, MODELS) for v in (start, points))
    X, draws = (place(v, mesh, SHARED) for v in (X, draws))
    epoch = grid_program(trainer, mesh).epoch
    return jax.device_get(epoch(state, draws, X, points, np.int32(0), np.int32(updates))[0].params)


def relative_difference(a, b) -> float:
    """‖a − b‖/‖b‖ over all leaves."""
    pairs = list(zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
    apart = sum(float(np.sum((x - y) ** 2.0)) for x, y in pairs)
    return float(np.sqrt(apart / sum(float(np.sum(y**2.0)) for _, y in pairs)))


def main(out: str, *options: str) -> None:
    """Writes the rows of this part to OUT/numbers.json."""
    prepare()
    numbers, dry = Numbers(Path(out)), "--dry" in options
    (n, m), reference = (20, 10) if dry else (784, 256), jax.devices("cpu")[-1]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(BATCH * UPDATES[-1], n)).astype(np.float32)
    with jax.default_matmul_precision("highest"), jax.default_device(reference):
        keys = jax.random.split(jax.random.key(0), 1)
        draws = shuffled(keys, 1, len(X))
        mesh = model_mesh([reference])
        for objective in OBJECTIVES[: _DRY if dry else None]:
            trainer = recipe(objective, m)
            placed = (place(v, mesh, SHARED) for v in (keys, X))
            start, points = jax.device_get(started(grid_program(trainer, mesh), *placed, STRENGTHS))
            for updates in UPDATES[: _DRY if dry else None]:
                label = {"objective": objective, "updates": updates}
                if numbers.has("agreement", **label):
                    continue
                both = [
                    trained(trainer, device, start, X, draws, points, updates)
                    for device in (jax.devices()[0], reference)
                ]
                numbers.add("agreement", **label, difference=relative_difference(*both))


if __name__ == "__main__":
    main(*sys.argv[1:])
