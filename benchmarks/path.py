"""A path of 24 strengths and 3 seeds beside what a user would do instead.

    python benchmarks/path.py --data-dir DIR [--repeats 3]

Timed in turns in one process, compilation apart (everything runs once before, with another seed):
`SparseAutoencoderPath`; 72 fits of `SparseAutoencoder`, one after the other, in the same precision,
with the same epochs, none of which compiles; and `GridSearchCV` over
`MiniBatchDictionaryLearning` with 24 values of alpha and 3 seeds on one split, once, which needs no
compilation; its passes over the data are as many as the epochs at most, since it stops by its own
criteria. Every core is a JAX device, over which a path's models are split. The digits (64 inputs,
64 units, N = 1,797) and MNIST (784 inputs, 256 units, N = 2,000). All models are trained for all
epochs; on the digits once more with early stopping, one turn, and scikit-learn's search. Writes
benchmarks/path.json. Run it on an idle machine.
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ShuffleSplit

import aesparse as ae
from aesparse.command import run
from aesparse.files import write_text
from aesparse.process import prepare

STRENGTHS, SEEDS, BATCH = np.geomspace(0.01, 10, 24), 3, 128
SIZES = {"digits": (1797, 64, 50), "mnist": (2000, 256, 10)}  # samples, units, epochs


def seconds(work: Callable[[], object]) -> float:
    """The wall time of `work()`."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def estimator(units: int, epochs: int, seed: int, *, stopping: bool) -> ae.SparseAutoencoder:
    """The model of all fits."""
    return ae.SparseAutoencoder(
        units, batch_size=BATCH, max_epochs=epochs, early_stopping=stopping, random_state=seed
    )


def path(X: np.ndarray, units: int, epochs: int, seed: int, *, stopping: bool) -> Callable:
    """All models in one program."""
    model = estimator(units, epochs, seed, stopping=stopping)
    whole = ae.SparseAutoencoderPath(model, strengths=STRENGTHS, seeds=SEEDS, max_refinements=0)
    return lambda: whole.fit(X)


def one_by_one(X: np.ndarray, units: int, epochs: int, seed: int, *, stopping: bool) -> Callable:
    """The same models, one call of `fit` each."""

    def work() -> None:
        for strength in STRENGTHS:
            for i in range(SEEDS):
                model = estimator(units, epochs, seed + i, stopping=stopping)
                model.set_params(strength=strength).fit(X)

    return work


def dictionaries(X: np.ndarray, units: int, epochs: int) -> dict:
    """scikit-learn's search over dictionaries, on one split: its settings, seconds and best."""
    model = MiniBatchDictionaryLearning(
        units, batch_size=BATCH, max_iter=epochs, fit_algorithm="cd", transform_algorithm="lasso_cd"
    )
    grid = {"alpha": np.geomspace(0.1, 10, 24).tolist(), "random_state": list(range(SEEDS))}
    split = ShuffleSplit(1, test_size=0.1, random_state=0)
    z = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    search = GridSearchCV(model, grid, scoring=explained, cv=split, refit=False)
    taken = seconds(lambda: search.fit(z))
    return {
        "seconds": round(taken, 1),
        "highest explained variance": round(float(search.best_score_), 4),
        "settings": {k: v for k, v in model.get_params().items() if isinstance(v, int | str)},
        "grid": {"alpha": "24 from 0.1 to 10", "random_state": SEEDS, "processes": 1},
    }


def explained(model: MiniBatchDictionaryLearning, X: np.ndarray, y: object = None) -> float:
    """The explained variance of a dictionary's codes."""
    del y
    error = X - model.transform(X) @ model.components_
    return 1 - np.sum(error**2) / np.sum((X - X.mean(axis=0)) ** 2)


def compared(X: np.ndarray, units: int, epochs: int, repeats: int, *, stopping: bool) -> dict:
    """Medians and extremes of both, in turns, after one of each."""
    kinds = {"path": path, "one by one": one_by_one}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(repeats + 1):
        for name, make in kinds.items():
            taken = seconds(make(X, units, epochs, 100 + 10 * turn, stopping=stopping))
            if turn:
                times[name].append(taken)
            print(f"  {name}, turn {turn}: {taken:.1f} s", flush=True)
    ratios = [b / a for a, b in zip(*times.values(), strict=True)]
    return {
        name: {"median": round(statistics.median(t), 2), "all": np.round(t, 2).tolist()}
        for name, t in times.items()
    } | {"times faster": np.round(ratios, 2).tolist()}


def main() -> None:
    """Measures, stores and prints one line per size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", required=True, help="folder with MNIST")
    parser.add_argument("--repeats", type=int, default=3, help="of both (default: 3)")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    args = parser.parse_args()
    prepare()  # every core is a device
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = {}
    for name in args.sizes:
        samples, units, epochs = SIZES[name]
        if name == "digits":
            X = load_digits().data.astype(np.float32)
        else:
            X = ae.data.load(name, data_dir=args.data_dir, samples=samples).train
            X = np.asarray(X, np.float32)
        rows[name] = {
            "inputs": X.shape[1],
            "units": units,
            "samples": len(X),
            "epochs": epochs,
            "batch": BATCH,
            "all epochs": compared(X, units, epochs, args.repeats, stopping=False),
        }
        if name == "digits":
            stopped = compared(X, units, 2 * epochs, 1, stopping=True)
            rows[name]["early stopping, at most twice the epochs"] = stopped
            searched = dictionaries(X, units, epochs)
            rows[name]["GridSearchCV of MiniBatchDictionaryLearning"] = searched
        print(name, rows[name], flush=True)
    record = {
        "jax": jax.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "models": len(STRENGTHS) * SEEDS,
        "sizes": rows,
    }
    write_text(Path(__file__).with_suffix(".json"), json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
