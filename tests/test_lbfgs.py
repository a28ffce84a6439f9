"""Full-batch L-BFGS against closed forms and SciPy's; what it refuses; its guard."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from scipy.optimize import minimize

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses.generalized_sparse import generalized_sparse, half_weight_norm
from aesparse.losses.objectives import composed, regularized
from aesparse.losses.reconstruction import cross_entropy, half_squared_error
from aesparse.models.one_layer import OneLayer, Params
from aesparse.training.guard import NumericsError
from aesparse.training.optimizers import lbfgs

LINEAR = OneLayer(3, "identity", tied=False)


def linear():
    return composed(error=half_squared_error("identity"), terms={"decay": half_weight_norm})


def centred(samples=40, n=6):
    X = np.random.default_rng(0).normal(size=(samples, n)) * [3.0, 2.0, 1.5, 0.7, 0.5, 0.2]
    return X - X.mean(axis=0)


def fit(objective=None, *, X=None, model=LINEAR, sweep=None, tolerance=1e-5, most=400, **options):
    X = centred() if X is None else X
    sweep = {"decay": [0.05, 1.0], "seed": 1} if sweep is None else sweep
    objective = linear() if objective is None else objective
    how = {"optimizer": lbfgs(most, tolerance), "check_compiled": False}
    return ae.fit(X, model, objective, sweep=sweep, **how | options)


def ends(result):
    """Value, gradient norm and iterations where each model ended."""
    assert all(values.shape[-1] == 1 for values in result.losses.values())
    return tuple(result.losses[name][..., 0] for name in ("loss", "gradient_norm", "iterations"))


@pytest.mark.long
def test_a_linear_autoencoder_with_weight_decay_reaches_its_closed_form_minimum(x64):
    """min ½E‖x − W²W¹x‖² + λψ: each of the m first variances v keeps λ − λ²/(2v), at most v/2."""
    X = centred()
    result = fit(tolerance=1e-9, check_compiled=True)
    value, norm, iterations = ends(result)
    v = np.sort(np.linalg.eigvalsh(X.T @ X / len(X)))[::-1]
    for k, decay in enumerate([0.05, 1.0]):
        kept = np.where(v[:3] > decay, decay - decay**2 / (2 * v[:3]), v[:3] / 2)
        np.testing.assert_allclose(value[k], kept.sum() + v[3:].sum() / 2, rtol=1e-9)
    assert (norm <= 1e-9).all()
    assert (iterations < 400).all()
    assert result.guard < 1e-10
    assert (result.diverged_epoch == -1).all()
    # Hundreds of steps among rounding errors stay where they are.
    to_the_end, norm, _ = ends(fit(tolerance=0.0))
    np.testing.assert_allclose(to_the_end, value, rtol=1e-13)
    assert (norm < 1e-7).all()


PHI = 0.1  # the KL target


def sparse_value(p, x, act, decay, beta):
    """½E‖x − y‖² + decay ψ + beta Σ KL(PHI ‖ E h), with the sigmoid also at the output."""
    code = act[0](x @ p["weight"].T + p["bias"])
    y = act[0](code @ p["decoder"].T + p["decoder_bias"])
    rho = code.mean(0)
    kl = PHI * np.log(PHI / rho) + (1 - PHI) * np.log((1 - PHI) / (1 - rho))
    weights = np.sum(p["weight"] ** 2) + np.sum(p["decoder"] ** 2)
    return np.mean(np.sum((x - y) ** 2, 1)) / 2 + decay * weights / 2 + beta * kl.sum()


@pytest.mark.long
def test_it_agrees_with_scipy_on_the_sparse_autoencoder(x64):
    rng, act = np.random.default_rng(0), oracles.ACTIVATIONS["sigmoid"]
    shapes = {"weight": (3, 5), "bias": (3,), "decoder_bias": (5,), "decoder": (5, 3)}
    p = {name: 0.4 * rng.normal(size=shape) for name, shape in shapes.items()}
    x, weights = rng.uniform(size=(30, 5)), (0.1, 0.5)

    def unflatten(flat):
        parts = np.split(flat, np.cumsum([np.prod(s) for s in shapes.values()])[:-1])
        return {k: v.reshape(s) for (k, s), v in zip(shapes.items(), parts, strict=True)}

    def both(flat):
        q = unflatten(flat)
        slope = oracles.complex_step_gradient(lambda r: sparse_value(r, x, act, *weights), q)
        flat = np.concatenate([slope[k].ravel() for k in shapes])
        return sparse_value(q, x, act, *weights), flat

    start = np.concatenate([v.ravel() for v in p.values()])
    theirs = minimize(both, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-10, "ftol": 0})
    objective = generalized_sparse("sigmoid", "kl", rho=PHI)
    model = OneLayer(3, "sigmoid", tied=False, decoder_bias=True)
    sweep = dict(zip(objective.coefficients, weights, strict=True))
    result = fit(objective, X=x, model=model, sweep=sweep, start=Params(**p), tolerance=1e-8)
    value, norm, _ = ends(result)
    np.testing.assert_allclose(value, theirs.fun, rtol=1e-9)
    assert norm <= 1e-8
    minimum = unflatten(theirs.x)
    np.testing.assert_allclose(result.params.weight, minimum["weight"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sparse_value(
        {k: np.asarray(v) for k, v in result.params._asdict().items()}, x, act, *weights
    ), value, rtol=1e-12)  # fmt: skip


@pytest.mark.long
def test_models_do_not_disturb_each_other(x64):
    both = fit(most=30, tolerance=1e-9)
    for k, decay in enumerate([0.05, 1.0]):
        alone = fit(sweep={"decay": decay, "seed": 1}, most=30, tolerance=1e-9)
        np.testing.assert_allclose(both.params.weight[k], alone.params.weight, rtol=1e-8)
        np.testing.assert_allclose(ends(both)[0][k], ends(alone)[0], rtol=1e-12)
    assert abs(both.params.weight[0] - both.params.weight[1]).max() > 1e-2


@pytest.mark.long
def test_parts_change_only_how_the_models_are_run(x64):
    sweep = {"decay": [0.05, 0.3, 1.0], "seed": 1}
    whole = fit(sweep=sweep, most=30, tolerance=1e-9)
    parts = fit(sweep=sweep, most=30, tolerance=1e-9, models_per_program=2)
    np.testing.assert_allclose(parts.losses["loss"], whole.losses["loss"], rtol=1e-12)
    np.testing.assert_allclose(parts.params.weight, whole.params.weight, rtol=1e-8)


@pytest.mark.long
def test_fewer_iterations_are_an_earlier_point_and_no_error(x64):
    value, norm, iterations = zip(*(ends(fit(most=most)) for most in (1, 5, 200)), strict=True)
    assert value[0][0] > value[1][0] > value[2][0]
    assert [int(count[0]) for count in iterations[:2]] == [1, 5]
    assert norm[0][0] > 1e-5 >= norm[2][0]


def test_what_is_recorded_is_the_start_and_the_end(x64):
    seen = []
    result = fit(most=20, on_epoch=lambda *call: seen.append(call))
    X = centred()
    start = LINEAR.init(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 1), 0), 6)
    errors = [
        np.sum((X - X @ np.asarray(w).T @ np.asarray(d).T) ** 2, 1).mean() / 2
        for w, d in [
            (start.weight, start.decoder),
            (result.params.weight[0], result.params.decoder[0]),
        ]
    ]
    np.testing.assert_array_equal(result.history_epochs, [0, 1])
    np.testing.assert_allclose(result.history.reconstruction[0], errors, rtol=1e-5)
    np.testing.assert_allclose(result.final.reconstruction[0], errors[1], rtol=1e-5)
    ((epoch, measured),) = seen
    assert epoch == 1
    np.testing.assert_array_equal(measured.reconstruction, result.history.reconstruction[:, -1])


@pytest.mark.long
def test_a_model_that_is_not_finite_stays_where_it_is_and_its_neighbour_goes_on(x64):
    def undefined(forward, eps):
        return jnp.where(forward.params.weight[0, 0] > 5, jnp.nan, half_weight_norm(forward, eps))

    objective = composed(error=half_squared_error("identity"), terms={"decay": undefined})
    start = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), LINEAR.init(jax.random.key(1), 6))
    start.weight[0, 0, 0] = 6.0
    sweep = {"decay": 0.1, "seed": [0, 1]}
    result = fit(objective, sweep=sweep, start=start, tolerance=1e-7)
    value, norm, iterations = ends(result)
    assert iterations[0] == 0
    assert not np.isfinite(value[0])
    assert norm[1] <= 1e-7
    np.testing.assert_array_equal(result.params.weight[0], start.weight[0])
    np.testing.assert_array_equal(result.diverged_epoch, [1, -1])


@pytest.mark.parametrize("name", ["dae", "dae-masking"])
def test_an_objective_that_draws_noise_is_refused(name):
    with pytest.raises(InputError, match="noise"):
        fit(name, sweep={"strength": [0.001, 0.2]}, X=centred().astype(np.float32))


REFUSED = {
    "negative": ({"sweep": {"decay": -1.0}}, ">= 0"),
    "a start of another grid": ({"start": LINEAR.init(jax.random.key(0), 6)}, "start"),
    "a constraint": ({"constraint": "unit"}, "constraint"),
    "data outside the error's bounds": (
        {"objective": composed(error=cross_entropy), "sweep": {}}, r"\[0, 1\]"),
    "an unknown name": ({"sweep": {"decay": 1.0, "learning_rate": 0.1}}, "learning_rate"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(case):
    options, word = REFUSED[case]
    with pytest.raises(InputError, match=word) as refused:
        fit(X=centred().astype(np.float32), **options)
    assert "\n" not in str(refused.value)


@pytest.mark.long
def test_the_guard_notices_a_program_that_minimizes_something_else(x64):
    """The compiled loss is 0.1% off: no number of it is plausible to the eye."""
    right = linear()

    def fn(*arguments):
        loss, parts = right(*arguments)
        return (1.0 if jax.config.jax_disable_jit else 1.001) * loss, parts

    with pytest.raises(NumericsError, match="disagrees"):
        fit(dataclasses.replace(right, fn=fn), most=3, check_compiled=True)


@dataclasses.dataclass(frozen=True)
class Pair:
    """h = U x, y = V h with parameters in a list."""

    def init(self, key, n):
        first, second = jax.random.split(key)
        return [jax.random.normal(first, (2, n)), jax.random.normal(second, (n, 2))]

    def encode(self, params, x):
        return x @ params[0].T

    def decode(self, params, h):
        return h @ params[1].T


def all_squares(forward, eps):
    return sum(jnp.sum(leaf.at[0].mul(1.0) ** 2) for leaf in forward.params)


@pytest.mark.long
def test_any_model_and_penalty_are_minimized(x64):
    """min E‖x − VUx‖² + λ(‖U‖² + ‖V‖²): a variance v > λ costs 2λ − λ²/v, another v."""
    strengths = [0.05, 3.0]
    result = fit(regularized(all_squares), model=Pair(), sweep={"strength": strengths})
    value, norm, _ = ends(result)
    assert (norm <= 1e-5).all()
    v = np.sort(np.linalg.eigvalsh(centred().T @ centred() / 40))[::-1]
    for k, weight in enumerate(strengths):
        costs = np.where(v[:2] > weight, 2 * weight - weight**2 / v[:2], v[:2])
        np.testing.assert_allclose(value[k], costs.sum() + v[2:].sum(), rtol=1e-9)
