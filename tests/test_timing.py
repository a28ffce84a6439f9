"""Seconds of updates, and SATAE's cost figure: S11 by made-up times."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import aesparse as ae
from aesparse.models.constraints import as_constraint
from aesparse.training.measuring import as_measurement
from aesparse.training.step import Recipe
from aesparse.training.timing import timed_updates
from experiments.figures.satae import satae_cost
from experiments.pipeline.plan import Plan

PLAN = Plan("quick", 2)
MACHINE = {"device": "Abacus 3000", "devices": 4}


def recipe(objective):
    model = ae.OneLayer(2)
    constraint, measurement = as_constraint(None), as_measurement(None, model)
    return Recipe(model, objective, ae.sgd(1e-3), constraint, measurement, batch_size=5)


@pytest.mark.parametrize("models", [1, 3])
def test_every_update_of_every_model_is_made_and_the_next_call_goes_on(models):
    rows = []

    def seen(forward, eps):
        jax.debug.callback(lambda w: rows.append(float(w)), forward.params.weight[0, 0])
        return jnp.sum(forward.params.weight**2)

    run = timed_updates(recipe(ae.objectives.regularized(seen)), 4, models)
    for steps in (1, 4):
        rows.clear()
        assert run(steps) > 0
        jax.effects_barrier()
        assert len(rows) == steps * models * jax.local_device_count()
        assert len(set(rows)) == steps  # models are equal, and move at every update
    before = set(rows)
    run(1)
    jax.effects_barrier()
    assert not before & {rows[-1]}


class Clock:
    """An update that takes so long in each round; the first call compiles."""

    def __init__(self, name, seconds, calls):
        self.name, self.seconds, self.calls = name, seconds, calls

    def __call__(self, steps):
        self.calls.append((self.name, steps))
        number = sum(name == self.name for name, _ in self.calls)
        if number == 1:
            return 100.0
        return steps * self.seconds[max(0, number - 3)]


def test_rounds_time_all_in_turn_and_leave_compilation_out():
    calls = []
    clocks = {
        "slow": Clock("slow", (0.5, 0.25), calls),
        "fast": Clock("fast", (0.001, 0.002), calls),
        "slower": Clock("slower", (7.0, 9.0), calls),
    }
    seconds, steps = satae_cost.interleaved(clocks, rounds=2, seconds=2.0)
    np.testing.assert_allclose(seconds, [[0.5, 0.25], [0.001, 0.002], [7.0, 9.0]])
    assert steps.tolist() == [4, 2000, 1]
    assert calls[-6:] == [("slow", 4), ("fast", 2000), ("slower", 1)] * 2


def made_up(**seconds):
    """A study whose times are given by penalty, one row for each number of units."""
    (study,) = satae_cost.runs(PLAN)
    hidden, names = list(study.option("hidden")), list(satae_cost.PENALTIES)
    values = np.stack([np.broadcast_to(seconds[n], (2, 3)) for n in names], axis=1)
    run = xr.Dataset(
        {"seconds": (("hidden", "penalty", "round"), values)},
        {"hidden": hidden, "penalty": names},
        attrs={"provenance": json.dumps(MACHINE)},
    )
    return {study: run}


def test_the_ratio_is_the_median_of_those_of_each_round():
    """The third round is disturbed: all take ten times as long."""
    slowed = np.array([1.0, 1.0, 10.0])
    times = {"no penalty": 0.002, satae_cost.F_C: 0.004, "Jacobian, structured": 0.005}
    runs = made_up(**{k: v * slowed for k, v in times.items()}, **{satae_cost.GENERIC: 0.8})
    (run,) = runs.values()
    units = int(run["hidden"][0])
    found = satae_cost.ratios(run, units)
    np.testing.assert_allclose(found["no penalty"], 0.5)
    np.testing.assert_allclose(found["Jacobian, structured"], 1.25)
    np.testing.assert_allclose(found[satae_cost.GENERIC], [200, 200, 20])
    verdicts = satae_cost.verdicts(runs, "")
    assert [(v.claim, v.verdict) for v in verdicts] == [("S11", "measured")] * 2
    for text in ("200 (20 to 200)", "1.25 (1.25 to 1.25)", "4 ms", "Abacus 3000", "3 rounds"):
        assert text in verdicts[0].numbers
    assert str(units) in verdicts[0].statement


def test_every_number_of_units_has_its_own_ratio():
    runs = made_up(
        **{"no penalty": 1.0, "Jacobian, structured": 1.0, satae_cost.F_C: [[1.0], [2.0]]},
        **{satae_cost.GENERIC: [[3.0], [8.0]]},
    )
    (run,) = runs.values()
    of_each = [satae_cost.ratios(run, u)[satae_cost.GENERIC] for u in run["hidden"].values]
    np.testing.assert_allclose(of_each, [[3.0] * 3, [4.0] * 3])


def test_the_caption_names_the_machine_and_every_penalty_has_a_mark():
    runs = made_up(
        **{"no penalty": 0.001, "Jacobian, structured": 0.002},
        **{satae_cost.F_C: 0.0015, satae_cost.GENERIC: 3.0},
    )
    assert "Abacus 3000" in satae_cost.caption(runs, PLAN)
    axes = satae_cost.draw(runs, PLAN).axes
    assert len(axes) == 2
    for axis in axes:
        marks = [float(line.get_xdata()[0]) for line in axis.lines]
        np.testing.assert_allclose(sorted(marks), [1, 1.5, 2, 3000])
        assert axis.get_xlim()[0] < 1
        assert axis.get_xlim()[1] > 3000


@pytest.mark.long
def test_a_small_study_is_measured():
    (study,) = satae_cost.runs(PLAN)
    small = {"inputs": 6, "hidden": (3, 4), "batch_size": 5, "rounds": 2, "seconds": 1e-4}
    study = study._replace(options=tuple((dict(study.options) | small).items()))
    run = satae_cost.compute(study, None)
    assert run["seconds"].shape == (2, 4, 2)
    assert (run["seconds"] > 0).all()
    assert (run["steps"] >= 1).all()
