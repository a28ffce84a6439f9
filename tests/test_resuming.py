"""Trainings that are interrupted and go on: to the same bits, or with a clear word."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_fit
from small_fit import data, same_bits

import aesparse as ae
from aesparse.errors import InputError
from aesparse.files import listed
from aesparse.losses.objectives import Objective, get_objective
from aesparse.metrics import theorem1_ratio
from aesparse.models.one_layer import OneLayer
from aesparse.training.checkpoints import Checkpoints

ROOT = Path(__file__).parents[1]
SWEEP = {"strength": [0.0, 0.3, 1.0], "learning_rate": 0.02}


def fit(checkpoints=None, objective="dae", **options):
    defaults = {"sweep": SWEEP, "epochs": 4, "checkpoints": checkpoints}
    return small_fit.fit(objective, **defaults | options)


def often(folder, identity="this", **options):
    return Checkpoints(folder, identity, every_seconds=0, **options)


def only_read(folder):
    return Checkpoints(folder, "this", every_seconds=3600)


class StoppedError(Exception):
    pass


def stop_after(last):
    def on_epoch(epoch, measured):
        if epoch == last:
            raise StoppedError

    return on_epoch


def interrupt(checkpoints, last, **options):
    """A training that is stopped after that epoch."""
    with pytest.raises(StoppedError):
        fit(checkpoints, on_epoch=stop_after(last), **options)


@pytest.fixture(scope="module")
def stopped_at_two(tmp_path_factory):
    """The folder of a training that was stopped after two epochs, to be read only."""
    folder = tmp_path_factory.mktemp("stopped") / "c"
    interrupt(often(folder), 2)
    return folder


def same_result(one, other):
    for name in ("params", "losses", "history", "final", "diverged_epoch"):
        same_bits(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("options", [{}, {"models_per_program": 2}, {"history_epochs": [0, 2]}])
def test_interrupted_and_repeated_gives_the_same_bits(tmp_path, options):
    checkpoints = often(tmp_path / "c")
    interrupt(checkpoints, 3, **options)
    seen = []
    again = fit(checkpoints, on_epoch=lambda epoch, _: seen.append(epoch), **options)
    same_result(again, fit(**options))
    assert seen == ([4, 1, 2, 3, 4] if "models_per_program" in options else [4])
    assert [attempt["epoch"] for attempt in checkpoints.history] == [3]


def test_any_optimizers_state_is_saved_and_nothing_need_be_measured(tmp_path):
    optimizer = optax.inject_hyperparams(optax.adam)(
        learning_rate=optax.cosine_decay_schedule(1, 9)
    )
    options = {"optimizer": optimizer, "sweep": {"strength": [0.1, 0.3]}, "measure": {}}
    checkpoints = often(tmp_path / "c")
    interrupt(checkpoints, 2, **options)
    same_result(fit(checkpoints, **options), fit(**options))


def test_each_stage_of_a_path_has_its_own_checkpoints(tmp_path):
    def path(folder=None, on_epoch=None):
        previous = None
        for stage, strength in enumerate([[0.0, 0.1], [0.2, 0.3]]):
            previous = fit(
                folder and often(folder / str(stage)),
                "cae",
                sweep={"strength": strength},
                key=jax.random.key(stage),
                start=previous,
                epochs=3,
                on_epoch=on_epoch,
            )
        return previous

    calls = []

    def stop_in_the_second_stage(epoch, measured):
        calls.append(epoch)
        if len(calls) == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        path(tmp_path / "c", stop_in_the_second_stage)
    seen = []
    again = path(tmp_path / "c", lambda epoch, measured: seen.append(epoch))
    assert seen == [3, 3]  # of each stage what was left
    same_result(again, path())


def test_the_last_two_are_kept_and_nothing_is_saved_before_it_is_due(tmp_path):
    checkpoints = often(tmp_path / "often")
    fit(checkpoints, epochs=5)
    assert sorted(p.name for p in checkpoints.folder.iterdir()) == ["3.npz", "4.npz"]
    rarely = only_read(tmp_path / "rarely")
    fit(rarely)
    assert not rarely.folder.exists()
    assert rarely.latest({"w": np.ones(3)}) is None


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="writable"):
        fit(only_read(tmp_path / "file" / "c"), on_epoch=stop_after(1))


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path):
    said = []
    checkpoints = often(tmp_path / "c", on_damage=said.append)
    interrupt(checkpoints, 3)
    newest = checkpoints.folder / "3.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(bytes(content))
    again = fit(checkpoints)
    assert len(said) == 1
    assert str(newest) in said[0]
    same_result(again, fit())


def test_the_interrupted_attempts_are_told(tmp_path):
    for last, revision in ((1, "one"), (2, "two")):
        interrupt(often(tmp_path / "c", about={"revision": revision}), last)
    checkpoints = often(tmp_path / "c", about={"revision": "three"})
    fit(checkpoints)
    attempts = checkpoints.history
    assert [(a["epoch"], a["revision"]) for a in attempts] == [(1, "one"), (2, "two")]
    assert all(a["seconds"] > 0 for a in attempts)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_resuming import fit, often
print("begun", flush=True)
np.save(sys.argv[3], fit(often(Path(sys.argv[2])), epochs=int(sys.argv[4])).params.weight)
"""


