"""Scores of recovery against hand-computed cases and a search over all matchings."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import f1_score

from aesparse.data import generated
from aesparse.errors import InputError
from aesparse.metrics import matched_f1, recovery

PLANE = np.array([[1.0, 0.0], [0.0, 2.0]])


def test_every_direction_has_the_cosine_of_its_nearest_atom():
    scores = recovery([[3.0, 4.0], [-5.0, 0.0], [0.0, 0.0]], PLANE)
    np.testing.assert_allclose(scores.cosines, [0.6, 0.8])
    assert scores.mean_cosine == pytest.approx(0.7)
    assert scores.recovered == 0
    assert recovery([[3.0, 4.0]], PLANE, threshold=0.7).recovered == 0.5


def test_an_opposite_atom_counts_only_where_it_is_allowed():
    atoms = [[-5.0, 0.0], [0.0, -1.0]]
    assert recovery(atoms, PLANE).cosines.tolist() == [0, 0]
    assert recovery(atoms, PLANE, either_sign=True).cosines.tolist() == [1, 1]


def test_a_permuted_and_scaled_truth_is_recovered_whole_and_chance_is_not(rng):
    data = generated(400, 20, 30, active=3, coherence=0.5)
    order = rng.permutation(30)
    scale = rng.uniform(0.1, 9.0, 30).astype(np.float32)
    whole = recovery(data.directions[order] * scale[:, None], data.directions)
    assert (round(whole.mean_cosine, 6), whole.recovered) == (1, 1)
    matched = matched_f1(data.codes[:, order] * scale, data.codes)
    assert matched.mean_f1 == 1
    assert order[matched.units].tolist() == list(range(30))
    half = recovery(data.directions[:15], data.directions)
    assert half.recovered == 0.5
    assert half.cosines[15:].max() <= 0.5 + 1e-6
    assert recovery(rng.normal(size=(30, 20)), data.directions).recovered < 0.1


@pytest.mark.parametrize(("m", "K"), [(4, 4), (6, 3), (3, 5), (1, 1)])
def test_the_matching_is_the_best_of_all(m, K, rng):
    for _ in range(6):
        codes = rng.normal(size=(12, m)) * (rng.uniform(size=(12, m)) < 0.5)
        truth = rng.uniform(size=(12, K)) * (rng.uniform(size=(12, K)) < 0.5)
        truth[0] = 1.0  # every direction is active once
        table = np.array(
            [
                [f1_score(truth[:, k] != 0, codes[:, j] != 0, zero_division=0) for j in range(m)]
                for k in range(K)
            ]
        )
        padded = np.pad(table, ((0, 0), (0, K)))  # no unit at all
        sums = (
            sum(padded[k, j] for k, j in enumerate(choice))
            for choice in itertools.permutations(range(m + K), K)
        )
        scores = matched_f1(codes, truth)
        assert scores.mean_f1 == pytest.approx(max(sums) / K)
        with_unit = scores.units >= 0
        assert len(set(scores.units[with_unit])) == with_unit.sum() == min(m, K)
        np.testing.assert_allclose(scores.f1[~with_unit], 0)
        np.testing.assert_allclose(
            scores.f1[with_unit], table[with_unit, scores.units[with_unit]], rtol=1e-12
        )


def test_one_unit_serves_one_direction():
    truth = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    scores = matched_f1(truth[:, :1], truth)
    assert sorted(scores.f1) == [0, 1]
    assert sorted(scores.units) == [-1, 0]


def test_small_numbers_are_active_above_the_threshold_alone():
    truth, codes = np.array([[1.0], [0.0], [0.0]]), np.array([[-2.0], [0.05], [0.0]])
    assert matched_f1(codes, truth).mean_f1 == pytest.approx(2 / 3)
    assert matched_f1(codes, truth, threshold=0.1).mean_f1 == 1


def test_a_direction_that_is_never_active_is_left_out():
    truth = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    scores = matched_f1(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), truth)
    assert scores.mean_f1 == 1
    np.testing.assert_array_equal(scores.f1, [1, np.nan])


@pytest.mark.parametrize(
    "call",
    [
        lambda: recovery(np.eye(3), PLANE),
        lambda: recovery(PLANE, np.zeros((1, 2))),
        lambda: recovery(PLANE * np.nan, PLANE),
        lambda: recovery(np.ones(2), PLANE),
        lambda: recovery(PLANE, PLANE, threshold=np.inf),
        lambda: matched_f1(np.eye(2), np.eye(3)),
        lambda: matched_f1(np.eye(2), np.zeros((2, 2))),
        lambda: matched_f1(np.eye(2), np.full((2, 2), np.inf)),
    ],
)
def test_bad_arrays_are_refused_in_one_line(call):
    with pytest.raises(InputError) as refused:
        call()
    assert "\n" not in str(refused.value)
