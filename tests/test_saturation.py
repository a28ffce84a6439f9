"""SATAE's complementary functions against closed forms and quadrature."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from aesparse.errors import InputError
from aesparse.losses.objectives import saturating
from aesparse.losses.saturation import complement, flat_parts, multiscale_complement, saturation
from aesparse.models.activations import (
    ACTIVATIONS,
    Activation,
    get_activation,
    saturated_linear,
    shrink,
)
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import OneLayer, Params

Z = np.linspace(-7.3, 7.1, 1001)
# S1: what SATAE's Figure 1 draws, typed by hand
CLOSED_FORMS = {
    "shrink": lambda z: np.maximum(np.abs(z) - 0.5, 0),
    "relu": lambda z: np.maximum(z, 0),
    "saturated-linear": lambda z: np.maximum(1 - np.abs(z), 0),
    "hard-sigmoid": lambda z: np.maximum(3 - np.abs(z), 0),
}
WITHOUT = sorted(set(ACTIVATIONS) - set(CLOSED_FORMS))


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_s1_the_distance_equals_the_closed_form(name, x64):
    found = complement(get_activation(name))(jnp.asarray(Z))
    np.testing.assert_allclose(found, CLOSED_FORMS[name](Z), rtol=0, atol=4e-15)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_s1_in_float32(name):
    f = complement(get_activation(name))
    z = Z.astype(np.float32)
    found = jax.jit(jax.vmap(f))(z)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, CLOSED_FORMS[name](z.astype(float)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_slope_is_one_toward_the_nearest_flat_part_and_zero_on_it(name):
    slopes = np.asarray(jax.vmap(jax.grad(complement(get_activation(name))))(jnp.asarray(Z)))
    away = CLOSED_FORMS[name](Z) > 1e-3
    rising = CLOSED_FORMS[name](Z + 1e-4) > CLOSED_FORMS[name](Z)
    np.testing.assert_array_equal(slopes[away], np.where(rising, 1.0, -1.0)[away])
    assert (slopes[CLOSED_FORMS[name](Z - 1e-3) + CLOSED_FORMS[name](Z + 1e-3) == 0] == 0).all()


def test_halfway_between_two_flat_parts_the_slope_is_zero():
    f = complement(get_activation("saturated-linear"))
    assert [float(jax.grad(f)(z)) for z in (-0.01, 0.0, 0.01)] == [1.0, 0.0, -1.0]


@pytest.mark.parametrize("width", [0.01, 1 / 3, 7.7])
def test_the_ends_are_found_for_any_width(width):
    ((low, high),) = flat_parts(shrink(width))
    np.testing.assert_allclose([low, high], [-width, width], rtol=0, atol=1e-15)


@pytest.mark.parametrize("width", [0.2, 3, 5.0])
def test_s1_saturated_linear_of_any_width(width, x64):
    found = complement(saturated_linear(width))(jnp.asarray(Z))
    np.testing.assert_allclose(found, np.maximum(width - np.abs(Z), 0), rtol=0, atol=4e-15)


def _steps(z):
    """Rises on (−∞, −2.3), (−0.1, 0.7) and (5, ∞), the last time as a parabola; flat between."""
    return jnp.minimum(z, -2.3) + jnp.clip(z, -0.1, 0.7) + jax.nn.relu(z - 5) ** 2


def test_a_users_function_with_several_flat_parts(x64):
    own = Activation(_steps)
    np.testing.assert_allclose(flat_parts(own), [(-2.3, -0.1), (0.7, 5.0)], rtol=0, atol=2e-15)
    parts = np.array([(-2.3, -0.1), (0.7, 5.0)])
    nearest = np.clip(Z[:, None], parts[:, 0], parts[:, 1])
    expected = np.abs(Z[:, None] - nearest).min(axis=1)
    np.testing.assert_allclose(complement(own)(jnp.asarray(Z)), expected, rtol=0, atol=4e-15)


def test_found_while_a_program_is_traced():
    fresh = shrink(0.123)  # nothing about it is cached yet
    found = jax.jit(lambda z: complement(fresh)(z))(jnp.array([0.1, 1.123], jnp.float32))
    np.testing.assert_allclose(found, [0.0, 1.0], atol=1e-6)
    averaged = jax.jit(lambda z: multiscale_complement(fresh)(z))(jnp.zeros((2, 3)))
    assert averaged.shape == (2, 3)


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_flat_part_eq_3_is_named(name):
    with pytest.raises(InputError, match=r"no flat part.*multiscale_complement"):
        complement(get_activation(name))


@pytest.mark.parametrize(
    "fades",
    [
        lambda z: jnp.tanh(3 * z),  # its slope rounds to 0 from 6.3 on, in float64
        lambda z: jax.nn.sigmoid(z.astype(jnp.float32)),  # from 17 on, in float32
        lambda z: jnp.tanh(z.astype(jnp.float32)),
        lambda z: z**2,  # 0 at a single point
        lambda z: z**20,  # below 1e-17 of every float near 0
        jnp.sin,
    ],
)
def test_slopes_that_only_round_to_zero_or_vanish_at_a_point_are_not_flat(fades):
    assert flat_parts(Activation(fades)) == ()


def test_a_function_that_is_flat_everywhere_is_refused():
    with pytest.raises(InputError, match="slope of the activation is 0 on all"):
        complement(Activation(jnp.sign))


def test_the_penalty_sums_over_units_and_averages_over_samples(rng, x64):
    w, b, x = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(5, 3))
    params, s = Params(jnp.asarray(w), jnp.asarray(b)), get_activation("saturated-linear")
    value, gradient = jax.value_and_grad(
        lambda p: saturation(one_layer_forward(p, jnp.asarray(x), s), None)
    )(params)
    a = x @ w.T + b
    np.testing.assert_allclose(value, np.maximum(1 - np.abs(a), 0).sum() / 5, rtol=1e-14)
    pushed = -np.sign(a) * (np.abs(a) < 1)  # toward saturation, which lowers the penalty
    np.testing.assert_allclose(gradient.weight, pushed.T @ x / 5, atol=1e-14)
    np.testing.assert_allclose(gradient.bias, pushed.mean(axis=0), atol=1e-14)
    assert np.linalg.norm(gradient.weight) > 0.1


def test_eq_2_has_half_the_squared_error(rng, x64):
    w, b, x = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(5, 3))
    x_, alpha = jnp.asarray(x), {"strength": jnp.asarray(0.7)}
    params = Params(jnp.asarray(w), jnp.asarray(b))
    loss, aux = jax.jit(saturating(), static_argnums=0)(OneLayer(4), params, x_, x_, alpha)
    h = np.maximum(x @ w.T + b, 0)
    np.testing.assert_allclose(aux["reconstruction"], ((x - h @ w) ** 2).sum() / 10, rtol=1e-13)
    np.testing.assert_allclose(loss - aux["reconstruction"], 0.7 * h.sum() / 5, rtol=1e-13)


def _eq_3(slope, z, scale, kinks):
    """min(M⁺, M⁻) as SATAE prints it: average over l of the mean of |f'| on [z, z ± l]."""

    def measure(sign):
        def averaged(length):
            ends = sorted((z, z + sign * length))
            inside = [k for k in kinks if ends[0] < k < ends[1]]
            breaks = [ends[0], *inside, ends[1]]
            total = sum(
                quad(lambda u: abs(slope(u)), *pair)[0] for pair in itertools.pairwise(breaks)
            )
            return total / length * np.exp(-length / scale) / scale

        breaks = [1e-9, *sorted(sign * (k - z) for k in kinks if sign * (k - z) > 0), 40 * scale]
        return sum(quad(averaged, *p, limit=100)[0] for p in itertools.pairwise(breaks))

    return min(measure(1), measure(-1))


