"""Classes and verdicts on curves whose answer is known by construction."""

import numpy as np
import pytest
from commands import numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from experiments.evidence import bootstrap, claims, criteria, curves
from experiments.evidence.curves import Curve
from experiments.pipeline.protocol import STRENGTHS

S = np.array(STRENGTHS)


def curve(means, *, spread=0.0, seeds=3, flagged=(), dead=0.0):
    """Seeds symmetric around the given means."""
    offsets = spread * np.linspace(-1, 1, seeds)[:, None] if seeds > 1 else np.zeros((1, 1))
    fraction = np.asarray(means)[None] + offsets
    marks = np.zeros(fraction.shape, bool)
    marks[:, list(flagged)] = True
    return Curve("mnist", "dae", S, fraction, np.full(fraction.shape, dead), marks)


FALLING, LEVEL = 0.6 - 0.5 * np.sqrt(S), np.full(12, 0.4)


def test_the_grid_is_the_papers():
    expected = [0, 0.001, 0.01, 0.04, 0.09, 0.16, 0.25, 0.36, 0.49, 0.64, 0.81, 1.0]
    np.testing.assert_allclose(STRENGTHS, expected, rtol=1e-12)


def test_directions():
    assert curves.direction(curve(LEVEL)) == "flat"
    assert curves.direction(curve(FALLING)) == "decreasing"
    assert curves.direction(curve(FALLING[::-1])) == "increasing"
    assert curves.direction(curve(0.4 + 0.2 * np.sin(9 * S))) == "irregular"
    assert curves.direction(curve(LEVEL + 0.0499 * (S == 1))) == "flat"
    assert curves.direction(curve(LEVEL + 0.0501 * (S == 1))) == "irregular"


def test_a_direction_is_strong_above_twice_the_range_of_a_flat_curve():
    weak, strong = 0.5 - 0.0999 * np.sqrt(S), 0.5 - 0.1001 * np.sqrt(S)
    assert curves.described(curve(weak)) == "decreasing"
    assert curves.described(curve(strong)) == "strongly decreasing"
    assert curves.described(curve(1 - strong)) == "strongly increasing"
    assert curves.described(curve(LEVEL + 0.3 * (S == 1))) == "irregular"


def test_a_rank_correlation_of_exactly_the_threshold_is_a_direction():
    """Eleven ranks with squared differences 22 in sum: 1 − 6·22/(11·120) = 0.9."""
    ranks = np.arange(11)
    ranks[[0, 3]], ranks[[5, 6]], ranks[[8, 9]] = [3, 0], [6, 5], [9, 8]
    assert np.sum((ranks - np.arange(11)) ** 2) == 22
    rising = np.append(0.2 + 0.05 * ranks, 0.0)
    assert curves.direction(curve(rising, flagged=(11,))) == "increasing"
    assert curves.direction(curve(1 - rising, flagged=(11,))) == "decreasing"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 64), min_size=12, max_size=12))
def test_a_mirrored_curve_has_the_mirrored_direction(numerators):
    mirror = {"decreasing": "increasing", "increasing": "decreasing"}
    means = np.array(numerators) / 64  # 1 − x is exact, so thresholds are met alike
    found = curves.direction(curve(means))
    assert curves.direction(curve(1 - np.array(means))) == mirror.get(found, found)


def test_flagged_cells_are_left_out_and_too_many_decide_nothing():
    spoiled = FALLING.copy()
    spoiled[[3, 7]] = 0.0
    assert curves.direction(curve(spoiled, flagged=(3, 7))) == "decreasing"
    assert curves.direction(curve(FALLING, flagged=(3, 7, 8))) == "inconclusive"
    bad = curve(FALLING, flagged=(3, 7, 8))
    verdict = claims.decide("A1", "DAE decreasing", criteria.decreasing(bad), [bad])
    assert verdict.verdict == "inconclusive"
    assert "more than 2 strengths" in verdict.numbers
    assert " σ² = 0.04, 0.36, 0.49 " in verdict.numbers


def test_the_interval_of_three_seeds_reaches_from_the_smallest_to_the_largest():
    """All three draws are one seed's with probability 1/27 = 3.7%, above 2.5% and below 5%."""
    found = criteria.mean_at_least(np.array([[0.0], [0.2], [1.0]]), 0.5, "mean")
    assert found.interval == (0.0, 1.0)
    assert not found.decided


def test_the_interval_over_units_is_that_of_a_mean():
    """1.96 standard errors to both sides; 1.64 of them would be 90%."""
    values = np.random.default_rng(1).normal(size=(1, 2000))
    found = bootstrap.over_seeds_and_units(values, np.mean)
    error = values.std() / np.sqrt(2000)
    low, high = values.mean() + norm.ppf([0.025, 0.975]) * error
    np.testing.assert_allclose([found.low, found.high], [low, high], atol=0.15 * error)


def test_a_seed_that_is_flagged_throughout_decides_nothing_and_crashes_nothing():
    one_lost = curve(FALLING)._replace(flagged=np.array([[True] * 12] + [[False] * 12] * 2))
    all_lost = curve(FALLING, flagged=range(12))
    for lost in (one_lost, all_lost):
        for found in (
            criteria.decreasing(lost),
            criteria.flat(lost),
            criteria.agree(lost, lost),
            criteria.alive_above(lost),
        ):
            assert claims.decide("A1", "…", found, [lost]).verdict == "inconclusive"
    assert not criteria.decreasing(all_lost)[0].decided


