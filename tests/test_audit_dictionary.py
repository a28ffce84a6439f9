"""The audit of sparse auto-encoders: its numbers are those of formulas in NumPy and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from published_layouts import KINDS, M, N, codes, folder, settings, weights
from scipy.stats import norm

import aesparse as ae
from aesparse.losses.dictionary import dictionary_l1, jumprelu_l0, matryoshka, topk
from aesparse.models.codes import BatchTopK, Gated, GateParams, JumpRelu, Relu, TopK
from aesparse.models.dictionary import DictionaryModel, DictionaryParams
from aesparse.theory.response import STRENGTHS

ROWS = 400


@pytest.fixture
def X(rng):
    """Correlated Gaussian rows whose mean is far from 0."""
    return rng.normal(size=(ROWS, N)) @ rng.normal(size=(N, N)) + rng.normal(size=N) * 2


def made(rng, **extras):
    return DictionaryParams(
        rng.normal(size=(M, N)),
        rng.normal(size=M),
        rng.normal(size=(N, M)),
        rng.normal(size=N),
        **extras,
    )


def projections(params, X):
    return (X - params.decoder_bias) @ params.weight.T


def gaussian(params, X, threshold):
    """P(a_j > t_j) by the mean and covariance of X."""
    mean = params.weight @ (X.mean(axis=0) - params.decoder_bias) + params.bias
    covariance = np.cov(X.T, bias=True)
    spread = np.sqrt(np.einsum("jn,nk,jk->j", params.weight, covariance, params.weight))
    return norm.sf(threshold, mean, spread)


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_file_is_audited(kind, X, tmp_path):
    arrays = weights(kind)
    trained = ae.read_published(folder(tmp_path / "sae", arrays, settings(kind)))
    audit = ae.audit_dictionary(trained.model, X, params=trained.params)
    h = codes(kind, arrays, X, subtract=True)
    y = h @ arrays["W_dec"] + arrays["b_dec"]
    error = ((X - y) ** 2).sum() / ((X - X.mean(axis=0)) ** 2).sum()
    assert audit.samples == ROWS
    assert float(audit.quality.l0) == pytest.approx((h > 0).sum(axis=1).mean())
    assert float(audit.quality.dead_fraction) == pytest.approx((~(h > 0).any(axis=0)).mean())
    assert float(audit.quality.explained_variance) == pytest.approx(1 - error, rel=1e-6)
    assert audit.predicted_active.sum() == pytest.approx((h > 0).sum(axis=1).mean(), abs=1)
    assert all(name in str(audit) for name in audit.moves_bias)


@pytest.mark.parametrize("subtract", [True, False])
def test_active_units_are_predicted_from_mean_and_covariance(subtract, X, rng):
    theta, gate = rng.uniform(0.1, 2, size=M), GateParams(rng.normal(size=M), rng.normal(size=M))
    params = made(rng, log_threshold=np.log(theta))
    seen = params if subtract else params._replace(decoder_bias=np.zeros(N))
    share = np.exp(gate.log_scale)
    gated = np.maximum(0, params.bias - gate.bias / share)  # share·(a − b) + c > 0
    for rule, extras, threshold in (
        (Relu(), {"log_threshold": None}, 0),
        (JumpRelu(), {}, theta),
        (Gated(), {"log_threshold": None, "gate": gate}, gated),
    ):
        model = DictionaryModel(M, rule, subtract)
        audit = ae.audit_dictionary(model, X, params=params._replace(**extras))
        expected = gaussian(seen, X, threshold)
        np.testing.assert_allclose(audit.predicted_active, expected, rtol=1e-9, atol=1e-12)
        # The rows are Gaussian: what is measured differs by the sampling alone.
        error = np.sqrt(expected * (1 - expected) / ROWS)
        assert np.all(np.abs(audit.quality.density - expected) < 4 * error + 2 / ROWS)
        shifted = X - X.mean(axis=0) + seen.decoder_bias
        centred = gaussian(seen, shifted, threshold)
        np.testing.assert_allclose(audit.centred_active, centred, rtol=1e-9, atol=1e-12)
        dead = np.mean((1 - expected) ** ROWS)
        assert audit.predicted_dead == pytest.approx(dead, rel=1e-6, abs=1e-15)


@pytest.mark.parametrize("rule", [TopK(3), BatchTopK(3)])
def test_of_the_k_largest_k_are_predicted(rule, X):
    audit = ae.audit_dictionary(DictionaryModel(M, rule), X)
    assert audit.predicted_active.sum() == pytest.approx(3)
    assert audit.centred_active.sum() == pytest.approx(3)
    assert float(audit.quality.l0) == pytest.approx(3, abs=0.1)  # few samples have less positive
    np.testing.assert_allclose(audit.predicted_active, audit.quality.density, atol=0.25)


def test_where_fewer_than_k_are_positive_the_prediction_is_that_of_a_relu(X, rng):
    params = made(rng)._replace(bias=np.full(M, -20.0))
    audit = ae.audit_dictionary(DictionaryModel(M, TopK(9)), X, params=params)
    np.testing.assert_allclose(audit.predicted_active, gaussian(params, X, 0), rtol=1e-9)
    assert audit.predicted_active.sum() < 9


def test_units_that_nothing_reaches_are_dead_and_predicted_so(X, rng):
    params = made(rng)
    params = params._replace(bias=np.where(np.arange(M) < 4, -1e6, 1e6))
    audit = ae.audit_dictionary(DictionaryModel(M), X, params=params)
    assert float(audit.quality.dead_fraction) == 4 / M
    assert audit.predicted_dead == audit.centred_dead == 4 / M


def test_the_parts_that_move_biases_and_thresholds(X, rng):
    theta, bandwidth = rng.uniform(0.5, 2, size=M), 0.5
    params = made(rng, log_threshold=np.log(theta))
    z = projections(params, X) + params.bias
    relu, jump = np.maximum(z, 0), z * (z > theta)

    def of_error(h):  # 2 E (y − x)·D_j over the samples on which h_j > 0
        residual = h @ params.decoder.T + params.decoder_bias - X
        return 2 * ((residual @ params.decoder) * (h > 0)).mean(axis=0)

    plain = params._replace(log_threshold=None)
    audit = ae.audit_dictionary(DictionaryModel(M), X, params=plain, batch=40)
    np.testing.assert_allclose(audit.bias_gradients["reconstruction"], of_error(relu), rtol=1e-9)
    np.testing.assert_allclose(audit.bias_gradients["penalty"], (z > 0).mean(axis=0), rtol=1e-9)
    assert set(audit.moves_bias) == {"reconstruction", "penalty"}
    assert not audit.threshold_gradients

    model = DictionaryModel(M, JumpRelu(bandwidth))
    audit = ae.audit_dictionary(model, X, params=params, batch=40)
    near = (np.abs(z - theta) < bandwidth / 2) / bandwidth
    residual = jump @ params.decoder.T + params.decoder_bias - X
    by_theta = -2 * ((residual @ params.decoder) * theta * near).mean(axis=0)
    np.testing.assert_allclose(audit.bias_gradients["reconstruction"], of_error(jump), rtol=1e-9)
    assert audit.moves_bias == ("reconstruction",)  # L0 has no derivative by a_j
    by_log = {"penalty": -theta * near.mean(axis=0), "reconstruction": theta * by_theta}
    assert set(audit.threshold_gradients) == set(by_log)
    for part, expected in by_log.items():
        np.testing.assert_allclose(audit.threshold_gradients[part], expected, rtol=1e-9, atol=1e-12)


def test_a_gate_is_moved_by_its_own_losses_and_top_k_by_the_error_alone(X):
    gated = ae.audit_dictionary(DictionaryModel(M, Gated()), X)
    assert set(gated.moves_bias) == {"penalty", "gate_error"}
    chosen = ae.audit_dictionary(DictionaryModel(M, TopK(2)), X)
    assert chosen.moves_bias == ("reconstruction",)
    assert not chosen.responses  # there is no strength
    nested = matryoshka((2, M), topk(auxiliary=2))
    model, weight = DictionaryModel(M, TopK(2)), {"auxiliary": 1 / 32}
    audit = ae.audit_dictionary(model, X, nested, coefficients=weight)
    assert set(audit.bias_gradients) == {"reconstruction", "nested", "auxiliary"}


def adam(gradients):
    """The last of Adam's directions (Kingma & Ba 2015, algorithm 1), at a unit rate."""
    m, v, t = 0.0, 0.0, len(gradients)
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def test_beyond_the_saturation_the_step_of_adam_is_that_of_the_penalty_alone(X, rng):
    params = made(rng)
    one_batch = ae.audit_dictionary(DictionaryModel(M), X, params=params, batch=ROWS)
    rest, penalty = (one_batch.bias_gradients[name] for name in ("reconstruction", "penalty"))
    response = one_batch.responses["bias"]
    steps = np.array([-adam([rest + strength * penalty] * 50) for strength in STRENGTHS])
    np.testing.assert_allclose(response.change, steps, rtol=1e-6, atol=1e-9)
    distance = np.abs(steps + adam([penalty] * 50)).mean(axis=1)
    limit = 0.05 * np.abs(adam([penalty] * 50)).mean()
    beyond = response.saturation <= STRENGTHS
    assert 0 < beyond.sum() < len(STRENGTHS)
    assert np.all(distance[beyond] <= limit)
    assert distance[~beyond][-1] > limit


