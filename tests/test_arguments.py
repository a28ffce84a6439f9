"""What a training takes as data and keys, and what it says of an objective that sums."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_fit
from small_fit import same_bits

import aesparse as ae
from aesparse.losses.growth import growth
from aesparse.losses.objectives import Objective, composed, regularized
from aesparse.models.one_layer import OneLayer

PIXELS = np.random.default_rng(0).integers(0, 16, size=(40, 6))


def fit(X=PIXELS, objective="dae", **options):
    sweep = {"strength": [0.1, 0.3]}
    return small_fit.fit(objective, **{"X": X, "sweep": sweep, "epochs": 1} | options)


@pytest.mark.parametrize(
    "dtype", ["float16", jnp.bfloat16, "uint8", "int8", "int64", "uint64", ">f4", ">i2", "<f4"]
)
def test_other_dtypes_are_trained_on_as_float32(dtype):
    """All of them hold these numbers exactly."""
    result = fit(PIXELS.astype(dtype))
    assert result.params.weight.dtype == np.float32
    same_bits(result.params, fit(PIXELS.astype(np.float32)).params)


@pytest.mark.parametrize("kind", [jnp.asarray, np.asfortranarray])
def test_data_of_any_kind_is_the_same(kind):
    X = PIXELS.astype(np.float32)
    same_bits(fit(kind(X)).params, fit(X).params)


def test_booleans_are_zeros_and_ones():
    same_bits(fit(PIXELS > 7).params, fit((PIXELS > 7).astype(np.float32)).params)


def test_big_endian_float64_stays_float64(x64):
    native = fit(PIXELS / 16)
    assert native.params.weight.dtype == np.float64
    same_bits(fit((PIXELS / 16).astype(">f8")).params, native.params)


def test_float64_is_announced_where_it_becomes_float32():
    X = PIXELS / 7
    with pytest.warns(UserWarning, match="float64 .* float32"):
        result = fit(X)
    same_bits(result.params, fit(X.astype(np.float32)).params)
    with jax.enable_x64(True):
        fit(X)


def test_another_default_generator_changes_nothing():
    key = jax.random.key(7, impl="threefry2x32")
    usual = fit(key=key)
    with jax.default_prng_impl("rbg"):
        same_bits(fit(key=key).params, usual.params)
        same_bits(fit(key=jax.random.key_data(key)).params, usual.params)


def test_without_a_key_it_is_that_of_seed_0():
    same_bits(fit(key=None).params, fit(key=jax.random.key(0)).params)
    with pytest.raises(AssertionError):
        same_bits(fit(key=None).params, fit(key=jax.random.key(1)).params)


@pytest.mark.parametrize("constraint", ["free", None])
def test_no_constraint_has_a_name(constraint):
    same_bits(fit(constraint=constraint).params, fit(constraint=ae.Constraint(
        tangent=lambda params, direction: direction, project=lambda params: params
    )).params)  # fmt: skip


def summed(forward, eps):
    return jnp.sum(forward.code**2)


def averaged(forward, eps):
    return jnp.sum(jnp.mean(forward.code, axis=0) ** 2)


def test_a_penalty_that_grows_with_the_batch_is_named_once():
    objective = composed(terms={"size": summed, "sparse": averaged})
    sweep = {"size": 0.1, "sparse": 0.1, "learning_rate": 1e-6}
    with pytest.warns(UserWarning, match="'size'") as caught:
        fit(objective=objective, sweep=sweep)
    assert len(caught) == 1
    assert "sparse" not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(objective=objective, sweep=sweep | {"size": 0.2})
        fit(objective=regularized(averaged))


def test_a_loss_without_parts_that_grows_is_named():
    def fn(model, params, x, eps, coefficients):
        error = jnp.sum((x - model.decode(params, model.encode(params, x))) ** 2)
        return error * (1 + coefficients["strength"]), {}

    sweep = {"strength": 0.1, "learning_rate": 1e-6}
    with pytest.warns(UserWarning, match="'loss'"):
        fit(objective=Objective(fn), model=OneLayer(5), sweep=sweep)


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

    ratios = growth(measured, x, eps)
    grown = {"sum": 2, "sum of noise": 2, "root of a sum": np.sqrt(2), "square of a sum": 4}
    same = {"mean": 1, "constant": 1, "zero": 1, "not finite": 1}
    for name, ratio in (grown | same).items():
        np.testing.assert_allclose(ratios[name], ratio, rtol=1e-5)
    assert 1 < ratios["mean and a small sum"] < 2
    assert growth(lambda x, eps: {"sum": jnp.sum(x.reshape(4, 3))}, x, eps) == {}
