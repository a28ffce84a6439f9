"""Dictionary models: codes against NumPy, derivatives of JumpReLU, calibration, unit atoms."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle_dictionary as oracle
import plain_loop
import pytest
from small_dictionary import HIDDEN, INPUTS, RULES, SAMPLES, data, exactly, parameters

import aesparse as ae
from aesparse.losses.dictionary import dictionary_l1
from aesparse.models.codes import BatchTopK, Gated, JumpRelu, TopK
from aesparse.models.dictionary import DictionaryModel, DictionaryParams, calibrated
from aesparse.models.selection import jump, step


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("name", RULES)
def test_a_code_and_its_reconstruction_are_those_of_numpy(name, centred, rng):
    rule, code = RULES[name]
    model = DictionaryModel(HIDDEN, rule, subtract_decoder_bias=centred)
    params, X = parameters(rng), data(rng)
    wanted = code(exactly(params), np.float64(X), centred=centred)
    h = model.encode(params, jnp.asarray(X))
    np.testing.assert_allclose(h, wanted, rtol=1e-5, atol=1e-5)
    assert 0 < np.count_nonzero(wanted) < wanted.size
    y = model.decode(params, h)
    np.testing.assert_allclose(y, wanted @ params.decoder.T + params.decoder_bias, atol=1e-4)


@pytest.mark.parametrize("name", RULES)
def test_a_code_does_not_depend_on_the_batch_of_its_sample(name, rng):
    model, params = DictionaryModel(HIDDEN, RULES[name][0]), parameters(rng)
    X = jnp.asarray(data(rng))
    together = model.encode(params, X)
    alone = jnp.stack([model.encode(params, x) for x in X[:7]])
    np.testing.assert_allclose(together[:7], alone, atol=1e-5)
    np.testing.assert_array_equal(together[:7] != 0, alone != 0)


def test_a_model_starts_with_atoms_of_length_1_and_their_transpose(rng):
    model = DictionaryModel(HIDDEN, JumpRelu())
    params = model.init(jax.random.key(0), INPUTS)
    np.testing.assert_allclose(np.linalg.norm(params.decoder, axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(params.weight, params.decoder.T)
    assert not np.any(params.bias)
    assert not np.any(params.decoder_bias)
    np.testing.assert_allclose(np.exp(params.log_threshold), 0.001, rtol=1e-5)
    params = DictionaryModel(HIDDEN, JumpRelu(threshold=0.5)).init(jax.random.key(0), INPUTS)
    np.testing.assert_allclose(np.exp(params.log_threshold), 0.5, rtol=1e-5)
    gate = DictionaryModel(HIDDEN, Gated()).init(jax.random.key(0), INPUTS).gate
    assert not np.any(np.stack(gate))


# The k largest


def test_exactly_k_units_are_active_where_as_many_are_positive(rng):
    model, X = DictionaryModel(HIDDEN, TopK(5)), jnp.asarray(data(rng, 200))
    params = parameters(rng)
    positive = np.sum(np.asarray(model.preactivation(params, X)) > 0, axis=1)
    assert positive.min() < 5 < positive.max()
    active = np.count_nonzero(model.encode(params, X), axis=1)
    np.testing.assert_array_equal(active, np.minimum(positive, 5))


def test_of_equal_units_the_first_are_taken():
    params = DictionaryParams(jnp.ones((5, 1)), jnp.zeros(5), jnp.ones((1, 5)), jnp.zeros(1))
    h = DictionaryModel(5, TopK(2)).encode(params, jnp.ones((3, 1)))
    np.testing.assert_array_equal(h, [[1, 1, 0, 0, 0]] * 3)
    codes = DictionaryModel(5, BatchTopK(2)).batch_code(params, jnp.ones((3, 1)))
    assert np.count_nonzero(codes) == 3 * 2


def test_a_batch_shares_its_largest(rng):
    params, X = parameters(rng), data(rng)
    model = DictionaryModel(HIDDEN, BatchTopK(2))
    wanted = oracle.batch_topk(exactly(params), np.float64(X), 2)
    np.testing.assert_allclose(model.batch_code(params, jnp.asarray(X)), wanted, atol=1e-5)
    counts = np.count_nonzero(wanted, axis=1)
    assert counts.sum() == 2 * SAMPLES
    assert len(np.unique(counts)) > 2  # unlike top-k


def test_all_units_may_be_taken(rng):
    params, X = parameters(rng), jnp.asarray(data(rng))
    wanted = oracle.relu(exactly(params), np.float64(X))
    for rule in (TopK(HIDDEN), BatchTopK(HIDDEN)):
        got = DictionaryModel(HIDDEN, rule).batch_code(params, X)
        np.testing.assert_allclose(got, wanted, atol=1e-5)


# JumpReLU


@pytest.mark.usefixtures("x64")
def test_the_pseudo_derivatives_are_the_published_ones():
    a = np.linspace(-1, 3, 101)
    theta, width = np.full_like(a, 0.7), 0.5
    kernel = oracle.rectangle((a - theta) / width) / width
    assert 5 < np.count_nonzero(kernel) < 30
    for function, by_a, by_theta in (
        (jump, (a > theta).astype(float), -theta * kernel),
        (step, np.zeros_like(a), -kernel),
    ):
        grad = jax.grad(lambda a, t, f=function: jnp.sum(f(a, t, width)), argnums=(0, 1))
        for transformed in (grad, jax.jit(grad)):
            got = transformed(jnp.asarray(a), jnp.asarray(theta))
            np.testing.assert_allclose(got[0], by_a, atol=1e-12)
            np.testing.assert_allclose(got[1], by_theta, atol=1e-12)
        each = jax.vmap(jax.grad(lambda a, t, f=function: f(a, t, width), argnums=1))
        np.testing.assert_allclose(each(jnp.asarray(a), jnp.asarray(theta)), by_theta, atol=1e-12)


def test_a_threshold_of_0_is_relu(rng):
    params, X = parameters(rng), jnp.asarray(data(rng))
    params = params._replace(log_threshold=np.full(HIDDEN, -np.inf, np.float32))
    model = DictionaryModel(HIDDEN, JumpRelu())
    relu = DictionaryModel(HIDDEN).encode(params, X)
    np.testing.assert_array_equal(model.encode(params, X), relu)
    gradient = jax.grad(lambda p: jnp.sum(model.encode(p, X)))(params)
    assert np.isfinite(np.concatenate([np.ravel(v) for v in jax.tree.leaves(gradient)])).all()


# The exported threshold of batch top-k


@pytest.mark.parametrize("axes", [(), (2, 3)])
def test_the_mean_number_of_active_units_is_k(axes, rng):
    params, X = parameters(rng, *axes), data(rng, 200)
    model = DictionaryModel(HIDDEN, BatchTopK(2))
    after = calibrated(model, params, X)
    assert after.log_threshold.shape == (*axes, HIDDEN)
    for place in np.ndindex(axes):
        one = jax.tree.map(lambda leaf, place=place: leaf[place], after)
        active = np.count_nonzero(model.encode(one, jnp.asarray(X)))
        assert active == 2 * len(X)
        assert len(np.unique(one.log_threshold)) == 1
    jax.tree.map(np.testing.assert_array_equal, after._replace(log_threshold=None),
                 params._replace(log_threshold=None))  # fmt: skip


def test_data_in_several_blocks_has_the_same_threshold(rng, monkeypatch):
    params, X = parameters(rng), data(rng, 203)
    model = DictionaryModel(HIDDEN, BatchTopK(2))
    whole = calibrated(model, params, X)
    monkeypatch.setattr("aesparse.models.dictionary.AT_ONCE", 10 * HIDDEN)
    np.testing.assert_allclose(
        calibrated(model, params, X).log_threshold, whole.log_threshold, rtol=1e-6
    )


def test_where_few_are_positive_all_of_them_are_active(rng):
    params, X = parameters(rng), data(rng)
    params = params._replace(bias=params.bias - 2)
    model = DictionaryModel(HIDDEN, BatchTopK(HIDDEN - 1))
    after = calibrated(model, params, X)
    assert np.isfinite(after.log_threshold).all()  # training can go on from it
    wanted = oracle.relu(exactly(params), np.float64(X))
    np.testing.assert_allclose(model.encode(after, jnp.asarray(X)), wanted, atol=1e-5)


# Atoms of length 1


def tangent_to_columns(params, direction):
    columns = direction.decoder.copy()
    for j, d in enumerate(params.decoder.T):
        columns[:, j] -= (columns[:, j] @ d) / (d @ d) * d
    return direction._replace(decoder=columns)


ATOMS = plain_loop.Constraint(tangent_to_columns, plain_loop.COLUMNS.project)


def l1(p, x, eps, c):
    del eps
    h = plain_loop.relu((x - p.decoder_bias[None]) @ p.weight.T + p.bias[None])
    error = plain_loop.squared(x, plain_loop.output(p, h))
    size = jnp.sum(h) / len(x)
    return error + c["strength"] * size, {"reconstruction": error, "penalty": size}


def test_training_on_unit_atoms_equals_its_plain_loop(rng, x64):
    X, key, model = data(rng, 105, np.float64), jax.random.key(7), DictionaryModel(HIDDEN)
    coefficients = {"strength": 0.3, "learning_rate": 0.02, "momentum": 0.8, "seed": 3}
    result = ae.fit(
        X, model, dictionary_l1(), sweep=coefficients, constraint="unit-atoms", key=key,
        epochs=2, batch_size=10, check_compiled=False,
    )  # fmt: skip
    start = exactly(model.init(plain_loop.start_key(key, 3), INPUTS))
    loop = plain_loop.train(
        key, X, start, l1, plain_loop.sgd(0.02, 0.8), coefficients, seed=3, constraint=ATOMS
    )
    for name in ("weight", "bias", "decoder", "decoder_bias"):
        got, wanted = getattr(result.params, name), getattr(loop.params, name)
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(result.losses["loss"], loop.losses["loss"], rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(result.params.decoder, axis=0), 1, rtol=1e-12)
    np.testing.assert_raises(
        AssertionError, np.testing.assert_allclose, result.params.decoder, start.decoder, rtol=0.01
    )


@pytest.mark.parametrize("name", ["unit", "unit-columns"])
def test_other_constraints_by_name_hold_for_dictionaries(name, rng):
    X, model = data(rng, 105), DictionaryModel(HIDDEN)
    how = {"epochs": 1, "batch_size": 10, "check_compiled": False}
    sweep = {"strength": 0.1, "learning_rate": 0.02}
    params = ae.fit(X, model, dictionary_l1(), sweep=sweep, constraint=name, **how).params
    if name == "unit-columns":  # the 10th of 10 updates brings them back
        np.testing.assert_allclose(np.linalg.norm(params.decoder, axis=0), 1, rtol=1e-6)
    else:
        np.testing.assert_allclose(np.linalg.norm(params.weight, axis=1), 1, rtol=1e-6)
