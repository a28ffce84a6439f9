"""How near `target_activation` comes to what was asked, on samples that had no part in it.

    python benchmarks/targets.py --data-dir DIR [--sets digits ...]

The targets 0.02, 0.05 and 0.2 on the digits, MNIST standardized as in the experiments, generated
sparse combinations and an uncentred table of 20,000 × 300, each by a `SparseAutoencoderPath` of 12
strengths and one seed with the options below: ReLU units and an ℓ1 penalty of their codes; weights
are tied but for the digits, where tied ones come to 0.02 by units that are dead on the training
samples. A fifth of the samples is set apart before: the path sees none of them. Writes
benchmarks/targets.json: the fraction on the samples that chose the model (held out by the path
itself), on those it was trained on and chosen by, and on those set apart; the strength, and how
many models were trained. With `--sets` the others stay as they were stored.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import aesparse as ae
from aesparse.command import run
from aesparse.data.generator import generated
from aesparse.errors import InputError
from aesparse.files import write_text
from experiments.pipeline.protocol import DATA

SETS = ("digits", "generated", "table", "mnist")
TARGETS = (0.02, 0.05, 0.2)
OPTIONS = {"objective": "satae", "batch_size": 128, "random_state": 0}
TIED = {"learning_rate": 0.003}
UNTIED = {"tied": False, "constraint": "unit-columns", "learning_rate": 0.01}


def table(samples: int = 20_000, n: int = 300) -> np.ndarray:
    """Correlated columns of different scales, far off centre."""
    rng = np.random.default_rng(0)
    factors = rng.gamma(0.3, size=(samples, 40)) @ rng.normal(size=(40, n))
    scales = np.exp(rng.normal(size=n))
    noise = 0.3 * rng.normal(size=(samples, n))
    return ((factors + noise) * scales + 50 * scales).astype(np.float32)


def sets(data_dir: str) -> dict[str, tuple[np.ndarray, dict]]:
    """Every data set with the options of its models."""
    mnist = ae.data.load("mnist", data_dir=data_dir, samples=5000).train
    mnist = ae.data.standardize(mnist, DATA["mnist"].epsilon)(mnist)
    made = generated(10_000, 64, 128, active=4, noise=0.01, seed=0).X
    return {
        "digits": (
            load_digits().data.astype(np.float32),
            UNTIED | {"n_components": 128, "max_epochs": 200},
        ),
        "generated": (made, TIED | {"n_components": 128, "max_epochs": 60}),
        "table": (table(), TIED | {"n_components": 256, "max_epochs": 20}),
        "mnist": (
            np.asarray(mnist, np.float32),  # pixels that hardly ever vary stay small
            TIED | {"n_components": 256, "max_epochs": 40, "standardize": False},
        ),
    }


def met(X: np.ndarray, options: dict, target: float) -> dict:
    """What a path comes to."""
    order = np.random.default_rng(1).permutation(len(X))
    apart, X = X[order[: len(X) // 5]], X[order[len(X) // 5 :]]
    model = ae.SparseAutoencoder(**OPTIONS, **options)
    path = ae.SparseAutoencoderPath(model, strengths=12, seeds=1, target_activation=target)
    try:
        path.fit(X)
    except InputError as error:
        return {"failed": str(error)}
    row = {name: float(column[path.best_index_]) for name, column in path.results_.items()}
    return {
        "chosen by": round(row["activation_fraction"], 5),
        "trained on": round(float((path.transform(X) > 0).mean()), 5),
        "set apart": round(float((path.transform(apart) > 0).mean()), 5),
        "explained variance, set apart": round(path.score(apart), 4),
        "options": options,
        "strength": float(f"{row['strength']:.4g}"),
        "models": len(path.results_["seed"]),
    }


def main() -> None:
    """Measures, stores and prints one line per target."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", required=True, help="folder with MNIST")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    path, every = Path(__file__).with_suffix(".json"), sets(args.data_dir)
    rows = json.loads(path.read_text(encoding="utf-8"))["targets"] if path.exists() else {}
    for name in args.sets:
        X, options = every[name]
        for target in TARGETS:
            rows[f"{name}, {target}"] = met(X, options, target)
            print(name, target, rows[f"{name}, {target}"], flush=True)
            record = {"options": OPTIONS, "targets": rows}
            write_text(path, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
