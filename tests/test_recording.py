"""What is recorded per epoch: complete and in order, linear in time, flagged where it diverges."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aesparse as ae
from aesparse.losses.objectives import Objective, get_objective
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import preactivation
from aesparse.training.sharding import cell_mesh

ROOT = Path(__file__).parents[1]
RELU = get_activation("relu")


def fit(*, epochs=3, name="ae", **options):
    X = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    defaults = {"objective": get_objective(name, RELU), "strengths": [0.0], "hidden": 4}
    return ae.fit_grid(
        jax.random.key(0), X, batch_size=50, epochs=epochs, **{**defaults, **options}
    )


def test_records_are_the_metrics_of_every_epoch_in_order():
    """120 epochs: two full moves from the devices to the host and a part of one."""
    seen = []
    result = fit(epochs=120, on_epoch=lambda epoch, metrics: seen.append(metrics))
    for field in ("activation_fraction", "reconstruction", "bias_mean"):
        along = np.stack([np.asarray(getattr(m, field)) for m in seen], axis=-1)
        np.testing.assert_array_equal(getattr(result.history, field)[..., 1:], along)
    assert result.history.reconstruction.shape == (1, 1, 121)
    assert result.losses["loss"].shape == (1, 1, 120)
    assert result.pressure.largest.shape == (1, 1, 121)
    # One batch holds all samples: an epoch's loss is the error at the moment before it.
    np.testing.assert_allclose(
        result.losses["reconstruction"], result.history.reconstruction[..., :-1], rtol=1e-5
    )


def test_longer_trainings_compile_no_more_programs():
    compiled = []

    def count(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    fit(epochs=2)
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        fit(epochs=60)
        short = len(compiled)
        fit(epochs=600)
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert len(compiled) - short <= short


@pytest.mark.long
def test_ten_thousand_epochs_stay_below_a_gibibyte():
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_recording import fit\n"
        "fit(epochs=10_000)\n"
        # Of this program alone: ru_maxrss would count the process that started it.
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert int(result.stdout) < 2**20  # KiB


def logarithm(barrier):
    """AE with the penalty log(h − barrier), whose gradient is finite where it is not."""

    def fn(params, x, eps, strength):
        error, parts = get_objective("ae", RELU)(params, x, eps, strength)
        h = RELU(preactivation(params, x))
        return error + strength * 1e-3 * jnp.mean(jnp.log(h - barrier)), parts

    return Objective(fn, RELU)


def test_a_loss_that_is_not_finite_flags_the_model_from_the_start():
    result = fit(objective=logarithm(100.0), strengths=[0.5, 1.0], seeds=(0, 1))
    assert np.isnan(result.losses["loss"]).all()
    assert np.isfinite(result.params.weight).all()
    np.testing.assert_array_equal(result.flagged_epoch, np.zeros((2, 2)))


def test_a_loss_that_is_not_finite_at_one_strength_flags_that_model_alone():
    def fn(params, x, eps, strength):
        error, parts = get_objective("ae", RELU)(params, x, eps, strength)
        return jnp.where(strength > 0.5, jnp.nan * jax.lax.stop_gradient(error), error), parts

    result = fit(objective=Objective(fn, RELU), strengths=[0.0, 1.0, 0.2])
    np.testing.assert_array_equal(result.flagged_epoch, [[-1, 0, -1]])
    alone = fit(objective=Objective(fn, RELU), strengths=[0.0, 0.1, 0.2])
    for g in (0, 2):
        np.testing.assert_array_equal(result.params.weight[0, g], alone.params.weight[0, g])


@pytest.mark.parametrize("name", ["ae", "dae"])
def test_the_measured_condition_needs_no_noise_of_every_model(name):
    """400 models, 784 inputs: their noise for 1,000 samples alone would take 1.2 GB."""
    from aesparse.models.one_layer import get_constraint
    from aesparse.training.program import grid_program
    from aesparse.training.sharding import Cells

    sizes = {"batch_size": 50, "momentum": 0.9, "hidden": 8, "tied": True, "decoder_bias": False}
    program = grid_program(
        get_objective(name, RELU), get_constraint("unit"), mesh=cell_mesh(cells=1), **sizes
    )
    for seeds in (1, 400):
        models = Cells.of_seeds(seeds, np.zeros(400 // seeds, np.float32), np.zeros(400 // seeds))
        keys = jax.eval_shape(lambda seeds=seeds: jax.random.split(jax.random.key(0), seeds))
        X = jax.ShapeDtypeStruct((1000, 784), np.float32)
        state = jax.eval_shape(program.start, keys, X, models)
        arguments = (state.params, keys, X, models)
        used = program.pressure.lower(*arguments).compile().memory_analysis()
        assert used.temp_size_in_bytes < 2e8
        used = program.measure.lower(state.params, X).compile().memory_analysis()
        assert used.temp_size_in_bytes < 2e8
