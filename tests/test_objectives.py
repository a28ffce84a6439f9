"""Every objective and penalty against formulas typed in NumPy, in float64, to 1e-10."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from aesparse.errors import InputError
from aesparse.losses import penalties
from aesparse.losses.objectives import OBJECTIVES, as_objective, get_objective, regularized
from aesparse.models.activations import ACTIVATIONS, get_activation
from aesparse.models.forward import forward, one_layer_forward
from aesparse.models.one_layer import OneLayer, Params

SIZES = [(5, 3, 4), (3, 5, 4), (4, 1, 3), (3, 4, 1), (1, 1, 1)]  # (n, m, B)
STRENGTHS = [0.3, 0.0]


def widely(name):
    """The activation looked at in every size and strength; these and activations are apart."""
    return "relu" if name == "satae" else "softplus"


def problem(n, m, b, *, seed=0, **options):
    rng = np.random.default_rng(seed)
    p = {"weight": 0.4 * rng.normal(size=(m, n)), "bias": 0.3 * rng.normal(size=m)}
    if options.get("decoder_bias"):
        p["decoder_bias"] = rng.normal(size=n)
    if options.get("untied"):
        p["decoder"] = 0.4 * rng.normal(size=(n, m))
    return p, rng.normal(size=(b, n)), rng.normal(size=(b, n))


def loss_of(objective, activation, x, eps, strength):
    """Loss and parts as a function of one-layer parameters, all coefficients at `strength`."""
    x, eps, strength = map(jnp.asarray, (x, eps, strength))
    coefficients = dict.fromkeys(objective.coefficients, strength)

    def loss(params):
        return objective(OneLayer.of(params, activation), params, x, eps, coefficients)

    return loss


def assert_close(measured, expected):
    scale = max(np.linalg.norm(expected), 1e-3)
    assert np.linalg.norm(np.asarray(measured) - expected) <= 1e-10 * scale


def flat_enough(name, activation):
    """The saturation penalty is for activations with a flat part alone."""
    return name != "satae" or activation in oracles.FLAT_DISTANCES


def check(name, activation, size, strength, **options):
    p, x, eps = problem(*size, **options)
    oracle = oracles.OBJECTIVES[name]
    formulas = oracles.ACTIVATIONS[activation]
    params = Params(**{k: jnp.asarray(v) for k, v in p.items()})
    loss = loss_of(get_objective(name), activation, x, eps, strength)
    (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    assert_close(value, oracle(p, x, eps, strength, formulas))
    expected = oracles.complex_step_gradient(lambda q: oracle(q, x, eps, strength, formulas), p)
    for leaf, array in expected.items():
        assert_close(getattr(gradient, leaf), array)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_value_and_gradient_equal_the_oracle(name, activation, x64):
    if not flat_enough(name, activation):
        with pytest.raises(InputError, match="flat part"):
            check(name, activation, SIZES[0], 0.3)
        return
    every = activation == widely(name)
    for size in SIZES if every else SIZES[:1]:
        for strength in STRENGTHS if every else STRENGTHS[:1]:
            check(name, activation, size, strength)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_value_and_gradient_equal_the_oracle_untied_with_decoder_bias(name, x64):
    activation = "softplus" if flat_enough(name, "softplus") else "shrink"
    check(name, activation, (5, 3, 4), 0.3, untied=True, decoder_bias=True)


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - {"satae"}))  # satae: half
def test_at_strength_zero_every_objective_is_the_autoencoder(name, x64):
    p, x, eps = problem(4, 3, 5)
    params = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"]))
    found, plain = (
        loss_of(get_objective(each), "relu", x, eps, 0.0)(params)[0] for each in (name, "ae")
    )
    assert found == plain


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("name", ["contractive", "marginalized", "second_order"])
def test_structured_equals_generic(name, untied, activation, x64):
    structured, generic = getattr(penalties, name), getattr(penalties, f"{name}_generic")
    s = get_activation(activation)
    for size in SIZES if activation == widely(name) else SIZES[:1]:
        p, x, _ = problem(*size, untied=untied)
        params = Params(**{k: jnp.asarray(v) for k, v in p.items()})
        one, two = (
            jax.jit(jax.value_and_grad(lambda p, x, f=f: f(one_layer_forward(p, x, s), None)))(
                params, jnp.asarray(x)
            )
            for f in (structured, generic)
        )
        jax.tree.map(assert_close, one, two)


VARIANCES = {"different": (0.4, 0.0, 1.7, 0.2, 0.9), "equal": (0.7,) * 5}


@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "relu"])
@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize("which", VARIANCES)
def test_marginalized_with_a_variance_per_input_equals_eq_10_in_numpy(
    which, untied, activation, x64
):
    """½ E Σ_i σ_i² Σ_j ∂²ℓ/∂h_j² (∂h_j/∂x_i)², term by term, ∂²ℓ/∂h_j² = 2‖D_j‖²."""
    variances = VARIANCES[which]
    p, x, eps = problem(5, 3, 4, untied=untied)
    formulas = oracles.ACTIVATIONS[activation]

    def oracle(q):
        decoder = q["decoder"] if untied else q["weight"].T
        total = 0
        for sample in x:
            slopes = formulas[1](q["weight"] @ sample + q["bias"])
            for j, slope in enumerate(slopes):
                curvature = 2 * np.sum(decoder[:, j] ** 2)
                for i, variance in enumerate(variances):
                    total += 0.5 * variance * curvature * (slope * q["weight"][j, i]) ** 2
        return total / len(x)

    params = Params(**{k: jnp.asarray(v) for k, v in p.items()})
    expected = oracles.complex_step_gradient(oracle, p)
    structured = penalties.marginalized_by_input(np.array(variances))
    for penalty in (structured, penalties.marginalized_by_input_generic(variances)):

        def value_of(params, penalty=penalty):
            return penalty(
                one_layer_forward(params, jnp.asarray(x), get_activation(activation)), None
            )

        value, gradient = jax.value_and_grad(value_of)(params)
        assert_close(value, oracle(p))
        for leaf, array in expected.items():
            assert_close(getattr(gradient, leaf), array)
    loss = loss_of(regularized(structured), activation, x, eps, 1.0)(params)[0]
    assert_close(loss, oracles.ae(p, x, eps, 0.0, formulas) + oracle(p))
    if which == "equal":  # eq. 11
        common = loss_of(get_objective("mdae"), activation, x, eps, variances[0])(params)[0]
        assert_close(loss, common)


def test_equal_variances_per_input_are_one_penalty():
    penalty = penalties.marginalized_by_input
    assert penalty([0.5, 1.0]) is penalty(jnp.array([0.5, 1.0]))
    assert regularized(penalty([1, 2])) == regularized(penalty([1.0, 2.0]))
    assert regularized(penalty([1, 2])) != regularized(penalty([2, 1]))


@pytest.mark.parametrize(
    ("variances", "message"),
    [
        ("0.1", "variances are '0.1'"),
        (0.1, "each input"),
        ([[0.1]], "each input"),
        ([0.1, -0.2], "-0.2"),
        ([0.1, np.nan], "nan"),
        ([0.1, np.inf], "inf"),
    ],
)
@pytest.mark.parametrize("name", ["marginalized_by_input", "marginalized_by_input_generic"])
def test_variances_that_are_none_are_refused(name, variances, message):
    with pytest.raises(InputError) as caught:
        getattr(penalties, name)(variances)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["marginalized_by_input", "marginalized_by_input_generic"])
def test_too_few_variances_are_refused_when_the_data_is_seen(name):
    clean = one_layer_forward(
        Params(jnp.ones((2, 3)), jnp.zeros(2)), jnp.ones((4, 3)), get_activation("relu")
    )
    with pytest.raises(InputError, match="2 variances for 3 inputs"):
        getattr(penalties, name)([0.1, 0.2])(clean, None)


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("p", [0, 1, 2, 3, 4])
def test_slope_family_equals_numpy_and_survives_a_zero_row(q, p, x64):
    parameters, x, _ = problem(5, 3, 4)
    _, ds, _ = oracles.ACTIVATIONS["sigmoid"]

    def oracle(v):
        slopes = ds(x @ v["weight"].T + v["bias"])
        lengths = np.sum(v["weight"] ** 2, 1) ** (p / 2)
        return np.mean(np.sum(slopes**q * lengths, 1))

    def ours(params):
        seen = one_layer_forward(params, jnp.asarray(x), "sigmoid")
        return penalties.slope(q, p)(seen, None)

    params = Params(**{k: jnp.asarray(v) for k, v in parameters.items()})
    value, gradient = jax.value_and_grad(ours)(params)
    assert_close(value, oracle(parameters))
    expected = oracles.complex_step_gradient(oracle, parameters)
    assert_close(gradient.weight, expected["weight"])
    assert_close(gradient.bias, expected["bias"])
    dead = params._replace(weight=params.weight.at[1].set(0.0))
    assert jnp.isfinite(jax.grad(ours)(dead).weight).all()


def test_the_residual_share_is_a_size_whatever_the_residuals_sign(x64):
    """|E Σ s''_j ‖W_j‖² (D_j·r)| over E‖∂y/∂x‖², on 50 random sigmoid models."""
    act, signs = oracles.ACTIVATIONS["sigmoid"], set()
    objective = jax.jit(
        lambda p, x: loss_of(get_objective("dae2"), "sigmoid", x, jnp.zeros_like(x), 0.5)(p)
    )
    for seed in range(50):
        rng = np.random.default_rng(seed)
        w, b, x = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(5, 3))
        a = x @ w.T + b
        r = x - act[0](a) @ w
        jacobians = np.einsum("jk,bj,ji->bki", w, act[1](a), w)
        squared = np.mean(np.sum(jacobians**2, (1, 2)))
        bend = np.mean(np.sum(act[2](a) * np.sum(w**2, 1) * (r @ w.T), 1))
        signs.add(np.sign(bend))
        params = Params(jnp.asarray(w), jnp.asarray(b))
        parts = objective(params, jnp.asarray(x))[1]
        assert_close(parts["residual_share"], abs(bend) / squared)
    assert signs == {-1.0, 1.0}


def test_slope_family_contains_the_named_penalties(x64):
    p, x, _ = problem(5, 3, 4)
    params, x = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"])), jnp.asarray(x)
    seen = one_layer_forward(params, x, "sigmoid")
    assert_close(penalties.slope(2, 2)(seen, None), penalties.contractive(seen, None))
    assert_close(penalties.slope(2, 4)(seen, None), penalties.marginalized(seen, None))
    with pytest.raises(InputError, match="expected q >= 1 and p >= 0"):
        penalties.slope(0, 1)


@pytest.mark.parametrize("name", ["cae", "mdae", "sae", "sae-kl", "dae2", "dae", "edae"])
def test_no_penalty_has_silently_lost_its_gradient(name, x64):
    p, x, eps = problem(5, 4, 20)
    params = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"]))

    def gradient(objective_name, strength):
        loss = loss_of(get_objective(objective_name), "sigmoid", x, eps, strength)
        return jax.grad(lambda q: loss(q)[0])(params)

    for with_it, without in zip(gradient(name, 0.5), gradient("ae", 0.5), strict=True):
        if with_it is not None:
            assert float(jnp.linalg.norm(with_it - without)) > 1e-3


def _sae_value(bias, strength=1.0):
    """Identity unit of zero weight: ρ is the bias."""
    params = Params(jnp.zeros((1, 2)), jnp.reshape(bias, (1,)))
    seen = one_layer_forward(params, jnp.zeros((3, 2)), "identity")
    return strength * penalties.log_sparsity()(seen, None)


@settings(deadline=None, max_examples=50)
@given(st.floats(-3.0, 8.0))
def test_sparsity_penalty_always_pushes_down_and_never_less_than_before_the_pole(rho):
    value, slope = jax.value_and_grad(_sae_value)(jnp.asarray(rho))
    assert np.isfinite(value)
    expected = 1 / (1 - rho) if rho <= penalties.POLE else 1 / (1 - penalties.POLE)
    np.testing.assert_allclose(slope, expected, rtol=2e-5)


def test_without_the_tangent_the_penalty_would_reward_activity():
    """The counter-example that the tangent answers: eq. 13 itself beyond its pole."""
    assert jax.grad(lambda t: -jnp.log(1 - t))(2.0) < 0
    assert jnp.isnan(-jnp.log(1 - jnp.asarray(2.0)))
    assert jax.grad(_sae_value)(jnp.asarray(2.0)) > 0


def test_kl_is_finite_for_a_dead_unit_and_zero_at_its_target(x64):
    x = jnp.zeros((3, 2))

    def kl(bias, rho=0.2):
        params = Params(jnp.zeros((1, 2)), jnp.reshape(bias, (1,)))
        return penalties.kl_sparsity(rho)(one_layer_forward(params, x, "identity"), None)

    for rho_hat in (0.0, -1.0, 1.5):
        value, slope = jax.value_and_grad(kl)(jnp.asarray(rho_hat))
        assert np.isfinite(value)
        assert np.sign(slope) == np.sign(rho_hat - 0.2)
    assert_close(kl(jnp.asarray(0.2)), 0.0)
    assert abs(float(jax.grad(kl)(jnp.asarray(0.2)))) < 1e-12
    # ρ = 0 is eq. 13: the entropy term needs 0 log 0 = 0
    assert_close(kl(jnp.asarray(0.3), rho=0.0), -np.log(0.7))
    assert_close(jax.value_and_grad(kl)(jnp.asarray(0.0), rho=0.0), (0.0, 1.0))
    with pytest.raises(InputError, match="KL target is 1"):
        penalties.kl_sparsity(1.0)


def test_share_on_the_tangent_is_reported():
    params = Params(jnp.zeros((4, 2)), jnp.array([0.5, 2.0, 0.98, 1.5]))
    x = jnp.zeros((3, 2))
    _, parts = loss_of(get_objective("sae"), "identity", x, x, 0.1)(params)
    assert parts["tangent_share"] == 0.5


def test_the_tangent_may_begin_elsewhere():
    from aesparse.losses.objectives import kl_sparse, sparse

    params = Params(jnp.zeros((4, 2)), jnp.array([0.5, 0.95, 0.0, -1.0]))
    x = jnp.zeros((3, 2))
    shares = [
        float(loss_of(objective, "identity", x, x, 0.1)(params)[1]["tangent_share"])
        for objective in (sparse(), sparse(pole=0.9), kl_sparse())
    ]
    assert shares == [0.0, 0.25, 0.5]  # KL: its lower tangent counts too
    with pytest.raises(InputError, match="begins at 1"):
        penalties.log_sparsity(1.0)


def test_masking_zeroes_the_right_share_and_nothing_at_zero(rng):
    from aesparse.losses.corruption import masking

    x = jnp.ones((400, 100))
    eps = jnp.asarray(rng.normal(size=x.shape).astype(np.float32))
    assert (masking(x, eps, jnp.asarray(0.0)) == x).all()
    dropped = float(jnp.mean(masking(x, eps, jnp.asarray(0.25)) == 0))
    assert abs(dropped - 0.25) < 5 * np.sqrt(0.25 * 0.75 / x.size)


def test_a_users_penalty_enters_like_a_built_in_one(x64):
    p, x, eps = problem(5, 3, 4)
    params, x = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"])), jnp.asarray(x)

    @penalties.per_example
    def squared_code(model, params, x):
        return jnp.sum(model.encode(params, x) ** 2)

    loss, aux = loss_of(regularized(squared_code), "sigmoid", x, eps, 0.7)(params)
    h = 1 / (1 + np.exp(-(np.asarray(x) @ p["weight"].T + p["bias"])))
    assert_close(aux["penalty"], np.mean(np.sum(h**2, 1)))
    assert_close(loss, aux["reconstruction"] + 0.7 * aux["penalty"])


def test_antithetic_noise_cancels_the_first_order_term(x64):
    """The loss is even in σ: its slope at σ = 0 vanishes, that of the one-sided DAE does not."""
    p, x, eps = problem(5, 3, 4)
    params = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"]))

    def slope_at_zero(name):
        def loss(sigma):
            noisy = loss_of(get_objective(name), "softplus", x, sigma * jnp.asarray(eps), 1.0)
            return noisy(params)[0]

        return jax.jvp(loss, (jnp.zeros(()),), (jnp.ones(()),))[1]

    assert abs(slope_at_zero("dae-antithetic")) <= 1e-14
    assert abs(slope_at_zero("dae")) > 0.1


def test_the_kink_term_tends_to_the_dirac_mass(x64):
    """One ReLU unit on N(0, 1): −p_a(0) w² E[w r | a = 0] = φ(b/w) w b, as the width goes to 0."""
    w, b = 0.8, 0.3
    params = Params(jnp.full((1, 1), w), jnp.full(1, b))
    points, step = np.linspace(-9, 9, 400_001, retstep=True)
    density = norm.pdf(points) * step * len(points)  # the penalty takes means over samples

    def mass(width):
        def one(x):
            seen = one_layer_forward(params, x[None, None], "relu")
            with_kink = penalties.second_order_with_kink(width)(seen, None)
            return with_kink - penalties.second_order(seen, None)

        return np.mean(np.asarray(jax.vmap(one)(jnp.asarray(points))) * density)

    expected = norm.pdf(b / w) * w * b
    errors = [abs(mass(width) / expected - 1) for width in (0.1, 0.05, 0.025)]
    assert errors[2] < errors[1] / 1.8 < errors[0] / 3
    assert errors[2] < 0.05
    with pytest.raises(InputError, match="width"):
        penalties.second_order_with_kink(0.0)


def test_second_order_denoising_reports_its_residual_share(x64):
    p, x, eps = problem(5, 3, 4)
    params = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"]))
    loss = loss_of(get_objective("dae2"), "softplus", x, eps, 0.3)
    share = loss(params)[1]["residual_share"]
    formulas = oracles.ACTIVATIONS["softplus"]
    straight = (formulas[0], formulas[1], np.zeros_like)
    whole, along = (
        oracles.dae2(p, x, eps, 1.0, f) - oracles.ae(p, x, eps, 1.0, f)
        for f in (formulas, straight)
    )
    np.testing.assert_allclose(share, abs(whole - along) / along, rtol=1e-10)


def test_unknown_objective_suggests_a_near_one():
    with pytest.raises(InputError, match=r"Unknown objective 'cea'.*did you mean"):
        get_objective("cea")


# --- the contract, whatever the model ------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class TopK:
    """Largest `kept` of |W x|, a model in a few lines."""

    hidden: int
    kept: int

    def init(self, key, n):
        return 0.5 * jax.random.normal(key, (self.hidden, n))

    def encode(self, params, x):
        a = x @ params.T
        limit = -jnp.sort(-jnp.abs(a), axis=-1)[..., self.kept - 1, None]
        return jnp.where(jnp.abs(a) >= limit, a, 0.0)

    def decode(self, params, h):
        return h @ params


GENERIC = ["ae", "dae", "dae-masking", "dae-antithetic", "edae", "sae", "sae-kl", "mean-square"]


@pytest.mark.parametrize("name", GENERIC)
def test_generic_objectives_take_any_model(name, x64):
    """A model of the user's own that computes what a OneLayer does has the same loss."""

    @dataclasses.dataclass(frozen=True)
    class Mine:
        def init(self, key, n):
            return None

        def encode(self, params, x):
            return jnp.tanh(x @ params["w"].T + jnp.broadcast_to(params["b"], (*x.shape[:-1], 4)))

        def decode(self, params, h):
            return h @ params["w"]

    p, x, eps = problem(5, 4, 6)
    one = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"]))
    objective = get_objective(name)
    coefficients = dict.fromkeys(objective.coefficients, jnp.asarray(0.3))
    arguments = (jnp.asarray(x), jnp.asarray(eps), coefficients)

    def mine(p):
        return objective(Mine(), {"w": p.weight, "b": p.bias}, *arguments)[0]

    value, gradient = jax.value_and_grad(mine)(one)
    known, expected = jax.value_and_grad(lambda p: loss_of(objective, "tanh", x, eps, 0.3)(p)[0])(
        one
    )
    assert_close(value, known)
    jax.tree.map(assert_close, gradient, expected)


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - set(GENERIC)))
def test_structured_objectives_say_that_they_are_for_one_layer(name):
    model, objective, x = TopK(4, 2), get_objective(name), jnp.ones((3, 5))
    params = model.init(jax.random.key(0), 5)
    coefficients = dict.fromkeys(objective.coefficients, 0.1)
    with pytest.raises(InputError, match="for one-layer models"):
        objective(model, params, x, x, coefficients)


