"""One test per statement, on 1,000 random problems, each beside a case that must break it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy, norm

from aesparse.data import whiten
from aesparse.errors import InputError
from aesparse.losses import penalties
from aesparse.models.activations import ACTIVATIONS, Activation, get_activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from aesparse.theory import expansion, hypotheses_hold, maxout, properties, sparsity, statements

pytestmark = pytest.mark.usefixtures("x64")
PROBLEMS = 1000
N, M, SAMPLES = 3, 4, 12
SMOOTH_CONVEX = ["softplus", "identity"]
ROUNDING = 1e-12


def problems(count=PROBLEMS, *, seed=0, zero_mean=True, scale=1.0):
    """Random parameters and data, `count` of each along a leading axis."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, SAMPLES, N)) * rng.uniform(0.2, 3, size=(count, 1, N))
    if zero_mean:
        X -= X.mean(axis=1, keepdims=True)
    weight = scale * rng.normal(size=(count, M, N))
    bias = rng.normal(size=(count, M))
    return Params(jnp.asarray(weight), jnp.asarray(bias)), jnp.asarray(X)


def everywhere(statement, *arguments, given=None):
    """The statement on all problems in one vmap."""
    params, X = problems() if given is None else given
    return jax.jit(jax.vmap(lambda p, x: statement(p, x, *arguments)))(params, X)


def all_hold(claims):
    return bool(jnp.all(jax.vmap(hypotheses_hold)(claims)))


# --- measured properties (T11) ------------------------------------------------------------

# name: (non-decreasing, convex, s' in [0, 1], s(−∞) = 0): Arpit section 2.1, by eye
TABLE = {
    "relu": (True, True, True, True),
    "softplus": (True, True, True, True),
    "sigmoid": (True, False, True, True),
    "hard-sigmoid": (True, False, True, True),
    "elu+1": (True, True, True, True),
    "gelu": (False, False, False, True),
    "tanh": (True, False, True, False),
    "identity": (True, True, True, False),
    "shrink": (True, False, True, False),
    "saturated-linear": (True, False, True, False),
    "taylor-sigmoid": (False, False, False, False),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_t11_the_table_of_activations_is_measured(name):
    s = get_activation(name)
    measured = (
        properties.non_decreasing(s),
        properties.convex(s),
        properties.slope_in_unit_interval(s),
        properties.negative_saturation(s),
    )
    assert tuple(bool(v.residual <= 1e-9) for v in measured) == TABLE[name]


def test_properties_name_the_point_of_the_worst_violation():
    bump = Activation(lambda a: a - 2 * jnp.exp(-((a - 1.5) ** 2)))
    worst = properties.non_decreasing(bump)
    slope = 1 + 4 * (worst.at - 1.5) * jnp.exp(-((worst.at - 1.5) ** 2))
    assert worst.residual > 0.7
    np.testing.assert_allclose(worst.residual, -slope, rtol=0.02)
    steep = Activation(lambda a: 3 * jax.nn.relu(a))
    np.testing.assert_allclose(properties.slope_in_unit_interval(steep).residual, 2, rtol=1e-6)
    jump = Activation(lambda a: jnp.where(a > 0, -1.0, 0.0))  # its slope by autodiff is 0
    assert properties.non_decreasing(jump).residual > 10
    valley = Activation(lambda a: a * jnp.exp(a))  # falls to −1/e, rises to 9e18
    np.testing.assert_allclose(properties.non_decreasing(valley).residual, np.exp(-2), rtol=1e-3)
    assert properties.convex(valley).residual > 0.04


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", 0.0), ("sigmoid", np.log(1 / 9)), ("softplus", np.log(np.exp(0.1) - 1))],
)
def test_activation_threshold_is_where_the_unit_switches_off(name, expected):
    found = properties.activation_threshold(get_activation(name))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_unit_that_never_switches_off_has_no_threshold_and_no_bound():
    above = Activation(jax.nn.sigmoid)  # active above 0, which it always is
    assert float(properties.activation_threshold(above)) == -np.inf
    X = jnp.array([[1.0], [-1.0]])
    bounds = sparsity.theorem2_bounds(Params(jnp.array([[1.0]]), jnp.array([-60.0])), X, above)
    assert {name: float(bound[0]) for name, bound in bounds.items()} == dict.fromkeys(bounds, 0.0)


# --- statements ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row[2]])
def test_t1_lemma_1(name):
    claims = everywhere(statements.lemma1, get_activation(name))
    assert all_hold(claims)
    assert jnp.min(claims.margin) >= 0


