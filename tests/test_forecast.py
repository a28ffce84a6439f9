"""The audit's forecast: its simulated path against NumPy, and what it says of known trainings."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from aesparse.cli.app import app
from aesparse.data import load, standardize
from aesparse.errors import InputError
from aesparse.losses.penalties import mean_activation, slope
from aesparse.models.activations import Activation, get_activation
from aesparse.models.constraints import as_constraint
from aesparse.models.one_layer import Params
from aesparse.theory import audit
from aesparse.theory.conclusion import INDIFFERENT, LOWERS, NO_EFFECT, NOT_GUARANTEED, SPARSIFIES
from aesparse.theory.path import MOMENTS, simulate

pytestmark = pytest.mark.long

MEAN = mean_activation(lambda t: t)


@pytest.fixture(scope="module")
def digits():
    pixels = load("digits", samples=1_400).train
    return standardize(pixels, 0.1)(pixels)


def audited(s, penalty, X, **options):
    """As 40 epochs of digits at the rate of docs/protocol.md."""
    return audit(s, penalty, X, updates=1_120, learning_rate=0.003, **options)


@pytest.mark.parametrize("constraint", ["free", "unit"])
def test_the_path_is_that_of_sgd_with_momentum(constraint, rng):
    """Sigmoid units with λ Σ E h_j; gradients, momentum, projection and batches typed here."""
    X = rng.normal(size=(12, 3))
    weight = rng.normal(size=(2, 3))
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    updates, rate, batch, strength = 2 * MOMENTS, 0.05, 4, 0.7
    with jax.enable_x64(True):
        path = simulate(
            Params(jnp.asarray(weight), jnp.zeros(2)), jnp.asarray(X), get_activation("sigmoid"),
            MEAN, as_constraint(constraint), np.array([0.0, strength]), updates=updates, rate=rate,
            batch=batch,
        )  # fmt: skip
    order = np.random.default_rng(0)
    rows = np.concatenate([order.permutation(12) for _ in range(-(-updates // 3))])
    W, b, vW, vb = weight, np.zeros(2), 0.0, 0.0
    for i in range(updates):
        x = X[rows[i * batch : (i + 1) * batch]]
        h = 1 / (1 + np.exp(-(x @ W.T + b)))
        residual = h @ W - x
        of_a = (2 * residual @ W.T + strength) * h * (1 - h) / batch
        vW, vb = 0.9 * vW + of_a.T @ x + 2 * h.T @ residual / batch, 0.9 * vb + of_a.sum(axis=0)
        if constraint == "unit":
            vW = vW - np.sum(vW * W, axis=1, keepdims=True) * W
        W, b = W - rate * vW, b - rate * vb
        if constraint == "unit":
            W = W / np.linalg.norm(W, axis=1, keepdims=True)
    a = X @ W.T + b
    h = 1 / (1 + np.exp(-a))
    np.testing.assert_allclose(path.a[1], a, rtol=1e-10)
    np.testing.assert_allclose(path.mean[1, -1], a.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(path.spread[1, -1], a.std(axis=0), rtol=1e-10)
    np.testing.assert_allclose(path.fraction[1, -1], np.mean(h > 0.1))
    np.testing.assert_allclose(path.error[1, -1], np.mean(np.sum((X - h @ W) ** 2, axis=1)))
    np.testing.assert_allclose(path.updates[[0, -1]], [0, updates])


RELU = jax.nn.relu
LATE = 0.966  # above every mean at the models that an audit of digits begins with


def late_hinge(seen, eps):
    return 50 * jnp.sum(jax.nn.relu(jnp.mean(seen.code, axis=0) - LATE) ** 2)


# Two seeds of 40 epochs on digits, m = 64: the fraction at strength 0 and at 1.
TRAINED = {
    "δ out of reach": (Activation(RELU, 4.0), MEAN, "unit", 0.0003, 0.0010),
    "δ almost out of reach": (Activation(RELU, 2.5), MEAN, "unit", 0.016, 0.0085),
    "δ next to 0": (Activation(jax.nn.softplus, 1e-6), "cae", "unit", 1.0, 1.0),
    "free rows": ("elu+1", "mdae", "free", 1.0, 1.0),
    "slow, free rows": ("softplus", "cae", "free", 1.0, 0.913),
    "slow, max-norm": ("softplus", "cae", "max-norm", 1.0, 0.918),
    "slow penalty": ("softplus", slope(4, 2), "unit", 1.0, 0.935),
    "fast": ("relu", "sae", "unit", 0.9, 0.113),
    "not covered by a theorem": ("tanh", "sae", "unit", 0.5, 0.047),
}


@pytest.mark.long
@pytest.mark.parametrize("name", TRAINED)
def test_sparsifies_is_said_only_where_training_does(name, digits):
    s, penalty, constraint, first, last = TRAINED[name]
    found = audited(s, penalty, digits, constraint=constraint)
    moves = last < first - 0.05
    assert found.forecast.says == ("falls" if moves else "does not move")
    assert found.forecast.change == pytest.approx(last - first, abs=0.05)
    if found.conclusion == SPARSIFIES:
        assert moves
    else:
        assert found.conclusion in ({NOT_GUARANTEED, LOWERS} if not moves else {NOT_GUARANTEED})


def test_a_fall_of_the_mean_that_no_unit_shows_is_said_so(digits):
    found = audited(Activation(jax.nn.softplus, 1e-6), "cae", digits)
    assert found.conclusion == LOWERS
    assert found.forecast.change_of_mean < -1
    assert found.forecast.fraction.tolist() == [1.0] * 4
    assert "does not move" in str(found)


def test_a_penalty_that_acts_later_is_not_called_without_effect(digits):
    found = audited("relu", late_hinge, digits)
    assert (found.push == 0).all()
    assert found.conclusion == NOT_GUARANTEED
    assert "along the simulated path" in found.reason


def test_proofs_of_no_effect_stand(digits):
    assert audited("relu", "cae", digits).conclusion == INDIFFERENT
    still = audited("relu", lambda seen, eps: jnp.mean(seen.code > 1), digits)
    assert still.conclusion == NO_EFFECT
    assert still.forecast.says == "does not move"
    assert still.forecast.change == 0


def test_biases_drawn_upwards_raise_the_fraction(digits):
    found = audited(
        "sigmoid",
        lambda seen, eps: jnp.sum((seen.params.bias - 3) ** 2),
        digits,
        params=Params(np.eye(64), np.full(64, -3.0)),
    )
    assert found.forecast.says == "rises"
    assert found.forecast.change_of_mean > 0
    assert found.conclusion == NOT_GUARANTEED


def test_a_diverging_training_is_not_forecast(digits):
    found = audit("relu", "sae", digits, learning_rate=1e3, updates=100, constraint="free")
    assert found.forecast.says == "abstains"
    assert "diverges" in found.forecast.reason
    assert found.conclusion != SPARSIFIES


@pytest.mark.parametrize("updates", [1, 100, 50_000])
def test_a_path_is_short_and_never_longer_than_the_training(updates, digits):
    forecast = audit("relu", "sae", digits[:200], updates=updates, hidden=8).forecast
    assert forecast.updates == updates
    assert forecast.path.updates[-1] <= min(max(updates, MOMENTS), 4 * 600) + 1e-9
    assert (forecast.fraction >= 0).all()
    assert (forecast.fraction <= 1).all()


def test_a_training_is_by_default_that_of_fit(digits):
    forecast = audit("relu", "sae", digits[:230], hidden=8).forecast
    assert forecast.updates == 50 * (230 // 50)
    assert forecast.learning_rate == 0.001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"updates": 0}, "updates is 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"learning_rate": -1.0}, "learning_rate is -1"),
    ],
)
def test_impossible_trainings_are_refused(options, message, digits):
    with pytest.raises(InputError, match=message):
        audit("relu", "sae", digits, **options)


def test_the_command_writes_the_forecast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "audit --activation relu --penalty sae --hidden 8 --updates 300 --learning-rate 0.01"
    shown = CliRunner().invoke(app, [*words.split(), "--json"])
    assert shown.exit_code == 0, shown.output
    forecast = json.loads(shown.stdout)["forecast"]
    assert (forecast["updates"], forecast["learning rate"]) == (300, 0.01)
    assert forecast["fraction"] == "falls"
    assert forecast["activation fraction"][-1] < forecast["activation fraction"][0] - 0.05
    assert len(forecast["strengths"]) == len(forecast["mean of E[a_j]"]) == 4
