"""The maxout auto-encoder against NumPy: value, gradient, and a step with rows of length 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aesparse as ae
from aesparse.models.maxout import Maxout
from aesparse.models.one_layer import Params

pytestmark = pytest.mark.long

HIDDEN, PIECES, INPUTS = 4, 3, 5
STRENGTH = 0.3


def problem(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights [k, m, n] with rows of length 1, biases [k, m], data [N, n]."""
    weight = rng.normal(size=(PIECES, HIDDEN, INPUTS))
    weight /= np.linalg.norm(weight, axis=-1, keepdims=True)
    return weight, rng.normal(size=(PIECES, HIDDEN)) - 2, rng.normal(size=(7, INPUTS))


def codes(weight, bias, X) -> np.ndarray:
    return np.max(np.einsum("kmn,sn->skm", weight, X) + bias, axis=1)


def sae_loss(weight, bias, X) -> float:
    """J_AE − λ Σ log(1 − E[h_j]), written out; exact while every E[h_j] is below 0.99."""
    h = codes(weight, bias, X)
    assert h.mean(axis=0).max() < 0.99
    residual = X - h @ weight.mean(axis=0)
    return np.mean(np.sum(residual**2, axis=1)) - STRENGTH * np.sum(np.log(1 - h.mean(axis=0)))


def gradients(weight, bias, X, by=1e-6) -> tuple[np.ndarray, np.ndarray]:
    """Of `sae_loss` by central differences."""
    of_weight, of_bias = np.zeros_like(weight), np.zeros_like(bias)
    for array, out, loss in (
        (weight, of_weight, lambda moved: sae_loss(moved, bias, X)),
        (bias, of_bias, lambda moved: sae_loss(weight, moved, X)),
    ):
        for i in np.ndindex(array.shape):
            moves = np.zeros_like(array)
            moves[i] = by
            out[i] = (loss(array + moves) - loss(array - moves)) / (2 * by)
    return of_weight, of_bias


@pytest.mark.usefixtures("x64")
def test_value_and_gradient_are_those_of_numpy(rng):
    weight, bias, X = problem(rng)
    params = Params(jnp.asarray(weight), jnp.asarray(bias))
    model = Maxout(HIDDEN, PIECES)
    np.testing.assert_allclose(
        model.encode(params, jnp.asarray(X)), codes(weight, bias, X), atol=1e-14
    )
    single = model.encode(params, jnp.asarray(X[0]))
    np.testing.assert_allclose(single, codes(weight, bias, X[:1])[0], atol=1e-14)

    x = jnp.asarray(X)

    def loss(params):
        objective = ae.get_objective("sae")
        return objective(model, params, x, jnp.zeros_like(x), {"strength": STRENGTH})[0]

    value, gradient = jax.value_and_grad(loss)(params)
    np.testing.assert_allclose(value, sae_loss(weight, bias, X), rtol=1e-12)
    for ours, theirs in zip(gradient[:2], gradients(weight, bias, X), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


@pytest.mark.usefixtures("x64")
def test_a_step_turns_the_rows_of_every_piece_and_leaves_their_length(rng):
    weight, bias, X = problem(rng)
    rate = 0.01
    result = ae.fit(
        X,
        Maxout(HIDDEN, PIECES),
        "sae",
        sweep={"strength": STRENGTH},
        optimizer=ae.sgd(rate, 0.9),
        constraint="unit",
        measure=ae.metrics.code_sizes,
        epochs=1,
        batch_size=len(X),
        start=Params(jnp.asarray(weight), jnp.asarray(bias)),
    )
    of_weight, of_bias = gradients(weight, bias, X)
    along = np.sum(weight * of_weight, axis=-1, keepdims=True)
    moved = weight - rate * (of_weight - along * weight)
    moved /= np.linalg.norm(moved, axis=-1, keepdims=True)
    assert np.abs(moved - weight).max() > 1e-3
    np.testing.assert_allclose(result.params.weight, moved, atol=1e-8)
    np.testing.assert_allclose(result.params.bias, bias - rate * of_bias, atol=1e-8)
    h = codes(result.params.weight, result.params.bias, X)
    np.testing.assert_allclose(result.final.mean, h.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(result.final.small, np.mean(np.abs(h) <= 0.1, axis=0), atol=1e-12)


def test_one_piece_is_the_linear_model_with_tied_weights(rng):
    X = rng.normal(size=(60, INPUTS)).astype(np.float32)
    weight = rng.normal(size=(HIDDEN, INPUTS)).astype(np.float32) / 4

    def trained(model, start):
        return ae.fit(
            X, model, "dae", sweep={"strength": 0.2}, epochs=2, batch_size=10, start=start,
            measure=ae.metrics.code_sizes,
        )  # fmt: skip

    maxout = trained(Maxout(HIDDEN, 1), Params(jnp.asarray(weight[None]), jnp.zeros((1, HIDDEN))))
    linear = trained(
        ae.OneLayer(HIDDEN, "identity"), Params(jnp.asarray(weight), jnp.zeros(HIDDEN))
    )
    assert np.abs(maxout.params.weight[0] - weight).max() > 0.01
    np.testing.assert_allclose(maxout.params.weight[0], linear.params.weight, atol=1e-5)
    np.testing.assert_allclose(maxout.params.bias[0], linear.params.bias, atol=1e-5)


def test_pieces_start_apart_and_as_one_layer_models_do():
    params = Maxout(200, 3).init(jax.random.key(0), 50)
    limit = np.sqrt(6 / 250)  # Glorot's uniform distribution
    assert params.weight.shape == (3, 200, 50)
    assert not params.bias.any()
    assert np.abs(params.weight).max() <= limit
    np.testing.assert_allclose(np.std(params.weight), limit / np.sqrt(3), rtol=0.02)
    pieces = np.asarray(params.weight).reshape(3, -1)
    assert np.abs(np.corrcoef(pieces) - np.eye(3)).max() < 0.05


@pytest.mark.parametrize("counts", [(0, 3), (4, 0), (-1, 3), (4, -3)])
def test_counts_below_one_are_refused(counts):
    with pytest.raises(ae.InputError, match="integer"):
        Maxout(*counts)
