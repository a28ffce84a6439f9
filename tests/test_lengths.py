"""A17, A18 and why rows grow, from made-up runs and a unit in NumPy."""

import functools

import numpy as np
import pytest
import stored_runs
import tiny
import xarray as xr
from commands import has_numbers

from experiments.figures.arpit.row_growth import least_step
from experiments.pipeline.protocol import STRENGTHS
from experiments.pipeline.registry import get_figure
from experiments.pipeline.verdicts import decided

pytestmark = pytest.mark.usefixtures("tiny_scales")
TIME = np.linspace(0, 1, 12)  # of the twelve strengths
NONE_DEAD = 0 * TIME
fake = functools.cache(stored_runs.fake)


def made_up(constraint, fraction, dead=NONE_DEAD, objective="dae", activation="relu"):
    """Three seeds with these fractions and shares of dead units, `[12]` or `[3, 12]`."""
    runs = {}
    for name in ("ae", objective):
        for spec in tiny.plan().specs("digits", name, activation, constraint):
            run = fake(spec).copy()
            for variable, values in {
                "activation_fraction": fraction,
                "dead_fraction": dead,
            }.items():
                of_seed = np.broadcast_to(values, (3, 12))[spec.seed]
                run[variable] = ("strength", of_seed[:1] if name == "ae" else of_seed[1:])
            runs[spec] = run
    return runs


def verdict(runs, claim, word):
    """The one verdict of a claim on these runs, with all others of the group missing."""
    figure = get_figure("arpit-lengths")
    specs = [s for s in figure.runs(tiny.plan()) if s.dataset == "digits"]
    whole = {**dict.fromkeys(specs), **runs}
    (found,) = (v for v in decided(figure, whole) if v.claim == claim and word in v.statement)
    return found


@pytest.mark.parametrize(
    ("by", "expected"), [(0.0201, "holds"), (0.0199, "fails"), (-0.3, "fails"), (0.3, "holds")]
)
def test_the_lowest_fractions_must_differ_by_two_hundredths(by, expected):
    free, unit = 0.9 - 0.4 * TIME, 0.9 - (0.4 + by) * TIME
    runs = made_up("unit", unit) | made_up("free", free)
    found = verdict(runs, "A17", ", DAE with ReLU")
    assert found.verdict == expected
    assert has_numbers(found.numbers, 0.02, 3, round(0.5 - by, 3), 1, 0.5, 1)
    assert found.numbers.count("bound") == 2  # both are lowest at the largest strength


def test_models_with_dead_units_do_not_count_and_a_lowest_one_before_the_end_is_no_bound():
    dead = np.where(TIME > 0.8, 0.0101, 0.0)
    falling = 0.9 - 0.8 * TIME
    runs = made_up("unit", falling, dead) | made_up("free", 0.9 - 0.4 * TIME)
    found = verdict(runs, "A17", ", DAE with ReLU")
    lowest = falling[TIME <= 0.8].min()
    where = STRENGTHS[int(np.sum(TIME <= 0.8)) - 1]
    assert has_numbers(found.numbers, round(0.5 - lowest, 3), round(lowest, 3), where, 0.5, 1)
    assert found.numbers.count("bound") == 1
    barely = made_up("unit", falling, np.where(TIME > 0.8, 0.0099, 0.0))
    assert has_numbers(verdict(runs | barely, "A17", ", DAE with ReLU").numbers, 0.4, 0.1, 1, 0.5)


def test_without_a_model_that_is_alive_nothing_is_decided():
    runs = made_up("unit", 0.9 - TIME, NONE_DEAD + 0.5) | made_up("free", 0.9 - 0.4 * TIME)
    found = verdict(runs, "A17", ", DAE with ReLU")
    assert found.verdict == "inconclusive"


def test_an_interval_that_holds_the_threshold_decides_nothing():
    gaps = np.array([0.01, 0.02, 0.06])[:, None]
    runs = made_up("unit", 0.9 - (0.4 + gaps) * TIME) | made_up("free", 0.9 - 0.4 * TIME)
    found = verdict(runs, "A17", ", DAE with ReLU")
    assert found.verdict == "inconclusive"
    assert has_numbers(found.numbers, 0.03, 0.01, 0.06)


@pytest.mark.parametrize(("range_", "expected"), [(0.049, "inconclusive"), (0.051, "fails")])
def test_an_objective_that_moves_with_neither_kind_of_rows_decides_nothing(range_, expected):
    runs = made_up("unit", 0.9 - 0.01 * TIME) | made_up("free", 0.9 - range_ * TIME)
    assert verdict(runs, "A17", ", DAE with ReLU").verdict == expected


def test_cae_is_reported_without_a_verdict():
    unit, free = (
        made_up(c, 0.9 - f * TIME, objective="cae") for c, f in (("unit", 0.1), ("free", 0.3))
    )
    found = verdict(unit | free, "A17", ", CAE with ReLU")
    assert found.verdict == "measured"
    assert has_numbers(found.numbers, -0.2, 0.8, 0.6)


def test_a_missing_kind_of_rows_leaves_only_its_objective_not_run():
    runs = made_up("unit", 0.9 - TIME / 2) | made_up("free", 0.9 - TIME / 3)
    runs |= made_up("unit", 0.9 - TIME / 2, objective="sae")
    assert verdict(runs, "A17", ", DAE with ReLU").verdict == "holds"
    lacking = verdict(runs, "A17", ", SAE with ReLU")
    assert lacking.verdict == "not run"
    assert has_numbers(lacking.numbers, 6, 6, 3, 6)
    assert verdict(runs, "A18", "SAE with ReLU").verdict == "not run"
    assert verdict(runs, "A17", ", DAE with sigmoid").verdict == "not run"