def test_t1_breaks_for_a_steeper_activation_and_an_untied_decoder():
    steep = Activation(lambda a: 8 * jax.nn.relu(a))
    claims = everywhere(statements.lemma1, steep)
    assert not all_hold(claims)
    assert jnp.min(claims.margin) < 0
    params, X = problems()
    untied = params._replace(decoder=10 * jnp.swapaxes(params.weight, 1, 2))
    claims = everywhere(statements.lemma1, get_activation("relu"), given=(untied, X))
    assert jnp.min(claims.margin) < 0


@pytest.mark.parametrize(
    "penalty", [penalties.contractive, penalties.marginalized, penalties.log_sparsity()]
)
def test_t2_equation_5_is_an_identity_on_zero_mean_data(penalty):
    arguments = (get_activation("sigmoid"), penalty, 0.7, 10.0)
    claims = everywhere(statements.theorem1_identity, *arguments)
    assert jnp.max(jnp.abs(claims.hypotheses["E[x] = 0"])) <= ROUNDING
    assert jnp.min(claims.margin) >= -ROUNDING
    shifted = everywhere(statements.theorem1_identity, *arguments, given=problems(zero_mean=False))
    assert jnp.min(shifted.margin) < -1e-3


def test_t2_the_condition_makes_the_mean_preactivation_fall():
    arguments = (get_activation("sigmoid"), penalties.log_sparsity())
    strong = everywhere(statements.theorem1_condition, *arguments, 1e4, 1e-6)
    met = jnp.isfinite(strong.margin)
    assert jnp.mean(met) > 0.5
    assert jnp.min(strong.margin) > 0
    weak = everywhere(statements.theorem1_condition, *arguments, 1e-3, 1e-6)
    assert not jnp.isfinite(weak.margin).any()


def test_t2_variance_is_the_squared_length_on_white_data_only():
    X = np.random.default_rng(0).normal(size=(60, N)) @ np.diag([1.0, 2.0, 3.0])
    white = jnp.asarray(whiten(X)(X))
    params, _ = problems()
    claims = jax.vmap(lambda p: statements.theorem1_variance(p, white))(params)
    assert jnp.min(claims.margin) >= -1e-10
    raw = jax.vmap(lambda p: statements.theorem1_variance(p, jnp.asarray(X)))(params)
    assert jnp.min(raw.margin) < -0.1


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row[0]])
def test_t3_corollary_1(name):
    s, functions = get_activation(name), (jnp.exp, lambda t: t**3, jnp.arctan)
    for claims in everywhere(lambda p, x: [statements.corollary1(p, x, s, f) for f in functions]):
        assert all_hold(claims)
        assert jnp.min(claims.margin) >= 0


def test_t3_breaks_for_a_falling_f_such_as_kl_below_its_target():
    def kl(t):
        return 0.9 * jnp.log(0.9 / t) + 0.1 * jnp.log(0.1 / (1 - t))

    claims = everywhere(statements.corollary1, get_activation("sigmoid"), kl)
    assert jnp.max(claims.hypotheses["f non-decreasing"]) > 0
    assert jnp.min(claims.margin) < 0


def corollary2_and_cross_term(s):
    return everywhere(lambda p, x: (statements.corollary2(p, x, s), statements.cross_term(p, x, s)))


@pytest.mark.parametrize("name", ["relu", *SMOOTH_CONVEX])
def test_t4_and_t8_for_non_decreasing_convex_activations(name):
    for claims in corollary2_and_cross_term(get_activation(name)):
        assert all_hold(claims)
        assert jnp.min(claims.margin) >= 0


@pytest.mark.parametrize(
    "s", [get_activation("sigmoid"), Activation(lambda a: a**2 / 2)], ids=["sigmoid", "square"]
)
def test_t4_and_t8_break_for_sigmoid_and_for_a_convex_falling_activation(s):
    for claims in corollary2_and_cross_term(s):
        assert not all_hold(claims)
        assert jnp.min(claims.margin) < -1e-3


@pytest.mark.parametrize(("high", "low"), [(4, 1), (1, 1), (1, 9)])
def test_t5_cantellis_bound_is_attained_by_two_values(high, low):
    """`high` samples at a distance above the mean and `low` below it, of variance 1."""
    gap = np.sqrt(low / high)
    X = np.repeat([gap, -1 / gap], [high, low])[:, None]
    np.testing.assert_allclose([X.mean(), X.var()], [0, 1], atol=1e-12)
    # Just active at the upper value: a = gap + b > 0.
    params = Params(jnp.ones((1, 1)), jnp.array([-gap + 1e-9]))
    bounds = sparsity.theorem2_bounds(params, jnp.asarray(X), get_activation("relu"))
    np.testing.assert_allclose(bounds["measured"], low / (high + low), rtol=1e-6)
    np.testing.assert_allclose(bounds["cantelli"], low / (high + low), rtol=1e-8)


