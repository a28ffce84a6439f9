"""Deep encoders: one flax layer equals the one-layer model; estimates, captured layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from aesparse.errors import InputError
from aesparse.losses.objectives import denoising, get_objective, regularized
from aesparse.losses.penalties import contractive, contractive_generic
from aesparse.losses.probed import contractive_estimate, contractive_probed
from aesparse.losses.saturation import complement, saturation_of_layers
from aesparse.models.activations import get_activation
from aesparse.models.base import check_model
from aesparse.models.flax import FlaxModel, captured
from aesparse.models.forward import forward, one_layer_forward
from aesparse.models.one_layer import OneLayer, Params
from experiments.figures.beyond import deep_example
from experiments.pipeline.plan import Plan

N, M, B = 5, 3, 8
SIGMOID = get_activation("sigmoid")


def dense(units):
    return nn.Dense(units, param_dtype=jnp.float64, bias_init=nn.initializers.normal(0.3))


def one_layer():
    """A flax pair and its parameters, and the same as one-layer parameters."""
    model = FlaxModel(nn.Sequential([dense(M), nn.sigmoid]), dense(N))
    params = model.init(jax.random.key(0), N)
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
    model = FlaxModel(coder, dense(N))
    return coder, model, model.init(jax.random.key(1), N)


def batch(samples=B, n=N):
    rng = np.random.default_rng(2)
    return tuple(jnp.asarray(rng.normal(size=(samples, n))) for _ in range(2))


@pytest.mark.parametrize("name", ["cae", "dae", "edae", "dae-masking"])
def test_one_flax_layer_is_the_one_layer_objective(name, x64):
    model, params, flat = one_layer()
    theirs = get_objective(name)
    ours = regularized(contractive_generic) if name == "cae" else theirs
    arguments = (*batch(), {"strength": jnp.asarray(0.3)})
    (one, parts), gradient = jax.value_and_grad(lambda p: ours(model, p, *arguments), has_aux=True)(
        params
    )
    (two, known), expected = jax.value_and_grad(
        lambda p: theirs(OneLayer.of(p, SIGMOID), p, *arguments), has_aux=True
    )(flat)
    np.testing.assert_allclose(one, two, rtol=1e-12)
    assert parts.keys() == known.keys()
    for part in known:
        np.testing.assert_allclose(parts[part], known[part], rtol=1e-10)
    coder, decoder = gradient["encoder"]["params"]["layers_0"], gradient["decoder"]["params"]
    found = Params(coder["kernel"].T, coder["bias"], decoder["bias"], decoder["kernel"].T)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)


def test_equal_flax_models_are_equal():
    def encoder():  # nn.Sequential has no hash of its own
        return nn.Sequential([nn.Dense(M), jnp.tanh])

    one, two = (FlaxModel(encoder(), nn.Dense(N)) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one != FlaxModel(encoder(), nn.Dense(N + 1))
    check_model(one)


def test_the_exact_penalty_of_one_layer_is_both_known_definitions(x64):
    model, params, flat = one_layer()
    x, _ = batch()
    found = contractive_generic(forward(model, params, x), None)
    for known in (contractive, contractive_generic):
        np.testing.assert_allclose(found, known(one_layer_forward(flat, x, SIGMOID), None))


def test_two_layers_jacobian_is_the_chain_rule(x64):
    _, model, params = two_layers()
    x, _ = batch()
    first, second = (params["encoder"]["params"][f"layers_{i}"] for i in (0, 2))
    first, second = (jax.tree.map(np.asarray, layer) for layer in (first, second))
    inner = np.asarray(x) @ first["kernel"] + first["bias"]
    code = 1 / (1 + np.exp(-(np.tanh(inner) @ second["kernel"] + second["bias"])))
    total = 0.0
    for t, h in zip(np.tanh(inner), code, strict=True):
        middle = first["kernel"] * (1 - t**2) @ second["kernel"]
        total += np.sum((middle * (h * (1 - h))) ** 2)
    found = contractive_generic(forward(model, params, x), None)
    np.testing.assert_allclose(found, total / len(x), rtol=1e-12)


@pytest.mark.parametrize("kind", ["signs", "normal"])
def test_the_estimate_and_its_error_against_the_exact_ones(kind, x64):
    """Var(vᵀAv) = 2‖A‖_F² for normal v, less 2 Σ A_ii² for random signs, A = JᵀJ."""
    _, model, params = two_layers()
    x, _ = batch()
    draw = {"signs": jax.random.rademacher, "normal": jax.random.normal}[kind]
    probes = draw(jax.random.key(3), (4000, *x.shape), x.dtype)
    value, error = contractive_estimate(model.encode, params, x, probes)
    exact = contractive_generic(forward(model, params, x), None)
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

    value, _ = contractive_estimate(encode, None, x, jnp.stack([jnp.sign(eps)] * 2))
    np.testing.assert_allclose(value, 14 * x.shape[1], rtol=1e-12)


def test_probes_in_training_are_unbiased_and_bounded_by_the_batch(x64):
    _, model, params = two_layers()
    x, _ = batch()
    exact = float(contractive_generic(forward(model, params, x), None))
    noise = jax.random.normal(jax.random.key(4), (2000, *x.shape), x.dtype)
    spreads = []
    for probes in (1, 3):
        penalty = contractive_probed(probes)
        each = np.asarray(jax.vmap(lambda eps, p=penalty: p(forward(model, params, x), eps))(noise))
        assert abs(each.mean() - exact) < 4 * each.std() / np.sqrt(len(each))
        spreads.append(each.std())
    assert spreads[1] < 0.98 * spreads[0]
    seen = forward(model, params, x)
    for wrong in (lambda: contractive_probed(9)(seen, x), lambda: contractive_probed(0)):
        with pytest.raises(InputError, match="probes"):
            wrong()
    with pytest.raises(InputError, match="noise"):
        contractive_probed(1)(seen, None)


def test_saturation_sums_over_the_layers_of_the_encoder(x64):
    coder, model, params = two_layers()
    x, _ = batch()
    layers = captured(coder, ["layers_0", "layers_2"])
    first, second = (params["encoder"]["params"][f"layers_{i}"] for i in (0, 2))
    a = np.asarray(x) @ np.asarray(first["kernel"]) + np.asarray(first["bias"])
    b = np.tanh(a) @ np.asarray(second["kernel"]) + np.asarray(second["bias"])
    for found, expected in zip(layers(params, x), (a, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    # f_c of the saturated linear function is the distance to ±1 from inside.
    distance = complement(get_activation("saturated-linear"))
    inside = [np.maximum(1 - np.abs(layer), 0).sum() / B for layer in (a, b)]
    seen = forward(model, params, x)
    both = saturation_of_layers(layers, distance)(seen, None)
    np.testing.assert_allclose(both, sum(inside), rtol=1e-9)
    one = saturation_of_layers(lambda params, x: layers(params, x)[1], distance)(seen, None)
    np.testing.assert_allclose(one, inside[1], rtol=1e-9)
    with pytest.raises(InputError, match=r"no layer 'Dense_7'; expected one of .*layers_0"):
        captured(coder, ["Dense_7"])(params, x)


def test_no_penalty_has_lost_its_gradient(x64):
    coder, model, params = two_layers()
    x, eps = batch()
    layers = captured(coder, ["layers_0", "layers_2"])
    for penalty in (
        contractive_generic,
        contractive_probed(2),
        saturation_of_layers(layers, jnp.square),
    ):
        loss = lambda p, f=penalty: f(forward(model, p, x), eps)  # noqa: E731
        gradient = jax.grad(loss)(params)["encoder"]
        assert all(jnp.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(gradient))


def test_a_decoder_of_another_size_is_refused():
    model, (x, eps) = FlaxModel(nn.Dense(M), nn.Dense(1)), batch()
    params = model.init(jax.random.key(0), N)
    with pytest.raises(InputError, match=r"\(8, 1\).*\(8, 5\)"):
        denoising()(model, params, x, eps, {"strength": 0.1})


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
