"""How much the SAE curves depend on where the tangent of eq. 13 begins.

    python benchmarks/pole.py [--scale quick|reduced] [--data-dir DIR]

Trains SAE (ReLU, unit rows, seed 0) with the tangent beginning at 0.9, 0.99 and 0.999 and
writes the largest change of the final activation fraction against 0.99, per data set, to
benchmarks/pole-SCALE.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import aesparse as ae
from aesparse.command import run
from aesparse.files import write_text
from experiments.pipeline.protocol import DATA, MOMENTUM, STRENGTHS, get_scale

POLES = (0.9, 0.99, 0.999)


def curve(pole: float, X: np.ndarray, rate: float, scale) -> np.ndarray:
    """The final activation fraction over the paper's strengths."""
    result = ae.fit(
        X,
        ae.OneLayer(scale.hidden),
        ae.objectives.sparse(pole=pole),
        sweep={"strength": STRENGTHS[1:]},
        optimizer=ae.sgd(rate, MOMENTUM),
        constraint="unit",
        epochs=scale.epochs,
        batch_size=scale.batch_size,
    )
    return result.final.activation_fraction


def main() -> None:
    """Trains, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--scale", default="quick", help="quick, reduced or paper")
    parser.add_argument("--data-dir", help="folder with MNIST and CIFAR-10")
    args = parser.parse_args()
    scale, found = get_scale(args.scale), {}
    for name in scale.datasets:
        data = ae.data.load(name, data_dir=args.data_dir, samples=scale.samples)
        X = ae.data.standardize(data.train, DATA[name].epsilon)(data.train)
        curves = {pole: curve(pole, X, DATA[name].learning_rate, scale) for pole in POLES}
        found[name] = {
            str(pole): round(float(np.abs(curves[pole] - curves[0.99]).max()), 5) for pole in POLES
        }
        print(f"{name}: largest change of the fraction against 0.99: {found[name]}")
    path = Path(__file__).with_name(f"pole-{args.scale}.json")
    write_text(path, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