def saved(folder):
    return {p.name for p in listed(folder) if p.suffix == ".npz" and p.stem.isdecimal()}


def killed_and_repeated(folder, rng, *, most, epochs):
    """Kills the training at random moments, `most` times, or until an attempt gets through.

    Each attempt is given the time to save at least once, so that every one gets further. As in
    the commands, what is compiled outlives the attempt.
    """
    target, kills = folder / "weight.npy", 0
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    arguments = [ROOT / "tests", folder / "c", target, epochs]
    while True:
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, *map(str, arguments)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | compiled,
        ) as process:
            process.stdout.readline()
            before = saved(folder / "c")
            while process.poll() is None and saved(folder / "c") == before:
                time.sleep(0.01)
            try:
                process.wait(timeout=None if kills >= most else rng.uniform(0, 0.5))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                continue
        assert process.returncode == 0
        return np.load(target), kills


@pytest.mark.long
def test_killed_at_a_random_moment_goes_on_to_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    weight, kills = killed_and_repeated(tmp_path, rng, most=2, epochs=15)
    np.testing.assert_array_equal(weight, fit(epochs=15).params.weight)
    assert kills


@pytest.mark.long
def test_killed_at_twenty_random_moments_goes_on_to_the_same_bits(tmp_path):
    rng, kills, expected = np.random.default_rng(1), 0, fit(epochs=40).params.weight
    for attempt in range(20):
        if kills >= 20:
            break
        folder = tmp_path / str(attempt)
        folder.mkdir()
        weight, more = killed_and_repeated(folder, rng, most=4, epochs=40)
        kills += more
        np.testing.assert_array_equal(weight, expected)
    assert kills >= 20


# Another training


def with_constant(value, *, jitted=False):
    """DAE's objective plus a sum of biases times an array that is not an argument."""
    constant = np.full(5, value, np.float32)

    def weighed(bias):
        return jnp.sum(constant * bias)

    def fn(model, params, x, eps, coefficients):
        loss, parts = get_objective("dae")(model, params, x, eps, coefficients)
        return loss + (jax.jit(weighed) if jitted else weighed)(params.bias), parts

    return Objective(fn)


def adam(b1=0.9, eps=1e-8, steps=100):
    schedule = optax.cosine_decay_schedule(0.01, steps)
    return optax.chain(optax.scale_by_adam(b1=b1, eps=eps), optax.scale_by_learning_rate(schedule))


def counting(scale):
    def measure(trained, x):
        return scale * jnp.mean(model_code(trained, x))

    return measure


def model_code(trained, x):
    return trained.model.encode(trained.params, x)


OTHER = {  # what is called otherwise, and a word of the sentence that says so
    "strength": ({"sweep": SWEEP | {"strength": [0.0, 0.3, 2.0]}}, "strength"),
    "learning rate": ({"sweep": SWEEP | {"learning_rate": 0.01}}, "learning_rate"),
    "momentum": ({"sweep": SWEEP | {"momentum": 0.5}}, "momentum"),
    "default momentum": ({"optimizer": ae.sgd(momentum=0.8)}, "momentum"),
    "data": ({"X": data() + np.float32(1)}, "X"),
    "one number of the data": ({"X": np.where(np.arange(600).reshape(100, 6) == 599, 0, data())},
                               "X"),
    "seed": ({"sweep": SWEEP | {"seed": 4}}, "key"),
    "key": ({"key": jax.random.key(8)}, "key"),
    "objective": ({"objective": "cae"}, "update"),
    "activation": ({"model": OneLayer(5, "sigmoid")}, "update"),
    "hidden units": ({"model": OneLayer(6)}, "update"),
    "constraint": ({"constraint": "free"}, "update"),
    "optimizer": ({"optimizer": optax.sgd(0.1), "sweep": {"strength": SWEEP["strength"]}},
                  "update"),
    "batch size": ({"batch_size": 20}, "batch_size"),
    "history samples": ({"history_samples": 7}, "history_samples"),
    "history epochs": ({"history_epochs": [0, 1, 2]}, "history_epochs"),
    "precision": ({"matmul_precision": "high"}, "matmul_precision"),
    "measurement": ({"measure": theorem1_ratio}, "update"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_a_checkpoint_of_another_training_is_refused_by_name(stopped_at_two, name, unchanged):
    options, word = OTHER[name]
    with (
        unchanged(stopped_at_two),
        pytest.raises(InputError, match=rf"another training .*\b{word}\b") as refused,
    ):
        fit(only_read(stopped_at_two), **options)
    assert "\n" not in str(refused.value)


def test_a_checkpoint_from_other_initial_parameters_is_refused(stopped_at_two):
    start = fit(epochs=1).params
    with pytest.raises(InputError, match="start"):
        fit(only_read(stopped_at_two), start=start)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("jax_threefry_partitionable", False), ("jax_random_seed_offset", 3)],
)
def test_a_checkpoint_of_another_generators_setting_is_refused(stopped_at_two, setting, value):
    before = getattr(jax.config, setting)
    assert before != value
    jax.config.update(setting, value)
    try:
        with pytest.raises(InputError, match=setting):
            fit(only_read(stopped_at_two))
    finally:
        jax.config.update(setting, before)