def test_a_strength_that_moves_no_bias_never_saturates_there(X):
    audit = ae.audit_dictionary(DictionaryModel(M, JumpRelu(0.5)), X)
    assert np.isinf(audit.responses["bias"].saturation)
    assert np.isfinite(audit.responses["log_threshold"].saturation)


def test_the_order_and_the_number_of_rows_change_nothing(X, rng):
    params = made(rng)
    audit = ae.audit_dictionary(DictionaryModel(M), X, params=params, batch=20)
    other = ae.audit_dictionary(DictionaryModel(M), np.flip(X, 0), params=params, batch=50)
    np.testing.assert_allclose(audit.predicted_active, other.predicted_active, rtol=1e-9)
    for part, gradient in audit.bias_gradients.items():
        np.testing.assert_allclose(gradient, other.bias_gradients[part], rtol=1e-9)


BAD = {
    "an objective of another rule": ({"objective": jumprelu_l0()}, "JumpRelu"),
    "an unknown objective": ({"objective": "caee"}, "caee"),
    "parameters of another model": ({"params": DictionaryModel(M + 1)}, str(M + 1)),
    "a coefficient that is missing": ({"objective": dictionary_l1(auxiliary=2)}, "auxiliary"),
    "a coefficient too many": ({"coefficients": {"strength": 1.0}}, "strength"),
    "no batch": ({"batch": 0}, "batch"),
    "constant rows": ({"X": np.ones((5, N))}, "same"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(what, X):
    changes, name = BAD[what]
    given = {"model": DictionaryModel(M), "X": X} | changes
    if "params" in given:
        given["params"] = given["params"].init(jax.random.key(0), N)
    with pytest.raises(ae.InputError) as error:
        ae.audit_dictionary(given.pop("model"), given.pop("X"), **given)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_grid_and_numbers_that_are_not_finite_are_refused(X, rng):
    params = made(rng)
    grid = jax.tree.map(lambda v: jnp.stack([v, v]), params)
    with pytest.raises(ae.InputError, match="grid"):
        ae.audit_dictionary(DictionaryModel(M), X, params=grid)
    params.bias[0] = np.nan
    with pytest.raises(ae.InputError, match="NaN"):
        ae.audit_dictionary(DictionaryModel(M), X, params=params)