def growing(ratios):
    """SAE with unconstrained rows whose largest length grows by a factor `[3, 12]`."""
    runs = made_up("free", 0.9 - TIME / 2, objective="sae")
    for spec, run in runs.items():
        own = np.asarray(ratios, float)[spec.seed]
        own = own[:1] if spec == spec.baseline else own[1:]
        lengths = np.full((len(own), stored_runs.EPOCHS + 1), 1.3)
        lengths[:, 2] = 1.3 * own  # largest in the middle of training
        lengths[~np.isfinite(own), 3:] = np.nan
        run["history_row_length_max"] = (("strength", "epoch"), lengths)
    return runs


def test_growth_is_told_from_the_first_strength_after_which_all_have_grown():
    ratios = np.ones((3, 12))
    ratios[:, 4] = 9.0  # alone: the next ones have not grown
    ratios[:, -3:] = [[4.99, 5.01, np.inf], [5.01, 7.0, np.inf], [4.0, np.nan, 6.0]]
    found = verdict(growing(ratios), "A18", "SAE with ReLU")
    assert found.verdict == "measured"
    assert has_numbers(found.numbers, 5, STRENGTHS[-3], STRENGTHS[-2], 6.0, 1)
    none = verdict(growing(np.full((3, 12), 4.99)), "A18", "SAE with ReLU").numbers
    assert has_numbers(none, 5, 4.99, 1)
    assert not has_numbers(none, 0.64)


def test_the_picture_says_what_is_missing_and_marks_bounds():
    figure, plan = get_figure("arpit-lengths"), tiny.plan()
    runs = made_up("unit", 0.9 - TIME / 2) | made_up("free", 0.9 - np.sin(3 * TIME) / 2)
    runs |= made_up("unit", 0.9 - TIME / 2, objective="sae")
    axis, other = figure.draw(runs, plan).axes
    said = [text.get_text() for text in axis.texts if text.get_text()]
    assert said.count("not run") == 3 * 4 - 2
    assert sum("unconstrained" in text for text in said) == 1
    assert [text.get_text() for text in other.texts].count("not run") == 3 * 4
    marks = {line.get_marker(): line.get_xdata()[0] for line in axis.lines if len(line.get_xdata())}
    assert marks["<"] == pytest.approx(0.4)
    assert marks["o"] == pytest.approx((0.9 - np.sin(3 * TIME) / 2).min())
    assert figure.draw({}, plan) is not None


def test_a_step_beyond_the_tangent_start_is_at_least_what_is_said_of_it():
    rate, momentum, strength, tangent = 0.003, 0.9, 0.7, 0.99
    rng = np.random.default_rng(0)
    for bias in (0.0, -0.4):
        x = rng.normal(size=(2000, 5))
        row = np.eye(5)[0]
        x[:, 0] = np.abs(x[:, 0]) * 3
        h = np.maximum(x @ row + bias, 0)
        x, h = x * tangent / h.mean(), None  # with bias 0 the mean activation is the tangent start
        x[:, 0] += 0.0 if bias == 0 else 0.6  # and above it with the other
        active = x @ row + bias > 0
        mean = np.maximum(x @ row + bias, 0).mean()
        assert mean >= tangent - 1e-12
        gradient = strength / (1 - tangent) * (x * active[:, None]).mean(axis=0)
        moved, velocity = np.zeros(5), gradient  # one batch; the momentum repeats it
        for _ in range(500):
            moved, velocity = moved - rate * velocity, momentum * velocity
        least = least_step(strength, rate, momentum, tangent)
        assert np.linalg.norm(moved) >= least
        if bias == 0:
            assert moved[0] == pytest.approx(-least)


def test_growth_by_kind_of_training_is_measured_from_studies():
    figure = get_figure("row-growth")
    studies = [s for s in figure.runs(tiny.plan()) if s.dataset == "digits"]
    runs = {}
    for i, study in enumerate(studies):
        lengths = np.full((1, 2, study.option("epochs") + 1), 2.0)
        lengths[:, :, 1] = 2.0 * (i + 2)
        lengths[:, 1, -1] = np.nan if i == 0 else 2.0
        runs[study] = xr.Dataset({"row_length_max": (("seed", "strength", "epoch"), lengths)})
    (found,) = figure.verdicts(runs, "digits")
    assert found.verdict == "measured"
    assert has_numbers(found.numbers, 0.64, 1, 2.0, 3, 3.0, 3.0, 30, 4.0, 4.0, 3)
    assert "not finite" in found.numbers
    picture = figure.draw(runs, tiny.plan())
    assert [len(axis.lines) for axis in picture.axes] == [3, 0]
    rates = {s.option("kind"): s.option("learning_rate") for s in studies}
    epochs = {s.option("kind"): s.option("epochs") for s in studies}
    assert rates["usual"] * epochs["usual"] == pytest.approx(rates["slow"] * epochs["slow"])


@pytest.mark.long
def test_a_study_of_growth_trains_what_it_says():
    figure = get_figure("row-growth")
    (study, *_) = figure.runs(tiny.plan())
    from aesparse.data import load

    run = figure.compute(study, load(study.dataset, samples=study.samples))
    lengths = run["row_length_max"].values
    assert lengths.shape == (1, 2, study.option("epochs") + 1)
    assert np.isfinite(lengths[..., 0]).all()
    assert lengths[0, 0, 0] == lengths[0, 1, 0]
    assert (lengths[..., 1] != lengths[..., 0]).all()