@pytest.mark.parametrize("scale", [0.3, 1])
@pytest.mark.parametrize(
    ("name", "slope", "kinks"),
    [
        ("sigmoid", lambda u: 1 / (2 + np.exp(u) + np.exp(-u)), ()),
        ("shrink", lambda u: float(abs(u) > 0.5), (-0.5, 0.5)),
        ("taylor-sigmoid", lambda u: 0.25 - u * u / 16, (-2.0, 2.0)),
    ],
)
def test_eq_3_equals_the_double_integral(name, slope, kinks, scale, x64):
    f = multiscale_complement(get_activation(name), scale=scale)
    for z in (-2.0, -0.3137, 1.1):
        np.testing.assert_allclose(
            float(f(jnp.asarray(z))), _eq_3(slope, z, scale, kinks), rtol=3e-4
        )


def test_eq_3_of_a_line_is_its_slope_and_of_relu_zero_on_the_left(x64):
    z = jnp.asarray(Z)
    line = Activation(lambda a: -2.5 * a)
    np.testing.assert_allclose(multiscale_complement(line)(z), 2.5, rtol=1e-12)
    found = multiscale_complement(get_activation("relu"))(z)
    np.testing.assert_allclose(found[Z < 0], 0.0, atol=1e-12)
    assert (np.diff(found[Z > 0]) > 0).all()  # toward the full slope on the right
    assert (found < 1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_eq_3_is_mirrored_and_can_be_trained_through(dtype, x64):
    f = multiscale_complement(get_activation("sigmoid"))
    z = Z.astype(dtype)
    value, slopes = jax.jit(jax.vmap(jax.value_and_grad(f)))(z)
    assert value.dtype == slopes.dtype == dtype
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, jax.vmap(f)(-z), rtol=0, atol=tolerance)
    away = np.abs(Z) > 0.05
    assert (np.sign(slopes) == -np.sign(Z))[away].all()  # down toward both flat ends
    differences = (f(jnp.asarray(Z) + 1e-2) - f(jnp.asarray(Z) - 1e-2)) / 2e-2
    np.testing.assert_allclose(slopes[away], differences[away], atol=2e-3)


@pytest.mark.parametrize("scale", [0, -1.0, 1e-6, np.inf, np.nan])
def test_a_scale_that_is_no_length_is_refused(scale):
    with pytest.raises(InputError, match="scale of the averages"):
        multiscale_complement(get_activation("relu"), scale=scale)
