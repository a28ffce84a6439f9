"""Quality of codes against NumPy on all samples at once."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses.objectives import composed
from aesparse.losses.reconstruction import half_squared_error
from aesparse.metrics import Trained, block_means, code_quality, density_histogram
from aesparse.models.one_layer import OneLayer, Params


@dataclasses.dataclass(frozen=True)
class Linear:
    """h = x Wᵀ and y = h D + c for any (W, D, c); codes may be negative."""

    def init(self, key, n):
        raise NotImplementedError

    def encode(self, params, x):
        return x @ params[0].T

    def decode(self, params, h):
        y = h @ params[1]
        return y + jnp.broadcast_to(params[2], y.shape)


@dataclasses.dataclass(frozen=True)
class Pictures(Linear):
    """The same codes, two by two."""

    def encode(self, params, x):
        return super().encode(params, x).reshape(*x.shape[:-1], -1, 2)

    def decode(self, params, h):
        return super().decode(params, h.reshape(*h.shape[:-2], -1))


def quality(model, params, x, objective=None):
    objective = composed() if objective is None else objective
    trained = Trained(model, objective, params, {}, jax.random.key(0))
    return code_quality(trained, jnp.asarray(x))


def one_layer(rng, activation):
    params = Params(jnp.asarray(rng.normal(size=(6, 4))), jnp.asarray(rng.normal(size=6)))
    return OneLayer(6, activation), params._replace(bias=params.bias.at[5].set(-90.0))


def expected(x, y, active):
    """Every number by its definition, sample by sample."""
    errors = [np.sum((row - made) ** 2) for row, made in zip(x, y, strict=True)]
    spread = [np.sum((row - x.mean(axis=0)) ** 2) for row in x]
    return {
        "l0": np.mean([np.count_nonzero(row) for row in active]),
        "activation_fraction": np.count_nonzero(active) / active.size,
        "dead_fraction": np.mean([not any(column) for column in active.T]),
        "density": [np.count_nonzero(column) / len(column) for column in active.T],
        "error": np.mean(errors),
        "explained_variance": 1 - np.sum(errors) / np.sum(spread) if len(x) > 1 else np.nan,
    }


def assert_equal(found, wanted):
    assert set(found._fields) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-11, err_msg=name)


@pytest.mark.parametrize("samples", [1, 2, 499, 500, 1234])
def test_the_numbers_are_their_definitions_for_any_number_of_samples(samples, rng, x64):
    model, params = one_layer(rng, "relu")
    x = rng.normal(size=(samples, 4)) + 0.5
    h = np.maximum(x @ np.asarray(params.weight).T + np.asarray(params.bias), 0)
    wanted = expected(x, h @ np.asarray(params.weight), h > 0)
    assert samples < 499 or 0 < wanted["dead_fraction"] < 1
    assert_equal(quality(model, params, x), wanted)


def test_a_unit_is_active_above_the_threshold_of_its_activation(rng, x64):
    model, params = one_layer(rng, "softplus")
    x = rng.normal(size=(300, 4))
    h = np.log1p(np.exp(x @ np.asarray(params.weight).T + np.asarray(params.bias)))
    assert 0 < np.mean((h > 0) & (h <= 0.1)) < 1
    assert_equal(quality(model, params, x), expected(x, h @ np.asarray(params.weight), h > 0.1))


@pytest.mark.parametrize("model", [Linear(), Pictures()])
def test_a_number_of_another_models_code_is_active_where_it_is_not_zero(model, rng, x64):
    weight, decoder, bias = rng.normal(size=(6, 4)), rng.normal(size=(6, 4)), rng.normal(size=4)
    weight[2] = 0
    x = rng.normal(size=(700, 4)) * (rng.uniform(size=(700, 1)) < 0.6)
    h = x @ weight.T
    wanted = expected(x, h @ decoder + bias, h != 0)
    assert (h < 0).any()
    assert wanted["dead_fraction"] == 1 / 6
    assert_equal(quality(model, jax.tree.map(jnp.asarray, (weight, decoder, bias)), x), wanted)


def test_the_mean_explains_nothing_and_a_perfect_copy_everything(rng):
    x = (rng.normal(size=(1200, 3)) + np.array([0.0, 30.0, -5.0])).astype(np.float32)
    nothing = np.zeros((2, 3), np.float32)
    mean = quality(Linear(), (nothing, nothing, jnp.asarray(x.mean(axis=0))), x)
    assert abs(float(mean.explained_variance)) < 1e-5
    assert float(mean.l0) == 0
    eye = jnp.eye(3)
    assert float(quality(Linear(), (eye, eye, jnp.zeros(3)), x).explained_variance) == 1
    zero = quality(Linear(), (nothing, nothing, jnp.zeros(3)), x)
    assert float(zero.explained_variance) < -100
    equal = quality(Linear(), (nothing, nothing, jnp.zeros(3)), np.repeat(x[:1], 9, axis=0))
    assert np.isnan(equal.explained_variance)


def test_a_number_of_active_units_that_is_the_same_for_all_samples_is_exact(rng):
    chosen = np.argsort(rng.uniform(size=(1777, 11)), axis=1)[:, :3]
    x = np.zeros((1777, 11), np.float32)
    np.put_along_axis(x, chosen, 1.0, axis=1)
    assert x.mean(axis=0, dtype=np.float32).sum(dtype=np.float32) != 3  # densities round
    assert quality(Linear(), (jnp.eye(11), jnp.eye(11), jnp.zeros(11)), x).l0 == 3


def test_the_error_is_the_squared_one_whatever_the_objective_uses(rng, x64):
    model, params = one_layer(rng, "relu")
    x = rng.uniform(size=(50, 4))
    halved = composed(error=half_squared_error("tanh"))
    np.testing.assert_array_equal(
        quality(model, params, x).error, quality(model, params, x, halved).error
    )


@pytest.mark.long
def test_a_grid_is_measured_by_fit_and_by_hand_alike(rng):
    x = rng.normal(size=(600, 4)).astype(np.float32)
    result = ae.fit(
        x,
        ae.OneLayer(6),
        "mean-square",
        sweep={"strength": [0.0, 0.1, 3.0], "seed": [0, 1]},
        optimizer=ae.sgd(),
        epochs=2,
        batch_size=100,
        measure=code_quality,
    )
    assert result.final.density.shape == (3, 2, 6)
    for point in np.ndindex(3, 2):
        weight, bias = (np.asarray(leaf[point]) for leaf in result.params[:2])
        h = np.maximum(x @ weight.T + bias, 0)
        wanted = expected(x, h @ weight, h > 0)
        np.testing.assert_allclose(result.final.l0[point], wanted["l0"], rtol=1e-5)
        found = result.final.explained_variance[point]
        np.testing.assert_allclose(found, wanted["explained_variance"], rtol=1e-4, atol=1e-5)


def test_a_decoder_of_another_size_is_refused():
    with pytest.raises(InputError, match="shape"):
        quality(Linear(), (jnp.ones((2, 3)), jnp.ones((2, 4)), jnp.zeros(4)), np.ones((5, 3)))


def test_blocks_never_exceed_their_size_and_hold_every_sample_once():
    sizes = []

    def block_sums(block):
        sizes.append(len(block))
        return {"sum": jnp.sum(block, axis=0)}

    x = np.arange(2 * 1700.0, dtype=np.float32).reshape(1700, 2)
    means = block_means(block_sums, jnp.asarray(x))
    np.testing.assert_allclose(means["sum"], x.mean(axis=0), rtol=1e-6)
    assert max(sizes) == 500


def test_a_histogram_counts_every_unit_once():
    density = [0.0, 0.0, 1e-3, 0.002, 0.05, 0.099, 0.2, 1.0]
    histogram = density_histogram(density, bins=3)
    assert histogram.counts.tolist() == [2, 2, 2]
    np.testing.assert_allclose(histogram.edges, [-3, -2, -1, 0])
    assert histogram.dead == 2
    own = density_histogram(density, bins=[-4.0, -1.0, 0.0])
    assert own.counts.tolist() == [4, 2]


def test_a_histogram_of_dead_units_has_no_counts():
    histogram = density_histogram(np.zeros(4), bins=5)
    assert histogram.counts.tolist() == [0] * 5
    assert histogram.dead == 4


@pytest.mark.parametrize(
    ("density", "bins"),
    [
        ([0.5, 1.5], 5),
        ([-0.1], 5),
        ([np.nan], 5),
        ([[0.5]], 5),
        (["half"], 5),
        ([0.5], 0),
        ([0.5], 2.5),
        ([0.5], [0.0]),
        ([0.5], [0.0, -1.0]),
        ([0.001], [-2.0, 0.0]),
        ([1.0], [-2.0, -1.0]),
    ],
)
def test_bad_densities_and_bins_are_refused_in_one_line(density, bins):
    with pytest.raises(InputError) as refused:
        density_histogram(density, bins)
    assert "\n" not in str(refused.value)
