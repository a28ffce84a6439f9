"""Measurements against NumPy on all samples at once."""

import jax.numpy as jnp
import numpy as np
import pytest

from aesparse.losses.objectives import get_objective
from aesparse.losses.reconstruction import cross_entropy, half_squared_error
from aesparse.metrics import BiasPressure, bias_pressure, flagged, measure, summarize
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import Params


def model(rng, m=7, n=4):
    return Params(jnp.asarray(rng.normal(size=(m, n))), jnp.asarray(rng.normal(size=m)))


@pytest.mark.parametrize("samples", [1, 499, 500, 1234])
def test_measure_equals_numpy_for_any_number_of_samples(samples, rng, x64):
    params, x = model(rng), rng.normal(size=(samples, 4)) + 3.0
    units = measure(params, jnp.asarray(x), get_activation("softplus"))
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
    [(half_squared_error(get_activation("tanh")), _half), (cross_entropy, _likelihood)],
)
def test_the_error_is_that_of_an_own_decoder_with_its_bias(error, typed, rng, x64):
    x = rng.uniform(size=(611, 4))
    own = {"decoder_bias": rng.normal(size=4), "decoder": rng.normal(size=(4, 7))}
    params = model(rng)._replace(**{name: jnp.asarray(leaf) for name, leaf in own.items()})
    units = measure(params, jnp.asarray(x), get_activation("sigmoid"), error)
    a = x @ np.asarray(params.weight).T + np.asarray(params.bias)
    z = 1 / (1 + np.exp(-a)) @ own["decoder"].T + own["decoder_bias"]
    np.testing.assert_allclose(units.reconstruction, typed(x, z).mean(), rtol=1e-12)


def test_metrics_are_means_over_units_and_lengths_of_rows(rng, x64):
    params, x = model(rng), rng.normal(size=(50, 4)) + 1.0
    metrics = summarize(params, measure(params, jnp.asarray(x), get_activation("relu")))
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
    units = measure(params, jnp.asarray(x), get_activation("relu"))
    np.testing.assert_allclose(units.variance[0], x.var(), rtol=1e-3)


def test_dead_units_are_those_active_on_no_sample(rng):
    params = Params(jnp.zeros((4, 2)), jnp.array([-1.0, 0.0, 1e-3, 2.0]))
    x = jnp.asarray(rng.normal(size=(50, 2)).astype(np.float32))
    metrics = summarize(params, measure(params, x, get_activation("relu")))
    assert metrics.dead_fraction == 0.5  # h = 0 is not above δ_min = 0
    assert metrics.activation_fraction == 0.5


def test_non_finite_and_collapsed_models_are_flagged(rng):
    x = jnp.asarray(rng.normal(size=(50, 2)).astype(np.float32))
    relu = get_activation("relu")

    def is_flagged(weight, bias):
        params = Params(jnp.full((100, 2), weight), jnp.asarray(bias, jnp.float32))
        return bool(flagged(summarize(params, measure(params, x, relu))))

    alive = np.full(100, 5.0)
    assert not is_flagged(0.1, alive)
    assert not is_flagged(0.1, np.where(np.arange(100) < 98, -50.0, 5.0))
    assert is_flagged(0.1, np.where(np.arange(100) < 99, -50.0, 5.0))
    assert is_flagged(np.nan, alive)
    assert is_flagged(0.1, np.full(100, np.inf))


def test_bias_pressure_of_sae_equals_its_closed_form(rng, x64):
    params, x = model(rng), rng.normal(size=(30, 4))
    eps, strength = jnp.zeros_like(x), jnp.asarray(3.0)
    objective = get_objective("sae", get_activation("sigmoid"))
    found = bias_pressure(objective, params, jnp.asarray(x), eps, strength)
    h = 1 / (1 + np.exp(-(x @ np.asarray(params.weight).T + np.asarray(params.bias))))
    left = 3.0 * (h * (1 - h)).mean(0) / (1 - h.mean(0))
    error = np.mean(np.sum((x - h @ np.asarray(params.weight)) ** 2, 1))
    right = 2 * np.sqrt(error) * np.linalg.norm(params.weight, axis=1)
    np.testing.assert_allclose(found.largest, (left / right).max(), rtol=1e-10)
    assert found.share == (left > right).mean()
    none = bias_pressure(objective, params, jnp.asarray(x), eps, jnp.asarray(0.0))
    assert none == BiasPressure(0.0, 0.0)


@pytest.mark.parametrize(("largest", "share"), [(0.6, 0.0), (0.99, 0.0), (1.01, 1 / 3)])
def test_theorem_1s_condition_is_met_from_its_bound_on(largest, share, x64):
    """Three identity units without reconstruction error in their bias: λ ∂R/∂b_j = 2 λ E[h_j]."""
    x = jnp.asarray(np.eye(3) - 1 / 3)
    bias = np.array([0.1, 0.2, 0.4])
    params = Params(jnp.eye(3), jnp.asarray(bias))
    bound = 2 * np.sqrt(np.sum(bias**2))  # y − x = b, rows of length 1
    strength = jnp.asarray(largest * bound / (2 * bias[-1]))
    objective = get_objective("mean-square", get_activation("identity"))
    ratio = bias_pressure(objective, params, x, jnp.zeros_like(x), strength)
    np.testing.assert_allclose(ratio.largest, largest, rtol=1e-12)
    assert ratio.share == pytest.approx(share)


def test_bias_pressure_is_for_squared_errors_and_counts_the_decoder(rng, x64):
    tied, x = model(rng), jnp.asarray(rng.normal(size=(30, 4)))
    untied = tied._replace(decoder=10 * tied.weight.T)
    objective = get_objective("sae", get_activation("sigmoid"))
    found = bias_pressure(objective, untied, x, jnp.zeros_like(x), jnp.asarray(3.0))
    h = 1 / (1 + np.exp(-(x @ np.asarray(tied.weight).T + np.asarray(tied.bias)[None])))
    left = 3.0 * (h * (1 - h)).mean(0) / (1 - h.mean(0))
    error = np.mean(np.sum((x - 10 * h @ np.asarray(tied.weight)) ** 2, 1))
    right = 2 * np.sqrt(error) * 10 * np.linalg.norm(tied.weight, axis=1)
    np.testing.assert_allclose(found.largest, (left / right).max(), rtol=1e-10)
    half = get_objective("satae", get_activation("relu"))
    unknown = bias_pressure(half, tied, x, jnp.zeros_like(x), jnp.asarray(3.0))
    assert np.isnan(unknown.largest)
    assert np.isnan(unknown.share)
