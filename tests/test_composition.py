"""Any error, corruption and penalties in one objective; several coefficients; warm starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

import aesparse as ae
from aesparse.losses import corruption, penalties
from aesparse.losses.objectives import composed
from aesparse.losses.reconstruction import cross_entropy, half_squared_error
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import Params, get_constraint
from aesparse.training.step import make_step, start

SIGMOID, IDENTITY = get_activation("sigmoid"), get_activation("identity")
DECAY = ("decay", penalties.weight_decay)
CONTRACTION = ("contraction", penalties.contractive)


@pytest.fixture
def problem(rng):
    """An untied model of 3 units on 5 pixels in [0, 1], with 4 samples and noise."""
    p = {"weight": rng.normal(size=(3, 5)), "bias": rng.normal(size=3),
         "decoder_bias": rng.normal(size=5), "decoder": rng.normal(size=(5, 3))}  # fmt: skip
    return p, rng.uniform(size=(4, 5)), rng.normal(size=(4, 5))


def value(objective, problem, strength):
    p, x, eps = problem
    params = Params(**{k: jnp.asarray(v) for k, v in p.items()})
    return objective(params, *map(jnp.asarray, (x, eps, strength)))


def linear_output(p, x):
    return expit(x @ p["weight"].T + p["bias"]) @ p["decoder"].T + p["decoder_bias"]


def test_cross_entropy_is_the_likelihood_of_a_coin_per_pixel(problem, x64):
    p, x, _ = problem
    y = expit(linear_output(p, x))
    expected = -np.mean(np.sum(x * np.log(y) + (1 - x) * np.log(1 - y), axis=1))
    loss, parts = value(composed(SIGMOID, error=cross_entropy), problem, np.zeros(0))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    assert parts["reconstruction"] == loss


def test_half_the_squared_error_behind_an_output_nonlinearity(problem, x64):
    p, x, _ = problem
    expected = np.mean(np.sum((x - np.tanh(linear_output(p, x))) ** 2, axis=1)) / 2
    error = half_squared_error(get_activation("tanh"))
    loss, _ = value(composed(SIGMOID, error=error), problem, np.zeros(0))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_the_first_number_corrupts_and_each_other_weighs_its_penalty(problem, x64):
    p, x, eps = problem
    noisy = x + np.sqrt(0.3) * eps
    slopes = (lambda h: h * (1 - h))(expit(x @ p["weight"].T + p["bias"]))
    decay = np.sum(p["weight"] ** 2) + np.sum(p["decoder"] ** 2)
    contraction = np.mean(np.sum(slopes**2 * np.sum(p["weight"] ** 2, axis=1), axis=1))
    error = np.mean(np.sum((x - linear_output(p, noisy)) ** 2, axis=1))
    objective = composed(SIGMOID, corrupt=corruption.gaussian, terms=(DECAY, CONTRACTION))
    loss, parts = value(objective, problem, [0.3, 0.05, 0.7])
    np.testing.assert_allclose(loss, error + 0.05 * decay + 0.7 * contraction, rtol=1e-12)
    np.testing.assert_allclose(parts["decay"], decay, rtol=1e-12)
    np.testing.assert_allclose(parts["contraction"], contraction, rtol=1e-12)


def test_one_penalty_composed_is_the_regularized_objective(problem, x64):
    objective = composed(SIGMOID, terms=(CONTRACTION,))
    expected = ae.objectives.get_objective("cae", SIGMOID)
    assert value(objective, problem, 0.4)[0] == value(expected, problem, 0.4)[0]


def test_a_wrong_number_of_coefficients_is_refused_before_anything_is_compiled():
    objective = composed(SIGMOID, corrupt=corruption.gaussian, terms=(DECAY,))
    with pytest.raises(ae.InputError, match=r"length 1; expected 2: corruption, decay\."):
        objective(Params(jnp.ones((2, 6)), jnp.zeros(2)), X := jnp.ones((3, 6)), X, jnp.ones(1))
    for strengths in (np.array([0.1, 0.2]), np.array([[0.1, 0.2, 0.3]])):
        with pytest.raises(ae.InputError, match=r"this objective takes 2 numbers, \[G, 2\]\."):
            fit(objective, strengths)


def test_cross_entropy_refuses_data_outside_its_bounds():
    with pytest.raises(ae.InputError, match=r"The data lies in \[-.*expects \[0, 1\]\. Scale"):
        fit(composed(SIGMOID, error=cross_entropy), [0.0], X=data() - 0.5)


@pytest.mark.long
def test_an_objective_of_no_terms_ignores_its_one_strength(x64):
    found = fit(composed(SIGMOID, error=half_squared_error(IDENTITY)), [0.3, 0.0])
    np.testing.assert_allclose(found.params.weight[:, 0], found.params.weight[:, 1], rtol=1e-12)
    # Half the error at some rate goes J_AE's own path at half of it.
    whole = fit(ae.objectives.get_objective("ae", SIGMOID), [0.0, 0.0], learning_rate=0.01)
    np.testing.assert_allclose(found.params.weight, whole.params.weight, rtol=1e-10)


def test_the_mean_of_a_condition_over_an_epoch_is_its_share_of_updates(x64):
    bound = float(fit(ae.objectives.get_objective("ae", SIGMOID), [0.0]).losses["loss"].mean())

    def fn(params, x, eps, strength):
        loss, parts = ae.objectives.get_objective("ae", SIGMOID)(params, x, eps, strength)
        return loss, {**parts, "above": loss > bound}

    share = fit(ae.objectives.Objective(fn, SIGMOID), [0.0]).losses["above"]
    assert ((share > 0) & (share < 1)).all()
    np.testing.assert_allclose(10 * share, np.round(10 * share), atol=1e-12)  # of 10 updates


def data():
    return np.random.default_rng(1).uniform(size=(100, 6))


def fit(objective, strengths, X=None, epochs=1, key=7, **options):
    options = {"hidden": 5, "batch_size": 10, "learning_rate": 0.02, "seeds": (3, 5)} | options
    X = data() if X is None else X
    return ae.fit_grid(
        jax.random.key(key), X, objective=objective, strengths=strengths, epochs=epochs, **options
    )


@pytest.mark.long
def test_a_grid_over_two_coefficients_equals_single_trainings(x64):
    objective = composed(SIGMOID, terms=(DECAY, CONTRACTION))
    grid = np.array([[0.0, 0.5], [0.01, 0.0], [0.02, 1.0]])
    whole = fit(objective, grid)
    chunked = fit(objective, grid, cells_per_program=1)
    for g, pair in enumerate(grid):
        alone = fit(objective, pair[None])
        for other in (whole, chunked):
            np.testing.assert_allclose(other.params.weight[:, g], alone.params.weight[:, 0], 1e-10)
    assert set(whole.losses) == {"loss", "reconstruction", "decay", "contraction"}


@pytest.mark.long
def test_training_goes_on_from_given_parameters(x64):
    """Without momentum, two epochs of one program are one epoch and then another."""
    objective = composed(SIGMOID, terms=(CONTRACTION,))
    options = {"strengths": [0.1, 0.4], "momentum": 0.0, "batch_size": len(data())}
    together = fit(objective, epochs=2, **options)
    first = fit(objective, **options)
    then = fit(objective, init=first.params, **options)
    np.testing.assert_allclose(then.params.weight, together.params.weight, rtol=1e-10)
    np.testing.assert_array_equal(
        then.history.reconstruction[..., 0], first.history.reconstruction[..., -1]
    )
    chunked = fit(objective, init=first.params, cells_per_program=1, **options)
    np.testing.assert_allclose(chunked.params.weight, then.params.weight, rtol=1e-10)


@pytest.mark.long
def test_a_path_is_one_training_after_another(x64):
    objective = composed(SIGMOID, terms=(CONTRACTION,))
    path, shape = [[0.0, 0.0], [0.1, 0.0], [0.4, 0.0]], {"hidden": 5, "batch_size": 10}
    options = shape | {"seeds": (3,), "epochs": 1, "objective": objective}
    first, second, third = ae.fit_path(jax.random.key(7), data(), path=path, **options)
    key = jax.random.fold_in(jax.random.key(7), 2)
    again = ae.fit_grid(key, data(), strengths=path[2], init=second.params, **options)
    np.testing.assert_array_equal(again.params.weight, third.params.weight)
    assert not np.allclose(third.params.weight[0, 0], third.params.weight[0, 1])
    np.testing.assert_array_equal(first.params.weight[0, 0], first.params.weight[0, 1])


@pytest.mark.parametrize("path", [[0.0, 0.2, 0.1], [0.0, 0.1, 0.1], [[0.1, 0], [0, 0.1]], []])
def test_a_path_that_does_not_grow_is_refused(path):
    with pytest.raises(ae.InputError, match=r"path .*; expected"):
        ae.fit_path(jax.random.key(0), data(), path=path, objective=composed(SIGMOID))


def test_decoder_columns_return_to_the_unit_sphere_every_tenth_update(problem, x64):
    objective, columns = composed(SIGMOID, terms=(CONTRACTION,)), get_constraint("unit-columns")
    step = jax.jit(make_step(objective, columns, 0.9))
    p, x, _ = problem
    state = start(Params(**{k: jnp.asarray(v) for k, v in p.items()}), columns)
    x, strength, rate = jnp.asarray(x), jnp.zeros(1), jnp.asarray(0.02)
    for i in range(25):
        state, _ = step(state, x, 0 * x, strength, rate, jnp.int32(i))
        off = np.abs(np.linalg.norm(state.params.decoder, axis=0) - 1).max()
        assert off <= 1e-12 if (i + 1) % 10 == 0 else off > 1e-6, i
    with pytest.raises(ae.InputError, match="'unit-columns' is given for tied weights"):
        fit(objective, [0.0], constraint="unit-columns")
