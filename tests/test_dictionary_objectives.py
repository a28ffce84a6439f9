"""Objectives of dictionary models: values and gradients against NumPy, a grid of each, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracle_dictionary as oracle
import pytest
from small_dictionary import HIDDEN, INPUTS, RULES, data, parameters

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses.dictionary import dictionary_l1, gated, jumprelu_l0, matryoshka, topk
from aesparse.models.codes import BatchTopK, Gated, JumpRelu, Relu, TopK
from aesparse.models.dictionary import DictionaryModel

STRENGTH, AUXILIARY, PREFIXES = 0.3, 0.25, (2, 5, HIDDEN)
BANDWIDTH = 0.5


def l0(p, X, h):
    return np.mean(np.sum(oracle.preactivations(p, X) > np.exp(p.log_threshold), axis=1))


def gate_size(p, X, h):
    return np.mean(np.sum(np.maximum(oracle.preactivations(p, X), 0), axis=1))


# By name: the objective, the rule of its model, the code in training, the penalty of (p, X, h).
KINDS = {
    "l1": (dictionary_l1, Relu(), oracle.relu, lambda p, X, h: np.mean(np.sum(h, axis=1))),
    "top-k": (topk, TopK(3), RULES["top-k"][1], None),
    "batch top-k": (topk, BatchTopK(2), lambda p, X: oracle.batch_topk(p, X, 2), None),
    "jump": (jumprelu_l0, JumpRelu(BANDWIDTH, threshold=0.3), oracle.jump, l0),
    "gated": (gated, Gated(), oracle.gated, gate_size),
}


def wanted_parts(name, p, X, prefixes=None, k=None):
    """The parts of the loss and the loss in NumPy."""
    _, _, code, penalty = KINDS[name]
    h = code(p, X)
    *shorter, whole = oracle.prefix_errors(p, X, h, prefixes or (HIDDEN,))
    parts = {"reconstruction": whole}
    if shorter:
        parts["nested"] = sum(shorter)
    if name == "gated":
        by_gates = np.maximum(oracle.preactivations(p, X), 0)
        parts["gate_error"] = oracle.error(p, X, by_gates)
    loss = sum(parts.values())
    if penalty:
        parts["penalty"] = penalty(p, X, h)
        loss += STRENGTH * parts["penalty"]
    if k:
        a = oracle.preactivations(p, X)
        parts["auxiliary"] = oracle.dead_units_error(p, X, h, k, a)
        loss += AUXILIARY * parts["auxiliary"]
    return loss, parts


def called(objective, model, params, X):
    values = {"strength": STRENGTH, "auxiliary": AUXILIARY}
    chosen = {name: values[name] for name in objective.coefficients}
    return objective(model, params, X, X, chosen)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("k", "nested"), [(None, False), (2, True)])
@pytest.mark.parametrize("name", KINDS)
def test_the_loss_and_its_parts_are_those_of_numpy(name, k, nested, rng):
    make, rule, code, _ = KINDS[name]
    params, X = parameters(rng, dtype=np.float64), data(rng, 6, np.float64)
    bias = params.bias.copy()
    bias[[1, 4, 6]] = -2.5  # mostly dead in the batch
    gate = params.gate._replace(bias=np.abs(params.gate.bias))  # open gates give numbers > 0
    params = params._replace(bias=bias, gate=gate, log_threshold=params.log_threshold - 1)
    objective = make(auxiliary=k)
    if nested:
        objective = matryoshka(PREFIXES, objective)
    loss, parts = called(objective, DictionaryModel(HIDDEN, rule), params, jnp.asarray(X))
    wanted, wanted_by_name = wanted_parts(name, params, X, PREFIXES if nested else None, k)
    assert {key: float(v) for key, v in parts.items()} == pytest.approx(wanted_by_name, rel=1e-10)
    assert float(loss) == pytest.approx(wanted, rel=1e-10)
    h = code(params, X)
    dead = ~h.any(axis=0)
    assert 0 < dead.sum() < HIDDEN


@pytest.mark.usefixtures("x64")
def test_the_gradient_of_the_thresholds_is_the_published_one(rng):
    params, X = parameters(rng, dtype=np.float64), data(rng, 60, np.float64)
    model = DictionaryModel(HIDDEN, JumpRelu(BANDWIDTH))

    def loss(params):
        return called(jumprelu_l0(), model, params, jnp.asarray(X))[0]

    got = jax.grad(loss)(params).log_threshold
    wanted = oracle.l0_gradient(params, X, STRENGTH, BANDWIDTH)
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
    assert np.count_nonzero(wanted) > HIDDEN // 2


def gradient_of(part, objective, model, params, X):
    """The gradient of one part of a loss."""
    return jax.grad(lambda p: called(objective, model, p, jnp.asarray(X))[1][part])(params)


def test_the_gates_reconstruct_by_a_decoder_that_is_held_constant(rng):
    model, params, X = DictionaryModel(HIDDEN, Gated()), parameters(rng), data(rng)
    gradient = gradient_of("gate_error", gated(), model, params, X)
    assert not np.any(gradient.decoder)
    assert np.any(gradient.weight)
    assert np.any(gradient.bias)
    # b_d is held constant where it is added, not where it is subtracted: ∂/∂b_d = −Wᵀ ∂/∂b.
    np.testing.assert_allclose(
        gradient.decoder_bias, -params.weight.T @ gradient.bias, rtol=1e-3, atol=1e-3
    )


def test_the_auxiliary_loss_moves_dead_units_alone(rng):
    params, X = parameters(rng), data(rng)
    model = DictionaryModel(HIDDEN, TopK(1))
    X = X[:4]
    dead = ~np.any(np.asarray(model.encode(params, jnp.asarray(X))), axis=0)
    assert 0 < dead.sum() < HIDDEN
    gradient = gradient_of("auxiliary", topk(auxiliary=HIDDEN), model, params, X)
    assert not np.any(gradient.decoder[:, ~dead])
    assert not np.any(gradient.weight[~dead])
    assert np.any(gradient.decoder[:, dead])
    assert np.any(gradient.weight[dead])


def test_without_dead_units_the_auxiliary_loss_is_0(rng):
    params, X = parameters(rng), data(rng, 300)
    objective = topk(auxiliary=2)
    model = DictionaryModel(HIDDEN, TopK(HIDDEN))
    assert float(called(objective, model, params, jnp.asarray(X))[1]["auxiliary"]) == 0
    gradient = gradient_of("auxiliary", objective, model, params, X)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_equal_options_give_equal_objectives():
    assert topk(auxiliary=4) == topk(auxiliary=4) != topk(auxiliary=5)
    assert matryoshka([2, 4], gated()) == matryoshka((2, 4), gated()) != gated()
    assert len({topk(), topk(), dictionary_l1(), jumprelu_l0(), gated()}) == 4


# Grids

GRID = {"strength": [0.0, 2.0], "seed": [0, 1], "learning_rate": 0.01}
OBJECTIVES = {
    **{name: (make(), rule) for name, (make, rule, _, _) in KINDS.items()},
    "matryoshka": (matryoshka(PREFIXES, topk(auxiliary=2)), BatchTopK(3)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_grid_trains_in_one_program_that_passes_the_compile_check(name, rng):
    objective, rule = OBJECTIVES[name]
    X, model = data(rng, 200), DictionaryModel(HIDDEN, rule)
    sweep = {k: v for k, v in GRID.items() if k != "strength" or k in objective.coefficients}
    sweep |= dict.fromkeys(set(objective.coefficients) & {"auxiliary"}, 1 / 32)
    result = ae.fit(
        X, model, objective, sweep=sweep, constraint="unit-atoms", epochs=5, batch_size=20,
        optimizer=optax.inject_hyperparams(optax.adam)(0.01),
    )  # fmt: skip
    errors = result.losses["reconstruction"]
    assert errors.shape == ((2, 2, 5) if "strength" in sweep else (2, 5))
    assert np.all(result.diverged_epoch == -1)
    np.testing.assert_allclose(np.linalg.norm(result.params.decoder, axis=-2), 1, rtol=1e-5)
    if "strength" not in sweep:
        assert np.all(errors[..., -1] < errors[..., 0])
        return
    active = np.asarray(result.final.activation_fraction)
    assert np.all(errors[0, :, -1] < errors[0, :, 0])
    assert np.all(active[1] < active[0] - 0.05)  # sparser with the strength


# Wrong options


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TopK(0), ["k is 0", "at least 1"]),
        (lambda: BatchTopK(-1), ["k is -1", "at least 1"]),
        (lambda: DictionaryModel(4, TopK(5)), ["5", "4 hidden units"]),
        (lambda: DictionaryModel(4, BatchTopK(5)), ["5", "4 hidden units"]),
        (lambda: JumpRelu(0.0), ["bandwidth", "0"]),
        (lambda: JumpRelu(-1.0), ["bandwidth", "-1"]),
        (lambda: JumpRelu(0.1, threshold=0.0), ["threshold", "0"]),
        (lambda: topk(auxiliary=0), ["auxiliary", "at least 1"]),
        (lambda: matryoshka((4, 4), topk()), ["(4, 4)", "increasing"]),
        (lambda: matryoshka((0, 4), topk()), ["(0, 4)", "at least 1"]),
        (lambda: matryoshka((), topk()), ["()", "increasing"]),
        (lambda: matryoshka((2, 4), ae.get_objective("ae")), ["base objective", "topk()"]),
    ],
)
def test_an_option_without_meaning_is_refused(make, words):
    with pytest.raises(InputError) as caught:
        make()
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("objective", "model", "words"),
    [
        (topk(), ae.OneLayer(4), ["OneLayer", "TopK"]),
        (topk(), DictionaryModel(4), ["Relu", "TopK"]),
        (jumprelu_l0(), DictionaryModel(4, TopK(1)), ["TopK", "JumpRelu"]),
        (gated(), DictionaryModel(4), ["Relu", "Gated"]),
        (matryoshka((2, 5), dictionary_l1()), DictionaryModel(4), ["(2, 5)", "end at 4"]),
        (topk(auxiliary=5), DictionaryModel(4, TopK(1)), ["auxiliary is 5", "at most 4"]),
    ],
)
def test_a_model_that_does_not_fit_the_objective_is_refused(objective, model, words):
    sweep = dict.fromkeys(objective.coefficients, 0.1) | {"learning_rate": 0.1}
    with pytest.raises(InputError) as caught:
        ae.fit(np.zeros((20, INPUTS), np.float32), model, objective, sweep=sweep, batch_size=10)
    assert all(word in str(caught.value) for word in words)