def test_generic_penalties_of_a_code_that_is_no_activation(x64, rng):
    """The Jacobian of a top-k code has the selected rows of W."""
    model, x = TopK(4, 2), jnp.asarray(rng.normal(size=(6, 5)))
    params = model.init(jax.random.key(0), 5)
    seen = forward(model, params, x)
    chosen = np.asarray(seen.code) != 0
    assert (chosen.sum(axis=1) == 2).all()
    lengths = np.sum(np.asarray(params) ** 2, axis=1)
    assert_close(penalties.contractive_generic(seen, None), np.mean(chosen @ lengths))
    assert seen.preactivation is None


def test_a_penalty_may_be_written_in_one_line(x64):
    p, x, eps = problem(5, 3, 4)
    params = Params(jnp.asarray(p["weight"]), jnp.asarray(p["bias"]))
    objective = regularized(lambda forward, eps: jnp.sum(jnp.mean(forward.code, 0) ** 2))
    assert_close(
        loss_of(objective, "sigmoid", x, eps, 0.7)(params)[0],
        oracles.mean_square(p, x, eps, 0.7, oracles.ACTIVATIONS["sigmoid"]),
    )


def test_equal_objectives_are_equal_and_users_functions_may_be_objectives():
    assert regularized("cae") == get_objective("cae") == as_objective("cae")
    assert regularized("cae") != regularized("mdae")

    def fn(model, params, x, eps, coefficients):
        loss = coefficients["mine"] * jnp.sum(params)
        return loss, {}

    one, two = (as_objective(fn, ["mine"]) for _ in range(2))
    assert one == two
    x = jnp.ones((1, 1))
    assert one(TopK(2, 1), jnp.ones(3), x, x, {"mine": 2.0})[0] == 6.0


@pytest.mark.parametrize(
    ("coefficients", "word"),
    [
        ({}, "strength"),
        ({"strenght": 1.0}, "strength"),
        ({"strength": 1, "b": 2}, "b"),
    ],
)
def test_coefficients_are_those_of_the_objective(coefficients, word):
    params, x = Params(jnp.ones((2, 3)), jnp.zeros(2)), jnp.ones((4, 3))
    with pytest.raises(InputError, match=word):
        get_objective("cae")(OneLayer(2), params, x, x, coefficients)


def test_a_penalty_that_is_no_number_is_refused():
    params, x = Params(jnp.ones((2, 3)), jnp.zeros(2)), jnp.ones((4, 3))
    with pytest.raises(InputError, match=r"shape \(4,\)"):
        loss_of(regularized(lambda forward, eps: forward.code[:, 0]), "relu", x, x, 0.1)(params)


def test_a_decoder_of_another_size_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Short(TopK):
        def decode(self, params, h):
            return h

    model = Short(4, 2)
    with pytest.raises(InputError, match=r"\(3, 4\).*\(3, 5\)"):
        forward(model, model.init(jax.random.key(0), 5), jnp.ones((3, 5)))
