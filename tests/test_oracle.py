"""The oracle of docs/protocol.md on runs written here, whose verdicts are known."""

import numpy as np
import oracle_stats as stats
import pytest
from oracle_arpit import alive, effective_momentum
from oracle_runs import Curve, Setting
from oracle_studies import wilson
from oracle_verdicts import decide
from oracle_written import ALL, three, write
from scipy.stats import binomtest, spearmanr

FALLING = 0.6 - 0.4 * ALL


def verdict(folder, claim, *subject, dataset="mnist", **options):
    """The verdict of the one row whose subject has these entries."""
    rows = {
        key: d
        for key, d in decide(folder, **options).items()
        if key[0] == claim and key[2] == dataset and set(subject) <= set(key[3])
    }
    assert len(rows) == 1, f"{len(rows)} rows of {claim} with {subject}: {list(rows)}"
    return next(iter(rows.values())).verdict


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "reduced"


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (FALLING, "holds"),
        (0.6 - 0.04 * ALL, "inconclusive"),  # does not move
        (0.2 + 0.4 * ALL, "fails"),
        (0.6 - 0.4 * np.abs(ALL - 0.5), "fails"),  # moves without a direction
    ],
)
def test_sigmoid_decreasing_is_decided_where_it_moves(folder, curve, expected):
    three(folder, Setting("mnist", "sigmoid", "unit", "dae"), curve)
    assert verdict(folder, "A4", "dae") == expected


def test_a_threshold_inside_the_interval_is_inconclusive(folder):
    curves = [0.6 - fall * ALL for fall in (0.03, 0.08, 0.1)]
    three(folder, Setting("mnist", "sigmoid", "unit", "dae"), *curves)
    assert verdict(folder, "A4", "dae") == "inconclusive"


@pytest.mark.parametrize(("diverged", "expected"), [((3, 5), "holds"), ((3, 5, 7), "inconclusive")])
def test_two_strengths_may_diverge(folder, diverged, expected):
    curve = FALLING.copy()
    curve[list(diverged)] = 0.9  # of models that are left out
    three(folder, Setting("mnist", "sigmoid", "unit", "dae"), curve, diverged=diverged)
    assert verdict(folder, "A4", "dae") == expected


def test_flat_by_projection_is_by_construction(folder):
    three(folder, Setting("mnist", "relu", "unit", "cae"), np.full(12, 0.8))
    assert verdict(folder, "A1", "cae", "unit", "flat") == "by construction"


def test_a_construction_that_breaks_shows(folder):
    three(folder, Setting("mnist", "relu", "unit", "cae"), FALLING)
    assert verdict(folder, "A1", "cae", "unit", "flat") == "fails"


def test_what_only_the_stored_momentum_does_is_no_failure(folder):
    curve = np.where(ALL <= 0.5, 0.8, 0.7)  # falls where mu / (1 - V) is above 0.92
    three(folder, Setting("mnist", "relu", "unit-rescale", "cae"), curve)
    three(folder, Setting("mnist", "relu", "unit-rescale", "cae", 0.03, 0.0), curve)
    assert verdict(folder, "A1", "cae", "unit-rescale", "own") == "holds"
    assert verdict(folder, "A1", "cae", "unit-rescale", "momentum 0") == "fails"


@pytest.mark.parametrize(("objective", "expected"), [("cae", 0.949), ("mdae", 1.004)])
def test_effective_momentum_at_strength_one(objective, expected):
    run = {
        "strength": np.array([1.0]),
        "activation_fraction": np.array([0.86]),  # as on MNIST
        "dead_fraction": np.array([0.0]),
        "flagged_epoch": np.array([-1]),
    }
    setting = Setting("mnist", "relu", "unit-rescale", objective)
    found = effective_momentum(Curve(setting, (0,), [[run]]))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_dead_units_count_only_where_the_fraction_is_large():
    run = {
        "strength": ALL,
        "activation_fraction": FALLING - 0.19,
        "dead_fraction": np.where(FALLING - 0.19 >= 0.05, 0.005, 0.5),
        "flagged_epoch": np.full(12, -1),
    }
    assert alive(Curve(Setting("mnist", "relu", "unit", "dae"), (0,), [[run]])).verdict == "holds"
    run["dead_fraction"] = np.full(12, 0.02)
    assert alive(Curve(Setting("mnist", "relu", "unit", "dae"), (0,), [[run]])).verdict == "fails"


@pytest.mark.parametrize(
    ("patches", "expected"),
    [(0.2 + 0.4 * ALL, "holds"), (FALLING - 0.1, "fails"), (np.full(12, 0.3), "inconclusive")],
)
def test_directions_differ_where_both_data_sets_move(folder, patches, expected):
    three(folder, Setting("mnist", "relu", "free", "cae"), FALLING)
    three(folder, Setting("cifar10", "relu", "free", "cae"), patches)
    found = verdict(folder, "A2", "cae", "free", "own", dataset="both")
    assert found == expected
    assert verdict(folder, "A2", "cae", "free", "common", dataset="both") == "not run"


