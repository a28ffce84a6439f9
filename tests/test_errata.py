"""Every erratum's number against a finite difference, SciPy or a count done by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import kurtosis

from aesparse.models.activations import get_activation
from aesparse.models.one_layer import Params
from aesparse.theory import errata
from aesparse.theory.errata import ERRATA
from aesparse.theory.residuals import residual_law

pytestmark = pytest.mark.usefixtures("x64")
W = np.array([[0.8, -0.4], [0.3, 1.1]])
B = np.array([0.2, -0.3])
X = np.array([[1.0, -0.5], [-0.7, 0.9], [-0.3, -0.4]])


@pytest.fixture(scope="module")
def by_name() -> dict:
    with jax.enable_x64(True):
        return dict(zip((f.__name__ for f in ERRATA), errata(), strict=True))


def reconstruction(b, x=X, w=W):
    return np.mean(np.sum((x - expit(x @ w.T + b) @ w) ** 2, axis=1))


def test_every_erratum_shows_two_different_numbers(by_name):
    for erratum in by_name.values():
        assert abs(erratum.printed - erratum.actual) > 1e-3 * max(abs(erratum.printed), 1e-3)


def test_equation_15_has_the_other_sign(by_name):
    h = 1e-6
    step = np.array([h, 0])
    difference = (reconstruction(B + step) - reconstruction(B - step)) / (2 * h)
    erratum = by_name["bias_gradient_sign"]
    np.testing.assert_allclose(erratum.actual, difference, rtol=1e-8)
    np.testing.assert_allclose(erratum.printed, -difference, rtol=1e-8)


def test_equation_30_is_half_of_the_second_difference(by_name):
    """ℓ(h(x)) with ℓ linearized at h(x_1): its second difference is the term of eq. 30."""
    x = X[0]
    code = expit(W @ x + B)
    slope = -2 * W @ (x - code @ W)
    h, total = 1e-4, 0.0
    for e in np.eye(2) * h:
        bend = expit(W @ (x + e) + B) - 2 * code + expit(W @ (x - e) + B)
        total += slope @ bend / h**2
    erratum = by_name["curvature_factor"]
    np.testing.assert_allclose(erratum.actual, total, rtol=1e-6)
    np.testing.assert_allclose(erratum.printed, total / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "printed", "actual", "tolerance"),
    [
        ("no_strength_for_relu", 0, -0.375, 1e-12),
        ("sigmoid_and_corollary2", 0, -0.0197, 5e-5),
        ("convex_is_not_enough", 0, -2, 1e-12),
        ("growing_rows", 8 / 9, 1 - 1.44 / 9.61, 1e-12),
        ("one_sided_bound", 8 / 9, 9 / 10, 1e-12),
        ("no_last_iteration", 0, 1.0001, 1e-12),
        ("shrink_complement", 2, 1.5, 1e-4),
        ("decay_factor", 0.1, 0.2, 1e-12),
    ],
)
def test_the_numbers_done_by_hand(name, printed, actual, tolerance, by_name):
    erratum = by_name[name]
    assert abs(erratum.printed - printed) <= tolerance
    assert abs(erratum.actual - actual) <= tolerance


def test_gsae_backpropagation_is_right_with_the_sum_over_outputs_only(by_name):
    # By hand, in NumPy: the loss by central differences, δ⁽²⁾ with its sum to p = 2 and to n = 3.
    W1 = np.array([[0.5, -0.2, 0.3], [-0.4, 0.6, 0.1]])
    W2 = np.array([[0.3, -0.5], [0.2, 0.4], [-0.6, 0.1]])
    b1, b2 = np.array([0.1, -0.1]), np.array([0.0, 0.1, -0.2])
    X, rho, beta = np.array([[0.2, 0.7, 0.4], [0.9, 0.1, 0.5]]), 0.1, 0.3

    def forward(weight):
        code = 1 / (1 + np.exp(-(X @ weight.T + b1)))
        return code, 1 / (1 + np.exp(-(code @ W2.T + b2)))

    def loss(weight):
        code, output = forward(weight)
        means = code.mean(axis=0)
        kl = rho * np.log(rho / means) + (1 - rho) * np.log((1 - rho) / (1 - means))
        return 0.5 * np.mean(np.sum((output - X) ** 2, axis=1)) + beta * kl.sum()

    def by_formula(terms):
        code, output = forward(W1)
        means = code.mean(axis=0)
        delta3 = (output - X) * output * (1 - output)
        push = beta * (-rho / means + (1 - rho) / (1 - means))
        delta2 = (delta3[:, :terms] @ W2[:terms] + push) * code * (1 - code)
        return delta2.T @ X / len(X)

    steps = 1e-5 * np.eye(W1.size).reshape(-1, *W1.shape)
    slopes = [(loss(W1 + step) - loss(W1 - step)) / 2e-5 for step in steps]
    gradient = np.reshape(slopes, W1.shape)
    np.testing.assert_allclose(by_formula(3), gradient, atol=1e-9)
    error = np.abs(by_formula(2) - gradient).max()
    assert error > 1e-3
    np.testing.assert_allclose(by_name["hidden_delta_sum"].actual, error, atol=1e-9)


def test_the_lectures_matrix_fills_a_column_that_is_zero(by_name):
    h = 1e-6

    def mean_of_unit_0(w):
        return np.mean(expit(X @ w + B)[:, 0])

    column = [
        mean_of_unit_0(W.T + h * np.outer(e, [0, 1])) - mean_of_unit_0(W.T) for e in np.eye(2)
    ]
    assert column == [0.0, 0.0]
    erratum = by_name["mean_activation_matrix"]
    assert erratum.actual == 0
    assert erratum.printed > 0.1


def test_the_law_of_a_residual_against_scipy_and_gaussian_noise(rng):
    noise = rng.normal(size=(20_000, 6))
    silent = Params(jnp.zeros((1, 6)), jnp.zeros(1))
    relu = get_activation("relu")
    law = residual_law(silent, jnp.asarray(noise), relu)
    assert max(abs(float(v)) for v in law) < 0.08
    mixed = np.hstack([noise[:, :3] ** 3, noise[:, :3] ** 3 + noise[:, 3:]]) + 1.0
    law = residual_law(silent, jnp.asarray(mixed), relu)
    np.testing.assert_allclose(law.excess_kurtosis, np.median(kurtosis(mixed)), rtol=1e-10)
    correlation = np.corrcoef(mixed.T)[~np.eye(6, dtype=bool)]
    np.testing.assert_allclose(law.correlation, np.sqrt(np.mean(correlation**2)), rtol=1e-10)
    assert law.mean > 0.1
    assert law.length > 0.5
