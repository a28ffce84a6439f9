"""What is recorded per epoch: complete and in order, at no cost that grows with the epochs."""

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import aesparse as ae
from aesparse.metrics import activation_statistics, theorem1_ratio

ROOT = Path(__file__).parents[1]
X = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
BOTH = {"metrics": activation_statistics, "theorem1": theorem1_ratio}


def fit(objective="ae", *, epochs=3, **options):
    return ae.fit(X, ae.OneLayer(4), objective, constraint="unit", epochs=epochs, **options)


def test_records_are_the_measurements_of_every_epoch_in_order():
    """120 epochs: two full moves from the devices to the host and a part of one."""
    seen = []
    result = fit(
        epochs=120,
        measure=BOTH,
        sweep={"seed": range(2)},
        on_epoch=lambda epoch, measured: seen.append(measured),
    )
    along = jax.tree.map(lambda *leaves: np.stack(leaves, axis=-1), *seen)
    for recorded, expected in zip(*map(jax.tree.leaves, (result.history, along)), strict=True):
        assert recorded.shape == (2, 121)
        np.testing.assert_array_equal(recorded[:, 1:], expected)
    assert result.losses["loss"].shape == (2, 120)
    # One batch holds all samples: an epoch's loss is the error at the moment before it.
    before = result.history["metrics"].reconstruction[:, :-1]
    np.testing.assert_allclose(result.losses["reconstruction"], before, rtol=1e-5)


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


@pytest.mark.parametrize("objective", ["cae", "dae"])
def test_theorem_1s_ratio_needs_no_noise_of_every_model(objective):
    """400 models, 784 inputs: their noise for 1,000 samples alone would take 1.2 GB."""
    from aesparse.training.measuring import measuring
    from aesparse.training.sharding import Points, model_mesh

    model = ae.OneLayer(8)
    measured = measuring(model, ae.get_objective(objective), theorem1_ratio, model_mesh(models=1))
    shape = jax.ShapeDtypeStruct
    for seeds in (1, 400):
        keys = jax.eval_shape(lambda seeds=seeds: jax.random.split(jax.random.key(0), seeds))
        one = jax.eval_shape(lambda key: model.init(key, 784), jax.random.key(0))
        params = jax.tree.map(lambda leaf: shape((400, *leaf.shape), leaf.dtype), one)
        points = Points(shape((400,), np.int32), {"strength": shape((400,), np.float32)})
        arguments = (params, keys, points, shape((1000, 784), np.float32))
        used = measured.lower(*arguments).compile().memory_analysis()
        assert used.temp_size_in_bytes < 2e8
