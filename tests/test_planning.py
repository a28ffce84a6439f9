"""Plans: operations and memory against counts done by hand, layouts, refusals."""

import numpy as np
import pytest
from typer.testing import CliRunner

from aesparse.cli.app import app
from aesparse.errors import InputError
from aesparse.losses.generalized_sparse import generalized_sparse
from aesparse.models.one_layer import OneLayer
from aesparse.tables import duration
from aesparse.training.cost import estimate, plan_rows
from aesparse.training.fit import fit

SIZES = {"inputs": 200, "samples": 1000, "models": 7, "rate": 1e9, "memory": 2**30}


def plan(hidden=300, **options):
    return estimate(OneLayer(hidden), "ae", **{**SIZES, **options})


def test_operations_memory_and_time_against_counts():
    found = plan(devices=1)
    products = 5 * 2 * 50 * 200 * 300  # two forward, three backward
    assert products <= found.operations <= 1.15 * products
    weights = 4 * (200 * 300 + 300)
    hyperparameters = 4 * 2  # learning rate and momentum
    assert found.state == 7 * (2 * weights + hyperparameters)
    data = 4 * 1000 * 200
    # The guard's copy and the reference's; on top at most a block of models being measured.
    assert data + 2 * 7 * weights <= found.working <= 3 * data + 4 * 7 * weights + 64e6
    assert found.updates == 50 * 20
    assert found.seconds == pytest.approx(found.operations * 1000 * 7 / 1e9)


def test_an_objective_of_several_coefficients_is_planned():
    model = OneLayer(300, "sigmoid")
    found = estimate(model, generalized_sparse(), **SIZES, devices=1)
    assert found.operations > plan(devices=1).operations


@pytest.mark.long
def test_models_are_laid_out_over_devices_and_rounds():
    spread = plan(models=100, devices=8)
    assert (spread.models_per_device, spread.rounds) == (13, 1)
    assert spread.seconds == pytest.approx(plan(models=13, devices=1).seconds)
    tight = plan(models=100, devices=1, memory=80 * 2**20)
    assert tight.rounds > 1
    assert tight.state + tight.working <= tight.available
    assert tight.models_per_device * tight.rounds >= 100
    layout = dict(plan_rows(tight))["layout (devices × models)"]
    assert f"{tight.rounds} rounds (models_per_program={tight.models_per_device})" in layout
    one_after_another = tight.operations * 1000 * tight.models_per_device * tight.rounds / 1e9
    assert tight.seconds == pytest.approx(one_after_another)


def test_without_a_rate_this_machine_is_measured():
    measured = plan(rate=None)
    assert measured.measured
    assert 0 < measured.rate < np.inf
    assert not plan().measured


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": 0}, "models is 0; expected an integer of at least 1"),
        ({"devices": 0}, "devices is 0; expected an integer of at least 1"),
        ({"batch_size": 60_000}, "batch size 60000 is larger than the data"),
        ({"rate": -1.0}, "rate is -1.0; expected a finite number > 0"),
        ({"memory": 1e5}, "One model needs"),
    ],
)
def test_bad_plans_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        plan(**options)


def test_command_plan_prints_a_table():
    small = ["--inputs", "64", "--hidden", "32", "--samples", "500", "--models", "100000"]
    shown = CliRunner().invoke(app, ["plan", *small, "--devices", "16", "--rate", "100"])
    assert shown.exit_code == 0, shown.output
    assert "100,000, 500 updates each" in shown.output
    assert "16 × 6250 models at once" in shown.output
    assert "100 GFLOP/s, as given" in shown.output


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "3 seconds"), (150, "2.5 minutes"), (1e5, "27.8 hours")]
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def test_the_peak_counts_models_data_and_the_checks_copy():
    """A large enough model: parameters and momentum twice, and the data, are always there."""
    sizes = {"inputs": 784, "hidden": 1000, "samples": 1000, "memory": 2**34, "devices": 1}
    weights = 4 * (784 * 1000 + 1000)
    for models in (1, 20):
        planned = plan(**sizes, models=models)
        peak = planned.state + planned.working
        assert peak >= 4 * models * weights + 4 * 1000 * 784
        assert peak <= 8 * models * weights + 3e8


@pytest.mark.parametrize(
    ("hidden", "strengths"),
    [(10**12, [0.0]), (1000, np.linspace(0, 1, 10**6)), (200_000, np.zeros(300))],
)
def test_grids_that_cannot_fit_are_refused(hidden, strengths):
    X = np.ones((100, 784), np.float32)
    with pytest.raises(InputError, match="at most"):
        fit(X, OneLayer(hidden), "cae", sweep={"strength": strengths})
