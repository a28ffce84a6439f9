"""A14, A16, A21 from made-up runs: mean pre-activations, row lengths, and their pictures."""

import functools

import numpy as np
import pytest
import stored_runs
import tiny
from commands import has_numbers
from scipy.stats import spearmanr

from experiments.pipeline.protocol import STRENGTHS
from experiments.pipeline.registry import get_figure
from experiments.pipeline.verdicts import decided

pytestmark = pytest.mark.usefixtures("tiny_scales")
TIME = np.linspace(0, 1, 12)  # of the twelve strengths
CAE_FREE = ("cae", "sigmoid", "free")


def sweep(objective, activation, constraint, dataset="digits", **fields):
    """The specs of one objective with the strength-0 ones, of three seeds."""
    return [
        spec._replace(**fields)
        for name in ("ae", objective)
        for spec in tiny.plan().specs(dataset, name, activation, constraint)
    ]


fake = functools.cache(stored_runs.fake)


def made_up(specs, **values):
    """Fake runs in which variables are replaced by `[12]`, or `[3, 12]` for each seed."""
    runs = {}
    for spec in specs:
        run = fake(spec).copy()
        for name, value in values.items():
            of_seed = np.broadcast_to(np.asarray(value, float), (3, 12))[spec.seed]
            own = of_seed[:1] if spec == spec.baseline else of_seed[1:]
            run[name] = ("strength", own)
        runs[spec] = run
    return runs


def verdict(runs, claim, word=""):
    """The one verdict of a claim on these runs, of the figure."""
    (found,) = (
        v
        for v in decided(get_figure("arpit-means"), runs)
        if v.claim == claim and word in v.statement
    )
    return found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (-0.099 * TIME, "inconclusive"),
        (-0.101 * TIME, "holds"),
        (-2 * TIME, "holds"),
        (+0.05 * TIME, "inconclusive"),
        (+0.099 * TIME, "inconclusive"),
        (+0.101 * TIME, "fails"),
        (-np.sin(9 * TIME) - 0.3 * TIME, "fails"),  # falls by 0.7 sd, up and down on its way
        (0 * TIME, "inconclusive"),
    ],
)
@pytest.mark.parametrize("deviation", [1.0, 4.0])
def test_a_fall_is_measured_in_deviations_at_strength_zero(change, expected, deviation):
    runs = made_up(
        sweep("sae", "relu", "unit"),
        preactivation_mean=0.3 + deviation * change,
        preactivation_deviation=deviation * (1 + 3 * TIME),  # only the first one counts
    )
    found = verdict(runs, "A14")
    assert found.verdict == expected
    rank = spearmanr(STRENGTHS, change).statistic if np.ptp(change) else 0.0
    assert has_numbers(found.numbers, round(rank, 3), -0.9, round(-change[-1], 3), 0.1, 3)


def test_a_fall_whose_interval_holds_the_threshold_is_inconclusive():
    falls = np.array([0.08, 0.12, 0.3])[:, None]
    runs = made_up(sweep("sae", "relu", "unit"), preactivation_mean=-falls * TIME)
    found = verdict(runs, "A14")
    assert found.verdict == "inconclusive"
    assert has_numbers(found.numbers, 0.167, 0.08, 0.3)  # mean, smallest and largest seed


def test_what_a14_says_of_which_pairs():
    figure = get_figure("arpit-means")
    rows = [v.statement for v in decided(figure, dict.fromkeys(figure.runs(tiny.plan())))]
    assert sorted(s.split(", ")[1] for s in rows if s.endswith("(empirical)")) == sorted(
        2 * ["DAE with sigmoid", "CAE with sigmoid", "DAE with softplus"]
    )
    backed = ["SAE with ReLU", "SAE with sigmoid", "SAE with softplus", "CAE with softplus"]
    assert sorted(s.split(", ")[1] for s in rows if "corollary" in s) == sorted(2 * backed)


def test_the_share_of_units_pressed_down_stands_in_the_row():
    runs = made_up(sweep("dae", "softplus", "unit"))
    for spec, run in runs.items():
        shares = np.array([0.25]) if spec == spec.baseline else np.linspace(0.5, 1, 11)
        run["pushed_down"] = ("strength", shares)
    assert has_numbers(verdict(runs, "A14").numbers, 0.75, 0.5, 1.0)  # AE's share is not among them


