"""Generalized sparse auto-encoders and full-batch training, against formulas typed in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from scipy.optimize import minimize

from aesparse.errors import InputError
from aesparse.losses import generalized_sparse as gsae
from aesparse.losses.corruption import gaussian, masking
from aesparse.losses.objectives import composed, denoising
from aesparse.losses.reconstruction import cross_entropy, half_squared_error
from aesparse.models.activations import Activation, get_activation
from aesparse.models.one_layer import Params, init_params
from aesparse.training.fullbatch import fit_full_batch
from aesparse.training.guard import NumericsError

PHI = {  # φ and φ', typed
    "kl": (
        lambda t, r: r * np.log(r / t) + (1 - r) * np.log((1 - r) / (1 - t)),
        lambda t, r: (1 - r) / (1 - t) - r / t,
    ),
    "l1": (lambda t, r: np.abs(t - r), lambda t, r: np.sign(t - r)),
    "l2": (lambda t, r: (t - r) ** 2, lambda t, r: 2 * (t - r)),
}


def problem(n=5, m=3, samples=7):
    rng = np.random.default_rng(0)
    p = {
        "weight": 0.4 * rng.normal(size=(m, n)),
        "bias": 0.3 * rng.normal(size=m),
        "decoder_bias": 0.2 * rng.normal(size=n),
        "decoder": 0.4 * rng.normal(size=(n, m)),
    }
    return p, rng.uniform(size=(samples, n))


def value(p, x, act, phi, rho, strength):
    """J of the appendix."""
    code = act[0](x @ p["weight"].T + p["bias"])
    y = act[0](code @ p["decoder"].T + p["decoder_bias"])
    weights = np.sum(p["weight"] ** 2) + np.sum(p["decoder"] ** 2)
    means = PHI[phi][0](code.mean(0), rho)
    return (
        np.mean(np.sum((x - y) ** 2, 1)) / 2 + strength[0] * weights / 2 + strength[1] * means.sum()
    )


def backpropagation(p, x, act, phi, rho, strength):
    """The appendix's algorithm with its sum over the n outputs."""
    z2 = x @ p["weight"].T + p["bias"]
    a2 = act[0](z2)
    z3 = a2 @ p["decoder"].T + p["decoder_bias"]
    d3 = -(x - act[0](z3)) * act[1](z3)
    d2 = (d3 @ p["decoder"] + strength[1] * PHI[phi][1](a2.mean(0), rho)) * act[1](z2)
    return {
        "weight": np.mean(d2[:, :, None] * x[:, None], 0) + strength[0] * p["weight"],
        "bias": d2.mean(0),
        "decoder_bias": d3.mean(0),
        "decoder": np.mean(d3[:, :, None] * a2[:, None], 0) + strength[0] * p["decoder"],
    }


def as_params(p):
    return Params(**{k: jnp.asarray(v) for k, v in p.items()})


