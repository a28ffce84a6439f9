"""Any error, corruption and penalties in one objective, whose coefficients have names."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from aesparse.errors import InputError
from aesparse.losses import penalties
from aesparse.losses.objectives import composed, get_objective
from aesparse.losses.reconstruction import cross_entropy, half_squared_error
from aesparse.models.one_layer import OneLayer, Params

CONTRACTION = {"contraction": penalties.contractive}


@pytest.fixture
def problem(rng):
    """An untied model of 3 units on 5 pixels in [0, 1], with 4 samples and noise."""
    p = {"weight": rng.normal(size=(3, 5)), "bias": rng.normal(size=3),
         "decoder_bias": rng.normal(size=5), "decoder": rng.normal(size=(5, 3))}  # fmt: skip
    return p, rng.uniform(size=(4, 5)), rng.normal(size=(4, 5))


def value(objective, problem, **coefficients):
    p, x, eps = problem
    params = Params(**{k: jnp.asarray(v) for k, v in p.items()})
    numbers = {name: jnp.asarray(v) for name, v in coefficients.items()}
    model = OneLayer.of(params, "sigmoid")
    return objective(model, params, jnp.asarray(x), jnp.asarray(eps), numbers)


def linear_output(p, x):
    return expit(x @ p["weight"].T + p["bias"]) @ p["decoder"].T + p["decoder_bias"]


def test_cross_entropy_is_the_likelihood_of_a_coin_per_pixel(problem, x64):
    p, x, _ = problem
    y = expit(linear_output(p, x))
    expected = -np.mean(np.sum(x * np.log(y) + (1 - x) * np.log(1 - y), axis=1))
    loss, parts = value(composed(error=cross_entropy), problem)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    assert parts["reconstruction"] == loss


def test_half_the_squared_error_behind_an_output_nonlinearity(problem, x64):
    p, x, _ = problem
    expected = np.mean(np.sum((x - np.tanh(linear_output(p, x))) ** 2, axis=1)) / 2
    loss, _ = value(composed(error=half_squared_error("tanh")), problem)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_one_coefficient_corrupts_and_each_other_weighs_its_penalty(problem, x64):
    p, x, eps = problem
    noisy = x + np.sqrt(0.3) * eps
    slopes = (lambda h: h * (1 - h))(expit(x @ p["weight"].T + p["bias"]))
    decay = np.sum(p["weight"] ** 2) + np.sum(p["decoder"] ** 2)
    contraction = np.mean(np.sum(slopes**2 * np.sum(p["weight"] ** 2, axis=1), axis=1))
    error = np.mean(np.sum((x - linear_output(p, noisy)) ** 2, axis=1))
    objective = composed(corrupt="gaussian", terms={"decay": "weight-decay", **CONTRACTION})
    assert objective.coefficients == ("corruption", "decay", "contraction")
    loss, parts = value(objective, problem, contraction=0.7, corruption=0.3, decay=0.05)
    np.testing.assert_allclose(loss, error + 0.05 * decay + 0.7 * contraction, rtol=1e-12)
    np.testing.assert_allclose(parts["decay"], decay, rtol=1e-12)
    np.testing.assert_allclose(parts["contraction"], contraction, rtol=1e-12)


def test_one_penalty_composed_is_the_regularized_objective(problem, x64):
    one = value(composed(terms=CONTRACTION), problem, contraction=0.4)[0]
    assert one == value(get_objective("cae"), problem, strength=0.4)[0]


def test_terms_are_a_mapping_or_pairs_and_their_penalties_functions_or_names():
    pairs = [("contraction", "cae"), ("decay", penalties.weight_decay)]
    assert composed(terms=dict(pairs)) == composed(terms=tuple(pairs)) == composed(terms=pairs)
    assert composed(error="cross-entropy") == composed(error=cross_entropy)


@pytest.mark.parametrize(
    "terms",
    [
        [("a", "cae"), ("a", "mdae")],
        {"reconstruction": "cae"},
        {"corruption": "cae"},
        {"loss": "cae"},
        {"a": "kae"},
    ],
)
def test_terms_of_names_that_do_not_fit_are_refused(terms):
    with pytest.raises(InputError):
        composed(terms=terms)


@pytest.mark.parametrize("options", [{"error": "cros-entropy"}, {"corrupt": "mask"}])
def test_unknown_errors_and_corruptions_are_refused(options):
    with pytest.raises(InputError):
        composed(**options)


def test_the_level_of_masking_has_a_range():
    assert composed(corrupt="masking").levels == (("corruption", 0.0, 1.0),)
    assert composed(corrupt="gaussian").levels == ()


def test_a_users_error_has_one_number_a_sample(problem, x64):
    p, x, _ = problem
    loss, _ = value(composed(error=lambda x, z: jnp.sum(jnp.abs(x - z), axis=-1)), problem)
    expected = np.mean(np.sum(np.abs(x - linear_output(p, x)), axis=1))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    with pytest.raises(InputError, match="shape"):
        value(composed(error=lambda x, z: jnp.sum(jnp.abs(x - z))), problem)
