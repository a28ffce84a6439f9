"""How many matrix products an update takes: the reconstruction's five serve every penalty."""

import jax
import jax.extend.core
import jax.numpy as jnp
import pytest

from aesparse.losses.objectives import get_objective
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import init_params

N, M, B = 7, 5, 4


def products(jaxpr) -> int:
    """Matrix products of a program, those of its inner programs included."""
    count = 0
    for equation in jaxpr.eqns:
        count += equation.primitive.name == "dot_general"
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            count += products(inner)
    return count


@pytest.mark.parametrize("activation", ["relu", "softplus", "sigmoid", "tanh"])
@pytest.mark.parametrize(
    ("objective", "expected"),
    [("ae", 5), ("dae", 5), ("cae", 5), ("mdae", 5), ("sae", 5), ("sae-kl", 5), ("edae", 5)],
)
def test_an_update_takes_five_products(objective, activation, expected):
    loss = get_objective(objective, get_activation(activation))
    params = init_params(jax.random.key(0), N, M)
    x, strength = jnp.ones((B, N)), jnp.asarray(0.3)
    gradient = jax.make_jaxpr(jax.grad(lambda p: loss(p, x, x, strength)[0]))(params)
    assert products(gradient.jaxpr) == expected