def test_t5_chebyshev_cantelli_and_gauss_against_the_measured_frequency():
    s = get_activation("sigmoid")
    params, X = problems()
    params = params._replace(bias=params.bias - 6)
    bounds = jax.vmap(lambda p, x: sparsity.theorem2_bounds(p, x, s))(params, X)
    assert (bounds["measured"] >= bounds["cantelli"] - ROUNDING).all()
    assert (bounds["cantelli"] >= bounds["chebyshev"] - ROUNDING).all()
    assert (bounds["cantelli"] > bounds["chebyshev"] + 0.01).any()
    one = jax.tree.map(lambda leaf: leaf[0], params)
    a = np.asarray(X[0] @ one.weight.T + np.asarray(one.bias)[None])
    expected = norm.cdf((np.log(1 / 9) - a.mean(0)) / a.std(0))
    np.testing.assert_allclose(bounds["gaussian"][0], expected, rtol=1e-8)


def test_t5_the_bound_rises_when_the_mean_falls_at_fixed_length():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, N))
    white = jnp.asarray(whiten(X)(X))
    params, _ = problems()
    unit = params.weight / jnp.linalg.norm(params.weight, axis=-1, keepdims=True)
    turned = unit + 0.3 * jnp.asarray(rng.normal(size=unit.shape))
    turned = turned / jnp.linalg.norm(turned, axis=-1, keepdims=True)
    bias = -1.5 - jnp.abs(params.bias)
    before = Params(unit, bias)
    step = functools.partial(sparsity.theorem2_step, X=white, s=get_activation("relu"))
    claims = jax.vmap(step)(before, Params(turned, bias - 0.2))
    assert all_hold(claims)
    assert jnp.min(claims.margin) >= -ROUNDING
    # growing rows: (E, ‖W‖) from (−3, 1) to (−3.1, 1.2) lowers the bound from .889 to .850
    one = Params(jnp.eye(1, N), jnp.array([-3.0]))
    grown = step(one, Params(1.2 * jnp.eye(1, N), jnp.array([-3.1])))
    assert not hypotheses_hold(grown)
    np.testing.assert_allclose(grown.right, 0.889, atol=5e-4)
    np.testing.assert_allclose(grown.left, 0.850, atol=5e-4)
    assert grown.margin[0] < 0


SIGMAS = jnp.asarray(2.0 ** -np.arange(2, 8))  # five octaves


@pytest.mark.parametrize("name", ["softplus", "sigmoid", "tanh"])
def test_t6_the_expansion_has_order_four_for_smooth_activations(name):
    rng = np.random.default_rng(3)
    params = Params(jnp.asarray(rng.normal(size=(3, 2))), jnp.asarray(rng.normal(size=3)))
    X, s = jnp.asarray(rng.normal(size=(6, 2))), get_activation(name)
    residuals = expansion.expansion_residual(params, X, s, SIGMAS)
    assert 3.5 <= expansion.fitted_order(SIGMAS, residuals) <= 4.5
    without = residuals + SIGMAS**2 * penalties.second_order(one_layer_forward(params, X, s), None)
    assert expansion.fitted_order(SIGMAS, without) < 2.5
    with pytest.raises(InputError, match="3 input dimensions; expected at most 2"):
        expansion.dae_loss(params, jnp.ones((2, 3)), s, jnp.asarray(0.1))


def test_t6_for_relu_the_order_is_two_and_the_kink_term_restores_it():
    weight, bias = jnp.array([0.8, -0.6, 1.1]), jnp.array([0.3, 0.2, -0.5])
    residual, predicted = expansion.relu_kink_residual(weight, bias, SIGMAS)
    assert 1.8 <= expansion.fitted_order(SIGMAS, residual) <= 2.2
    np.testing.assert_allclose(residual[-3:], predicted[-3:], rtol=0.02)
    assert expansion.fitted_order(SIGMAS, residual - predicted) >= 3.5


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_t7_remarks(name):
    s = get_activation(name)
    for claims in everywhere(
        lambda p, x: (statements.remark1(p, x, s), statements.remark2(p, x, s))
    ):
        assert jnp.min(claims.margin) >= -1e-10


def test_t7_and_theorem_1_break_for_an_untied_decoder():
    params, X = problems()
    untied = params._replace(decoder=10 * jnp.swapaxes(params.weight, 1, 2)[..., ::-1])
    sigmoid, sae = get_activation("sigmoid"), penalties.log_sparsity()
    claims = everywhere(statements.remark2, sigmoid, given=(untied, X))
    assert not jax.vmap(hypotheses_hold)(claims).any()
    assert jnp.min(claims.margin) < -1
    relu = get_activation("relu")
    claims = everywhere(statements.theorem1_condition, relu, sae, 300.0, 1e-6, given=(untied, X))
    assert not jax.vmap(hypotheses_hold)(claims).any()
    assert jnp.min(claims.margin) < 0


