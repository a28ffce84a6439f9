"""The rule that fixes the learning rate of a data set, at the paper's sizes.

    python benchmarks/learning_rate.py --data-dir DIR [--datasets mnist cifar10]

Trains the unregularized auto-encoder (ReLU, unit rows, m = 1000, N = 50,000, seed 0) for three
epochs at every candidate rate inside the paper's interval, as one grid, and names the rate
with the smallest reconstruction error among the cells that are not flagged. No claim enters.
"""

import argparse

import jax
import numpy as np

import aesparse as ae
from experiments.protocol import DATA, MOMENTUM, get_scale

RATES = np.array([0.001, 0.002, 0.003, 0.004, 0.005], np.float32)
EPOCHS = 3


def main() -> None:
    """Trains and prints one line per data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--datasets", nargs="+", default=["mnist", "cifar10"])
    args = parser.parse_args()
    scale = get_scale("paper")
    objective = ae.objectives.get_objective("ae", ae.activations.get_activation("relu"))
    for name in args.datasets:
        data = ae.data.load(name, data_dir=args.data_dir, samples=scale.samples)
        result = ae.fit_grid(
            jax.random.key(0),
            ae.data.standardize(data.train, DATA[name].epsilon)(data.train),
            objective=objective,
            strengths=np.zeros_like(RATES),
            learning_rate=RATES,
            hidden=scale.hidden,
            batch_size=scale.batch_size,
            momentum=MOMENTUM,
            epochs=EPOCHS,
        )
        error = np.where(result.flagged_epoch[0] < 0, result.metrics.reconstruction[0], np.inf)
        table = ", ".join(f"{r:g}: {e:.2f}" for r, e in zip(RATES, error, strict=True))
        print(f"{name}: reconstruction error {table}; rate {RATES[error.argmin()]:g}")


if __name__ == "__main__":
    main()
