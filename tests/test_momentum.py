"""A1 and A15 with rescaled rows: which models decide, and a failure found elsewhere alone."""

import numpy as np
import pytest
import stored_runs
import tiny
from commands import has_numbers, numbers

from experiments.evidence import momentum
from experiments.evidence.curves import collect
from experiments.pipeline.registry import get_figure
from experiments.pipeline.verdicts import decided

pytestmark = pytest.mark.usefixtures("tiny_scales")

STRENGTHS = np.array([0, 0.001, 0.01, 0.04, 0.09, 0.16, 0.25, 0.36, 0.49, 0.64, 0.81, 1.0])


def runs_of(objective, change, *, without_momentum=False):
    """Digits at rate 0.003 and momentum 0.9, or 0.03 and 0; `change(run)` of one objective."""
    specs = [
        s
        for s in get_figure("arpit-rescale").runs(tiny.plan())
        if s.dataset == "digits"
        and (s.learning_rate, s.momentum) == ((0.03, 0.0) if without_momentum else (0.003, 0.9))
    ]
    runs = {spec: stored_runs.fake(spec) for spec in specs}
    for spec, run in runs.items():
        if spec.objective == objective:
            change(run)
    return runs


def unchanged(run):
    """Leaves a run as it is."""


def one(runs, claim, statement):
    (found,) = (
        v
        for v in decided(get_figure("arpit-rescale"), runs)
        if v.claim == claim and v.statement.startswith(statement)
    )
    return found


def set_fraction(row):
    def change(run):
        run["activation_fraction"] = ("strength", row[1:])

    return change


@pytest.mark.parametrize(("objective", "c"), [("cae", 2), ("mdae", 4)])
def test_v_is_c_eta_lambda_p_over_one_minus_mu(objective, c):
    runs = runs_of(objective, unchanged)
    (curve,) = (x for x in collect(runs) if x.objective == objective)
    # The stand-ins' fraction rises from 0.5 at the start to 0.8, 0.798 and 0.796.
    p = np.array([0.8, 0.798, 0.796])[:, None]
    v = c * 0.003 * STRENGTHS * p / (1 - 0.9)
    np.testing.assert_allclose(momentum.feedback(runs, curve), v, rtol=1e-6)
    acting = 0.9 / (1 - v)
    np.testing.assert_allclose(momentum.effective(curve, v), acting, rtol=1e-9)
    kept = np.isfinite(momentum.counted(runs, curve).fraction)
    np.testing.assert_array_equal(kept, acting <= 0.92)
    assert 0 < kept.sum() < kept.size


def test_a_share_active_in_the_middle_of_the_training_counts():
    def flare(run):
        run["history_activation_fraction"][:, 3] = 1.0

    runs = runs_of("cae", flare)
    (curve,) = (x for x in collect(runs) if x.objective == "cae")
    assert momentum.feedback(runs, curve)[0, -1] == pytest.approx(2 * 0.003 / 0.1)


def test_a_turn_that_feeds_back_more_than_itself_acts_without_bound():
    runs = runs_of("mdae", unchanged)
    (curve,) = (x for x in collect(runs) if x.objective == "mdae")
    acting = momentum.effective(curve, np.array([[0.5, 0.999, 1.0, 1.5]]))
    np.testing.assert_allclose(acting[0, :2], [1.8, 900])
    assert np.isposinf(acting[0, 2:]).all()
    still = momentum.effective(curve._replace(momentum=0.0), np.array([[0.5, 1.5]]))
    assert (still == 0).all()


def test_a_failure_found_elsewhere_only_is_a_momentum_artefact():
    row = np.where(STRENGTHS <= 0.16, 0.8, 0.3)  # for mDAE 0.16 still counts, 0.25 does not
    found = one(runs_of("mdae", set_fraction(row)), "A1", "mDAE flat")
    assert found.verdict == "holds"
    assert "momentum artefact" in found.numbers
    assert has_numbers(found.numbers, 0.16, 0.5)
    earlier = np.where(STRENGTHS <= 0.09, 0.8, 0.3)
    found = one(runs_of("mdae", set_fraction(earlier)), "A1", "mDAE flat")
    assert found.verdict == "fails"
    assert "artefact" not in found.numbers


