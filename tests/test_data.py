"""Data sets by name and preprocessing; real files where AESPARSE_DATA_DIR names them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.linalg import sqrtm
from scipy.stats import zscore
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from aesparse import data
from aesparse.errors import InputError

# Mean pixels as published with the data, not computed by this library.
MNIST_MEAN = 33.318
CIFAR_MEANS = (125.31, 122.95, 113.87)


def test_embedded_sets_need_nothing():
    digits, photos = data.load("digits"), data.load("photos", samples=500)
    assert digits.train.shape == (1438, 64)
    assert digits.heldout.shape == (359, 64)
    assert digits.shape == (8, 8, 1)
    assert photos.train.shape == (500, 192)
    assert photos.shape == (8, 8, 3)
    for part in (digits.train, digits.heldout, photos.train, photos.heldout):
        assert part.dtype == np.float32
        assert part.min() >= 0
        assert part.max() <= 1
    np.testing.assert_array_equal(data.load("photos", samples=500).train, photos.train)


def test_real_mnist(data_dir):
    mnist = data.load("mnist", data_dir=data_dir)
    assert mnist.train.shape == (50_000, 784)
    assert mnist.heldout.shape == (10_000, 784)
    pixels = np.concatenate([mnist.train, mnist.heldout]) * 255
    assert abs(pixels.mean(dtype=np.float64) - MNIST_MEAN) < 5e-4
    assert np.sum(mnist.train.std(axis=0) == 0) == 67


def test_real_cifar10_patches(data_dir):
    from aesparse.data.readers import read_cifar10

    patches = data.load("cifar10", data_dir=data_dir)
    assert patches.train.shape == (50_000, 192)
    # Crops see the border of an image less often than its centre: the expected mean weighs
    # every pixel by the share of windows that cover it.
    images = read_cifar10(data_dir / "cifar-10-batches-bin").mean(axis=0)
    cover = np.convolve(np.ones(25), np.ones(8)) / (25 * 8)
    expected = np.einsum("h,w,hwc->c", cover, cover, images)
    found = patches.train.reshape(-1, 3).mean(axis=0, dtype=np.float64) * 255
    # standard error of the mean of 50,000 patches: below 65/sqrt(50,000) = 0.29
    np.testing.assert_allclose(found, expected, atol=4 * 0.29)


def test_real_cifar10_images(data_dir):
    from aesparse.data.readers import read_cifar10

    images = read_cifar10(data_dir / "cifar-10-batches-bin")
    assert images.shape == (50_000, 32, 32, 3)
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), CIFAR_MEANS, atol=5e-3)
    # A record is a label and three planes of 32 rows: not turned, mirrored or transposed.
    raw = (data_dir / "cifar-10-batches-bin" / "data_batch_2.bin").read_bytes()[7 * 3073 :]
    for y, x, c in ((0, 0, 0), (3, 17, 1), (30, 2, 2)):
        assert images[10_007, y, x, c] == raw[1 + 1024 * c + 32 * y + x]


def test_real_digits_with_their_labels(data_dir):
    found = data.load("mnist-labelled", data_dir=data_dir)
    assert (found.train.shape, found.heldout.shape) == ((60_000, 784), (10_000, 784))
    # How often each digit occurs, as LeCun's page and many others print it.
    assert np.bincount(found.labels[0]).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert np.bincount(found.labels[1]).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    # In another order than the images they would be right for one digit in ten.
    nearest = KNeighborsClassifier(1).fit(found.train[:2000], found.labels[0][:2000])
    assert nearest.score(found.heldout, found.labels[1]) > 0.75
    few = data.load("mnist-labelled", data_dir=data_dir, samples=100)
    assert (len(few.train), len(few.labels[0]), len(few.labels[1])) == (100, 100, 10_000)


def test_binary_digits_are_black_or_white_and_images_are_whole(data_dir):
    binary, grey = (
        data.load(name, data_dir=data_dir, samples=50) for name in ("mnist-binary", "mnist")
    )
    assert set(np.unique(binary.train)) == {0.0, 1.0}
    np.testing.assert_array_equal(binary.train, grey.train > 0.5)
    images = data.load("cifar10-images", data_dir=data_dir, samples=50)
    assert images.train.shape == (50, 3072)
    assert images.shape == (32, 32, 3)


def test_small_images_are_means_of_four_pixels(data_dir):
    small, whole = (
        data.load(f"cifar10-{name}", data_dir=data_dir, samples=60) for name in ("small", "images")
    )
    assert small.shape == (16, 16, 3)
    assert (small.train.shape, small.heldout.shape) == ((60, 768), (10_000, 768))
    large = whole.train.reshape(60, 32, 32, 3).astype(float)
    corners = [large[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    expected = np.mean(corners, axis=0).reshape(60, -1)
    np.testing.assert_allclose(small.train, expected, atol=1e-6)


def test_grey_patches_are_windows_of_grey_training_images(data_dir):
    from aesparse.data.readers import read_cifar10

    patches = data.load("natural-cifar10", data_dir=data_dir, samples=40)
    assert patches.shape == (12, 12, 1)
    assert (patches.train.shape, patches.heldout.shape) == ((40, 144), (8, 144))
    images = read_cifar10(data_dir / "cifar-10-batches-bin").astype(np.int32).sum(axis=-1)
    for patch in np.rint(patches.train[:3] * 3 * 255).astype(np.int32).reshape(-1, 12, 12):
        corner = np.argwhere(images[:, :21, :21] == patch[0, 0])
        for k in range(1, 12):  # the diagonal leaves few candidates, compared in full
            values = images[tuple(corner.T + np.array([[0], [k], [k]]))]
            corner = corner[values == patch[k, k]]
        assert any((images[n, i : i + 12, j : j + 12] == patch).all() for n, i, j in corner)


# --- preprocessing ------------------------------------------------------------------------


def test_standardize_equals_scikit_learn_and_keeps_held_out_data_apart(rng):
    X, other = rng.normal(2.0, 3.0, size=(50, 4)), rng.normal(size=(9, 4))
    scaler = StandardScaler().fit(X)
    ours = data.standardize(X)
    np.testing.assert_allclose(ours(X), scaler.transform(X), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ours(other), scaler.transform(other), rtol=1e-12, atol=1e-13)
    damped = data.standardize(X, 0.1)(X)
    np.testing.assert_allclose(damped, (X - X.mean(0)) / (X.std(0) + 0.1), rtol=1e-12, atol=1e-13)


def test_constant_columns_need_an_epsilon(rng):
    X = rng.normal(size=(20, 5))
    X[:, 1] = X[:, 4] = 0.1  # whose mean over rows does not round to 0.1
    with pytest.raises(InputError, match=r"2 constant columns, the first is 1.*epsilon > 0"):
        data.standardize(X)
    assert np.abs(data.standardize(X, 0.1)(X)[:, 1]).max() < 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_that_varies_by_rounding_is_constant(dtype, rng):
    X = rng.normal(size=(50, 3)).astype(dtype)
    X[:, 1] = 0.3
    X[::10, 1] = np.nextafter(dtype(0.3), dtype(1))  # in float64 this is 0.1 + 0.2
    with pytest.raises(InputError, match="1 constant column"):
        data.standardize(X)
    rounding = np.finfo(dtype).eps
    np.testing.assert_allclose(data.standardize(X, 1.0)(X)[:, 1], 0, atol=10 * rounding)
    X[0, 1] *= 1 + 1e3 * rounding  # more than rounding
    assert np.std(data.standardize(X)(X)[:, 1]) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("epsilon", [-0.5, np.nan, np.inf])
def test_an_epsilon_that_is_no_offset_is_refused(epsilon, rng):
    with pytest.raises(InputError, match=r"epsilon is .*expected a finite number >= 0"):
        data.standardize(rng.normal(size=(5, 2)), epsilon)


@pytest.mark.parametrize(("dtype", "ratio"), [(np.float64, 1e4), (np.float32, 100.0)])
def test_whiten_keeps_directions_that_vary_little(dtype, ratio, rng):
    X = (rng.normal(size=(1000, 2)) * [ratio, 1.0]).astype(dtype)
    white = data.whiten(X)(X).astype(float)
    np.testing.assert_allclose(white.T @ white / 1000, np.eye(2), atol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_whiten_takes_rounding_for_no_direction(offset, rng):
    X = (rng.normal(size=(500, 3)) @ rng.normal(size=(3, 40)) + offset).astype(np.float32)
    assert data.whiten(X)(X).shape == (500, 3)


def test_whiten_equals_scikit_learn_up_to_sign_and_finds_the_rank(rng):
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 6)) + 1.0  # rank 3 in 6 columns
    white = data.whiten(X)(X)
    assert white.shape == (200, 3)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(3), atol=1e-10)
    reference = PCA(2, whiten=True).fit_transform(X) * np.sqrt(200 / 199)
    np.testing.assert_allclose(np.abs(data.whiten(X, 2)(X)), np.abs(reference), atol=1e-8)
    with pytest.raises(InputError, match=r"Cannot whiten to rank 4: the data has rank 3"):
        data.whiten(X, 4)
    with pytest.raises(InputError, match="rank 0"):
        data.whiten(np.ones((5, 2)))


@pytest.mark.parametrize("epsilon", [1e-9, 0.1, 3.0])
def test_zca_leaves_the_eigenvalues_of_its_formula_and_no_rotation(epsilon, rng):
    X = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5)) + [3.0, 0, 0, 0, -2.0]
    white = data.zca(X, epsilon)(X)
    covariance = np.cov(X.T, bias=True)
    damped = covariance + epsilon * np.trace(covariance) / 5 * np.eye(5)
    expected = (X - X.mean(axis=0)) @ np.linalg.inv(sqrtm(damped))
    np.testing.assert_allclose(white, expected, atol=1e-8)
    v = np.linalg.eigvalsh(covariance)
    found = np.linalg.eigvalsh(np.cov(white.T, bias=True))
    np.testing.assert_allclose(found, np.sort(v / (v + epsilon * v.mean())), rtol=1e-8)


def test_zca_takes_data_of_less_than_full_rank_and_is_applied_to_other_rows(rng):
    X = (rng.normal(size=(50, 2)) @ rng.normal(size=(2, 4)) + 1).astype(np.float32)
    scaler = data.zca(X)
    assert scaler(X).dtype == np.float32
    v = np.linalg.eigvalsh(np.cov(scaler(X).T.astype(float), bias=True))
    np.testing.assert_allclose(v[:2], 0, atol=1e-6)  # no noise is blown up
    np.testing.assert_allclose(scaler(X[:1] + 0), scaler(X)[:1], atol=1e-6)
    np.testing.assert_allclose(scaler(X.mean(axis=0, keepdims=True)), 0, atol=1e-6)


def test_zca_needs_data_that_varies(rng):
    with pytest.raises(InputError, match="rows that differ"):
        data.zca(np.full((5, 3), 0.1))
    for epsilon in (0.0, -0.1, np.nan):
        with pytest.raises(InputError, match=r"epsilon is .*expected a finite number > 0"):
            data.zca(rng.normal(size=(5, 2)), epsilon)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_lose_their_mean_and_their_contrast(dtype, rng):
    X = (rng.normal(size=(20, 9)) * rng.uniform(0.1, 9, size=(20, 1)) + 40).astype(dtype)
    rounding = 40 * 4 * np.finfo(dtype).eps
    centred, normal = data.remove_patch_mean(X), data.contrast_normalize(X, 1e-12)
    assert (centred.dtype, normal.dtype) == (dtype, dtype)
    exact = X.astype(float)
    np.testing.assert_allclose(centred, exact - exact.mean(axis=1)[:, None], atol=rounding)
    np.testing.assert_allclose(normal, zscore(exact, axis=1), rtol=1e-5, atol=10 * rounding)
    damped = data.contrast_normalize(X, 0.5)
    expected = (exact - exact.mean(axis=1)[:, None]) / (exact.std(axis=1)[:, None] + 0.5)
    np.testing.assert_allclose(damped, expected, rtol=1e-5, atol=10 * rounding)


def test_a_row_without_contrast_becomes_zero():
    flat = np.full((2, 7), 0.1)  # its mean does not round to 0.1
    assert np.abs(data.contrast_normalize(flat)).max() < 1e-12
    assert np.abs(data.remove_patch_mean(flat)).max() < 1e-15


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.inf])
def test_contrast_needs_an_epsilon(epsilon, rng):
    with pytest.raises(InputError, match=r"epsilon is .*expected a finite number > 0"):
        data.contrast_normalize(rng.normal(size=(5, 2)), epsilon)


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.uint8, (3, 9, 7, 2), elements=st.integers(0, 255)),
    st.integers(1, 7),
    st.integers(0, 2**31),
)
def test_every_crop_is_a_window_of_an_image(images, size, seed):
    crops = data.random_crops(images, 5, size, seed)
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    windows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size, size, 2)
    assert all((windows == crop).all(axis=(1, 2, 3)).any() for crop in crops)


def test_crops_begin_at_every_row_and_column_equally_often():
    """12 windows of 2×2 in 4×5; each number of 12,000 crops is binomial."""
    images = np.arange(20, dtype=np.uint8).reshape(1, 4, 5, 1)
    corners = data.random_crops(images, 12_000, 2, 0)[:, 0, 0, 0]
    first, times = np.unique(corners, return_counts=True)
    np.testing.assert_array_equal(first, [5 * i + j for i in range(3) for j in range(4)])
    np.testing.assert_allclose(times, 1000, atol=4 * np.sqrt(1000 * 11 / 12))


def test_crops_larger_than_the_images_are_refused():
    with pytest.raises(InputError, match="crops of 9×9 are larger than the images, 8×8"):
        data.random_crops(np.zeros((1, 8, 8, 3), np.uint8), 1, 9, 0)