@pytest.mark.parametrize(
    ("distance", "expected"), [(0.03, "holds"), (0.2, "fails")], ids=["near", "apart"]
)
def test_irregular_curves_agree_only_where_they_are_near(folder, distance, expected):
    irregular = 0.6 - 0.4 * np.abs(ALL - 0.5)
    three(folder, Setting("mnist", "sigmoid", "unit", "dae"), irregular)
    three(folder, Setting("mnist", "softplus", "unit", "dae"), irregular - distance)
    assert verdict(folder, "A6", "dae") == expected


@pytest.mark.parametrize(
    ("gap", "expected"), [(0.3, "holds"), (0.005, "inconclusive"), (-0.3, "fails")]
)
def test_a_tie_is_inconclusive(folder, gap, expected):
    three(folder, Setting("mnist", "relu", "unit", "mdae"), np.full(12, 0.5))
    three(folder, Setting("mnist", "relu", "unit", "dae"), np.full(12, 0.5) - gap * (ALL > 0))
    assert verdict(folder, "A12", "dae") == expected


@pytest.mark.parametrize(("share", "expected"), [(0.2, "holds"), (0.3, "fails")])
def test_caeh_is_measured_by_the_range_of_cae(folder, share, expected):
    three(folder, Setting("mnist", "sigmoid", "unit", "cae"), FALLING)
    other = FALLING.copy()
    other[6] += share * 0.4
    three(folder, Setting("mnist", "sigmoid", "unit", "cae-h"), other)
    assert verdict(folder, "A13", "sigmoid") == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [((5, 3), "fails"), ((5, 2), "holds"), ((6, 4), "holds"), ((0, 4), "fails")],
    ids=["0.25 epoch 5", "0.25 epoch 4", "0.36", "0.001"],
)
def test_residual_share_from_epoch_5_up_to_a_quarter(folder, at, expected):
    share = np.full((11, 5), 0.05)
    epochs = np.array([1, 2, 4, 5, 6])
    share[at] = -0.5  # its size counts
    setting = Setting("mnist", "sigmoid", "unit", "dae2")
    three(folder, setting, FALLING, loss_residual_share=share, trained_epoch=epochs)
    assert verdict(folder, "A11", "sigmoid") == expected


MEANS = {"preactivation_deviation": np.full(12, 2.0)}


@pytest.mark.parametrize(
    ("fall", "expected"), [(1.0, "holds"), (0.1, "inconclusive"), (-1.0, "fails")]
)
def test_mean_preactivation_falls(folder, fall, expected):
    setting = Setting("mnist", "softplus", "unit", "sae")
    three(folder, setting, FALLING, preactivation_mean=1 - fall * ALL, **MEANS)
    assert verdict(folder, "A14", "sae", "softplus") == expected


def test_new_claims_need_unseen_runs_with_their_variables(folder):
    setting = Setting("mnist", "softplus", "unit", "sae")
    three(folder, setting, FALLING, preactivation_mean=1 - ALL, **MEANS)
    seen = {f"reduced/{path.name.removesuffix('.nc.gz')}" for path in folder.glob("*")}
    assert verdict(folder, "A14", "sae", "softplus", seen=frozenset(seen)) == "not run"
    one = frozenset([min(seen)])
    assert verdict(folder, "A14", "sae", "softplus", seen=one) == "not run"
    for path in folder.glob("*"):
        path.unlink()
    three(folder, setting, FALLING, preactivation_mean=1 - ALL)
    assert verdict(folder, "A14", "sae", "softplus") == "not run"


def test_revised_claims_prefer_the_unseen_seeds_once_complete(folder):
    setting = Setting("mnist", "sigmoid", "unit", "dae")
    three(folder, setting, FALLING)
    for seed in (3, 4):
        write(folder, setting, seed, 0.2 + 0.4 * ALL)
    assert verdict(folder, "A4", "dae") == "holds"
    write(folder, setting, 5, 0.2 + 0.4 * ALL)
    assert verdict(folder, "A4", "dae") == "fails"
    only = {("reduced", "revised"): ((0, 1, 2),)}
    assert verdict(folder, "A4", "dae", seeds=only) == "holds"


def test_unchanged_claims_take_all_seeds_once_complete(folder):
    """They are complete where the figure is, that is on both data sets."""
    setting, other = (Setting(d, "relu", "unit", "edae") for d in ("mnist", "cifar10"))
    three(folder, setting, FALLING)
    for seed in (3, 4, 5):
        write(folder, setting, seed, 0.2 + 0.4 * ALL if seed == 5 else np.full(12, 0.5))
    assert verdict(folder, "A3", "edae") == "holds"
    for seed in range(6):
        write(folder, other, seed, FALLING)
    assert verdict(folder, "A3", "edae") == "inconclusive"