def test_t6_holds_on_random_problems_and_breaks_without_smoothness_or_penalty():
    given = problems(seed=4, scale=0.3)
    given = (given[0]._replace(weight=given[0].weight[..., :1]), given[1][:, :5, :1])
    for name in ("softplus", "sigmoid", "tanh"):
        claims = everywhere(expansion.theorem3, get_activation(name), given=given)
        assert all_hold(claims)
        assert jnp.min(claims.margin) >= 0
    claims = everywhere(expansion.theorem3, get_activation("relu"), given=given)
    assert not jax.vmap(hypotheses_hold)(claims).any()
    assert jnp.min(claims.margin) < 0
    s, sigma = get_activation("softplus"), jnp.asarray(2.0**-7)
    one = jax.tree.map(lambda leaf: leaf[0], given)
    noisy = expansion.dae_loss(*one, s, sigma) - expansion.dae_loss(*one, s, 0 * sigma)
    penalty = penalties.second_order(one_layer_forward(*one, s), None)
    assert jnp.abs(noisy / sigma**2) / (1 + jnp.abs(penalty)) > 100 * sigma**2  # without it


def test_t9_kl_tends_to_its_limit_pointwise():
    rng = np.random.default_rng(5)
    means = jnp.asarray(rng.uniform(0.001, 0.99, size=(PROBLEMS, M)))
    rho = jnp.asarray(10 ** rng.uniform(-9, -1, size=PROBLEMS))
    claims = jax.vmap(expansion.kl_limit)(means, rho)
    assert all_hold(claims)
    assert jnp.min(claims.margin) >= 0
    assert jnp.max(claims.right[rho < 1e-7]) < 1e-5  # so the bound itself tends to 0
    two = jnp.array([[0.3, 0.6]])
    expected = [norm_free_kl(1e-3, t) + np.log(1 - t) for t in (0.3, 0.6)]
    found = jax.vmap(expansion.kl_limit)(two, jnp.array([1e-3])).left[0]
    np.testing.assert_allclose(found, np.abs(expected), rtol=1e-9)
    far = jax.vmap(expansion.kl_limit)(two, jnp.array([0.5])).left
    assert jnp.max(far) > 0.1  # no limit at ρ = 0.5
    beyond = jax.vmap(expansion.kl_limit)(two + 0.395, jnp.array([1e-9]))
    assert not all_hold(beyond)


def norm_free_kl(rho, t):
    return entropy([rho, 1 - rho], [t, 1 - t])


def test_t9_the_limit_is_the_mean_for_small_means():
    small = jnp.array([1e-2, 1e-3, 1e-4])
    identity, x = get_activation("identity"), jnp.zeros((1, 1))
    value = jax.vmap(
        lambda t: penalties.log_sparsity()(
            one_layer_forward(Params(jnp.zeros((1, 1)), t[None]), x, identity), None
        )
    )(small)
    np.testing.assert_allclose((value - small) / small**2, 0.5, rtol=0.02)


def test_t11_maxout_is_convex_and_never_switches_off():
    """Measured on a unit of three pieces."""
    residuals = list(maxout.table(3).values())
    assert max(residuals[:3]) <= 1e-12
    assert residuals[3] > 1  # s(−∞) = 0 fails


def test_t10_without_a_bias_the_mean_preactivation_stays_zero():
    params, X = problems()
    claims = jax.vmap(statements.biasless_mean)(params.weight, X)
    assert jnp.min(claims.margin) >= -ROUNDING
    _, shifted = problems(zero_mean=False)
    assert jnp.min(jax.vmap(statements.biasless_mean)(params.weight, shifted).margin) < -0.1


@pytest.mark.parametrize("penalty", [penalties.contractive, penalties.marginalized])
def test_t13_relu_leaves_only_the_radial_gradient(penalty):
    params, X = problems()
    unit = params.weight / jnp.linalg.norm(params.weight, axis=-1, keepdims=True)
    given = (params._replace(weight=unit), X)
    claims = everywhere(statements.radial_gradient, get_activation("relu"), penalty, given=given)
    assert all_hold(claims)
    assert jnp.min(claims.margin) >= -ROUNDING
    assert jnp.mean(claims.right > 0) > 0.9  # and that one is not zero
    smooth = everywhere(
        statements.radial_gradient, get_activation("softplus"), penalty, given=given
    )
    assert jnp.min(smooth.margin) < -0.01
