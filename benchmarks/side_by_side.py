"""Sparse codes by aesparse next to what people use: time, reconstruction, probe error, recovery.

    python -m benchmarks.side_by_side --data-dir DIR [--seeds 3]

In one process, on the digits, MNIST and generated sparse combinations: scikit-learn's PCA, NMF and
`MiniBatchDictionaryLearning`, a PyTorch loop (`pip install '.[benchmarks]'`), `SparseAutoencoder`
and a top-k `DictionaryModel`. Every input is centred, and all are divided by one number, so that
the mean variance of an input is 1; all methods have the same samples, units, batches and epochs at
most. Two numbers are searched for first: the strength of the ReLU auto-encoders, such that with the
first seed k units are active on average, held out, and the dictionary's alpha, by its explained
variance. Then all methods train in turns, seed by seed; in the first round aesparse compiles.
PyTorch has as many threads as are faster, one or one per core. Writes benchmarks/side_by_side.json.
Run it on an idle machine; on a busy one the CPU seconds, over all threads, say more than the
others.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import sklearn
from scipy.optimize import brentq
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ShuffleSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import aesparse as ae
from aesparse.command import run
from aesparse.data.generator import Generated, generated
from aesparse.errors import InputError
from aesparse.files import write_text
from aesparse.metrics.recovery import matched_f1, recovery
from benchmarks.methods import (
    AUXILIARY,
    BATCH,
    METHODS,
    RATE,
    Coder,
    Setting,
    estimator,
    faster_threads,
)

RANGE = (-1.5, 1.0)  # log10 of the strengths among which one is searched
PROBES = (0.01, 0.1, 1.0)  # C of the logistic regression
ALPHAS = (0.1, 0.3, 1.0, 3.0)  # of the dictionary


class Data(NamedTuple):
    """Samples to train on and held out, with their labels or the truth of those held out."""

    train: np.ndarray
    heldout: np.ndarray
    setting: Setting
    labels: tuple[np.ndarray, np.ndarray] | None = None
    truth: Generated | None = None


def digits(data_dir: str) -> Data:
    """The embedded digits."""
    del data_dir
    X, y = load_digits(return_X_y=True)
    train, heldout, *labels = train_test_split(X, y, test_size=0.2, random_state=0)
    return Data(train, heldout, Setting(128, 8, 200), labels=tuple(labels))


def mnist(data_dir: str) -> Data:
    """5,000 training digits and 2,000 test digits of MNIST."""
    whole = ae.data.load("mnist-labelled", data_dir=data_dir, samples=5000)
    labels = whole.labels[0], whole.labels[1][:2000]
    return Data(whole.train, whole.heldout[:2000], Setting(256, 16, 50), labels=labels)


def combinations(data_dir: str) -> Data:
    """Sparse combinations of twice as many directions as inputs."""
    del data_dir
    made = generated(10_000, 64, 128, active=4, coherence=0.5, noise=0.05, seed=0)
    heldout = Generated(made.X[8000:], made.directions, made.codes[8000:])
    return Data(made.X[:8000], heldout.X, Setting(128, 4, 40), truth=heldout)


SETS = {"digits": digits, "MNIST": mnist, "generated": combinations}


def scaled(data: Data) -> Data:
    """Centred, with variance 1 of an input on average, by the samples that are trained on."""
    mean, scale = data.train.mean(axis=0), np.sqrt(data.train.var(axis=0).mean())
    parts = (((part - mean) / scale).astype(np.float32) for part in data[:2])
    return data._replace(**dict(zip(("train", "heldout"), parts, strict=True)))


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    """The wall time of `work()`, and what it returns."""
    begin = time.perf_counter()
    done = work()
    return time.perf_counter() - begin, done


def strength(data: Data) -> float:
    """The strength at which k units of the auto-encoder are active on average, held out."""

    def excess(exponent: float) -> float:
        setting = data.setting._replace(strength=10**exponent)
        codes = estimator(setting, seed=0).fit(data.train).transform(data.heldout)
        return l0(codes) - setting.active

    return 10 ** brentq(excess, *RANGE, xtol=0.005)


def alpha(data: Data) -> float:
    """The dictionary's alpha by which k atoms explain most of the samples that are trained on."""

    def worth(value: float) -> float:
        coder = METHODS["MiniBatchDictionaryLearning"](
            data.train, data.setting._replace(alpha=value), 0
        )
        return explained(data.train, coder.decode(coder.encode(data.train)))

    return max(ALPHAS, key=worth)


def l0(codes: np.ndarray) -> float:
    """The mean number of entries of a code that are not 0."""
    return np.count_nonzero(codes) / len(codes)