@pytest.mark.parametrize("phi", PHI)
@pytest.mark.parametrize("unit", ["sigmoid", "identity", "taylor-sigmoid", "softplus"])
def test_g1_gradient_is_that_of_the_modified_backpropagation(unit, phi, x64):
    p, x = problem()
    strength, rho, act = np.array([0.3, 0.7]), 0.1, oracles.ACTIVATIONS[unit]
    if phi == "kl" and unit in ("identity", "softplus"):
        p["bias"] = p["bias"] * 0 + 0.3  # means inside (0.001, 0.99), where KL is KL
        p["weight"] = 0.1 * p["weight"]
    s = get_activation(unit)
    objective = gsae.generalized_sparse(s, phi, rho=rho, extend=phi == "kl" and unit != "sigmoid")
    arguments = (jnp.asarray(x), jnp.asarray(x), jnp.asarray(strength))
    (loss, _), gradient = jax.value_and_grad(objective, has_aux=True)(as_params(p), *arguments)
    np.testing.assert_allclose(loss, value(p, x, act, phi, rho, strength), rtol=1e-12)
    expected = backpropagation(p, x, act, phi, rho, strength)
    ours = gsae.modified_backpropagation(
        as_params(p),
        arguments[0],
        activation=s,
        phi=gsae.sparsity_function(phi, rho),
        strength=arguments[2],
    )
    for name, array in expected.items():
        np.testing.assert_allclose(getattr(gradient, name), array, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(getattr(ours, name), array, rtol=1e-10, atol=1e-13)


def test_g1_fails_with_the_printed_sum(x64):
    p, x = problem()
    strength = np.array([0.3, 0.7])
    wrong = gsae.modified_backpropagation(
        as_params(p),
        jnp.asarray(x),
        activation=get_activation("sigmoid"),
        phi=gsae.sparsity_function("kl", 0.1),
        strength=jnp.asarray(strength),
        outputs=3,
    )
    right = backpropagation(p, x, oracles.ACTIVATIONS["sigmoid"], "kl", 0.1, strength)
    assert np.max(np.abs(wrong.weight - right["weight"])) > 1e-3
    np.testing.assert_allclose(wrong.decoder, right["decoder"], rtol=1e-10)


def test_a_users_sparsity_function_is_the_same_as_the_named_one(x64):
    p, x = problem()
    s, strength = get_activation("sigmoid"), jnp.array([0.0, 1.0])
    theirs = gsae.generalized_sparse(s, lambda t: (t - 0.2) ** 2)
    named = gsae.generalized_sparse(s, "l2", rho=0.2)
    one, two = (
        o(as_params(p), jnp.asarray(x), jnp.asarray(x), strength)[0] for o in (theirs, named)
    )
    np.testing.assert_allclose(one, two, rtol=1e-14)


@pytest.mark.parametrize("rho", [0, 0.0, 1, -0.1, 1.5])
def test_a_kl_target_outside_0_1_is_refused(rho):
    with pytest.raises(InputError, match=r"KL target ρ is .* between 0 and 1"):
        gsae.generalized_sparse(get_activation("sigmoid"), "kl", rho=rho)


@pytest.mark.parametrize("unit", ["identity", "relu", "taylor-sigmoid", "tanh", "hard-sigmoid"])
def test_exact_kl_is_refused_for_units_that_leave_0_1(unit):
    with pytest.raises(InputError, match=r"values from .* to .*extend=True"):
        gsae.generalized_sparse(get_activation(unit), "kl", rho=0.1)
    gsae.generalized_sparse(get_activation(unit), "kl", rho=0.1, extend=True)
    gsae.generalized_sparse(get_activation(unit), "l2", rho=0.1)


def test_the_range_of_units_is_measured_not_declared():
    shifted = Activation(lambda a: 0.5 * jnp.tanh(a) + 0.5)
    assert gsae.value_range(shifted) == (0.0, 1.0)
    gsae.generalized_sparse(shifted, "kl", rho=0.1)
    assert gsae.value_range(get_activation("identity")) == (-1000.0, 1000.0)


def test_an_unknown_sparsity_function_suggests_a_near_one():
    with pytest.raises(InputError, match="Unknown sparsity function 'l3'"):
        gsae.generalized_sparse(get_activation("sigmoid"), "l3")


def linear():
    identity = get_activation("identity")
    return composed(
        identity, error=half_squared_error(identity), terms=(("weights", gsae.half_weight_norm),)
    )


def starts(cells, n, m, **options):
    keys = jax.random.split(jax.random.key(1), cells)
    return jax.vmap(lambda key: init_params(key, n, m, dtype=jnp.zeros(()).dtype, **options))(keys)


def centred(samples=40, n=6):
    X = np.random.default_rng(0).normal(size=(samples, n)) * [3.0, 2.0, 1.5, 0.7, 0.5, 0.2]
    return X - X.mean(axis=0)


@pytest.mark.long
def test_linear_autoencoder_with_weight_decay_reaches_its_closed_form_minimum(x64):
    """min ½E‖x − W²W¹x‖² + λψ: each of the m first variances v keeps λ − λ²/(2v), at most v/2."""
    X, strengths, init = centred(), np.array([[0.05], [1.0]]), starts(2, 6, 3, tied=False)
    options = {"objective": linear(), "strengths": strengths}
    found = fit_full_batch(init, X, tolerance=1e-9, **options)
    v = np.sort(np.linalg.eigvalsh(X.T @ X / len(X)))[::-1]
    for cell, decay in enumerate(strengths[:, 0]):
        kept = np.where(v[:3] > decay, decay - decay**2 / (2 * v[:3]), v[:3] / 2)
        np.testing.assert_allclose(found.value[cell], kept.sum() + v[3:].sum() / 2, rtol=1e-9)
    assert (found.gradient_norm <= 1e-9).all()
    assert (found.iterations < 400).all()
    assert found.guard < 1e-10
    # Hundreds of steps among rounding errors stay where they are.
    to_the_end = fit_full_batch(init, X, tolerance=0.0, **options)
    np.testing.assert_allclose(to_the_end.value, found.value, rtol=1e-13)
    assert (to_the_end.gradient_norm < 1e-7).all()


@pytest.mark.long
def test_it_agrees_with_scipy_on_the_sparse_autoencoder(x64):
    p, x = problem(samples=30)
    act, strength = oracles.ACTIVATIONS["sigmoid"], (0.1, 0.5)
    shapes = {k: v.shape for k, v in p.items()}

    def unflatten(flat):
        parts = np.split(flat, np.cumsum([np.prod(s) for s in shapes.values()])[:-1])
        return {k: v.reshape(s) for (k, s), v in zip(shapes.items(), parts, strict=True)}

    def both(flat):
        q = unflatten(flat)
        gradient = backpropagation(q, x, act, "kl", 0.1, strength)
        flat = np.concatenate([gradient[k].ravel() for k in shapes])
        return value(q, x, act, "kl", 0.1, strength), flat

    start = np.concatenate([v.ravel() for v in p.values()])
    theirs = minimize(both, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-10, "ftol": 0})
    ours = fit_full_batch(
        jax.tree.map(lambda leaf: leaf[None], as_params(p)),
        x,
        objective=gsae.generalized_sparse(get_activation("sigmoid"), "kl", rho=0.1),
        strengths=np.array([strength]),
        tolerance=1e-8,
    )
    np.testing.assert_allclose(ours.value[0], theirs.fun, rtol=1e-9)
    assert float(ours.gradient_norm[0]) <= 1e-8