@pytest.mark.parametrize("missing", ["preactivation_deviation", "pushed_down"])
def test_runs_without_the_newer_numbers_do_not_crash(missing):
    runs = made_up(sweep("sae", "relu", "unit"))
    old = {spec: run.drop_vars(missing) for spec, run in runs.items()}
    found = verdict(old, "A14")
    assert (found.verdict == "not run") == (missing == "preactivation_deviation")
    assert (missing in found.numbers) == (missing == "preactivation_deviation")
    free = {s: r.drop_vars("threshold_distance") for s, r in made_up(sweep(*CAE_FREE)).items()}
    assert verdict(free, "A16", "orders").verdict == "not run"
    assert verdict(free, "A16", "shorten").verdict in ("holds", "fails")
    assert "threshold_distance" in verdict(free, "A16", "orders").numbers


@pytest.mark.parametrize(("count", "expected"), [(2, "holds"), (3, "inconclusive")])
def test_diverged_models_are_left_out_up_to_two_strengths(count, expected):
    fall = -np.where(np.arange(12) >= 12 - count, np.nan, TIME)
    fall[-1] = 1e30  # of a model that diverged
    runs = made_up(sweep("sae", "relu", "unit"), preactivation_mean=fall)
    for spec, run in runs.items():
        if spec != spec.baseline:
            run["flagged_epoch"] = ("strength", np.where(np.arange(11) >= 11 - count, 2, -1))
    found = verdict(runs, "A14")
    assert found.verdict == expected
    assert has_numbers(found.numbers, -1.0, -0.9, round(TIME[11 - count], 3))


def test_only_rows_whose_runs_are_missing_are_not_run():
    figure = get_figure("arpit-means")
    specs = [
        s for s in figure.runs(tiny.plan()) if s.dataset == "digits" and s.activation == "softplus"
    ]
    runs = {**dict.fromkeys(specs), **made_up([s for s in specs if s.constraint == "unit"])}
    whole = {v.statement: v.verdict for v in decided(figure, runs)}
    one = next(s for s in specs if (s.objective, s.constraint, s.seed) == ("sae", "unit", 1))
    without = {v.statement: v for v in decided(figure, {**runs, one: None})}
    changed = [s for s, v in without.items() if v.verdict != whole[s]]
    (row,) = changed
    assert without[row].verdict == "not run"
    assert "SAE" in row
    assert has_numbers(without[row].numbers, 5, 6)
    assert {v for s, v in whole.items() if "unit rows" in s} == {"holds"}
    assert {v for s, v in whole.items() if "unit rows" not in s} == {"not run"}
    base = {**runs, one.baseline: None}
    assert {v.verdict for v in decided(figure, base)} == {"not run"}  # all share its seed's AE


@pytest.mark.parametrize(
    ("lengths", "expected"), [(2 - TIME, "holds"), (2 + TIME, "fails"), (2 + 0 * TIME, "fails")]
)
def test_rows_shorten_if_their_mean_length_falls_in_rank(lengths, expected):
    found = verdict(made_up(sweep(*CAE_FREE), row_length_mean=lengths), "A16", "shorten")
    assert found.verdict == expected
    assert has_numbers(found.numbers, 2.0, lengths[-1])


def test_the_distance_to_the_threshold_must_fall_with_the_fraction():
    fraction = 0.8 - 0.6 * TIME
    for distance, expected in [
        (1 - TIME, "holds"),
        (TIME - 1, "fails"),
        (np.where(TIME == 0, np.inf, 1 - TIME), "holds"),  # a unit with constant a_j
    ]:
        runs = made_up(sweep(*CAE_FREE), activation_fraction=fraction, threshold_distance=distance)
        found = verdict(runs, "A16", "orders")
        assert found.verdict == expected
        rank = spearmanr(distance[1:], fraction[1:]).statistic
        assert has_numbers(found.numbers, 0.6, 0.05, rank, 0.9)
        assert ("constant" in found.numbers) == np.isinf(distance[0])


