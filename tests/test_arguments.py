"""What a training takes as data and keys, and what it says of an objective that sums."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aesparse as ae
from aesparse.losses.objectives import Objective, composed, get_objective, regularized
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import Params, forward
from aesparse.training.growth import growing_parts

RELU = get_activation("relu")
PIXELS = np.random.default_rng(0).integers(0, 16, size=(40, 6))


def fit(X=PIXELS, *, key=None, objective=None, **options):
    defaults = {"strengths": [0.1, 0.3], "hidden": 5, "epochs": 2, "batch_size": 10}
    key = jax.random.key(7, impl="threefry2x32") if key is None else key
    objective = objective or get_objective("dae", RELU)
    return ae.fit_grid(key, X, objective=objective, **{**defaults, **options})


def same_bits(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


@pytest.mark.parametrize(
    "dtype", ["float16", jnp.bfloat16, "uint8", "int8", "int64", "uint64", ">f4", ">i2", "<f4"]
)
def test_other_dtypes_are_trained_on_as_float32(dtype):
    """All of them hold these numbers exactly."""
    assert same_bits(fit(PIXELS.astype(dtype)), fit(PIXELS.astype(np.float32)))


def test_booleans_are_zeros_and_ones():
    assert same_bits(fit(PIXELS > 7), fit((PIXELS > 7).astype(np.float32)))


def test_big_endian_float64_stays_float64(x64):
    native = fit(PIXELS / 16)
    assert native.params.weight.dtype == np.float64
    assert same_bits(fit((PIXELS / 16).astype(">f8")), native)


def test_float64_is_announced_where_it_becomes_float32():
    X = PIXELS / 7
    with pytest.warns(UserWarning, match="float64 .* float32"):
        result = fit(X)
    assert same_bits(result, fit(X.astype(np.float32)))
    with jax.enable_x64(True):
        fit(X)


def test_another_default_generator_changes_nothing():
    usual = fit()
    with jax.default_prng_impl("rbg"):
        assert same_bits(fit(), usual)
        raw = jax.random.key_data(jax.random.key(7, impl="threefry2x32"))
        assert same_bits(fit(key=raw), usual)


def summed(forward, eps):
    return jnp.sum(forward.code**2)


def averaged(forward, eps):
    return jnp.sum(jnp.mean(forward.code, axis=0) ** 2)


@pytest.mark.long
def test_a_penalty_that_grows_with_the_batch_is_named_once():
    objective = composed(RELU, terms=(("size", summed), ("sparse", averaged)))
    strengths = np.array([[0.1, 0.1]])
    with pytest.warns(UserWarning, match="^'size' of the objective doubles") as caught:
        fit(objective=objective, strengths=strengths, epochs=1)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(objective=objective, strengths=strengths, epochs=1, hidden=4)
        fit(objective=regularized(RELU, averaged), epochs=1)


def test_a_loss_without_parts_that_grows_is_named():
    def fn(params, x, eps, strength):
        error = jnp.sum((x - forward(params, x, RELU).reconstruction) ** 2)
        return error * (1 + strength), {}

    with pytest.warns(UserWarning, match="'loss' of the objective doubles"):
        fit(objective=Objective(fn, RELU), epochs=1, learning_rate=1e-6)


def test_sums_over_the_batch_are_told_from_means_constants_and_zeros(rng):
    x, eps = (jnp.asarray(rng.normal(size=(4, 3)), jnp.float32) for _ in range(2))
    parts = {
        "sum": lambda x, eps: jnp.sum(x**2),
        "sum of noise": lambda x, eps: jnp.sum(eps * x),
        "mean": lambda x, eps: jnp.mean(x**2),
        "root of a sum": lambda x, eps: jnp.sqrt(jnp.sum(x**2)),
        "square of a sum": lambda x, eps: jnp.sum(x) ** 2,
        "mean and a small sum": lambda x, eps: jnp.mean(x**2) + 0.01 * jnp.sum(x**2),
        "constant": lambda x, eps: jnp.float32(3),
        "zero": lambda x, eps: 0 * jnp.sum(x),
        "not finite": lambda x, eps: jnp.sum(x) / 0,
    }

    def measured(x, eps):
        return {name: part(x, eps) for name, part in parts.items()}

    assert set(growing_parts(measured, x, eps)) == {"sum", "sum of noise"}
    assert growing_parts(lambda x, eps: {"sum": jnp.sum(x.reshape(4, 3))}, x, eps) == ()


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_integer_parameters_to_start_from_are_numbers(name):
    init = Params(np.ones((1, 2, 5, 6), np.float32), np.zeros((1, 2, 5), np.float32))
    whole = init._replace(**{name: getattr(init, name).astype(int)})
    assert same_bits(fit(init=whole, epochs=1), fit(init=init, epochs=1))
