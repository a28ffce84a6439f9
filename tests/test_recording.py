"""What is recorded: the metrics of every moment in order, in time and memory that are bounded."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import small_fit
from small_fit import SWEEP, data, same_bits

from aesparse.losses.objectives import get_objective
from aesparse.metrics import activation_statistics, theorem1_ratio
from aesparse.models.constraints import as_constraint
from aesparse.models.one_layer import OneLayer
from aesparse.training.optimizers import sgd
from aesparse.training.program import grid_program
from aesparse.training.sharding import Points, model_mesh
from aesparse.training.step import Recipe

ROOT = Path(__file__).parents[1]


def fit(*, epochs=3, **options):
    """One model, all samples in one batch."""
    X = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    return small_fit.fit("ae", X=X, sweep=None, epochs=epochs, batch_size=50, **options)


def test_records_are_the_measurements_of_every_epoch_in_order():
    """120 epochs: two full moves from the devices to the host and a part of one."""
    seen = []
    result = fit(epochs=120, on_epoch=lambda epoch, measured: seen.append((epoch, measured)))
    assert [epoch for epoch, _ in seen] == list(range(1, 121))
    for name in ("activation_fraction", "reconstruction", "bias_mean"):
        along = np.concatenate([getattr(measured, name) for _, measured in seen])
        np.testing.assert_array_equal(getattr(result.history, name)[1:], along)
    assert result.history.reconstruction.shape == (121,)
    assert result.losses["loss"].shape == (120,)
    # One batch holds all samples: an epoch's loss is the error at the moment before it.
    np.testing.assert_allclose(
        result.losses["reconstruction"], result.history.reconstruction[:-1], rtol=1e-5
    )
    assert len(np.unique(result.history.reconstruction)) > 100


def test_at_chosen_epochs_alone_on_epoch_sees_the_latest_measurement():
    seen = []
    result = fit(
        epochs=4, history_epochs=[0, 3], on_epoch=lambda epoch, m: seen.append(m.reconstruction)
    )
    np.testing.assert_array_equal(result.history_epochs, [0, 3])
    first, later = result.history.reconstruction
    np.testing.assert_array_equal(np.concatenate(seen), [first, first, later, later])
    assert result.final.reconstruction < later < first
    whole = fit(epochs=4)
    same_bits(whole.params, result.params)
    np.testing.assert_array_equal(whole.history.reconstruction[[0, 3]], [first, later])


@pytest.mark.parametrize("measure", [{}, lambda trained, x: ()])
def test_nothing_needs_to_be_measured(measure):
    result = fit(measure=measure, check_compiled=True)
    assert jax.tree.leaves((result.history, result.final)) == []
    same_bits(result.losses, fit().losses)


@pytest.mark.long
def test_several_measurements_by_name_of_any_shape():
    def rows(trained, x):
        return jnp.linalg.norm(trained.params.weight, axis=1)

    def count(trained, x):
        return len(x)

    measure = {"rows": rows, "count": count, "usual": activation_statistics}
    sizes = {"history_samples": 40, "check_compiled": True}
    result = small_fit.fit(measure=measure, **sizes)
    assert result.history["rows"].shape == (3, 5, 3)
    np.testing.assert_allclose(result.history["rows"], 1, rtol=1e-6)
    np.testing.assert_array_equal(result.history["count"], np.full((3, 3), 40))
    np.testing.assert_array_equal(result.final["count"], [100] * 3)
    usual = small_fit.fit(history_samples=40)
    for name, values in usual.history._asdict().items():
        np.testing.assert_allclose(getattr(result.history["usual"], name), values, rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("name", ["dae", pytest.param("sae", marks=pytest.mark.long)])
def test_theorem_1s_ratio_is_that_of_each_model(name, x64):
    """At its strength, from complex-step gradients.

    On the first 1,000 samples, with one noise per seed for all its strengths.
    """
    X, strengths = data(samples=1050, dtype=np.float64), [0.0, 0.5, 50.0]
    sweep = {"strength": strengths, "seed": [3, 5]}
    options = {"batch_size": 105, "measure": theorem1_ratio, "model": OneLayer(5, "sigmoid")}
    result = small_fit.fit(name, X=X, sweep=sweep, **options)
    act, few = oracles.ACTIVATIONS["sigmoid"], X[:1000]
    for g, s in np.ndindex(3, 2):
        p = {k: np.asarray(getattr(result.params, k)[g, s]) for k in ("weight", "bias")}
        key = jax.random.fold_in(jax.random.key(7), (3, 5)[s])
        eps = np.asarray(jax.random.normal(jax.random.fold_in(key, 2), few.shape, few.dtype))

        def penalty(q, g=g, eps=eps):
            plain = oracles.OBJECTIVES["ae"](q, few, 0 * eps, 0.0, act)
            return oracles.OBJECTIVES[name](q, few, eps, strengths[g], act) - plain

        error = oracles.OBJECTIVES["ae"](p, few, 0 * eps, 0.0, act)
        gradient = oracles.complex_step_gradient(penalty, p)["bias"]
        ratio = gradient / (2 * np.sqrt(error) * np.linalg.norm(p["weight"], axis=1))
        for recorded in (result.final, jax.tree.map(lambda leaf: leaf[..., -1], result.history)):
            assert recorded.share[g, s] == pytest.approx(np.mean(ratio > 1), abs=1e-12)
            assert recorded.largest[g, s] == pytest.approx(ratio.max(), abs=1e-9)
    assert len(np.unique(result.final.largest[1:])) == 4


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


@pytest.mark.parametrize("name", ["ae", "dae"])
@pytest.mark.parametrize("measure", [activation_statistics, theorem1_ratio])
def test_a_measurement_needs_no_noise_or_codes_of_every_model(name, measure):
    """400 models, 784 inputs: their noise for 1,000 samples alone would take 1.2 GB."""
    objective = get_objective(name)
    recipe = Recipe(OneLayer(8), objective, sgd(), as_constraint("unit"), measure, 50)
    program = grid_program(recipe, model_mesh(models=1))
    for seeds in (1, 400):
        levels = {name: np.zeros(400, np.float32) for name in objective.coefficients}
        points = Points(np.repeat(np.arange(seeds, dtype=np.int32), 400 // seeds), levels)
        keys = jax.eval_shape(lambda seeds=seeds: jax.random.split(jax.random.key(0), seeds))
        X = jax.ShapeDtypeStruct((1000, 784), np.float32)
        params = jax.eval_shape(program.starting.init, keys, X, points.seed)
        (part,) = program.measure.parts
        lowered = part.compiled.lower(params, keys, part.needs(points), X)
        used = lowered.compile().memory_analysis()
        assert used.temp_size_in_bytes < 2e8


def test_history_looks_at_the_first_samples_and_the_end_at_all():
    result = small_fit.fit(history_samples=40)
    X = data()
    a = np.einsum("bn,gmn->gbm", X, result.params.weight) + result.params.bias[:, None]
    last = result.history.activation_fraction[:, -1]
    np.testing.assert_allclose(last, (a[:, :40] > 0).mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(result.final.activation_fraction, (a > 0).mean((1, 2)), rtol=1e-6)
    before = result.history.activation_fraction[:, 0]
    np.testing.assert_array_equal(before, before[:1].repeat(len(SWEEP["strength"])))
