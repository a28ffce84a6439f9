"""Measurements against NumPy on all samples at once."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aesparse.errors import InputError
from aesparse.losses.objectives import autoencoder, composed, get_objective
from aesparse.losses.reconstruction import cross_entropy, half_squared_error
from aesparse.metrics import (
    Theorem1Ratio,
    Trained,
    activation_statistics,
    code_sizes,
    code_statistics,
    collapsed,
    diverged,
    pushed_down,
    theorem1_ratio,
    unit_statistics,
)
from aesparse.models.one_layer import OneLayer, Params


def model(rng, m=7, n=4):
    return Params(jnp.asarray(rng.normal(size=(m, n))), jnp.asarray(rng.normal(size=m)))


def trained(params, activation, objective=None, strength=0.0):
    """What a measurement is given of a one-layer model."""
    objective = autoencoder() if objective is None else objective
    coefficients = dict.fromkeys(objective.coefficients, jnp.asarray(strength))
    return Trained(
        OneLayer.of(params, activation), objective, params, coefficients, jax.random.key(5)
    )


@pytest.mark.parametrize("samples", [1, 499, 500, 1234])
def test_measure_equals_numpy_for_any_number_of_samples(samples, rng, x64):
    params, x = model(rng), rng.normal(size=(samples, 4)) + 3.0
    units = unit_statistics(trained(params, "softplus"), jnp.asarray(x))
    a = x @ np.asarray(params.weight).T + np.asarray(params.bias)
    h = np.log1p(np.exp(a))
    np.testing.assert_allclose(units.active, (h > 0.1).mean(0), rtol=1e-12)
    np.testing.assert_allclose(units.mean, a.mean(0), rtol=1e-12)
    np.testing.assert_allclose(units.variance, a.var(0), rtol=1e-10, atol=1e-12)
    error = np.mean(np.sum((x - h @ np.asarray(params.weight)) ** 2, 1))
    np.testing.assert_allclose(units.reconstruction, error, rtol=1e-12)


def _half(x, z):
    return np.sum((x - np.tanh(z)) ** 2, 1) / 2


def _likelihood(x, z):
    p = 1 / (1 + np.exp(-z))
    return -np.sum(x * np.log(p) + (1 - x) * np.log(1 - p), 1)


@pytest.mark.parametrize(
    ("error", "typed"),
    [(half_squared_error("tanh"), _half), (cross_entropy, _likelihood)],
)
def test_the_error_is_that_of_an_own_decoder_with_its_bias(error, typed, rng, x64):
    x = rng.uniform(size=(611, 4))
    own = {"decoder_bias": rng.normal(size=4), "decoder": rng.normal(size=(4, 7))}
    params = model(rng)._replace(**{name: jnp.asarray(leaf) for name, leaf in own.items()})
    units = unit_statistics(trained(params, "sigmoid", composed(error=error)), jnp.asarray(x))
    a = x @ np.asarray(params.weight).T + np.asarray(params.bias)
    z = 1 / (1 + np.exp(-a)) @ own["decoder"].T + own["decoder_bias"]
    np.testing.assert_allclose(units.reconstruction, typed(x, z).mean(), rtol=1e-12)


def test_metrics_are_means_over_units_and_lengths_of_rows(rng, x64):
    params, x = model(rng), rng.normal(size=(50, 4)) + 1.0
    metrics = activation_statistics(trained(params, "relu"), jnp.asarray(x))
    weight, bias = (np.asarray(leaf) for leaf in params[:2])
    a, lengths = x @ weight.T + bias, np.sqrt((weight**2).sum(1))
    expected = {
        "activation_fraction": (a > 0).mean(),
        "dead_fraction": (a <= 0).all(0).mean(),
        "preactivation_mean": a.mean(),
        "preactivation_variance": a.var(0).mean(),
        "bias_mean": bias.mean(),
        "row_length_mean": lengths.mean(),
        "row_length_max": lengths.max(),
        "reconstruction": np.mean(np.sum((x - np.maximum(a, 0) @ weight) ** 2, 1)),
    }
    assert expected.keys() == set(metrics._fields)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(metrics, name), value, rtol=1e-7)


def test_variance_of_a_large_mean_does_not_cancel(rng):
    params = Params(jnp.ones((1, 1)), jnp.array([1e3]))
    x = rng.normal(size=(2000, 1)).astype(np.float32)
    units = unit_statistics(trained(params, "relu"), jnp.asarray(x))
    np.testing.assert_allclose(units.variance[0], x.var(), rtol=1e-3)


def test_dead_units_are_those_active_on_no_sample(rng):
    params = Params(jnp.zeros((4, 2)), jnp.array([-1.0, 0.0, 1e-3, 2.0]))
    x = jnp.asarray(rng.normal(size=(50, 2)).astype(np.float32))
    metrics = activation_statistics(trained(params, "relu"), x)
    assert metrics.dead_fraction == 0.5  # h = 0 is not above δ_min = 0
    assert metrics.activation_fraction == 0.5


@pytest.mark.parametrize("statistics", [activation_statistics, code_statistics])
def test_non_finite_models_have_diverged_and_dead_ones_collapsed(statistics, rng):
    x = jnp.asarray(rng.normal(size=(50, 2)).astype(np.float32))

    def words(weight, bias):
        params = Params(jnp.full((100, 2), weight), jnp.asarray(bias, jnp.float32))
        found = statistics(trained(params, "relu"), x)
        return bool(diverged(found)), bool(collapsed(found))

    alive = np.full(100, 5.0)
    assert words(0.1, alive) == (False, False)
    assert words(0.1, np.where(np.arange(100) < 98, -50.0, 5.0)) == (False, False)
    assert words(0.1, np.where(np.arange(100) < 99, -50.0, 5.0)) == (False, True)
    assert words(np.nan, alive)[0]
    assert words(0.1, np.full(100, np.inf))[0]


@dataclasses.dataclass(frozen=True)
class Pairs:
    """A code [2, n] of the inputs' positive and negative parts."""

    def init(self, key, n):
        return ()

    def encode(self, params, x):
        return jnp.stack([jnp.maximum(x, 0), jnp.maximum(-x, 0)], axis=-2)

    def decode(self, params, h):
        return 0.5 * (h[..., 0, :] - h[..., 1, :])


