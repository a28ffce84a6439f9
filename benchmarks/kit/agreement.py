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
from step import BATCH, SPEED

from aesparse.losses.objectives import get_objective
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import get_constraint
from aesparse.process import prepare
from aesparse.training.draws import shuffled
from aesparse.training.program import grid_program
from aesparse.training.sharding import CELLS, SHARED, Cells, cell_mesh, place
from kit.numbers import Numbers

OBJECTIVES = ("ae", "dae", "cae", "edae", "sae")
_DRY = 2  # of the objectives, and of the numbers of updates
UPDATES = (1, 10, 50, 100, 200, 500)
STRENGTHS = np.array([0.01, 0.1, 0.5, 1.0], np.float32)


def trained(objective: str, device, start, X, keys, draws, each, updates: int):
    """Parameters after some updates from `start`, on one device, as NumPy arrays."""
    mesh = cell_mesh([device])
    program = _program(objective, X.shape, start.params.bias.shape[-1], mesh)
    state, each = place(start, mesh, CELLS), place(each, mesh, CELLS)
    X, draws = place(X, mesh, SHARED), place(draws, mesh, SHARED)
    return jax.device_get(program.epoch(state, draws, X, each, np.int32(updates))[0].params)


def _program(objective: str, shape: tuple[int, int], m: int, mesh):
    return grid_program(
        get_objective(objective, get_activation("relu")),
        get_constraint("unit"),
        batch_size=BATCH,
        momentum=0.9,
        hidden=m,
        tied=True,
        decoder_bias=False,
        mesh=mesh,
    )


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
        each = Cells.of_seeds(1, STRENGTHS, np.full(len(STRENGTHS), SPEED, np.float32))
        mesh = cell_mesh([reference])
        for objective in OBJECTIVES[: _DRY if dry else None]:
            placed = (place(v, mesh, SHARED) for v in (keys, X))
            program = _program(objective, X.shape, m, mesh)
            start = jax.device_get(program.start(*placed, place(each, mesh, CELLS)))
            for updates in UPDATES[: _DRY if dry else None]:
                label = {"objective": objective, "updates": updates}
                if numbers.has("agreement", **label):
                    continue
                both = [
                    trained(objective, device, start, X, keys, draws, each, updates)
                    for device in (jax.devices()[0], reference)
                ]
                numbers.add("agreement", **label, difference=relative_difference(*both))


if __name__ == "__main__":
    main(*sys.argv[1:])