@pytest.mark.parametrize(("range_", "expected"), [(0.0499, "inconclusive"), (0.0501, "holds")])
def test_the_distance_decides_nothing_where_the_fraction_does_not_move(range_, expected):
    fraction = 0.8 - range_ * TIME
    runs = made_up(sweep(*CAE_FREE), activation_fraction=fraction, threshold_distance=fraction)
    assert verdict(runs, "A16", "orders").verdict == expected


@pytest.mark.parametrize(
    ("where", "size", "expected"),
    [(11, 3.0, "holds"), (4, 0.11, "fails"), (4, 0.09, "holds"), (4, -0.11, "fails")],
)
def test_relu_cae_is_judged_where_its_momentum_is_the_usual(where, size, expected):
    means = 0.5 + size * 2 * (np.arange(12) == where)  # one model is shifted, in units of sd
    specs = sweep("cae", "relu", "unit-rescale", learning_rate=0.003)
    runs = made_up(
        specs,
        preactivation_mean=means,
        preactivation_deviation=2 + 0 * TIME,
        activation_fraction=0.86 + 0 * TIME,
    )
    for run in runs.values():
        shape = run["history_activation_fraction"].shape
        run["history_activation_fraction"] = (("strength", "epoch"), np.full(shape, 0.86))
    found = verdict(runs, "A21", "ReLU")
    assert found.verdict == expected
    # V = 2·0.003·λ·0.86/0.1, and 0.9/(1 − V) ≤ 0.92 up to λ = 0.42
    assert has_numbers(found.numbers, 0.36, 0.92, 0.949)
    still = {s._replace(momentum=0.0, learning_rate=0.03): run for s, run in runs.items()}
    counted = verdict(still, "A21", "ReLU")
    assert counted.verdict == ("fails" if abs(size) > 0.1 else "holds")  # at every strength


def test_softplus_cae_is_judged_by_its_fall_with_either_kind_of_unit_rows():
    for constraint in ("unit", "unit-rescale"):
        for size, expected in [(0.2, "holds"), (-0.2, "fails"), (0.09, "inconclusive")]:
            runs = made_up(sweep("cae", "softplus", constraint), preactivation_mean=-size * TIME)
            assert verdict(runs, "A21").verdict == expected


def texts(picture):
    return [t.get_text() for axis in picture.findobj(match=_is_axes) for t in axis.texts]


def _is_axes(artist):
    from matplotlib.axes import Axes

    return isinstance(artist, Axes)


def test_missing_combinations_are_drawn_as_not_run_and_diverged_ones_marked():
    figure, plan = get_figure("arpit-means"), tiny.plan()
    stored = sweep("sae", "relu", "free") + sweep("cae", "softplus", "unit")
    runs = made_up(stored, preactivation_mean=np.append(-TIME[:-1], -1e9))
    for spec, run in runs.items():
        if spec.objective == "sae":
            run["flagged_epoch"] = ("strength", np.where(np.arange(11) == 10, 3, -1))
        elif spec.objective == "cae":
            run["preactivation_mean"] = ("strength", -TIME[1:])
    del runs[next(s for s in runs if s.objective == "sae" and s.seed == 2)]
    picture = figure.draw(runs, plan)
    said = texts(picture)
    panels = 2 * 9 * 2 + 2 * 3  # without lengths of constrained rows
    assert said.count("not run") == panels - 3 - 2
    some = [text for text in said if text.startswith("not run: ")]
    assert len(some) == 3 + 2
    assert sum("SAE" not in text for text in some) == 3
    assert said.count("SAE") == 3  # beside the crosses
    axes = [axis for axis in picture.findobj(match=_is_axes) if axis.lines]
    assert all(max(map(abs, axis.get_ylim())) < 10 for axis in axes)  # not ruled by −1e9
    assert has_numbers(figure.caption(runs, plan), 2, 72)
    empty = figure.draw({}, plan)
    assert texts(empty).count("not run") == panels
    assert has_numbers(figure.caption({}, plan), 0, 72)


def test_a_claim_that_fails_is_explained_by_its_quantities():
    runs = made_up(sweep(*CAE_FREE), row_length_mean=2 + TIME)
    failed = verdict(runs, "A16", "shorten")
    (sentence,) = get_figure("arpit-means").explain(runs, failed)
    assert has_numbers(sentence, 0.798, 0.198, 2.0, 3.0)
