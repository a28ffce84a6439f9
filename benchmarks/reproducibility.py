"""How far apart equal models are that are trained repeatedly, together, apart, on other devices.

    python benchmarks/reproducibility.py

Writes benchmarks/reproducibility.json: for five objectives the largest relative difference of a
model's parameters, ‖Δparams‖/‖params‖, after 60 epochs of the embedded digits, and whether all bits
are equal. Eight devices are those that XLA makes of the CPU.
"""

import argparse
import json
import os
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax  # the flag must be set before
import numpy as np

import aesparse as ae
from aesparse.command import run
from aesparse.files import write_text

OBJECTIVES = ("dae", "cae", "mdae", "sae", "edae")
STRENGTHS, SEEDS, EPOCHS = (0.0, 0.01, 0.1, 0.5), (0, 1), 60
PATH = Path(__file__).with_suffix(".json")


def parameters(X: np.ndarray, objective: str, **options) -> np.ndarray:
    """Parameters of the whole grid, `[S, G, P]`."""
    sweep = {"seed": SEEDS, "strength": STRENGTHS} | options.pop("sweep", {})
    options = {"devices": jax.devices()[:1]} | options
    result = ae.fit(
        X, ae.OneLayer(64), objective, sweep=sweep, constraint="unit", epochs=EPOCHS, **options
    )
    leaves = [leaf.reshape(*result.shape, -1) for leaf in jax.tree.leaves(result.params)]
    return np.concatenate(leaves, axis=-1)


def apart(a: np.ndarray, b: np.ndarray) -> dict:
    """The largest relative difference of a model, and whether there is none at all."""
    largest = np.max(np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1))
    return {"difference": float(largest), "bits_equal": bool(np.array_equal(a, b))}


def main() -> None:
    """Trains every variant of every objective and stores how far it is from the first."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    dataset = ae.data.load("digits")
    X = ae.data.standardize(dataset.train, 0.1)(dataset.train)
    rows = []
    for objective in OBJECTIVES:
        whole = parameters(X, objective)
        variants = {
            "the same call again": parameters(X, objective),
            "2 devices": parameters(X, objective, devices=jax.devices()[:2]),
            "8 devices": parameters(X, objective, devices=jax.devices()),
            "parts of 2 models": parameters(X, objective, models_per_program=2),
            "seeds one at a time": np.concatenate(
                [parameters(X, objective, sweep={"seed": [seed]}) for seed in SEEDS]
            ),
            "strengths one at a time": np.concatenate(
                [parameters(X, objective, sweep={"strength": [s]}) for s in STRENGTHS], axis=1
            ),
        }
        for name, trained in variants.items():
            rows.append({"objective": objective, "variant": name} | apart(trained, whole))
            print(rows[-1])
    write_text(PATH, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
