"""Generalized sparse auto-encoders against formulas typed in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from aesparse.errors import InputError
from aesparse.losses import generalized_sparse as gsae
from aesparse.models.activations import Activation, get_activation
from aesparse.models.one_layer import OneLayer, Params

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


def named(strength):
    """(λ, β) by the objective's names."""
    return dict(zip(("weights", "sparsity"), map(jnp.asarray, strength), strict=True))


def loss_of(objective, activation, x, strength):
    def loss(params):
        model = OneLayer.of(params, activation)
        return objective(model, params, jnp.asarray(x), jnp.asarray(x), named(strength))[0]

    return loss


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
    loss, gradient = jax.value_and_grad(loss_of(objective, s, x, strength))(as_params(p))
    np.testing.assert_allclose(loss, value(p, x, act, phi, rho, strength), rtol=1e-12)
    expected = backpropagation(p, x, act, phi, rho, strength)
    ours = gsae.modified_backpropagation(
        as_params(p),
        jnp.asarray(x),
        activation=s,
        phi=gsae.sparsity_function(phi, rho),
        coefficients=named(strength),
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
        coefficients=named(strength),
        outputs=3,
    )
    right = backpropagation(p, x, oracles.ACTIVATIONS["sigmoid"], "kl", 0.1, strength)
    assert np.max(np.abs(wrong.weight - right["weight"])) > 1e-3
    np.testing.assert_allclose(wrong.decoder, right["decoder"], rtol=1e-10)


def test_a_users_sparsity_function_is_the_same_as_the_named_one(x64):
    p, x = problem()
    theirs = gsae.generalized_sparse("sigmoid", lambda t: (t - 0.2) ** 2)
    built_in = gsae.generalized_sparse("sigmoid", "l2", rho=0.2)
    one, two = (loss_of(o, "sigmoid", x, (0.0, 1.0))(as_params(p)) for o in (theirs, built_in))
    np.testing.assert_allclose(one, two, rtol=1e-14)


@pytest.mark.parametrize("rho", [0, 0.0, 1, -0.1, 1.5])
def test_a_kl_target_outside_0_1_is_refused(rho):
    with pytest.raises(InputError, match=r"KL target ρ is .* between 0 and 1"):
        gsae.generalized_sparse("sigmoid", "kl", rho=rho)


@pytest.mark.parametrize("unit", ["identity", "relu", "taylor-sigmoid", "tanh", "hard-sigmoid"])
def test_exact_kl_is_refused_for_units_that_leave_0_1(unit):
    p, x = problem()

    def loss(phi, **options):
        objective = gsae.generalized_sparse(unit, phi, rho=0.1, **options)
        return jax.jit(loss_of(objective, unit, x, (0.0, 1.0)))(as_params(p))

    with pytest.raises(InputError, match="extend=True"):
        loss("kl")
    assert jnp.isfinite(loss("kl", extend=True))
    assert jnp.isfinite(loss("l2"))


def test_the_range_of_units_is_measured_not_declared():
    shifted = Activation(lambda a: 0.5 * jnp.tanh(a) + 0.5)
    assert gsae.value_range(shifted) == (0.0, 1.0)
    p, x = problem()
    objective = gsae.generalized_sparse(shifted, "kl", rho=0.1)
    assert jnp.isfinite(jax.jit(loss_of(objective, shifted, x, (0.0, 1.0)))(as_params(p)))
    assert gsae.value_range(get_activation("identity")) == (-1000.0, 1000.0)


def test_an_unknown_sparsity_function_suggests_a_near_one():
    with pytest.raises(InputError, match="Unknown sparsity function 'l3'"):
        gsae.generalized_sparse("sigmoid", "l3")


def test_options_that_say_nothing_about_phi_are_refused():
    with pytest.raises(InputError, match="put its target into it"):
        gsae.generalized_sparse("relu", jnp.abs, rho=0.1)
    with pytest.raises(InputError, match="only KL leaves its domain"):
        gsae.generalized_sparse("relu", "l1", extend=True)
