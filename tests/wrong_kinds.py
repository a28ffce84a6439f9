"""What the cases of test_wrong_kinds.py are made of, and a process that answers them.

It reads a JSON mapping of names to expressions, which use the names imported and defined here,
and writes what each answers.
"""

import json
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.sparse  # noqa: F401

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses import objectives
from aesparse.losses.reconstruction import ErrorFunction, cross_entropy  # noqa: F401
from aesparse.training.cost import estimate
from aesparse.training.stopping import EarlyStopping  # noqa: F401

key, X = jax.random.key(0), np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
model, sweep = ae.OneLayer(3), {"strength": [0.1, 0.2]}
atoms = ae.DictionaryModel(3)
two = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), model.init(key, 4))


def fit(X=X, model=model, objective="dae", sweep=sweep, **options):
    return ae.fit(X, model, objective, sweep=sweep, **({"epochs": 1, "batch_size": 10} | options))


def published(**options):
    """A lone file of three arrays and a bias, read."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/weights.npz"
        np.savez(path, W_enc=X[:3], W_dec=X[:3].T, b_enc=X[0], b_dec=X[0, :3])
        return ae.read_published(path, **({"subtract_decoder_bias": True} | options))


def planned(model, objective, **options):
    sizes = {"inputs": 4, "samples": 20, "models": 1, "batch_size": 5, "rate": 1e9}
    return estimate(model, objective, **sizes | options)


def penalized(penalty):
    return fit(objective=objectives.regularized(penalty))


def own(function):
    return fit(objective=function)


def measured(function):
    return fit(measure=function)


def branching(forward, eps):
    return jnp.sum(forward.code) if jnp.sum(forward.code) > 1 else 0.0


def keyword(forward, eps, *, scale):
    return scale * jnp.mean(forward.code)


def numpy_inside(forward, eps):
    return np.abs(np.asarray(forward.code)).mean()


def without_gradient(forward, eps):
    loop = jax.lax.while_loop(lambda h: jnp.sum(h) > 1, lambda h: h / 2, forward.code)
    return jnp.mean(loop)


class Own:
    hidden = 3

    def init(self, key, n):
        return jax.random.normal(key, (3, n))

    def encode(self, params, x):
        return x @ params.T

    def decode(self, params, h):
        return h @ params


class NumpyCode(Own):
    def encode(self, params, x):
        return np.maximum(x @ params.T, 0)


class BranchingCode(Own):
    def encode(self, params, x):
        return x @ params.T if jnp.sum(x) > 0 else x @ params.T / 2


class KeywordInit(Own):
    def init(self, key, n, *, scale):
        return scale * jax.random.normal(key, (3, n))


class NumpyInit(Own):
    def init(self, key, n):
        return np.random.default_rng(int(key)).normal(size=(3, n))


class IntegerInit(Own):
    def init(self, key, n):
        return jnp.ones((3, n), int)


class ShortDecoder(Own):
    def decode(self, params, h):
        return (h @ params)[..., :1]


class Unhashable(Own):
    __hash__ = None

    def __call__(self, trained, x):
        return jnp.mean(x)


class Flat(Own):
    def init(self, key, n):
        return jnp.ones(3)  # no matrix


class Tensor:
    def __array__(self, *_, **__):
        raise RuntimeError("it requires grad.\nUse detach()")


def broken_update(updates, state, params=None):
    return jax.tree.map(lambda u: u[None], updates), state


def failing_start(params):
    raise RuntimeError("no start")


def unlike(params):
    return params._replace(weight=params.weight.astype(jnp.float16))


def fails(*arguments):
    raise RuntimeError("first\nsecond")


identity = optax.identity()


def answer(case):
    """The sentence of an expression's error."""
    try:
        eval(case, globals())
    except InputError as error:
        return f"InputError: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


if __name__ == "__main__":
    json.dump({name: answer(case) for name, case in json.load(sys.stdin).items()}, sys.stdout)
