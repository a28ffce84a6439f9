"""Converted strengths: the gradients of other losses are parallel to those of aesparse."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aesparse as ae
from aesparse.losses.scales import SCALES, LossScale, convert_learning_rate, convert_strength

N, INPUTS, UNITS = 5, 7, 3
REDUCTIONS = {"sum": np.sum, "mean": np.mean}
ALL = [
    LossScale(inputs, samples, factor, units, penalty_samples, penalty_factor)
    for inputs, samples, units, penalty_samples in itertools.product(("sum", "mean"), repeat=4)
    for factor, penalty_factor in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.5))
]


def problem():
    rng = np.random.default_rng(1)
    weight, X = rng.normal(size=(UNITS, INPUTS)), rng.normal(size=(N, INPUTS))
    return weight, rng.normal(size=UNITS), X


def loss_in_numpy(weight, bias, X, strength, scale):
    """Another library's loss with a sigmoid code, tied weights and the ℓ1 norm of the code."""
    code = 1 / (1 + np.exp(-(X @ weight.T + bias)))
    error = REDUCTIONS[scale.inputs]((X - code @ weight) ** 2, axis=1)
    error = scale.factor * REDUCTIONS[scale.samples](error)
    penalty = REDUCTIONS[scale.units](np.abs(code), axis=1)
    return error + strength * scale.penalty_factor * REDUCTIONS[scale.penalty_samples](penalty)


def differences(f, point, step=1e-6):
    """The gradient by central differences."""
    gradient = np.empty_like(point)
    for index in np.ndindex(point.shape):
        ends = []
        for sign in (1, -1):
            moved = point.copy()
            moved[index] += sign * step
            ends.append(f(moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def length(seen, eps):
    return jnp.mean(jnp.sum(jnp.abs(seen.code), axis=1))


def gradient_of_ours(weight, bias, X, strength):
    objective, model = ae.objectives.regularized(length), ae.OneLayer(UNITS, "sigmoid")
    params, X = ae.Params(jnp.asarray(weight), jnp.asarray(bias)), jnp.asarray(X)
    values = {"strength": jnp.asarray(strength)}
    gradient = jax.grad(lambda p: objective(model, p, X, X, values)[0])(params)
    return np.asarray(gradient.weight), np.asarray(gradient.bias)


@pytest.mark.parametrize("scale", ALL, ids=lambda scale: "-".join(map(str, scale)))
def test_the_gradient_of_any_scale_is_that_of_ours_times_one_number(x64, scale):
    weight, bias, X = problem()
    strength = 0.7
    theirs = [
        differences(lambda w: loss_in_numpy(w, bias, X, strength, scale), weight),
        differences(lambda b: loss_in_numpy(weight, b, X, strength, scale), bias),
    ]
    sizes = {"inputs": INPUTS, "samples": N}
    converted = convert_strength(strength, scale, units=UNITS, **sizes)
    ours = gradient_of_ours(weight, bias, X, converted)
    ratio = 1 / convert_learning_rate(1.0, scale, **sizes)  # equal steps: theirs = ours · rate
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, ratio * b, rtol=1e-5, atol=1e-7)


def test_another_strength_is_not_parallel(x64):
    weight, bias, X = problem()
    (a, _), (b, _) = (gradient_of_ours(weight, bias, X, strength) for strength in (0.7, 1.4))
    cosine = np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b))
    assert cosine < 1 - 1e-4


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(SCALES, 2)))
def test_there_and_back_is_the_same_and_a_way_may_be_broken(source, target):
    sizes = {"inputs": 784, "units": 256, "samples": 50}
    there = convert_strength(0.3, source, target, **sizes)
    assert convert_strength(there, target, source, **sizes) == pytest.approx(0.3)
    middle = convert_strength(0.3, source, "aesparse", **sizes)
    assert convert_strength(middle, "aesparse", target, **sizes) == pytest.approx(there)


def test_the_named_scales_of_pytorch_are_its_own(x64):
    torch = pytest.importorskip("torch", reason="needs PyTorch, of the extra `benchmarks`")
    weight, bias, X = problem()
    for reduction in ("mean", "sum"):
        name = f"pytorch-{reduction}"
        w, b = (torch.tensor(v, requires_grad=True) for v in (weight, bias))
        x = torch.tensor(X)
        code = torch.sigmoid(x @ w.T + b)
        error = torch.nn.MSELoss(reduction=reduction)(code @ w, x)
        (error + 0.7 * getattr(code.abs(), reduction)()).backward()
        converted = convert_strength(0.7, name, inputs=INPUTS, units=UNITS, samples=N)
        ratio = 1 / convert_learning_rate(1.0, name, inputs=INPUTS, samples=N)
        for a, theirs in zip(gradient_of_ours(weight, bias, X, converted), (w, b), strict=True):
            np.testing.assert_allclose(a, ratio * theirs.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_the_named_scale_of_scikit_learn_is_its_own(x64):
    from sklearn.decomposition import sparse_encode

    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(UNITS, INPUTS))
    X, atoms = rng.normal(size=(N, INPUTS)), atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    theirs = sparse_encode(X, atoms, algorithm="lasso_cd", alpha=0.4, max_iter=10_000)
    strength = convert_strength(0.4, "scikit-learn", inputs=INPUTS, units=UNITS, samples=N)
    ours = ae.sparse_codes(X, atoms, strength, tolerance=1e-9)
    assert 0 < np.count_nonzero(theirs) < theirs.size
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"source": "torch"},
        {"source": LossScale(inputs="average")},
        {"source": LossScale(factor=0.0)},
        {"target": "keraz"},
        {"inputs": 0},
        {"units": 0},
    ],
)
def test_what_is_no_scale_is_refused_in_one_sentence(change):
    given = {"strength": 1.0, "source": "keras", "inputs": 3, "units": 2, "samples": 4} | change
    with pytest.raises(ae.InputError) as error:
        convert_strength(given.pop("strength"), given.pop("source"), **given)
    assert "\n" not in str(error.value)
