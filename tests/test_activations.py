"""One battery for every activation: values, slopes, curvatures, extremes, vmap and jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import ACTIVATIONS as ORACLES

from aesparse.errors import InputError
from aesparse.models.activations import (
    ACTIVATIONS,
    Activation,
    as_activation,
    get_activation,
    saturated_linear,
    shrink,
)
from aesparse.models.one_layer import OneLayer

POINTS = np.linspace(-6, 6, 48)  # 0 is not among them: ReLU has no slope there


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_slope_and_curvature_equal_typed_formulas(name, x64):
    s = get_activation(name)
    a = jnp.asarray(POINTS)
    for measured, formula in zip((s(a), s.slope(a), s.curvature(a)), ORACLES[name], strict=True):
        np.testing.assert_allclose(measured, formula(POINTS), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jit_and_loop_equal_the_array_call(name):
    s = get_activation(name)
    a = jnp.linspace(-2.0, 2.0, 6).reshape(2, 3)
    looped = np.array([[float(s(v)) for v in row] for row in a])
    np.testing.assert_allclose(s(a), looped, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(s)(a), looped, rtol=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_are_finite_far_out(name):
    s = get_activation(name)
    a = jnp.array([-1e4, -100.0, 0.0, 100.0, 1e4])
    assert np.isfinite(s(a)).all()
    assert np.isfinite(s.slope(a)).all()
    assert np.isfinite(s.curvature(a)).all()


def test_relu_has_slope_zero_at_its_kink():
    assert get_activation("relu").slope(jnp.array(0.0)) == 0.0


def test_thresholds_are_the_papers():
    found = {name: ACTIVATIONS[name].threshold for name in ("relu", "softplus", "sigmoid")}
    assert found == {"relu": 0.0, "softplus": 0.1, "sigmoid": 0.1}


def test_a_function_written_for_one_number_works_on_arrays():
    s = Activation(lambda a: jax.lax.cond(a > 0, lambda v: v**2, lambda v: 0.0 * v, a))
    np.testing.assert_allclose(s(jnp.array([[-1.0, 2.0]])), [[0.0, 4.0]])
    np.testing.assert_allclose(s.slope(jnp.array([-1.0, 2.0])), [0.0, 4.0])


def test_unknown_name_suggests_a_near_one():
    with pytest.raises(InputError, match=r"Unknown activation 'rellu'.*did you mean relu"):
        get_activation("rellu")


def test_an_activation_that_is_not_scalar_is_refused():
    with pytest.raises(InputError, match=r"shape \(2,\) for one number; expected a scalar"):
        Activation(lambda a: jnp.stack([a, -a]))(jnp.ones(3))


def test_names_and_plain_functions_are_activations():
    assert as_activation("relu") is get_activation("relu")
    assert as_activation(jnp.tanh) == Activation(jnp.tanh, 0.0)
    own = Activation(jnp.tanh, 0.2)
    assert as_activation(own) is own


@pytest.mark.parametrize("wrong", [None, 1.0, ["relu"], "rellu", Activation])
def test_what_is_no_activation_is_refused(wrong):
    with pytest.raises(InputError):
        as_activation(wrong)


def test_models_that_compute_the_same_are_equal():
    assert OneLayer(3, "tanh") == OneLayer(3, get_activation("tanh"))
    assert hash(OneLayer(3, jnp.tanh)) == hash(OneLayer(3, Activation(jnp.tanh)))
    assert OneLayer(3, "tanh") != OneLayer(3, "tanh", decoder_bias=True)


@pytest.mark.parametrize("options", [{}, {"tied": False}, {"decoder_bias": True}])
def test_a_model_is_known_by_its_parameters(options):
    model = OneLayer(3, "sigmoid", **options)
    params = model.init(jax.random.key(0), 5)
    assert OneLayer.of(params, "sigmoid") == model
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
    assert OneLayer.of(stacked, "sigmoid") == model


@pytest.mark.parametrize("width", [0.3, 1, 5.0])
def test_saturated_linear_is_a_clip_and_shrink_what_it_takes_off(width, x64):
    """shrink(T)(a) = a − clip(a, −T, T): the two nonlinearities of SATAE add up to the identity."""
    a = jnp.asarray(np.append(POINTS, [width, -width]))
    linear = saturated_linear(width)
    np.testing.assert_array_equal(linear(a), np.clip(a, -width, width))
    np.testing.assert_array_equal(linear.slope(a), np.abs(a) < width)
    np.testing.assert_allclose(shrink(width)(a), a - np.clip(a, -width, width), atol=1e-15)


def test_widths_are_equal_by_value():
    assert saturated_linear() == get_activation("saturated-linear") == saturated_linear(1)
    assert hash(saturated_linear(3)) == hash(saturated_linear(3.0))
    assert saturated_linear(3) != saturated_linear(2)
    assert shrink(1) != saturated_linear(1)


@pytest.mark.parametrize("make", [shrink, saturated_linear])
@pytest.mark.parametrize("width", [0, -1.0, float("nan"), float("inf")])
def test_widths_that_are_none_are_refused(make, width):
    with pytest.raises(InputError, match=r"width .* expected a finite number > 0"):
        make(width)
