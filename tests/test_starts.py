"""Starts: bumps at places of their own, and encoders that copy the decoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import aesparse as ae
from aesparse.errors import InputError
from aesparse.models.one_layer import OneLayer, Params, init_params
from aesparse.models.starts import bumps, copied_encoder


def centres(params: Params, shape: tuple[int, int, int]) -> np.ndarray:
    """Row, column and channel of each unit's largest weight, [m, 3]."""
    return np.stack(np.unravel_index(np.asarray(params.weight).argmax(axis=1), shape), axis=1)


@pytest.mark.parametrize(
    ("shape", "hidden"), [((12, 12, 1), 100), ((5, 7, 3), 40), ((4, 3, 2), 24), ((1, 1, 1), 1)]
)
@pytest.mark.parametrize("sigma", [0.05, 0.7, 2.0])
def test_bumps_have_unit_length_and_places_of_their_own(shape, hidden, sigma):
    weight = np.asarray(bumps(jax.random.key(3), shape, hidden, sigma).weight)
    np.testing.assert_allclose(np.linalg.norm(weight, axis=1), 1, rtol=1e-6)
    assert len(np.unique(weight.argmax(axis=1))) == hidden


def test_a_bump_is_a_sampled_gaussian_in_one_channel():
    shape, sigma = (9, 11, 2), 1.3
    params = bumps(jax.random.key(0), shape, 30, sigma)
    for row, (top, left, channel) in zip(params.weight, centres(params, shape), strict=True):
        y, x = np.mgrid[:9, :11]
        expected = np.zeros(shape)
        expected[..., channel] = np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * sigma**2))
        expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(row.reshape(shape), expected, atol=1e-6)


def test_a_bump_away_from_the_border_is_what_scipy_makes_of_a_point():
    params = bumps(jax.random.key(0), (15, 15, 1), 225, 1.0)
    (unit,) = np.flatnonzero((centres(params, (15, 15, 1)) == [7, 7, 0]).all(axis=1))
    point = np.zeros((15, 15))
    point[7, 7] = 1
    expected = gaussian_filter(point, 1.0, truncate=7)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(params.weight[unit].reshape(15, 15), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_places_are_spread_evenly_and_channels_shared(seed):
    shape, hidden = (16, 16, 3), 96  # 32 in each channel: an area of 8 pixels for each
    places = centres(bumps(jax.random.key(seed), shape, hidden), shape)
    assert np.bincount(places[:, 2]).tolist() == [32, 32, 32]
    for channel in range(3):
        mine = places[places[:, 2] == channel, :2]
        apart = np.abs(mine[:, None] - mine)
        apart = np.minimum(apart, 16 - apart)  # opposite borders touch
        distance = np.sqrt((apart**2).sum(axis=-1)) + 99 * np.eye(32)
        # Nearest neighbours of 32 random places are 1.4 pixels apart on average, the nearest two
        # of them nearly always in contact; those of the densest lattice 3.04.
        assert distance.min() >= 2


def test_the_first_place_is_any_pixel():
    """2,000 starts of one unit on 3×4 pixels; each number is binomial."""
    keys = jax.random.split(jax.random.key(1), 2000)
    weights = jax.vmap(lambda key: bumps(key, (3, 4, 1), 1, 0.1).weight)(keys)
    times = np.bincount(np.asarray(weights)[:, 0].argmax(axis=-1), minlength=12)
    np.testing.assert_allclose(times, 2000 / 12, atol=4.5 * np.sqrt(2000 / 12 * 11 / 12))


def test_seeds_differ_and_a_key_gives_the_same_start_again():
    one, again, other = (bumps(jax.random.key(s), (6, 6, 1), 9).weight for s in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_bumps_everywhere_in_the_linear_region_are_the_identity():
    params = bumps(jax.random.key(0), (4, 4, 3), 48, 0.05)
    x = jax.random.uniform(jax.random.key(1), (5, 48), minval=-1)
    model = OneLayer(48, ae.activations.saturated_linear(1.5), decoder_bias=True)
    np.testing.assert_allclose(model.decode(params, model.encode(params, x)), x, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("decoder_bias", [True, False])
def test_bumps_have_the_shapes_and_dtypes_of_the_model(tied, decoder_bias, x64):
    found = bumps(
        jax.random.key(0), (3, 4, 2), 5, tied=tied, decoder_bias=decoder_bias, dtype=jnp.float64
    )
    model = OneLayer(5, tied=tied, decoder_bias=decoder_bias)
    expected = jax.eval_shape(lambda: model.init(jax.random.key(0), 24))
    assert jax.tree.map(lambda p: (p.shape, p.dtype), found) == jax.tree.map(
        lambda p: (p.shape, p.dtype), expected
    )
    np.testing.assert_array_equal(found.bias, 0)
    if not tied:
        np.testing.assert_array_equal(found.decoder, found.weight.T)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hidden": 33}, r"33 units .* at most 32"),
        ({"sigma": 0.0}, r"sigma is 0\.0; expected a finite number > 0"),
        ({"sigma": float("nan")}, "sigma is nan"),
        ({"hidden": 0}, "hidden is 0"),
        ({"shape": (4, 4)}, r"height, width, channels"),
        ({"shape": (4, 0, 2)}, "width is 0"),
    ],
)
def test_bumps_that_cannot_be_placed_are_refused(arguments, said):
    arguments = {"key": jax.random.key(0), "shape": (4, 4, 2), "hidden": 3} | arguments
    with pytest.raises(InputError, match=said):
        bumps(**arguments)


def test_a_copied_encoder_is_the_decoder_transposed():
    params = init_params(jax.random.key(0), 7, 4, tied=False, decoder_bias=True)
    copied = copied_encoder(params)
    np.testing.assert_array_equal(copied.weight, np.asarray(params.decoder).T)
    np.testing.assert_array_equal(copied.decoder, params.decoder)
    assert (np.asarray(copied.weight) != params.weight).any()


def test_a_copied_encoder_unties_a_tied_model_and_keeps_leading_axes():
    tied = init_params(jax.random.key(0), 7, 4)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), tied)
    copied = copied_encoder(stacked)
    assert copied.decoder.shape == (2, 7, 4)
    np.testing.assert_array_equal(copied.decoder[1], 2 * np.asarray(tied.weight).T)
    np.testing.assert_array_equal(copied_encoder(copied).weight, stacked.weight)


@pytest.mark.long
def test_training_begins_where_the_bumps_are():
    X = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    start = jax.tree.map(lambda leaf: leaf[None], bumps(jax.random.key(0), (4, 4, 1), 6))
    model = OneLayer(6, "saturated-linear", decoder_bias=True)
    sweep = {"strength": 0.1, "seed": [0], "learning_rate": 1e-9}
    found = ae.fit(X, model, "satae", sweep=sweep, start=start, epochs=1, batch_size=10)
    np.testing.assert_allclose(found.params.weight, start.weight, atol=1e-6)