def altered(objective, factor=lambda: 1.0):
    """An objective of its own, for which nothing is compiled yet, and its loss times a factor."""

    def fn(params, x, eps, strength):
        loss, parts = objective(params, x, eps, strength)
        return factor() * loss, parts

    return dataclasses.replace(objective, fn=fn)


def test_cells_do_not_disturb_each_other_and_side_by_side_equals_one_by_one(x64, monkeypatch):
    X, strengths = centred(), np.array([[0.05], [1.0]])
    init = starts(2, 6, 3, tied=False)
    options = {"max_iterations": 30, "tolerance": 1e-9, "strengths": strengths}
    both = fit_full_batch(init, X, objective=linear(), **options)
    monkeypatch.setattr(jax, "default_backend", lambda: "accelerator")
    beside = fit_full_batch(init, X, objective=altered(linear()), **options)
    np.testing.assert_allclose(both.value, beside.value, rtol=1e-9)
    assert np.abs(np.asarray(both.iterations) - np.asarray(beside.iterations)).max() <= 2


def test_fewer_iterations_are_an_earlier_point_and_no_error(x64):
    X, strengths = centred(), np.array([[0.05], [0.05]])
    found = [
        fit_full_batch(
            starts(2, 6, 3, tied=False),
            X,
            objective=linear(),
            strengths=strengths,
            max_iterations=count,
        )
        for count in (1, 5, 200)
    ]
    values = [float(f.value[0]) for f in found]
    assert values[0] > values[1] > values[2]
    assert [int(f.iterations[0]) for f in found[:2]] == [1, 5]
    assert float(found[0].gradient_norm[0]) > 1e-5 >= float(found[2].gradient_norm[0])


def test_a_cell_that_is_not_finite_stays_where_it_is_and_its_neighbour_goes_on(x64):
    init = starts(2, 6, 3, tied=False)
    init = init._replace(weight=init.weight.at[0, 0, 0].set(jnp.nan))
    found = fit_full_batch(
        init, centred(), objective=linear(), strengths=np.array([[0.1], [0.1]]), tolerance=1e-7
    )
    assert int(found.iterations[0]) == 0
    assert not np.isfinite(found.value[0])
    assert float(found.gradient_norm[1]) <= 1e-7


def test_options_that_say_nothing_about_phi_are_refused():
    with pytest.raises(InputError, match="put its target into it"):
        gsae.generalized_sparse(get_activation("relu"), jnp.abs, rho=0.1)
    with pytest.raises(InputError, match="only KL leaves its domain"):
        gsae.generalized_sparse(get_activation("relu"), "l1", extend=True)


@pytest.mark.parametrize("corrupt", [gaussian, masking])
def test_an_objective_that_draws_noise_is_refused(corrupt):
    X = centred().astype(np.float32)
    with pytest.raises(InputError, match="depends on the noise"):
        fit_full_batch(
            starts(2, 6, 3, tied=False),
            X,
            objective=denoising(get_activation("relu"), corrupt),
            strengths=[0.001, 0.2],
        )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strengths": np.ones((3, 1))}, "one model per strength"),
        ({"strengths": -np.ones((2, 1))}, "finite numbers >= 0"),
        ({"X": np.ones((4, 5), np.float32)}, "The data has 5 inputs"),
        ({"max_iterations": 0}, "max_iterations is 0"),
        (
            {
                "objective": composed(get_activation("sigmoid"), error=cross_entropy),
                "strengths": np.zeros(2),
            },
            r"expects \[0, 1\]",
        ),
        ({"tolerance": -1.0}, "tolerance is -1"),
    ],
)
def test_bad_input_is_one_sentence(change, sentence):
    arguments = {"X": centred().astype(np.float32), "strengths": np.ones((2, 1))} | change
    with pytest.raises(InputError, match=sentence):
        fit_full_batch(
            starts(2, 6, 3, tied=False), arguments.pop("X"), **{"objective": linear()} | arguments
        )


def test_the_guard_finds_a_program_that_minimizes_something_else(x64):
    """The compiled loss is 0.1% off: no number of it is plausible to the eye."""
    wrong = altered(linear(), lambda: 1.0 if jax.config.jax_disable_jit else 1.001)
    with pytest.raises(NumericsError, match="disagrees"):
        fit_full_batch(
            starts(2, 6, 3, tied=False),
            centred(),
            objective=wrong,
            strengths=np.array([[0.1], [0.1]]),
            max_iterations=3,
        )
