"""Generated data against the probabilities that its documentation states."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from aesparse.data import GENERATED_KINDS, generated
from aesparse.errors import InputError

N = 20_000


def together(active):
    """Of every two directions, the share of samples on which both are active."""
    counts = active.astype(float)
    return counts.T @ counts / len(active)


def within(value, expected, draws=N):
    """Whether a share of independent draws is within five standard errors."""
    return abs(value - expected) < 5 * np.sqrt(expected * (1 - expected) / draws)


def largest_cosine(directions):
    cosines = directions.astype(np.float64) @ directions.T
    return np.abs(cosines - np.diag(np.diag(cosines))).max()


@pytest.mark.parametrize("kind", GENERATED_KINDS)
def test_samples_are_sparse_non_negative_combinations_of_unit_rows(kind):
    data = generated(300, 5, 9, active=2, kind=kind, seed=3)
    rows = [sum(c * d for c, d in zip(code, data.directions, strict=True)) for code in data.codes]
    np.testing.assert_allclose(data.X, rows, atol=1e-5)
    np.testing.assert_allclose(np.sum(data.directions**2, axis=1), 1, rtol=1e-6)
    assert {array.dtype for array in data} == {np.dtype(np.float32)}
    amplitudes = data.codes[data.codes != 0]
    assert 0.5 <= amplitudes.min() < 0.52
    assert 1.48 < amplitudes.max() <= 1.5


@pytest.mark.parametrize("kind", GENERATED_KINDS)
@pytest.mark.parametrize("active", [0.5, 4])
def test_the_mean_number_of_active_directions_is_the_one_asked_for(kind, active):
    counts = np.count_nonzero(generated(N, 4, 18, active=active, kind=kind).codes, axis=1)
    assert abs(counts.mean() - active) < 5 * counts.std() / np.sqrt(N)


def test_independent_directions_are_active_together_by_chance():
    both = together(generated(N, 4, 10, active=3).codes > 0)
    for i in range(10):
        for j in range(10):
            assert within(both[i, j], 0.3 if i == j else 0.09)


@pytest.mark.parametrize("dependence", [0.3, 0.8])
def test_correlated_directions_follow_a_normal_distribution_within_their_group(dependence):
    data = generated(N, 4, 8, active=2, kind="correlated", group=3, dependence=dependence)
    both, limit = together(data.codes > 0), norm.isf(0.25)
    normal = multivariate_normal([0, 0], [[1, dependence], [dependence, 1]])
    joint = normal.cdf([-limit, -limit])
    assert joint > 0.08
    for i in range(8):
        for j in range(8):
            same = i // 3 == j // 3
            assert within(both[i, j], 0.25 if i == j else joint if same else 0.0625)


def test_a_child_is_active_only_with_its_parent():
    data = generated(N, 4, 8, active=2, kind="hierarchical", group=3, dependence=0.4)
    active = data.codes > 0
    parent = 2 / (3 + 5 * 0.4)  # three parents, five children of 0.4 each
    for k in range(8):
        top = k // 3 * 3
        assert within(active[:, k].mean(), parent if k == top else 0.4 * parent)
        assert not (active[:, k] & ~active[:, top]).any()
    both = together(active)
    assert within(both[1, 2], 0.16 * parent)  # children are independent given their parent
    assert within(both[0, 3], parent**2)


@pytest.mark.parametrize(
    ("inputs", "directions", "coherence"),
    [(16, 64, 0.4), (16, 16, 0.01), (16, 8, 0.01), (64, 300, 0.25), (2, 3, 0.51), (8, 1, 0.1)],
)
def test_directions_are_as_incoherent_as_asked_for(inputs, directions, coherence):
    data = generated(2, inputs, directions, active=1, coherence=coherence)
    assert largest_cosine(data.directions) <= coherence + 1e-6
    free = generated(2, inputs, directions, active=1).directions
    assert directions == 1 or largest_cosine(free) > coherence


def test_noise_is_added_to_every_input_with_its_deviation():
    clean, noisy = (generated(5000, 6, 9, active=2, noise=noise) for noise in (0, 0.2))
    np.testing.assert_array_equal(clean.codes, noisy.codes)
    added = noisy.X - clean.X
    np.testing.assert_allclose(added.std(axis=0), 0.2, rtol=0.05)
    np.testing.assert_allclose(added.mean(axis=0), 0, atol=5 * 0.2 / np.sqrt(5000))


def test_a_seed_decides_everything():
    one, again, other = (generated(50, 6, 9, active=2, noise=0.1, seed=s) for s in (1, 1, 2))
    for a, b, c in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize(
    "options",
    [
        {"samples": 0},
        {"active": 0},
        {"active": 9.5},
        {"active": float("nan")},
        {"kind": "corelated"},
        {"group": 2},
        {"dependence": 0.5},
        {"kind": "correlated", "dependence": 0},
        {"kind": "correlated", "dependence": 1.5},
        {"kind": "hierarchical", "group": 0},
        {"kind": "hierarchical", "active": 7},
        {"coherence": 0.0},
        {"coherence": 0.2},  # the Welch bound is 0.28
        {"noise": -0.1},
        {"noise": float("inf")},
        {"seed": -1},
    ],
)
def test_bad_options_are_refused_in_one_line(options):
    with pytest.raises(InputError) as refused:
        generated(**{"samples": 10, "inputs": 5, "directions": 9, "active": 2} | options)
    assert "\n" not in str(refused.value)
