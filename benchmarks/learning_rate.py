"""The rule that fixes the learning rate of a data set, at the paper's sizes.

    python benchmarks/learning_rate.py --data-dir DIR

The paper takes "a middle ground" in [0.001, 0.005]: here its middle, 0.003, or the largest
candidate below at which the unregularized auto-encoder (ReLU, unit rows, m = 1000,
N = 50,000, three epochs, three seeds) neither diverges nor reconstructs worse than at 0.001.
All candidates train as one grid; no claim enters. Writes benchmarks/learning_rate.json: per
data set and candidate the mean reconstruction error, none where a seed diverged. The data sets of
`quick` take the rates of those they stand for.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import aesparse as ae
from aesparse.command import run
from aesparse.files import write_text
from experiments.pipeline.protocol import DATA, MOMENTUM, get_scale

RATES = np.array([0.001, 0.002, 0.003, 0.004, 0.005], np.float32)
MIDDLE, EPOCHS, SEEDS = 0.003, 3, (0, 1, 2)


def main() -> None:
    """Trains and prints one line per data set."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data-dir", required=True, help="folder with MNIST and CIFAR-10")
    args = parser.parse_args()
    scale = get_scale("paper")
    found = {}
    for name in scale.datasets:
        data = ae.data.load(name, data_dir=args.data_dir, samples=scale.samples)
        result = ae.fit(
            ae.data.standardize(data.train, DATA[name].epsilon)(data.train),
            ae.OneLayer(scale.hidden),
            "ae",
            sweep={"learning_rate": RATES, "seed": SEEDS},
            optimizer=ae.sgd(momentum=MOMENTUM),
            constraint="unit",
            batch_size=scale.batch_size,
            epochs=EPOCHS,
        )
        diverged = (result.diverged_epoch >= 0).any(axis=1)
        error = result.final.reconstruction.mean(axis=1)
        found[name] = {
            f"{rate:g}": None if gone else round(float(e), 4)
            for rate, gone, e in zip(RATES, diverged, error, strict=True)
        }
        works = ~diverged & (error <= error[0])
        allowed = RATES[works & (np.float32(MIDDLE) >= RATES)]
        print(f"{name}: reconstruction error {found[name]}; rate {allowed.max():g}", flush=True)
    path = Path(__file__).with_suffix(".json")
    write_text(path, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