def test_a_value_outside_its_own_interval_does_not_decide():
    odd = criteria.Criterion("range", 0.04, 0.05, 1, (0.06, 0.08))
    assert odd.holds
    assert not odd.decided


def verdict(found, used):
    return claims.decide("A1", "…", found, [used]).verdict


def test_verdicts_with_and_without_room_to_the_threshold():
    for seeds in (1, 2, 3):
        assert (
            verdict(criteria.flat(curve(LEVEL, seeds=seeds)), curve(LEVEL, seeds=seeds)) == "holds"
        )
        falling = curve(FALLING, spread=0.01, seeds=seeds)
        assert verdict(criteria.decreasing(falling), falling) == "holds"
        assert verdict(criteria.flat(falling), falling) == "fails"
    # the range is 0.049 on average, but 0.03 to 0.07 over seeds
    base = LEVEL + 0.049 * (S == 1)
    wavering = curve(base)._replace(
        fraction=np.stack([LEVEL + d * (S == 1) for d in (0.03, 0.049, 0.068)])
    )
    assert verdict(criteria.flat(wavering), wavering) == "inconclusive"
    single = wavering._replace(
        **{k: getattr(wavering, k)[1:2] for k in ("fraction", "dead", "flagged")}
    )
    assert verdict(criteria.flat(single), single) == "holds"


def test_agreement_and_dead_units():
    a, b = curve(LEVEL), curve(LEVEL + 0.03 * (S == 1))
    assert criteria.agree(a, b)[0].value == pytest.approx(0.03)
    assert verdict(criteria.agree(a, b), a) == "fails"
    assert verdict(criteria.agree(a, a), a) == "holds"
    assert verdict(criteria.alive_above(curve(FALLING, dead=0.02)), a) == "fails"
    sparse = curve(np.full(12, 0.04), dead=0.5)  # only cells at fraction >= 0.05 count
    assert verdict(criteria.alive_above(sparse), sparse) == "holds"


def test_lower_counts_where_it_is_asked_and_a_tie_decides_nothing():
    high, low = curve(LEVEL + 0.1), curve(LEVEL)
    ends_low = curve(LEVEL + 0.1 - 0.2 * (S == 1))
    for where in ("at its lowest", "at the end"):
        assert verdict(criteria.lower(low, high, 0.0, where=where), low) == "holds"
        assert verdict(criteria.lower(low, low, 0.0, where=where), low) == "inconclusive"
        assert verdict(criteria.lower(high, low, 0.0, where=where), low) == "fails"
        assert verdict(criteria.lower(ends_low, low, 0.05, where=where), low) == "holds"
    starts_low = curve(LEVEL + 0.1 - 0.2 * (S == 0))
    assert verdict(criteria.lower(starts_low, low, 0.0, where="at the end"), low) == "fails"
    assert verdict(criteria.lower(low, high, 0.11, where="at its lowest"), low) == "fails"


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(0.0101, "holds"), (0.0099, "inconclusive"), (-0.0099, "inconclusive"), (-0.0101, "fails")],
)
def test_fractions_that_differ_by_a_hundredth_are_tied(difference, expected):
    a, b = curve(LEVEL, seeds=1), curve(LEVEL + difference, seeds=1)
    assert verdict(criteria.lower(a, b, 0.0, where="at the end"), a) == expected


def test_an_interval_that_reaches_into_the_tie_decides_nothing():
    high = curve(LEVEL + 0.02)
    low = high._replace(fraction=np.stack([LEVEL, LEVEL, LEVEL + 0.012]))  # lower by 0.008 at last
    assert verdict(criteria.lower(low, high, 0.0, where="at the end"), high) == "inconclusive"


def test_the_floor_of_a_curve():
    assert verdict(criteria.stays_above(curve(FALLING), 0.05), curve(FALLING)) == "holds"
    assert verdict(criteria.stays_above(curve(FALLING), 0.15), curve(FALLING)) == "fails"


def test_rank_correlation_over_cells_leaves_flagged_ones_out():
    x = np.stack([np.arange(8.0) + 0.1 * seed for seed in range(3)])
    assert criteria.rank_correlation(x, x**3, 0.9).decided
    assert criteria.rank_correlation(x, x**3, 0.9).holds
    assert not criteria.rank_correlation(x, -x, 0.9).holds
    y = x.copy()
    y[:, 3] = -50
    assert criteria.rank_correlation(x, y, 0.9).value < 0.9
    assert criteria.rank_correlation(np.where(y < 0, np.nan, x), y, 0.9).value == 1


def test_means_and_maxima_leave_flagged_cells_out_and_notice_the_rest():
    values = np.full((3, 4, 5), 0.02)
    assert criteria.mean_at_least(values, 0.01, "share").holds
    assert not criteria.mean_at_least(values, 0.03, "share").holds
    assert criteria.largest_at_most(values, 0.1, "share").holds
    values[:, 1] = np.nan
    assert criteria.largest_at_most(values, 0.1, "share").holds
    assert criteria.mean_at_least(values, 0.01, "share").value == pytest.approx(0.02)
    values[1, 2, 3] = np.inf
    assert not criteria.largest_at_most(values, 0.1, "share").decided
    nothing = np.full((3, 4), np.nan)
    for criterion in (criteria.largest_at_most, criteria.mean_at_least):
        assert not criterion(nothing, 0.1, "share").decided


def test_a_number_comes_with_its_interval_and_its_threshold():
    text = str(criteria.flat(curve(LEVEL))[0])
    assert numbers(text) == [0, 0, 0, 0.05]
    assert "[" not in str(criteria.flat(curve(LEVEL, seeds=2))[0])
