"""Dead units that begin again: which, where, how likely, and that training goes on from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_dictionary import HIDDEN, data, parameters

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses.dictionary import topk
from aesparse.models.codes import BatchTopK, Gated, JumpRelu, TopK
from aesparse.models.dictionary import DictionaryModel, DictionaryParams
from aesparse.training.resampling import resampled

DEAD = [2, 5, 6]


def with_dead_units(rng, *axes):
    params = parameters(rng, *axes)
    bias = params.bias + 3
    bias[..., DEAD] = -1000
    return params._replace(bias=bias, gate=params.gate._replace(bias=params.gate.bias + 3))


@pytest.mark.parametrize("rule", [JumpRelu(), Gated(), TopK(HIDDEN)])
def test_dead_units_alone_begin_again_at_samples(rule, rng):
    params, X, model = with_dead_units(rng), data(rng), DictionaryModel(HIDDEN, rule)
    assert not np.any(np.asarray(model.encode(params, jnp.asarray(X)))[:, DEAD])
    after = resampled(model, params, X, jax.random.key(0))
    alive = np.delete(np.arange(HIDDEN), DEAD)
    np.testing.assert_array_equal(after.weight[alive], params.weight[alive])
    np.testing.assert_array_equal(after.decoder[:, alive], params.decoder[:, alive])
    np.testing.assert_array_equal(after.bias[alive], params.bias[alive])
    np.testing.assert_array_equal(after.decoder_bias, params.decoder_bias)
    length = 0.2 * np.linalg.norm(params.weight[alive], axis=1).mean()
    np.testing.assert_allclose(np.linalg.norm(after.weight[DEAD], axis=1), length, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(after.decoder[:, DEAD], axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(after.weight[DEAD], length * after.decoder[:, DEAD].T, rtol=1e-5)
    np.testing.assert_array_equal(after.bias[DEAD], 0)
    directions = X - params.decoder_bias
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose((directions @ after.decoder[:, DEAD]).max(axis=0), 1, rtol=1e-5)
    if isinstance(rule, JumpRelu):
        np.testing.assert_allclose(np.exp(after.log_threshold[DEAD]), 0.001, rtol=1e-5)
        np.testing.assert_array_equal(after.log_threshold[alive], params.log_threshold[alive])
    if isinstance(rule, Gated):
        assert not np.any(np.stack(after.gate)[:, DEAD])
        np.testing.assert_array_equal(after.gate.bias[alive], params.gate.bias[alive])


def test_a_sample_is_drawn_as_often_as_the_square_of_its_error_says():
    """Of two samples with errors 1 and 2 the second is drawn with probability 4/5."""
    m = 2000
    params = DictionaryParams(jnp.zeros((m, 2)), jnp.full(m, -1.0), jnp.ones((2, m)), jnp.zeros(2))
    X = np.array([[1.0, 0.0], [0.0, np.sqrt(2.0)]], np.float32)
    after = resampled(DictionaryModel(m), params, X, jax.random.key(1))
    share = np.mean(after.decoder[1] == 1)
    assert abs(share - 0.8) < 4 * np.sqrt(0.8 * 0.2 / m)


def test_no_unit_begins_at_a_sample_without_a_direction(rng):
    """Zeros have the largest error, since the decoder's bias is far from them."""
    model = DictionaryModel(HIDDEN, subtract_decoder_bias=False)
    params = with_dead_units(rng)._replace(decoder_bias=np.full(5, 9, np.float32))
    X = np.concatenate([np.zeros((30, 5), np.float32), data(rng, samples=5)])
    after = resampled(model, params, X, jax.random.key(0))
    np.testing.assert_allclose(np.linalg.norm(after.decoder[:, DEAD], axis=0), 1, rtol=1e-5)
    unmoved = resampled(model, params, X[:30], jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, unmoved, params)


def test_a_model_without_dead_units_stays_as_it_is(rng):
    params, X = with_dead_units(rng), data(rng)
    params = params._replace(bias=np.abs(params.bias))
    after = resampled(DictionaryModel(HIDDEN), params, X, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, after, params)


def test_every_model_of_a_grid_has_draws_of_its_own(rng):
    params, X = with_dead_units(rng, 2, 3), data(rng, 500)
    one = jax.tree.map(lambda leaf: np.broadcast_to(leaf[0, 0], leaf.shape), params)
    after = resampled(DictionaryModel(HIDDEN, TopK(HIDDEN)), one, X, jax.random.key(0))
    assert after.weight.shape == params.weight.shape
    rows = after.weight.reshape(6, HIDDEN, -1)
    assert len(np.unique(rows[:, DEAD[0], 0])) > 1
    np.testing.assert_array_equal(
        rows[:, 0], np.broadcast_to(one.weight[0, 0, 0], rows[:, 0].shape)
    )


def test_a_unit_of_batch_top_k_is_dead_if_it_is_never_among_the_largest(rng):
    params, X = parameters(rng), data(rng)
    bias = np.full(HIDDEN, 50.0, np.float32)
    bias[DEAD] = 10.0  # positive on every sample, and never among the HIDDEN − 3 largest
    params = params._replace(bias=bias)
    model = DictionaryModel(HIDDEN, BatchTopK(HIDDEN - len(DEAD)))
    after = resampled(model, params, X, jax.random.key(0))
    moved = np.any(after.weight != params.weight, axis=1)
    np.testing.assert_array_equal(np.flatnonzero(moved), DEAD)


def test_training_goes_on_from_them(rng):
    X, model = data(rng, 200), DictionaryModel(HIDDEN, TopK(2))
    start = model.init(jax.random.key(3), X.shape[1])
    bias = np.where(np.isin(np.arange(HIDDEN), DEAD), -1000.0, 0.0).astype(np.float32)
    start = resampled(model, start._replace(bias=bias), X, jax.random.key(0))
    how = {"sweep": {"learning_rate": 0.01}, "constraint": "unit-atoms", "check_compiled": False}
    result = ae.fit(X, model, topk(), start=start, epochs=3, batch_size=20, **how)
    assert result.losses["loss"][-1] < result.losses["loss"][0]
    assert np.count_nonzero(model.encode(result.params, jnp.asarray(X))[:, DEAD]) > 0


@pytest.mark.parametrize(
    ("model", "params", "X", "words"),
    [
        (ae.OneLayer(3), None, np.ones((2, 4)), ["OneLayer", "DictionaryModel"]),
        (DictionaryModel(3), 4, np.ones((2, 5)), ["(3, 4)", "(3, 5)"]),
        (DictionaryModel(4), 4, np.ones((2, 4)), ["(3, 4)", "(4, 4)"]),
        (DictionaryModel(3), 4, np.full((2, 4), np.nan), ["NaN"]),
    ],
)
def test_what_does_not_belong_together_is_refused(model, params, X, words):
    params = DictionaryModel(3).init(jax.random.key(0), params or 4)
    with pytest.raises(InputError) as caught:
        resampled(model, params, X, jax.random.key(0))
    assert all(word in str(caught.value) for word in words)
