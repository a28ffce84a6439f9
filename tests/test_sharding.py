"""Grids over several devices, in one process and in two, equal the grid on one device."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import sharded_worker

from aesparse.training.sharding import Points, padded

WORKER = Path(sharded_worker.__file__)
# Models on other devices are multiplied in batches of another size, which rounds differently;
# over 40 updates that stays below this share of the largest entry.
ROUNDING = 2e-5


def environment(devices: int) -> dict:
    flags = f"--xla_force_host_platform_device_count={devices}"
    return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def alone():
    """The grid on one device of this process."""
    return sharded_worker.stored(sharded_worker.fit(jax.local_devices()[:1]))


def compare(alone: dict, path: Path, devices: int) -> None:
    stored = np.load(path)
    assert stored["devices"] == devices
    assert len(alone) > 20
    for name, one in alone.items():
        every = stored[name]
        assert one.shape == every.shape
        scale = max(np.abs(one).max(), 1e-6)
        assert np.abs(one - every).max() <= ROUNDING * scale, name
    assert stored["final.activation_fraction"].shape == (2, 5)
    assert stored["epochs"].shape == (4, 10)
    history = stored["history.activation_fraction"]
    np.testing.assert_array_equal(stored["epochs"].T.reshape(2, 5, 4), history[..., 1:])


@pytest.mark.long
def test_ten_models_on_eight_devices_of_one_process(tmp_path, alone):
    """And, interrupted and repeated there, the same bits; the worker asserts it."""
    command = [sys.executable, str(WORKER), str(tmp_path / "out.npz")]
    subprocess.run(command, env=environment(8), check=True, timeout=300)
    compare(alone, tmp_path / "out.npz", devices=8)


@pytest.mark.long
def test_two_processes_on_loopback(tmp_path, alone):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(tmp_path / f"{i}.npz"), address, "2", str(i)],
            env=environment(2),
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    finally:
        for process in running:
            process.kill()
    for i in range(2):
        compare(alone, tmp_path / f"{i}.npz", devices=4)


@pytest.mark.parametrize(("models", "devices", "expected"), [(1, 2, 2), (5, 4, 8), (8, 4, 8)])
def test_models_are_padded_with_the_last(models, devices, expected):
    points = Points(np.arange(models), {"strength": np.linspace(0.5, 1, models)})
    rows = [*range(models), *[models - 1] * (expected - models)]
    filled = padded(points, devices)
    np.testing.assert_array_equal(filled.seed, points.seed[rows])
    np.testing.assert_array_equal(
        filled.coefficients["strength"], points.coefficients["strength"][rows]
    )
