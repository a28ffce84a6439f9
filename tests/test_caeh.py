"""CAE+H: its penalty against Jacobians, its limit, and the verdict on it beside CAE."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from commands import numbers

from aesparse.losses.objectives import get_objective, higher_order_contractive
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import OneLayer, Params, encode
from experiments.figures.arpit import arpit_caeh
from experiments.pipeline.plan import Plan

SIGMA = 0.1


def problem(n=5, m=4, samples=6):
    rng = np.random.default_rng(3)
    params = Params(jnp.asarray(rng.normal(size=(m, n))), jnp.asarray(rng.normal(size=m)))
    return params, *(jnp.asarray(rng.normal(size=(samples, n))) for _ in range(2))


def evaluated(objective, activation, params, x, eps, strength):
    model, coefficients = OneLayer.of(params, activation), {"strength": jnp.asarray(strength)}
    return objective(model, params, x, eps, coefficients)


def generic(params, x, eps, activation, sigma=SIGMA):
    """E‖J(x) − J(x + σε)‖_F² through the Jacobian of the whole encoder."""
    jacobian = jax.vmap(jax.jacfwd(lambda z: encode(params, z, activation)))
    return jnp.mean(jnp.sum((jacobian(x) - jacobian(x + sigma * eps)) ** 2, axis=(1, 2)))


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "relu", "tanh"])
def test_the_change_of_the_jacobian_is_the_generic_one(name, x64):
    params, x, eps = problem()
    s = get_activation(name)
    x = 0.05 * x if name == "relu" else x  # units near their kink, so that some switch
    eps = 20 * eps if name == "relu" else eps

    def change(params):
        return evaluated(get_objective("cae-h"), s, params, x, eps, 0.5)[1]["jacobian_change"]

    (one, gradient), (two, expected) = (
        jax.value_and_grad(f)(params) for f in (change, lambda p: generic(p, x, eps, s))
    )
    assert two > 0
    np.testing.assert_allclose(one, two, rtol=1e-12)
    for a, b in zip(gradient[:2], expected[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def test_over_the_noise_variance_it_tends_to_the_curvature(x64):
    """E_ε‖J(x) − J(x + σε)‖²/σ² → E‖∂²h/∂x²‖²; ε over ±e_i·√n is an exact average here."""
    params, x, _ = problem(n=3)
    s = get_activation("sigmoid")
    basis = jnp.sqrt(3.0) * jnp.eye(3)

    def ratio(sigma):
        objective = higher_order_contractive(sigma=sigma)
        parts = [
            evaluated(objective, s, params, x, sign * jnp.broadcast_to(e, x.shape), 1.0)[1]
            for e in basis
            for sign in (1, -1)
        ]
        parts = [float(aux["jacobian_change"]) for aux in parts]
        return np.mean(parts) / sigma**2

    hessian = jax.vmap(jax.hessian(lambda z: encode(params, z, s)))(x)
    exact = float(jnp.mean(jnp.sum(hessian**2, axis=(1, 2, 3))))
    errors = [abs(ratio(sigma) / exact - 1) for sigma in (0.02, 0.01)]
    assert errors[1] < errors[0] / 3 < 1e-3


def test_the_constants_enter_as_said(x64):
    params, x, eps = problem()
    s = get_activation("sigmoid")

    def loss(**constants):
        return evaluated(higher_order_contractive(**constants), s, params, x, eps, 0.3)[0]

    cae = evaluated(get_objective("cae"), s, params, x, eps, 0.3)[0]
    assert loss(ratio=0.0) == cae
    added = float(loss(sigma=0.4, ratio=2.0) - cae)
    np.testing.assert_allclose(added, 0.6 * generic(params, x, eps, s, 0.4), rtol=1e-10)


def test_relu_units_get_no_gradient_but_along_their_rows(x64):
    """With unit rows CAE+H trains ReLU units exactly like CAE (compare T13)."""
    params, x, eps = problem()
    relu = get_activation("relu")

    def added(params):
        objective = get_objective("cae-h")
        return evaluated(objective, relu, params, 0.05 * x, 20 * eps, 1.0)[1]["jacobian_change"]

    gradient = jax.grad(added)(params)
    w = params.weight / jnp.linalg.norm(params.weight, axis=1, keepdims=True)
    along = jnp.sum(gradient.weight * w, axis=1, keepdims=True) * w
    assert jnp.abs(gradient.weight).max() > 0.1
    np.testing.assert_allclose(gradient.weight, along, atol=1e-14)
    assert not gradient.bias.any()


def test_the_verdict_tells_how_large_the_added_term_is():
    plan = Plan("quick", 2)
    found = {}
    for spec in arpit_caeh.runs(plan):
        if (spec.dataset, spec.activation) != ("digits", "sigmoid"):
            continue
        cells = len(spec.strengths)
        change = np.full((cells, 3), 0.02) * [1, 2, 4]
        fall = {"ae": 0, "cae": 0.3, "cae-h": 0.36}[spec.objective]
        level = 0.8 - fall * np.sqrt(np.array(spec.strengths))
        run = {"strength": spec.strengths, "activation_fraction": level}
        run |= {"dead_fraction": np.zeros(cells), "flagged_epoch": np.full(cells, -1)}
        found[spec] = xr.Dataset(
            {name: ("strength", np.asarray(v)) for name, v in run.items()}
            | {
                "loss_jacobian_change": (("strength", "trained_epoch"), change),
                "loss_penalty": (("strength", "trained_epoch"), np.full((cells, 3), 4.0)),
            }
        )
    (verdict,) = arpit_caeh.verdicts(found, "digits")
    assert verdict.verdict == "holds"
    # CAE's range and what it must exceed; the largest difference over it and its bound; two seeds;
    # the added term over CAE's own, at λ = 1 in epoch 1 and at the end
    assert numbers(verdict.numbers) == [0.3, 0.05, 0.2, 0.25, 2, 1, 0.5, 1, 2]
