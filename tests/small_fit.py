"""A small grid that trains in a moment, of which tests change what they are about."""

import jax
import numpy as np

import aesparse as ae

HIDDEN, INPUTS, SAMPLES = 5, 6, 100
RELU = ae.OneLayer(HIDDEN)
STRENGTHS = [0.0, 0.1, 0.5]
SWEEP = {"strength": STRENGTHS, "learning_rate": 0.02}


def data(n=INPUTS, samples=SAMPLES, dtype=np.float32):
    return np.random.default_rng(1).normal(size=(samples, n)).astype(dtype)


def fit(objective="dae", *, X=None, model=RELU, sweep=SWEEP, **options):
    """Two epochs of ten updates on unit rows, without the check of the compiled program."""
    defaults = {"key": jax.random.key(7), "epochs": 2, "batch_size": 10}
    defaults |= {"constraint": "unit", "check_compiled": False}
    X = data() if X is None else X
    return ae.fit(X, model, objective, sweep=sweep, **defaults | options)


def relative(a, b):
    """The relative difference in Frobenius norm."""
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b))


def same_bits(a, b):
    """Fails unless two trees have equal structure and bits."""
    jax.tree.map(np.testing.assert_array_equal, a, b)
