"""What `benchmarks/side_by_side.py` compares: training functions that return encoder and decoder.

Shapes: N samples, n inputs, m units.
"""

import functools
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import optax
from sklearn.decomposition import NMF, PCA, MiniBatchDictionaryLearning

import aesparse as ae
from aesparse.losses.dictionary import topk

RATE, BATCH, AUXILIARY = 0.003, 128, 1 / 32


class Setting(NamedTuple):
    """The sizes of a comparison, and what makes the codes as sparse as each other."""

    units: int
    active: int  # k, the number of active units that all methods should come to
    epochs: int
    strength: float = 0.0  # of the ReLU auto-encoders
    alpha: float = 1.0  # of the dictionary


class Coder(NamedTuple):
    """A trained method."""

    encode: Callable[[np.ndarray], np.ndarray]  # [N, n] to [N, m]
    decode: Callable[[np.ndarray], np.ndarray]  # [N, m] to [N, n]
    atoms: np.ndarray  # [m, n]


def pca(X: np.ndarray, setting: Setting, seed: int) -> Coder:
    """As many components as the others have active units."""
    model = PCA(setting.active, random_state=seed).fit(X)
    return Coder(model.transform, model.inverse_transform, model.components_)


def nmf(X: np.ndarray, setting: Setting, seed: int) -> Coder:
    """As many components as the others have active units; each input is shifted to begin at 0."""
    low = X.min(axis=0)
    model = NMF(setting.active, random_state=seed, max_iter=1000).fit(X - low)
    return Coder(
        lambda x: model.transform(np.maximum(x - low, 0)),
        lambda codes: model.inverse_transform(codes) + low,
        model.components_,
    )


def dictionary(X: np.ndarray, setting: Setting, seed: int) -> Coder:
    """scikit-learn's, with codes of exactly k atoms by orthogonal matching pursuit."""
    model = MiniBatchDictionaryLearning(
        setting.units,
        alpha=setting.alpha,
        batch_size=BATCH,
        max_iter=setting.epochs,
        fit_algorithm="cd",
        transform_n_nonzero_coefs=setting.active,
        random_state=seed,
    ).fit(X)
    return Coder(model.transform, lambda codes: codes @ model.components_, model.components_)


def torch_loop(X: np.ndarray, setting: Setting, seed: int) -> Coder:
    """The auto-encoder of `autoencoder`, written in PyTorch."""
    import torch

    from benchmarks.torch_loop import trained

    weight, bias = (
        part.numpy()
        for part in trained(
            torch.from_numpy(X),
            setting.units,
            setting.strength,
            rate=RATE,
            batch=BATCH,
            epochs=setting.epochs,
            seed=seed,
        )
    )
    return Coder(lambda x: np.maximum(x @ weight.T + bias, 0), lambda h: h @ weight, weight)


def faster_threads(X: np.ndarray, setting: Setting) -> int:
    """Sets the number of PyTorch's threads, one or one per core, by which an epoch is faster."""
    import torch

    times = {}
    for count in (1, os.cpu_count()):
        torch.set_num_threads(count)
        for _ in range(2):  # the first one warms up
            begin = time.perf_counter()
            torch_loop(X, setting._replace(epochs=1), 0)
            times[count] = time.perf_counter() - begin
    best = min(times, key=times.get)
    torch.set_num_threads(best)
    return best


def estimator(setting: Setting, seed: int) -> ae.SparseAutoencoder:
    """The auto-encoder before it is trained, for data that is centred and scaled."""
    return ae.SparseAutoencoder(
        setting.units,
        objective="satae",
        strength=setting.strength,
        learning_rate=RATE,
        batch_size=BATCH,
        max_epochs=setting.epochs,
        early_stopping=False,
        standardize=False,
        random_state=seed,
    )


def autoencoder(X: np.ndarray, setting: Setting, seed: int) -> Coder:
    """A `SparseAutoencoder` with ReLU and SATAE's penalty, which is ℓ1 of the codes then."""
    model = estimator(setting, seed).fit(X)
    return Coder(model.transform, model.inverse_transform, model.components_)


@functools.cache
def _adam() -> optax.GradientTransformation:
    """One for all calls of `fit`, so that they share a compiled program."""
    return optax.inject_hyperparams(optax.adam)(RATE)


def top_k(X: np.ndarray, setting: Setting, seed: int) -> Coder:
    """A `DictionaryModel` with `TopK(k)` and the auxiliary loss of dead units."""
    model = ae.DictionaryModel(setting.units, ae.codes.TopK(setting.active))
    result = ae.fit(
        X,
        model,
        topk(auxiliary=setting.units // 2),
        sweep={"auxiliary": AUXILIARY, "seed": seed},
        optimizer=_adam(),
        constraint="unit-atoms",
        epochs=setting.epochs,
        batch_size=BATCH,
        history_epochs=[0],
    )
    trained = result.select()
    return Coder(trained.encode, trained.decode, np.asarray(trained.params.decoder).T)


METHODS: dict[str, Callable[[np.ndarray, Setting, int], Coder]] = {
    "PCA": pca,
    "NMF": nmf,
    "MiniBatchDictionaryLearning": dictionary,
    "PyTorch loop": torch_loop,
    "SparseAutoencoder": autoencoder,
    "DictionaryModel, top-k": top_k,
}
