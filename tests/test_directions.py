"""Claims on directions: same or different, where both curves move, over resampled seeds."""

import numpy as np
import pytest
from commands import numbers

from experiments.evidence import claims, criteria
from experiments.evidence.curves import Curve
from experiments.figures.arpit.common import directions_differ
from experiments.pipeline.protocol import STRENGTHS

S = np.array(STRENGTHS)
LEVEL, FALLING = np.full(12, 0.4), 0.6 - 0.5 * np.sqrt(S)
RISING, WAVE = FALLING[::-1], 0.4 + 0.1 * np.sin(9 * S)


def curve(*rows, flagged=(), **fields):
    """A curve with these fractions of its seeds."""
    fraction = np.stack(rows)
    marks = np.zeros(fraction.shape, bool)
    marks[:, list(flagged)] = True
    of = {"dataset": "mnist", "objective": "cae"} | fields
    return Curve(strengths=S, fraction=fraction, dead=0 * fraction, flagged=marks, **of)


def thrice(row, **fields):
    return curve(row, row, row, **fields)


def differ(a, b):
    return claims.directions_differ("A2", "…", a, b).verdict


def agree(a, b):
    return claims.directions_agree("A6", "…", a, b).verdict


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (FALLING, RISING, False),
        (FALLING, FALLING - 0.1, True),
        (FALLING, WAVE, False),
        (WAVE, WAVE + 0.0499, True),
        (WAVE, WAVE + 0.0501, False),  # two irregular curves agree only close to each other
    ],
)
def test_directions_are_compared_where_both_curves_move(a, b, same):
    pair = thrice(a), thrice(b)
    assert agree(*pair) == ("holds" if same else "fails")
    assert differ(*pair) == ("fails" if same else "holds")


@pytest.mark.parametrize("other", [FALLING, WAVE, LEVEL])
def test_a_curve_that_does_not_move_decides_nothing_and_its_range_is_named(other):
    still = thrice(0.4 - 0.049 * np.sqrt(S))
    for pair in ((still, thrice(other)), (thrice(other), still)):
        assert agree(*pair) == differ(*pair) == "inconclusive"
    text = claims.directions_differ("A2", "…", still, thrice(FALLING, dataset="cifar10")).numbers
    assert numbers(text)[:2] == [0.001, 0.049]  # its rate, its range


def test_a_range_that_may_be_that_of_a_flat_curve_decides_nothing():
    wavering = curve(*(0.4 - d * np.sqrt(S) for d in (0.04, 0.07, 0.09)))  # moves on average
    assert differ(wavering, thrice(RISING)) == "inconclusive"
    assert agree(wavering, thrice(FALLING)) == "inconclusive"


def test_directions_hold_in_95_percent_of_resamples_or_decide_nothing():
    """One seed of three turns the mean of those resamples that draw it twice or thrice: 7/27."""
    turned = curve(FALLING, FALLING, RISING + 0.3 * (RISING - 0.35))
    assert differ(turned, thrice(RISING)) == "inconclusive"
    # Equal seeds are resampled together: two curves that waver alike agree in every resample.
    assert agree(turned, turned) == "holds"
    # 1/27 + 3/27 + 3/27 of draws of either, taken independently, make a difference.
    assert differ(turned, turned) == "inconclusive"


def test_one_seed_decides_without_resamples():
    pair = curve(FALLING), curve(RISING, dataset="cifar10")
    assert differ(*pair) == "holds"
    text = claims.directions_differ("A2", "…", *pair).numbers
    assert all(word in text for word in ("MNIST", "CIFAR", "decreasing", "increasing", "one seed"))
    assert "resamples" not in text


def test_too_many_diverged_strengths_decide_nothing():
    for other in (thrice(RISING), thrice(FALLING)):
        assert differ(thrice(FALLING, flagged=(1, 2, 3)), other) == "inconclusive"
        assert agree(thrice(FALLING, flagged=(1, 2, 3)), other) == "inconclusive"
    assert differ(thrice(FALLING, flagged=(1, 2)), thrice(RISING)) == "holds"


def test_a_fall_in_rank_counts_only_of_a_curve_that_moves():
    def verdict(row):
        falling = thrice(row)
        needs, given = criteria.falls(falling), criteria.moves(falling)
        return claims.decide("A4", "…", needs, [falling], given).verdict

    assert verdict(0.5 - 0.0501 * np.sqrt(S)) == "holds"  # not strongly
    assert verdict(0.5 - 0.0499 * np.sqrt(S)) == "inconclusive"
    assert verdict(RISING) == verdict(WAVE) == "fails"


def test_a_distance_is_judged_by_the_range_of_the_first_curve_which_moves():
    def verdict(a, b):
        needs, given = criteria.apart_by_range(a, b), criteria.moves(a)
        return claims.decide("A13", "…", needs, [a, b], given).verdict

    halved = 0.5 * np.sqrt(S)  # of range 0.5
    assert verdict(thrice(halved), thrice(halved + 0.124 * (S == 0.25))) == "holds"
    assert verdict(thrice(halved), thrice(halved + 0.126 * (S == 0.25))) == "fails"
    assert verdict(thrice(halved + 0.126), thrice(halved)) == "fails"
    assert verdict(thrice(LEVEL), thrice(LEVEL)) == "inconclusive"
    assert verdict(thrice(LEVEL), thrice(FALLING)) == "inconclusive"


def test_only_what_holds_becomes_by_construction():
    flat = thrice(LEVEL)
    assert (
        claims.by_construction(claims.decide("A1", "…", criteria.flat(flat), [flat])).verdict
        == "by construction"
    )
    broken = claims.decide("A1", "…", criteria.flat(thrice(FALLING)), [flat])
    assert claims.by_construction(broken) == broken
    assert broken.verdict == "fails"


def pairs(mnist, cifar, rate=0.003, **fields):
    """CAE's and mDAE's curves on both data sets, MNIST's at a rate."""
    return [
        thrice(row, dataset=dataset, objective=objective, learning_rate=of, **fields)
        for objective in ("cae", "mdae")
        for dataset, row, of in (("mnist", mnist, rate), ("cifar10", cifar, 0.001))
    ]


def outcomes(free, unit=()):
    return [(v.verdict, v.statement) for v in directions_differ("A5", free, unit)]


def test_the_common_rate_is_a_statement_of_its_own():
    own = pairs(FALLING, RISING)
    assert [verdict for verdict, _ in outcomes(own)] == ["holds", "holds", "not run", "not run"]
    common = [c for c in pairs(RISING, RISING, rate=0.001) if c.dataset == "mnist"]
    decided = outcomes([*own, *common])
    assert [verdict for verdict, _ in decided] == ["holds", "holds", "fails", "fails"]
    assert ["0.001" in statement for _, statement in decided] == [False, False, True, True]
    assert [verdict for verdict, _ in outcomes(pairs(FALLING, RISING, rate=0.001))] == ["holds"] * 2


def test_a_difference_that_unit_rows_show_as_well_decides_nothing():
    free = pairs(FALLING, RISING)

    def found(mnist, cifar):
        return directions_differ("A5", free, pairs(mnist, cifar, constraint="unit"))[0]

    assert found(FALLING, FALLING).verdict == "holds"
    assert found(FALLING, RISING).verdict == "inconclusive"
    assert "differ as well" in found(FALLING, RISING).numbers
    still = found(FALLING, LEVEL)  # the control decides nothing
    assert (still.verdict, "control" in still.numbers) == ("holds", True)
    alike = directions_differ("A5", pairs(FALLING, FALLING), pairs(FALLING, RISING))
    assert alike[0].verdict == "fails"