@pytest.mark.parametrize("samples", [3, 500, 1234])
def test_code_statistics_equal_numpy_for_any_model(samples, rng, x64):
    x = rng.normal(size=(samples, 4)) + np.array([30.0, 0, 0, 0])  # one part is always 0
    found = code_statistics(
        Trained(Pairs(), autoencoder(), (), {}, jax.random.key(0)), jnp.asarray(x)
    )
    h = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=1)
    expected = {
        "activation_fraction": (h != 0).mean(),
        "dead_fraction": (h == 0).all(0).mean(),
        "code_mean": h.mean(),
        "code_variance": h.var(0).mean(),
        "reconstruction": np.mean(np.sum((x / 2) ** 2, 1)),
    }
    assert expected.keys() == set(found._fields)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-9)


def test_code_sizes_count_small_numbers_of_either_sign(rng, x64):
    params, x = model(rng), rng.normal(size=(1100, 4))
    found = code_sizes(trained(params, "tanh"), jnp.asarray(x))
    h = np.tanh(x @ np.asarray(params.weight).T + np.asarray(params.bias))
    np.testing.assert_allclose(found.mean, h.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found.small, (abs(h) <= 0.1).mean(0), rtol=1e-9)


@pytest.mark.parametrize("measurement", [unit_statistics, activation_statistics, theorem1_ratio])
def test_measurements_of_units_are_for_one_layer(measurement):
    other = Trained(Pairs(), autoencoder(), (), {}, jax.random.key(0))
    with pytest.raises(InputError, match="one-layer"):
        measurement(other, jnp.ones((3, 4)))


def test_the_ratios_noise_is_of_the_models_key_and_on_the_first_thousand_rows(rng, x64):
    """Against the DAE's loss typed in NumPy and differentiated by differences."""
    params, x = model(rng), rng.normal(size=(1100, 4))
    one = trained(params, "sigmoid", get_objective("dae"), 0.3)
    eps = np.asarray(jax.random.normal(jax.random.fold_in(one.key, 2), (1000, 4)))
    w, few = np.asarray(params.weight), x[:1000]

    def added(bias):
        def error(z):
            h = 1 / (1 + np.exp(-(z @ w.T + bias)))
            return np.mean(np.sum((few - h @ w) ** 2, 1))

        return error(few + np.sqrt(0.3) * eps) - error(few), error(few)

    bias = np.asarray(params.bias)
    slopes = [(added(bias + e)[0] - added(bias - e)[0]) / 2e-5 for e in 1e-5 * np.eye(len(bias))]
    bound = 2 * np.sqrt(added(bias)[1]) * np.linalg.norm(w, axis=1)
    found = theorem1_ratio(one, jnp.asarray(x))
    np.testing.assert_allclose(found.largest, np.max(slopes / bound), rtol=1e-6)