def test_unconstrained_rows(folder):
    setting = Setting("mnist", "relu", "free", "cae")
    more = {"row_length_mean": 2 - ALL, "threshold_distance": 1 - 2 * ALL}
    three(folder, setting, FALLING, **more)
    assert verdict(folder, "A16", "cae", "row length falls", "relu") == "holds"
    assert verdict(folder, "A16", "cae", "distance follows fraction", "relu") == "holds"
    more = {"row_length_mean": 2 + ALL, "threshold_distance": 1 + 2 * ALL}
    three(folder, setting, FALLING, **more)
    assert verdict(folder, "A16", "cae", "row length falls", "relu") == "fails"
    assert verdict(folder, "A16", "cae", "distance follows fraction", "relu") == "fails"


def test_lower_with_unit_rows_only_among_models_alive(folder):
    dead = np.where(ALL > 0.5, 0.2, 0.0)
    three(folder, Setting("mnist", "relu", "free", "dae"), 0.6 - 0.3 * ALL)
    three(folder, Setting("mnist", "relu", "unit", "dae"), 0.6 - 0.5 * ALL)
    assert verdict(folder, "A17", "dae", "relu") == "holds"
    three(folder, Setting("mnist", "relu", "unit", "dae"), 0.6 - 0.5 * ALL, dead_fraction=dead)
    assert verdict(folder, "A17", "dae", "relu") == "fails"


def test_the_strength_from_which_rows_grow(folder):
    lengths = np.ones((12, 3))
    lengths[9:, 2] = (5.5, np.nan, 7)
    setting = Setting("mnist", "relu", "free", "sae")
    three(folder, setting, FALLING, history_row_length_max=lengths)
    key = ("A18", "reduced", "mnist", ("sae", "relu", "free", "own", "grows from"))
    found = decide(folder)[key]
    assert (found.verdict, found.number) == ("measured", pytest.approx(ALL[9]))


def test_corollary_2_on_trained_models(folder):
    falling = {"preactivation_mean": 1 - ALL, **MEANS}
    three(folder, Setting("mnist", "softplus", "unit", "cae"), FALLING, **falling)
    for constraint, momentum, rate in (("unit-rescale", 0.0, 0.03), ("unit", 0.9, 0.003)):
        setting = Setting("mnist", "relu", constraint, "cae", rate, momentum)
        three(folder, setting, FALLING, preactivation_mean=1 - 0.1 * ALL, **MEANS)
    assert verdict(folder, "A21", "softplus", "unit") == "holds"
    assert verdict(folder, "A21", "relu", "momentum 0") == "holds"
    assert verdict(folder, "A15", "cae", "unit") == "by construction"
    three(folder, setting, FALLING, **falling)
    assert verdict(folder, "A15", "cae", "unit") == "fails"


def test_a_seed_without_its_unregularized_model_shifts_nothing(folder):
    setting = Setting("mnist", "relu", "unit-rescale", "cae", 0.03, 0.0)
    for seed in range(3):
        means = np.full(12, 5.0 if seed == 0 else 0.0)
        lost = (0,) if seed == 0 else ()
        write(folder, setting, seed, FALLING, lost, preactivation_mean=means, **MEANS)
    assert verdict(folder, "A15", "cae", "momentum 0") == "holds"


@pytest.mark.parametrize(("share", "expected"), [(0.95, "holds"), (0.7, "fails")])
def test_distributed_asks_only_models_of_the_range(folder, share, expected):
    setting = Setting("mnist", "relu", "unit", "sae")
    curve = 0.6 - 0.53 * ALL
    rarely = np.where(curve <= 0.1, share, 0.0)
    three(folder, setting, curve, rarely_active=rarely)
    assert verdict(folder, "A19", "sae", "relu", "unit") == expected
    three(folder, setting, FALLING, rarely_active=rarely)
    assert verdict(folder, "A19", "sae", "relu", "unit") == "inconclusive"


@pytest.mark.parametrize(("slope", "expected"), [(0.3, "fails"), (-0.3, "holds")])
def test_tanh_does_not_become_sparse(folder, slope, expected):
    setting = Setting("mnist", "tanh", "unit", "sae")
    three(folder, setting, FALLING, code_small=0.4 + slope * ALL)
    assert verdict(folder, "A20", "tanh") == expected


def test_statistics_against_scipy():
    rng = np.random.default_rng(3)
    x, y = rng.integers(5, size=(2, 40)).astype(float)
    assert stats.spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    wrong = np.arange(1000) < 37
    exact = binomtest(37, 1000).proportion_ci(method="wilson")
    assert wilson(wrong[None])[1:] == pytest.approx((exact.low, exact.high))


def test_the_interval_of_a_mean_of_three_seeds_runs_from_smallest_to_largest():
    seeds = np.array([0.2, 0.5, 0.9])
    assert stats.estimate(lambda s: seeds[s].mean(), 3) == pytest.approx((1.6 / 3, 0.2, 0.9))