def test_without_momentum_every_model_decides():
    row = np.where(STRENGTHS < 1, 0.8, 0.3)
    found = one(runs_of("mdae", set_fraction(row), without_momentum=True), "A1", "mDAE flat")
    assert found.verdict == "fails"
    flat = one(runs_of("mdae", unchanged, without_momentum=True), "A1", "mDAE flat")
    assert flat.verdict == "holds"
    assert has_numbers(flat.numbers, 0.03, 0)  # the rate, and what acts


def test_models_that_diverge_elsewhere_are_named_and_do_not_decide():
    def diverge(run):
        run["flagged_epoch"] = ("strength", np.where(STRENGTHS[1:] >= 0.49, 3, -1))
        run["history_activation_fraction"][-4:, 2:] = np.nan

    found = one(runs_of("mdae", diverge), "A1", "mDAE flat")
    assert found.verdict == "holds"
    assert "momentum artefact" in found.numbers
    within = runs_of("mdae", lambda run: run["flagged_epoch"].__setitem__(slice(0, 3), 3))
    assert one(within, "A1", "mDAE flat").verdict == "inconclusive"


@pytest.mark.parametrize(("shift", "expected"), [(0.0999, "holds"), (0.1001, "fails")])
def test_a_shift_of_a_tenth_of_the_deviation_at_strength_0_is_allowed(shift, expected):
    """Deviations are 1 at strength 0; those of other models say nothing."""
    direction = np.where(STRENGTHS[1:] == 0.04, -1, 0.5)

    def move(run):
        run["preactivation_mean"] = run["preactivation_mean"] + shift * direction
        run["preactivation_deviation"] = 10 * run["preactivation_deviation"]

    found = one(runs_of("cae", move), "A15", "CAE")
    assert found.verdict == expected
    assert numbers(found.numbers)[4] == pytest.approx(shift, abs=5e-4)  # after the fraction's


def test_a_curve_too_low_to_move_is_not_flat_by_merit():
    """Units that died at every λ leave a range of at most their fraction."""

    def lower(runs, level):
        for run in runs.values():
            run["activation_fraction"] = 0 * run["activation_fraction"] + level
        return runs

    for claim in ("A1", "A15"):
        for level, expected in ((0.0501, "holds"), (0.0499, "inconclusive")):
            runs = lower(runs_of("ae", unchanged, without_momentum=True), level)
            found = one(runs, claim, "CAE")
            assert found.verdict == expected
            assert numbers(found.numbers)[0] == pytest.approx(level, abs=1e-3)


def test_runs_without_the_deviation_are_not_run():
    runs = {s: r.drop_vars("preactivation_deviation") for s, r in runs_of("ae", unchanged).items()}
    found = one(runs, "A15", "mDAE")
    assert (found.verdict, numbers(found.numbers)) == ("not run", [])
    assert one(runs, "A1", "mDAE").verdict == "holds"


def test_each_setting_is_decided_by_itself():
    figure = get_figure("arpit-rescale")
    specs = figure.runs(tiny.plan())
    runs = {s: stored_runs.fake(s) if s.momentum > 0 else None for s in specs}
    said = [v for v in decided(figure, runs) if v.dataset == "digits" and v.claim == "A1"]
    settings = [v.statement.rsplit(", ", 1)[1] for v in said if v.verdict == "holds"]
    # CAE, mDAE and three statements on DAE and SAE; CAE and mDAE at the common rate
    assert settings == ["own rate"] * 5 + ["rate 0.001"] * 2
    assert [v.verdict for v in said if v.verdict != "holds"] == ["not run"]
