"""How many matrix products an update takes: the reconstruction's five serve every penalty."""

import jax
import jax.extend.core
import jax.numpy as jnp
import pytest

from aesparse.losses.objectives import get_objective, regularized
from aesparse.models.one_layer import OneLayer

N, M, B = 7, 5, 4


def products(jaxpr) -> int:
    """Matrix products of a program, those of its inner programs included."""
    count = 0
    for equation in jaxpr.eqns:
        count += equation.primitive.name == "dot_general"
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            count += products(inner)
    return count


def own_activation(a):
    return jnp.where(a > 0, a, jnp.expm1(a) / 3)


def of_an_update(objective, activation) -> int:
    model, x = OneLayer(M, activation), jnp.ones((B, N))
    coefficients = dict.fromkeys(objective.coefficients, jnp.asarray(0.3))
    gradient = jax.grad(lambda p: objective(model, p, x, x, coefficients)[0])
    return products(jax.make_jaxpr(gradient)(model.init(jax.random.key(0), N)).jaxpr)


@pytest.mark.parametrize("activation", ["relu", "softplus", "sigmoid", "tanh", own_activation])
@pytest.mark.parametrize("name", ["ae", "dae", "cae", "mdae", "sae", "sae-kl", "edae"])
def test_an_update_takes_five_products(name, activation):
    assert of_an_update(get_objective(name), activation) == 5


def test_a_users_penalty_shares_the_forward_pass_and_a_second_pass_would_be_counted():
    shared = regularized(lambda forward, eps: jnp.sum(jnp.mean(forward.code, 0) ** 2))
    assert of_an_update(shared, own_activation) == 5
    again = regularized(lambda f, eps: jnp.sum(f.model.encode(f.params, f.x) ** 2))
    assert of_an_update(again, own_activation) > 5
