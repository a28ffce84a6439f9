"""Filter statistics against closed forms, brute force, and filters made with known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter

from aesparse.errors import InputError
from aesparse.filters import (
    autocorrelation_half_width,
    gabor_fit,
    mean_frequency,
    neighbour_correlation,
    orientation_selectivity,
    participation_ratio,
    peak_share,
    windowed_energy,
)

SMALL = (12, 12, 1)
LARGE = (64, 64, 1)
STATISTICS = {
    "windowed energy": lambda rows, shape: windowed_energy(rows, shape, 3),
    "peak share": peak_share,
    "neighbour correlation": neighbour_correlation,
    "orientation selectivity": orientation_selectivity,
    "mean frequency": mean_frequency,
    "half-width": autocorrelation_half_width,
}
of_all = pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)


def row(image):
    return np.reshape(image, (1, -1))


def noise(count, shape=SMALL, seed=0):
    return np.random.default_rng(seed).normal(size=(count, np.prod(shape)))


def blurred(sigma, count=200):
    """White noise on a torus, blurred by exp(−r²/2σ²)."""
    images = noise(count, LARGE).reshape(count, *LARGE[:2])
    return gaussian_filter(images, (0, sigma, sigma), mode="wrap", truncate=8).reshape(count, -1)


def bump(shape, x0, y0, across, down=None):
    """exp(−x²/2σ_x² − y²/2σ_y²) around a place."""
    y, x = np.indices(shape[:2])
    down = across if down is None else down
    return row(np.exp(-((x - x0) ** 2) / (2 * across**2) - (y - y0) ** 2 / (2 * down**2)))


def grating(shape, cycles_x, cycles_y, phase=0.4):
    """Whole cycles along both sides, so that one frequency has all power."""
    y, x = np.indices(shape[:2])
    return row(np.cos(2 * np.pi * (cycles_x * x / shape[1] + cycles_y * y / shape[0]) + phase))


def gabor(shape, amplitude, x0, y0, along, across, frequency, angle, phase):
    y, x = np.indices(shape[:2])
    u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
    v = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
    envelope = amplitude * np.exp(-(u**2) / (2 * along**2) - v**2 / (2 * across**2))
    return row(envelope * np.cos(2 * np.pi * frequency * u + phase))


# Participation ratio, windows, neighbours


def test_participation_is_that_of_one_pixel_of_all_and_of_a_bump(x64):
    filters = np.concatenate([np.eye(4096)[5:6], -np.ones((1, 4096)), bump(LARGE, 32, 32, 2.0)])
    expected = [1 / 4096, 1.0, 2 * np.pi * 2.0**2 / 4096]  # ∫w² = πσ², ∫w⁴ = πσ²/2
    np.testing.assert_allclose(participation_ratio(jnp.asarray(filters)), expected, rtol=1e-6)


def test_participation_is_traced_and_keeps_leading_axes(rng):
    w = jnp.asarray(rng.normal(size=(2, 3, 10)), jnp.float32)
    eager = participation_ratio(w)
    assert eager.shape == (2, 3)
    np.testing.assert_allclose(jax.jit(participation_ratio)(w), eager, rtol=1e-6)
    assert np.isnan(participation_ratio(jnp.zeros((1, 4))))[0]


shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3]))
small = st.integers(-9, 9)
integers = shapes.flatmap(lambda shape: hnp.arrays(np.int8, (2, *shape), elements=small))


@settings(deadline=None, max_examples=60)
@given(integers, st.data())
def test_windowed_energy_is_the_best_of_all_windows(filters, data):
    shape = filters.shape[1:]
    k = data.draw(st.integers(1, min(shape[:2])))
    for w, share in zip(filters, windowed_energy(filters.reshape(2, -1), shape, k), strict=True):
        energy = w.astype(float) ** 2
        windows = [
            energy[i : i + k, j : j + k].sum()
            for i in range(shape[0] - k + 1)
            for j in range(shape[1] - k + 1)
        ]
        if energy.sum() == 0:
            assert np.isnan(share)
        else:
            assert share == pytest.approx(max(windows) / energy.sum(), rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(integers)
def test_neighbour_correlation_is_that_of_all_pairs_in_both_orders(filters):
    found = neighbour_correlation(filters.reshape(2, -1), filters.shape[1:])
    for w, value in zip(filters.astype(float), found, strict=True):
        horizontal, vertical = (w[:, 1:], w[:, :-1]), (w[1:], w[:-1])
        pairs = [np.stack([p.ravel(), q.ravel()]) for p, q in (horizontal, vertical)]
        pairs = np.concatenate([*pairs, *(pair[::-1] for pair in pairs)], axis=1)
        if np.unique(pairs).size < 2:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(np.corrcoef(pairs)[0, 1], abs=1e-9)


def test_energy_of_uniform_and_single_pixel_filters():
    uniform, pixel = np.full((1, 144), -0.3), np.eye(144)[[77]]
    np.testing.assert_allclose(windowed_energy(uniform, SMALL, 7), 49 / 144)
    np.testing.assert_allclose(peak_share(uniform, SMALL), 1 / 144)
    assert windowed_energy(pixel, SMALL, 1) == peak_share(pixel, SMALL) == 1


def test_a_pixel_has_the_energy_of_all_its_colours():
    filters = np.zeros((1, 4, 4, 3))
    filters[0, 1, 2] = 1, -2, 2  # energy 9
    filters[0, 3, 3, 0] = 1
    assert peak_share(filters.reshape(1, -1), (4, 4, 3)) == pytest.approx(0.9)


def test_neighbours_of_blurred_noise_correlate_by_its_autocorrelation():
    for sigma in (0.7, 1.0, 2.0):  # Σ over a kernel sampled at pixels, shifted by one
        kernel = np.exp(-(np.arange(-30, 31) ** 2) / (2 * sigma**2))
        expected = kernel[1:] @ kernel[:-1] / (kernel @ kernel)
        found = np.mean(neighbour_correlation(blurred(sigma), LARGE))
        assert found == pytest.approx(expected, abs=0.01)
    assert abs(np.mean(neighbour_correlation(noise(200, LARGE), LARGE))) < 0.01


# Spectrum


@pytest.mark.parametrize("cycles", [(1, 0), (0, 3), (2, 5), (4, -1), (5, 5)])
@pytest.mark.parametrize("shape", [(12, 12, 1), (16, 24, 1)])
def test_a_grating_has_one_direction_and_its_own_frequency(cycles, shape):
    filters = grating(shape, *cycles)
    frequency = np.hypot(cycles[0] / shape[1], cycles[1] / shape[0])
    np.testing.assert_allclose(orientation_selectivity(filters, shape), 1, rtol=1e-9)
    np.testing.assert_allclose(mean_frequency(filters, shape), frequency, rtol=1e-9)


@pytest.mark.parametrize("second", [(0, 3), (3, 3), (5, 2), (-3, 1)])
@pytest.mark.parametrize("power", [1.0, 4.0])
def test_two_gratings_mix_by_their_power(second, power):
    filters = grating(SMALL, 3, 0) + np.sqrt(power) * grating(SMALL, *second)
    angle = np.arctan2(second[1], second[0])
    selectivity = abs(1 + power * np.exp(2j * angle)) / (1 + power)
    frequency = (3 + power * np.hypot(*second)) / (1 + power) / 12
    np.testing.assert_allclose(orientation_selectivity(filters, SMALL), selectivity, atol=1e-9)
    np.testing.assert_allclose(mean_frequency(filters, SMALL), frequency, rtol=1e-9)


def test_a_checkerboard_has_both_diagonals():
    board = row(np.indices((12, 12)).sum(0) % 2)
    np.testing.assert_allclose(orientation_selectivity(board, SMALL), 0, atol=1e-9)
    np.testing.assert_allclose(mean_frequency(board, SMALL), np.sqrt(0.5), rtol=1e-9)


def test_the_mean_of_a_filter_is_no_frequency():
    filters = grating(SMALL, 2, 1) + 5
    np.testing.assert_allclose(orientation_selectivity(filters, SMALL), 1, rtol=1e-9)
    np.testing.assert_allclose(mean_frequency(filters, SMALL), np.hypot(2, 1) / 12, rtol=1e-9)


def test_selectivity_of_bumps_is_that_of_gaussian_spectra():
    """Of a normal law with deviations a and b, E cos 2θ = (a − b)/(a + b)."""
    assert orientation_selectivity(bump(LARGE, 32, 32, 2.0), LARGE) < 1e-3
    for across, down in ((1.5, 3.0), (2.0, 2.5), (4.0, 1.0)):
        found = orientation_selectivity(bump(LARGE, 30, 33, across, down), LARGE)
        assert found == pytest.approx(abs(across - down) / (across + down), abs=0.01)


def test_mean_frequency_of_a_bump_is_that_of_its_gaussian_spectrum():
    """P ∝ exp(−4π²σ²k²), whose mean |k| is 1/(4σ√π)."""
    for sigma in (1.0, 1.5, 2.0):
        found = mean_frequency(bump(LARGE, 31, 32, sigma), LARGE)
        assert found == pytest.approx(1 / (4 * sigma * np.sqrt(np.pi)), rel=0.03)


def test_white_noise_has_all_frequencies_alike_and_no_direction():
    filters = noise(2000)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(12), np.fft.fftfreq(12)))
    assert np.mean(mean_frequency(filters, SMALL)) == pytest.approx(k.sum() / 143, rel=0.01)
    # About 72 powers of an exponential law: the resultant's mean square is 1/72.
    square = np.mean(orientation_selectivity(filters, SMALL) ** 2)
    assert square == pytest.approx(1 / 72, rel=0.2)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0])
def test_half_width_of_bumps_and_blurred_noise_is_known(sigma):
    """The autocorrelation is exp(−r²/4σ²), 1/2 at r = 2σ√(ln 2)."""
    expected = 2 * sigma * np.sqrt(np.log(2))
    assert autocorrelation_half_width(bump(LARGE, 20, 33, sigma), LARGE) == pytest.approx(
        expected, rel=0.03
    )
    found = np.median(autocorrelation_half_width(blurred(sigma), LARGE))
    assert found == pytest.approx(expected, rel=0.03)


def test_half_width_of_a_grating_is_where_the_bessel_function_is_a_half():
    """cos(2πfx) averaged over a circle is J₀(2πfr); J₀(1.5211) = 1/2."""
    for cycles in (2, 4):
        found = autocorrelation_half_width(grating(LARGE, cycles, 0), LARGE)
        assert found == pytest.approx(1.5211 / (2 * np.pi * cycles / 64), rel=0.01)


def test_half_width_of_white_noise_and_of_a_pixel_lies_within_the_first_ring():
    """Nothing is left on the ring of the eight neighbours, whose mean length is (1 + √2)/2."""
    expected = (1 + np.sqrt(2)) / 4
    found = np.median(autocorrelation_half_width(noise(500, LARGE), LARGE))
    assert found == pytest.approx(expected, rel=0.01)
    pixel = np.eye(4096)[[77]]
    assert autocorrelation_half_width(pixel, LARGE) == pytest.approx(expected, rel=1e-3)


def test_half_width_rises_with_the_bump_and_not_with_an_offset():
    filters = np.concatenate([bump((28, 28, 1), 14, 14, s) for s in np.linspace(0.6, 4, 12)])
    widths = autocorrelation_half_width(filters, (28, 28, 1))
    assert np.all(np.diff(widths) > 0)
    np.testing.assert_allclose(autocorrelation_half_width(filters - 3, (28, 28, 1)), widths)


def test_channels_add_their_power():
    a, b = grating(SMALL, 3, 0), 2 * grating(SMALL, 0, 1)
    colours = np.stack([a, b, 0 * a], axis=-1).reshape(1, -1)
    shape = (12, 12, 3)
    np.testing.assert_allclose(orientation_selectivity(colours, shape), 3 / 5, rtol=1e-9)
    np.testing.assert_allclose(mean_frequency(colours, shape), (3 + 4) / 5 / 12, rtol=1e-9)


# Gabor fit

gabors = st.fixed_dictionaries(
    {
        "amplitude": st.floats(0.1, 10.0),
        "x0": st.floats(3.0, 8.0),
        "y0": st.floats(3.0, 8.0),
        "along": st.floats(1.5, 4.0),
        "across": st.floats(1.5, 4.0),
        "frequency": st.floats(0.12, 0.4),
        "angle": st.floats(0.0, 3.14),
        "phase": st.floats(-3.14, 3.14),
    }
)


@settings(deadline=None, max_examples=40)
@given(gabors)
def test_a_gabor_function_has_its_own_numbers_back(made):
    fit = gabor_fit(gabor(SMALL, **made), SMALL)
    assert fit.r_squared == pytest.approx(1, abs=1e-3)
    assert fit.frequency == pytest.approx(made["frequency"], abs=0.01)
    assert abs(np.sin(fit.orientation - made["angle"])) < 0.05


def test_wide_gabor_functions_have_all_their_numbers_back():
    made = (3.0, 11.2, 12.9, 4.0, 5.0, 0.15, 2.0, 0.7)
    fit = gabor_fit(gabor((24, 24, 1), *made), (24, 24, 1))
    np.testing.assert_allclose(np.concatenate(fit), [1.0, *made], rtol=1e-4)


def test_the_other_direction_of_a_frequency_is_the_same_function():
    """cos is even: θ + π and −φ describe the same stripes."""
    made = (3.0, 11.2, 12.9, 4.0, 5.0, 0.15, 2.0 + np.pi, -0.7)
    fit = gabor_fit(gabor((24, 24, 1), *made), (24, 24, 1))
    assert fit.orientation == pytest.approx(2.0, abs=1e-4)
    assert fit.phase == pytest.approx(0.7, abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(gabors, st.floats(0.01, 0.15), st.integers(0, 2**31))
def test_no_gabor_function_known_is_nearer_than_the_fit(made, share, seed):
    """With noise, the function that was made is one candidate among those fitted."""
    clean = gabor(SMALL, **made)
    noisy = clean + share * made["amplitude"] * noise(1, seed=seed)
    known = 1 - np.sum((noisy - clean) ** 2) / np.sum((noisy - noisy.mean()) ** 2)
    assert gabor_fit(noisy, SMALL).r_squared >= known - 1e-3


@settings(deadline=None, max_examples=25)
@given(hnp.arrays(np.int8, (1, 7 * 9), elements=small))
def test_the_numbers_of_a_fit_draw_a_picture_with_its_r_squared(filters):
    shape = (7, 9, 1)
    fit = gabor_fit(filters, shape)
    if np.ptp(filters) == 0:
        assert np.isnan(fit.r_squared)
        return
    drawn = gabor(shape, *(value[0] for value in fit[1:]))
    spread = np.sum((filters - filters.mean()) ** 2)
    found = 1 - np.sum((filters - drawn) ** 2) / spread
    assert fit.r_squared == pytest.approx(found, abs=1e-6)
    assert found <= 1


def test_a_bump_is_a_gabor_function_without_direction():
    filters = np.concatenate([bump(SMALL, 5, 6, s) for s in (0.7, 1.0, 2.0)])
    assert np.all(gabor_fit(filters, SMALL).r_squared > 0.999)
    assert np.all(orientation_selectivity(filters, SMALL) < 0.1)
    pixel = gabor_fit(np.eye(144)[[77]], SMALL)
    assert pixel.r_squared > 0.9  # the narrowest envelope is not quite one pixel


@pytest.mark.parametrize("angle", [0.3, 0.8, 1.2, 2.0, 2.5])
def test_a_slanted_bar_is_a_gabor_function_with_its_widths(angle):
    fit = gabor_fit(gabor(SMALL, 1.0, 5.2, 6.1, 1.2, 3.5, 0.0, angle, 0.0), SMALL)
    assert fit.r_squared > 0.9999
    # Without a frequency either axis may be called the one along it.
    widths = sorted([fit.along[0], fit.across[0]])
    np.testing.assert_allclose(widths, [1.2, 3.5], rtol=1e-3)


def test_a_gabor_function_whose_highest_peak_misleads_is_found():
    """Cut by the border, it has the highest peak of its spectrum in another direction."""
    fit = gabor_fit(gabor(SMALL, 1.0, 7.1, 2.91, 1.84, 3.82, 0.44, 3.12, -2.87), SMALL)
    assert fit.r_squared > 0.9999


def test_random_filters_are_no_gabor_functions():
    r_squared = gabor_fit(noise(100), SMALL).r_squared
    assert 0.09 < np.median(r_squared) < 0.15
    assert np.max(r_squared) < 0.35


def test_a_cross_is_half_a_gabor_function():
    """Two gratings of equal power at right angles: one of them leaves half of the variance."""
    filters = grating(SMALL, 3, 0) + grating(SMALL, 0, 3)
    assert gabor_fit(filters, SMALL).r_squared == pytest.approx(0.5, abs=0.05)


# What all of them share


def turned(filters, shape, way):
    return np.stack([way(w.reshape(shape)).ravel() for w in filters])


TURNS = {
    "a quarter": np.rot90,
    "half": lambda w: np.rot90(w, 2),
    "mirrored": lambda w: w[:, ::-1],
    "transposed": lambda w: np.swapaxes(w, 0, 1),
}


@of_all
@pytest.mark.parametrize("way", TURNS.values(), ids=TURNS)
@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 6, 3)])
def test_turned_filters_are_alike(statistic, way, shape):
    filters = noise(20, shape)
    other = way(np.zeros(shape)).shape
    found = statistic(turned(filters, shape, way), other)
    np.testing.assert_allclose(found, statistic(filters, shape), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("way", TURNS.values(), ids=TURNS)
def test_turned_gabor_functions_turn_their_orientation(way):
    filters = gabor(SMALL, 1.0, 5.2, 6.3, 2.0, 3.0, 0.2, 0.5, 0.3) + 0.02 * noise(1)
    before, after = gabor_fit(filters, SMALL), gabor_fit(turned(filters, SMALL, way), SMALL)
    assert after.r_squared == pytest.approx(before.r_squared, abs=1e-5)
    assert after.frequency == pytest.approx(before.frequency, abs=1e-3)
    angles = {"a quarter": 0.5 - np.pi / 2, "half": 0.5, "mirrored": -0.5}
    angles["transposed"] = np.pi / 2 - 0.5
    (name,) = (name for name, turn in TURNS.items() if turn is way)
    assert abs(np.sin(after.orientation - angles[name])) < 0.03


@of_all
@pytest.mark.parametrize("scale", [-1.0, 1e-250, -1e250])
def test_scale_and_sign_do_not_matter(statistic, scale):
    filters = noise(5)
    np.testing.assert_allclose(statistic(scale * filters, SMALL), statistic(filters, SMALL))


def test_the_amplitude_alone_has_the_scale_of_a_filter():
    filters = gabor(SMALL, 1.0, 5.2, 6.3, 2.0, 3.0, 0.2, 0.5, 0.3)
    one, large = gabor_fit(filters, SMALL), gabor_fit(1e30 * filters, SMALL)
    assert large.amplitude == pytest.approx(1e30, rel=1e-4)
    np.testing.assert_allclose(large.r_squared, one.r_squared)


@of_all
def test_zero_and_non_finite_filters_have_nan_and_leave_others_alone(statistic):
    filters = noise(5)
    expected = statistic(filters, SMALL)
    filters[0], filters[2, 3], filters[3, 0] = 0, np.nan, np.inf
    found = statistic(filters, SMALL)
    assert np.isnan(found[[0, 2, 3]]).all()
    np.testing.assert_array_equal(found[[1, 4]], expected[[1, 4]])


def test_gabor_fit_of_zero_uniform_and_non_finite_filters_is_nan():
    filters = np.concatenate([np.zeros((1, 144)), np.full((1, 144), 0.3), noise(3)])
    filters[2, 5], filters[3, 5] = np.nan, -np.inf
    fit = gabor_fit(filters, SMALL)
    for values in fit:
        assert np.isnan(values[:4]).all()
        assert np.isfinite(values[4])


UNIFORM = ["neighbour correlation", "orientation selectivity", "mean frequency", "half-width"]


@pytest.mark.parametrize("name", UNIFORM)
@pytest.mark.parametrize("value", [0.3, -1e-3, 7.0])
def test_uniform_filters_have_neither_neighbours_nor_frequencies(name, value):
    assert np.isnan(STATISTICS[name](np.full((2, 144), value), SMALL)).all()


@pytest.mark.parametrize("shape", [(6, 6, 3), (13, 11, 3)])
def test_uniform_colours_have_no_frequencies(shape):
    filters = np.tile([0.3, -0.1, 0.7], (1, shape[0] * shape[1]))
    assert np.isnan(mean_frequency(filters, shape))  # also where rounding leaves some power


@of_all
def test_any_numbers_are_taken(statistic):
    filters = np.round(40 * noise(4)).astype(np.int8)
    expected = statistic(filters.astype(np.float64), SMALL)
    for given_as in (filters, jnp.asarray(filters, jnp.float32), filters.astype(np.float32)):
        np.testing.assert_array_equal(statistic(given_as, SMALL), expected)
    assert statistic(filters[:0], SMALL).shape == (0,)


# Bad input


@pytest.mark.parametrize("statistic", [*STATISTICS.values(), gabor_fit])
def test_filters_that_are_no_images_of_the_shape_are_refused(statistic):
    with pytest.raises(InputError, match="144"):
        statistic(noise(2)[:, :-1], SMALL)
    with pytest.raises(InputError, match="channels"):
        statistic(noise(2), (12, 12))
    with pytest.raises(InputError, match="height"):
        statistic(noise(2), (0, 12, 1))


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"13.*12"):
        windowed_energy(noise(2), SMALL, 13)
    with pytest.raises(InputError, match=r"7.*6"):
        windowed_energy(noise(2, (6, 24, 1)), (6, 24, 1), 7)
    for window in (0, -1, True):
        with pytest.raises(InputError, match="window"):
            windowed_energy(noise(2), SMALL, window)


def test_colour_filters_have_no_gabor_fit():
    with pytest.raises(InputError, match="3 channels"):
        gabor_fit(noise(2, (6, 6, 3)), (6, 6, 3))