def test_theorem_1s_ratio_of_sae_equals_its_closed_form(rng, x64):
    params, x = model(rng), rng.normal(size=(30, 4))
    x_, objective = jnp.asarray(x), get_objective("sae")
    found = theorem1_ratio(trained(params, "sigmoid", objective, 3.0), x_)
    h = 1 / (1 + np.exp(-(x @ np.asarray(params.weight).T + np.asarray(params.bias))))
    left = 3.0 * (h * (1 - h)).mean(0) / (1 - h.mean(0))
    error = np.mean(np.sum((x - h @ np.asarray(params.weight)) ** 2, 1))
    right = 2 * np.sqrt(error) * np.linalg.norm(params.weight, axis=1)
    np.testing.assert_allclose(found.largest, (left / right).max(), rtol=1e-10)
    assert found.share == (left > right).mean()
    none = theorem1_ratio(trained(params, "sigmoid", objective, 0.0), x_)
    assert none == Theorem1Ratio(0.0, 0.0)


def test_units_pushed_down_are_those_whose_bias_gradient_is_positive(rng, x64):
    """tanh with CAE: ∂R/∂b_j = 2 E[s' s''] ‖W_j‖² has the sign of −E[a_j] roughly, either way."""
    params, x = model(rng), rng.normal(size=(30, 4))
    one = trained(params, "tanh", get_objective("cae"), 0.5)
    h = np.tanh(x @ np.asarray(params.weight).T + np.asarray(params.bias))
    slope, curvature = 1 - h**2, -2 * h * (1 - h**2)
    down = np.mean(2 * slope * curvature, axis=0) > 0
    assert 0 < down.mean() < 1
    assert pushed_down(one, jnp.asarray(x)) == pytest.approx(down.mean())
    none = trained(params, "tanh", get_objective("cae"), 0.0)
    assert pushed_down(none, jnp.asarray(x)) == 0


@pytest.mark.parametrize(("largest", "share"), [(0.6, 0.0), (0.99, 0.0), (1.01, 1 / 3)])
def test_theorem_1s_condition_is_met_from_its_bound_on(largest, share, x64):
    """Three identity units without reconstruction error in their bias: λ ∂R/∂b_j = 2 λ E[h_j]."""
    x = jnp.asarray(np.eye(3) - 1 / 3)
    bias = np.array([0.1, 0.2, 0.4])
    params = Params(jnp.eye(3), jnp.asarray(bias))
    bound = 2 * np.sqrt(np.sum(bias**2))  # y − x = b, rows of length 1
    strength = largest * bound / (2 * bias[-1])
    objective = get_objective("mean-square")
    ratio = theorem1_ratio(trained(params, "identity", objective, strength), x)
    np.testing.assert_allclose(ratio.largest, largest, rtol=1e-12)
    assert ratio.share == pytest.approx(share)


def test_theorem_1s_ratio_is_for_squared_errors_and_counts_the_decoder(rng, x64):
    tied, x = model(rng), jnp.asarray(rng.normal(size=(30, 4)))
    untied = tied._replace(decoder=10 * tied.weight.T)
    found = theorem1_ratio(trained(untied, "sigmoid", get_objective("sae"), 3.0), x)
    h = 1 / (1 + np.exp(-(x @ np.asarray(tied.weight).T + np.asarray(tied.bias)[None])))
    left = 3.0 * (h * (1 - h)).mean(0) / (1 - h.mean(0))
    error = np.mean(np.sum((x - 10 * h @ np.asarray(tied.weight)) ** 2, 1))
    right = 2 * np.sqrt(error) * 10 * np.linalg.norm(tied.weight, axis=1)
    np.testing.assert_allclose(found.largest, (left / right).max(), rtol=1e-10)
    unknown = theorem1_ratio(trained(tied, "relu", get_objective("satae"), 3.0), x)
    assert np.isnan(unknown.largest)
    assert np.isnan(unknown.share)
