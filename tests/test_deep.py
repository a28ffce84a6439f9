"""Deep encoders: one layer equals the one-layer library; estimates, layers, the grid's program."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses import penalties
from aesparse.losses.objectives import get_objective
from aesparse.losses.saturation import complement
from aesparse.models import deep
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import Params, decode, encode, forward, init_params
from aesparse.training.guard import NumericsError
from experiments.figures.beyond import deep_example
from experiments.pipeline.plan import Plan

N, M, B = 5, 3, 8
SIGMOID = get_activation("sigmoid")


def dense(units):
    return nn.Dense(units, param_dtype=jnp.float64, bias_init=nn.initializers.normal(0.3))


def one_layer():
    """A flax pair and its parameters, and the same as one-layer parameters."""
    model, init = deep.from_flax(nn.Sequential([dense(M), nn.sigmoid]), dense(N), N)
    params = init(jax.random.key(0))
    coder = params["encoder"]["params"]["layers_0"]
    decoder = params["decoder"]["params"]
    flat = Params(coder["kernel"].T, coder["bias"], decoder["bias"], decoder["kernel"].T)
    return model, params, flat


def two_layer_encoder():
    """A smooth one, N -> 4 -> M."""
    return nn.Sequential([dense(4), jnp.tanh, dense(M), nn.sigmoid])


def two_layers():
    """That encoder, its model and parameters."""
    coder = two_layer_encoder()
    model, init = deep.from_flax(coder, dense(N), N)
    return coder, model, init(jax.random.key(1))


def batch(samples=B, n=N):
    rng = np.random.default_rng(2)
    return tuple(jnp.asarray(rng.normal(size=(samples, n))) for _ in range(2))


@pytest.mark.parametrize("name", ["cae", "dae", "edae", "dae-masking"])
def test_one_flax_layer_is_the_one_layer_objective(name, x64):
    model, params, flat = one_layer()
    ours = {
        "cae": deep.regularized(model, deep.contractive(model.encode)),
        "dae": deep.denoising(model),
        "edae": deep.first_order_denoising(model),
        "dae-masking": deep.denoising(model, ae.corruption.masking),
    }[name]
    theirs = get_objective(name, SIGMOID)
    arguments = (*batch(), jnp.asarray(0.3))
    (one, aux), gradient = jax.value_and_grad(ours, has_aux=True)(params, *arguments)
    (two, known), expected = jax.value_and_grad(theirs, has_aux=True)(flat, *arguments)
    np.testing.assert_allclose(one, two, rtol=1e-12)
    assert aux.keys() == known.keys()
    for part in known:
        np.testing.assert_allclose(aux[part], known[part], rtol=1e-10)
    coder, decoder = gradient["encoder"]["params"]["layers_0"], gradient["decoder"]["params"]
    found = Params(coder["kernel"].T, coder["bias"], decoder["bias"], decoder["kernel"].T)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)
    assert ours.levels == theirs.levels


def test_the_exact_penalty_of_one_layer_is_both_known_definitions(x64):
    model, params, flat = one_layer()
    x, eps = batch()
    found = deep.contractive(model.encode)(params, x, eps)
    for known in (penalties.contractive, penalties.contractive_generic):
        np.testing.assert_allclose(found, known(forward(flat, x, SIGMOID), None), rtol=1e-12)


def test_two_layers_jacobian_is_the_chain_rule(x64):
    _, model, params = two_layers()
    x, eps = batch()
    first, second = (params["encoder"]["params"][f"layers_{i}"] for i in (0, 2))
    first, second = (jax.tree.map(np.asarray, layer) for layer in (first, second))
    inner = np.asarray(x) @ first["kernel"] + first["bias"]
    code = 1 / (1 + np.exp(-(np.tanh(inner) @ second["kernel"] + second["bias"])))
    total = 0.0
    for t, h in zip(np.tanh(inner), code, strict=True):
        middle = first["kernel"] * (1 - t**2) @ second["kernel"]
        total += np.sum((middle * (h * (1 - h))) ** 2)
    found = deep.contractive(model.encode)(params, x, eps)
    np.testing.assert_allclose(found, total / len(x), rtol=1e-12)


@pytest.mark.parametrize("kind", ["signs", "normal"])
def test_the_estimate_and_its_error_against_the_exact_ones(kind, x64):
    """Var(vᵀAv) = 2‖A‖_F² for normal v, less 2 Σ A_ii² for random signs, A = JᵀJ."""
    _, model, params = two_layers()
    x, eps = batch()
    draw = {"signs": jax.random.rademacher, "normal": jax.random.normal}[kind]
    probes = draw(jax.random.key(3), (4000, *x.shape), x.dtype)
    value, error = deep.contractive_estimate(model.encode, params, x, probes)
    exact = deep.contractive(model.encode)(params, x, eps)
    jacobians = np.asarray(jax.vmap(jax.jacfwd(lambda z: model.encode(params, z)))(x))
    gram = np.einsum("bmi,bmj->bij", jacobians, jacobians)
    variance = 2 * np.sum(gram**2, (1, 2))
    if kind == "signs":
        variance = variance - 2 * np.sum(np.diagonal(gram, axis1=1, axis2=2) ** 2, 1)
    expected = np.sqrt(np.sum(variance) / len(probes)) / len(x)
    np.testing.assert_allclose(error, expected, rtol=0.1)
    assert 0 < abs(value - exact) < 4 * error
    assert error < 0.02 * exact


def test_the_estimate_sums_over_every_axis_of_a_code(x64):
    x, eps = batch()

    def encode(params, x):
        return jnp.stack([x, 2 * x, 3 * x], axis=-1)  # [B, n, 3]: the sum of squares is 14 n

    value, _ = deep.contractive_estimate(encode, None, x, jnp.stack([jnp.sign(eps)] * 2))
    np.testing.assert_allclose(value, 14 * x.shape[1], rtol=1e-12)
    np.testing.assert_allclose(deep.contractive(encode)(None, x, eps), 14 * x.shape[1], rtol=1e-12)


def test_probes_in_training_are_unbiased_and_bounded_by_the_batch(x64):
    _, model, params = two_layers()
    x, _ = batch()
    exact = float(deep.contractive(model.encode)(params, x, x))
    noise = jax.random.normal(jax.random.key(4), (2000, *x.shape), x.dtype)
    spreads = []
    for probes in (1, 3):
        penalty = deep.contractive_probed(model.encode, probes)
        each = np.asarray(jax.vmap(lambda eps, p=penalty: p(params, x, eps))(noise))
        assert abs(each.mean() - exact) < 4 * each.std() / np.sqrt(len(each))
        spreads.append(each.std())
    assert spreads[1] < 0.98 * spreads[0]
    with pytest.raises(InputError, match="probes is 9; expected 1 to the batch size 8"):
        deep.contractive_probed(model.encode, 9)(params, x, x)


def test_saturation_sums_over_the_layers_of_the_encoder(x64):
    coder, _, params = two_layers()
    x, eps = batch()
    layers = deep.captured(coder, ["layers_0", "layers_2"])
    first, second = (params["encoder"]["params"][f"layers_{i}"] for i in (0, 2))
    a = np.asarray(x) @ np.asarray(first["kernel"]) + np.asarray(first["bias"])
    b = np.tanh(a) @ np.asarray(second["kernel"]) + np.asarray(second["bias"])
    for found, expected in zip(layers(params, x), (a, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    # f_c of the saturated linear function is the distance to ±1 from inside.
    distance = complement(get_activation("saturated-linear"))
    inside = [np.maximum(1 - np.abs(layer), 0).sum() / B for layer in (a, b)]
    both = deep.saturation(layers, distance)(params, x, eps)
    np.testing.assert_allclose(both, sum(inside), rtol=1e-9)
    one = deep.saturation(lambda params, x: layers(params, x)[1], distance)(params, x, eps)
    np.testing.assert_allclose(one, inside[1], rtol=1e-9)
    with pytest.raises(InputError, match=r"no layer 'Dense_7'; expected one of .*layers_0"):
        deep.captured(coder, ["Dense_7"])(params, x)


def test_no_penalty_has_lost_its_gradient(x64):
    coder, model, params = two_layers()
    x, eps = batch()
    layers = deep.captured(coder, ["layers_0", "layers_2"])
    for penalty in (
        deep.contractive(model.encode),
        deep.contractive_probed(model.encode, 2),
        deep.saturation(layers, jnp.square),
    ):
        gradient = jax.grad(penalty)(params, x, eps)["encoder"]
        assert all(jnp.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(gradient))


def test_a_decoder_of_another_size_is_refused():
    model, init = deep.from_flax(nn.Dense(M), nn.Dense(1), N)
    x, eps = batch()
    with pytest.raises(InputError, match=r"returned shape \(8, 1\).*\(8, 5\)"):
        deep.denoising(model)(init(jax.random.key(0)), x, eps, jnp.asarray(0.1))


def test_a_penalty_that_is_no_number_is_refused():
    model, init = deep.from_flax(nn.Dense(M), nn.Dense(N), N)
    objective = deep.regularized(model, lambda params, x, eps: model.encode(params, x)[:, 0])
    with pytest.raises(InputError, match=r"penalty returned shape \(8,\)"):
        objective(init(jax.random.key(0)), *batch(), jnp.asarray(0.1))


TRAINING = {"epochs": 2, "batch_size": 10, "learning_rate": 0.02}


def fit(objective, init, **options):
    X = jnp.asarray(np.random.default_rng(5).normal(size=(40, N)))
    return deep.fit_deep(jax.random.key(7), X, objective=objective, init=init, **TRAINING | options)


@pytest.mark.long
def test_one_layer_trains_as_the_grid_of_one_layer_models(x64):
    model = deep.DeepModel(lambda p, x: encode(p, x, SIGMOID), decode)
    objective = deep.regularized(model, deep.contractive(model.encode))
    found = fit(
        objective,
        lambda key: init_params(key, N, M, dtype=np.dtype("float64")),
        strengths=[0.0, 0.5],
        seeds=(1, 4),
    )
    X = np.random.default_rng(5).normal(size=(40, N))
    known = ae.fit_grid(
        jax.random.key(7),
        X,
        objective=get_objective("cae", SIGMOID),
        strengths=[0.0, 0.5],
        seeds=(1, 4),
        hidden=M,
        constraint="free",
        **TRAINING,
    )
    np.testing.assert_allclose(found.params.weight, known.params.weight, rtol=1e-10)
    np.testing.assert_allclose(found.params.bias, known.params.bias, rtol=1e-8, atol=1e-13)
    for name, values in known.losses.items():
        np.testing.assert_allclose(found.losses[name], values, rtol=1e-10)
    assert found.guard <= 1e-10


@pytest.mark.long
def test_a_deep_cell_does_not_depend_on_its_neighbours(x64):
    model, init = deep.from_flax(two_layer_encoder(), dense(N), N)
    objective = deep.regularized(model, deep.contractive_probed(model.encode))
    whole = fit(objective, init, strengths=[0.0, 0.5, 2.0], seeds=(1, 4))
    turned = fit(objective, init, strengths=[2.0, 0.5, 0.0], seeds=(4, 1))
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(turned.params), strict=True):
        np.testing.assert_allclose(a[1, 2], b[0, 0], rtol=1e-10, atol=1e-13)
        assert not np.allclose(a[1, 2], a[1, 0], rtol=1e-4)
    assert whole.losses["reconstruction"].shape == (2, 3, 2)
    assert (whole.losses["reconstruction"][..., 1] < whole.losses["reconstruction"][..., 0]).all()


def test_the_guard_looks_at_the_program_that_trains():
    model = deep.DeepModel(lambda p, x: x @ p["w"], lambda p, h: h @ p["w"].T)

    def miscompiled(params, x, eps):
        return jnp.sum(params["w"] ** 2) * (1.0 if jax.config.jax_disable_jit else 1.5)

    objective = deep.regularized(model, miscompiled)
    with pytest.raises(NumericsError, match="disagrees"):
        fit(objective, lambda key: {"w": 0.1 * jax.random.normal(key, (N, M))}, strengths=[1.0])


def test_bad_arguments_are_refused_before_anything_runs():
    model = deep.DeepModel(lambda p, x: x @ p["w"], lambda p, h: h @ p["w"].T)
    never = deep.denoising(model), lambda key: pytest.fail("initialized")
    with pytest.raises(InputError, match="batch size 400"):
        fit(*never, strengths=[1.0], batch_size=400)
    with pytest.raises(InputError, match="strengths"):
        fit(*never, strengths=[-1.0])
    with pytest.raises(InputError, match=r"momentum is 1.0; expected a number in \[0, 1\)"):
        fit(*never, strengths=[1.0], momentum=1.0)
    masked = deep.denoising(model, ae.corruption.masking)
    with pytest.raises(InputError, match=r"corruption are \[1.\]; expected numbers in \[0, 1\)"):
        fit(masked, never[1], strengths=[1.0])


@pytest.mark.parametrize(("off", "sign", "expected"), [(1, -1, "holds"), (5, +1, "fails")])
def test_the_examples_verdicts_can_fail(off, sign, expected):
    (study, _) = deep_example.runs(Plan("quick", 2))
    penalty = np.tile(np.exp(sign * np.arange(8.0)), (2, 1))
    error = 0.01 * penalty
    named = {"penalty": penalty, "estimate": penalty + off * error, "standard_error": error}
    run = xr.Dataset({name: (("seed", "strength"), v) for name, v in named.items()})
    found = deep_example.verdicts({study: run}, "digits")
    assert [v.verdict for v in found] == [expected] * 2
    assert f"at most {off}.000" in found[0].numbers
    assert "at most 1.0% of it" in deep_example.caption({study: run}, Plan("quick", 2))