PAIRS = {
    "a constant of the objective": ({"objective": with_constant(v)} for v in (0.1, 0.2)),
    "a constant of a compiled part": ({"objective": with_constant(v, jitted=True)} for v in (1, 2)),
    "Adam's mean": ({"optimizer": adam(b1=b)} for b in (0.9, 0.8)),
    "Adam's ε": ({"optimizer": adam(eps=e)} for e in (1e-8, 1e-3)),
    "a schedule": ({"optimizer": adam(steps=n)} for n in (100, 90)),
    "a swept rate of Adam": (
        {"optimizer": optax.inject_hyperparams(optax.adam)(learning_rate=r)} for r in (0.1, 0.2)
    ),
    "a measurement's scale": ({"measure": counting(s)} for s in (1.0, 2.0)),
    "the start": (
        {"start": jax.tree.map(lambda leaf, v=v: np.full((3, *leaf.shape), v, np.float32),
                               OneLayer(5).init(jax.random.key(0), 6))} for v in (0.1, 0.2)
    ),
}  # fmt: skip
PAIRS = {name: tuple(pair) for name, pair in PAIRS.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_a_checkpoint_of_another_value_is_refused(tmp_path, name):
    strengths = {} if "sweep" in PAIRS[name][0] else {"sweep": {"strength": SWEEP["strength"]}}
    first, second = (strengths | {"epochs": 2} | options for options in PAIRS[name])
    interrupt(often(tmp_path / "c"), 1, **first)
    interrupt(only_read(tmp_path / "c"), 2, **first)  # it would go on
    with pytest.raises(InputError, match="another training"):
        fit(only_read(tmp_path / "c"), **second)


def test_equal_arguments_made_anew_go_on(tmp_path):
    def options():
        return {"objective": with_constant(0.1, jitted=True), "model": OneLayer(5),
                "measure": counting(1.0), "optimizer": adam(),
                "sweep": {"strength": SWEEP["strength"]}}  # fmt: skip

    interrupt(often(tmp_path / "c"), 3, **options())
    seen = []
    fit(only_read(tmp_path / "c"), on_epoch=lambda epoch, _: seen.append(epoch), **options())
    assert seen == [4]


def test_fewer_epochs_than_were_made_are_refused_and_more_are_the_same(stopped_at_two):
    with pytest.raises(InputError, match="does not fit"):
        fit(only_read(stopped_at_two), epochs=2)
    same_result(fit(only_read(stopped_at_two), epochs=6), fit(epochs=6))


# L-BFGS, which saves every 50 iterations


def minimize(checkpoints=None, *, most=120, tolerance=0.0, objective="weight-decay", **options):
    how = {"optimizer": ae.lbfgs(most, tolerance), "constraint": None}
    sweep = {"strength": [0.1, 1.0]}
    return fit(checkpoints, objective, **{"sweep": sweep} | how | options)


class StopsAtResume(Checkpoints):
    """Ends the process of saving after the first save, as an interruption would."""

    def save(self, *arguments, **options):
        super().save(*arguments, **options)
        raise StoppedError


@pytest.fixture(scope="module")
def minimized_half(tmp_path_factory):
    """The folder of a minimization that was stopped after its first 50 iterations."""
    folder = tmp_path_factory.mktemp("minimized") / "c"
    with pytest.raises(StoppedError):
        minimize(StopsAtResume(folder, "this", every_seconds=0))
    assert saved(folder) == {"50.npz"}
    return folder


@pytest.mark.long
def test_an_interrupted_minimization_goes_on_to_the_same_bits(minimized_half):
    checkpoints = only_read(minimized_half)
    same_result(minimize(checkpoints), minimize())
    assert [attempt["epoch"] for attempt in checkpoints.history] == [50]


OTHER_MINIMA = {
    "strength": ({"sweep": {"strength": [0.1, 2.0]}}, "strength"),
    "data": ({"X": data() + np.float32(1)}, "X"),
    "seed": ({"sweep": {"strength": [0.1, 1.0], "seed": 2}}, "key"),
    "objective": ({"objective": "cae"}, "update"),
    "tolerance": ({"tolerance": 1e-3}, "tolerance"),
    "memory": ({"optimizer": ae.lbfgs(120, 0.0, memory_size=5)}, "memory_size"),
    "measurement": ({"measure": theorem1_ratio}, "update"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", OTHER_MINIMA)
def test_a_checkpoint_of_another_minimization_is_refused_by_name(minimized_half, name):
    options, word = OTHER_MINIMA[name]
    with pytest.raises(InputError, match=rf"another training .*\b{word}\b"):
        minimize(only_read(minimized_half), **options)