def explained(x: np.ndarray, y: np.ndarray) -> float:
    """1 − Σ‖x − y‖²/Σ‖x − mean‖² of reconstructions y."""
    return 1 - np.sum((x - y) ** 2, dtype=float) / np.sum((x - x.mean(0)) ** 2, dtype=float)


def probe_error(codes: tuple[np.ndarray, np.ndarray], labels: tuple) -> float:
    """The share of samples held out that a logistic regression on the codes gets wrong.

    The codes are standardized; C is chosen on a fifth of the samples that are trained on.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    split = ShuffleSplit(1, test_size=0.2, random_state=0)
    search = GridSearchCV(model, {"logisticregression__C": PROBES}, cv=split)
    return 1 - search.fit(codes[0], labels[0]).score(codes[1], labels[1])


def quality(data: Data, coder: Coder, codes: np.ndarray) -> dict[str, float]:
    """What the codes of the samples held out are worth."""
    row = {
        "L0": l0(codes),
        "explained variance": explained(data.heldout, coder.decode(codes)),
        "dead units": float(np.mean(~codes.any(axis=0))),
    }
    if data.labels is not None:
        row["probe error"] = probe_error((coder.encode(data.train), codes), data.labels)
    if data.truth is not None:
        signed = bool((codes < 0).any())
        atoms, directions = np.asarray(coder.atoms), data.truth.directions
        row["mean best cosine"] = recovery(atoms, directions, either_sign=signed).mean_cosine
        row["matched F1"] = matched_f1(codes, data.truth.codes).mean_f1
    return row


def trained(data: Data, name: str, seed: int) -> dict[str, float]:
    """One training of a method."""
    begin = time.process_time()
    fit, coder = seconds(lambda: METHODS[name](data.train, data.setting, seed))
    cpu = time.process_time() - begin
    codes = coder.encode(data.heldout)
    again, _ = seconds(lambda: coder.encode(data.heldout))
    times = {
        "fit seconds": fit,
        "fit CPU seconds": cpu,
        "encode microseconds": 1e6 * again / len(codes),
    }
    return times | quality(data, coder, codes)


def compared(data: Data, seeds: int) -> dict:
    """All methods in turns; every number of every seed."""
    rows = {name: {} for name in METHODS}
    for seed in range(seeds):
        for name, row in rows.items():
            for key, number in trained(data, name, seed).items():
                row.setdefault(key, []).append(float(f"{number:.4g}"))
            print(f"  {name}: {row}", flush=True)
    return rows


def measured(data: Data, seeds: int) -> dict:
    """A data set's record."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:  # compiles there
        taken, value = seconds(lambda: apart.submit(strength, data).result())
    longer, best = seconds(lambda: alpha(data))
    found = {"strength": float(f"{value:.4g}"), "alpha": best}
    data = data._replace(setting=data.setting._replace(**found))
    print(data.setting, flush=True)
    record = {
        "samples": len(data.train),
        "held out": len(data.heldout),
        "inputs": data.train.shape[1],
        **data.setting._asdict(),
        "search seconds": round(taken, 1),
        "search seconds of alpha": round(longer, 1),
        "PyTorch's threads": faster_threads(data.train, data.setting),
    }
    if data.labels is not None:
        error = probe_error((data.train, data.heldout), data.labels)
        record["probe error of the inputs"] = round(error, 4)
    loads = [os.getloadavg()[0]]
    record["methods"] = compared(data, seeds)
    loads.append(os.getloadavg()[0])
    return record | {"load before and after": [round(load, 1) for load in loads]}


def about(seeds: int) -> dict:
    """The machine and the settings of all data sets."""
    import torch

    return {
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "cores": os.cpu_count(),
        "learning rate": RATE,
        "batch": BATCH,
        "auxiliary": AUXILIARY,
        "seeds": seeds,
        "data": {},
    }


def main() -> None:
    """Measures, stores and prints every training."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.side_by_side",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data-dir", required=True, help="folder with MNIST")
    parser.add_argument("--seeds", type=int, default=3, help="of every method (default: 3)")
    args = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        raise InputError("PyTorch is not installed; run pip install '.[benchmarks]' for it.")
    warnings.simplefilter("ignore", ConvergenceWarning)
    record = about(args.seeds)
    for name, make in SETS.items():  # stored one by one: a measurement may be stopped
        print(name, flush=True)
        record["data"][name] = measured(scaled(make(args.data_dir)), args.seeds)
        write_text(Path(__file__).with_suffix(".json"), json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
