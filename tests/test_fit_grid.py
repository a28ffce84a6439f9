"""How a grid is run: neighbours, blocks and parts change nothing; what cannot fit is refused."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_fit import RELU, SWEEP, data, fit, relative, same_bits

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses.objectives import composed
from aesparse.losses.reconstruction import cross_entropy
from aesparse.models.one_layer import OneLayer
from aesparse.training.assembling import diverged_epoch
from aesparse.training.program import grid_program

ROOT = Path(__file__).parents[1]
# Relative error of sums of about 100 float32 products over 20 updates, with a wide margin; a
# model that saw a neighbour's strength would differ by more than 1e-2.
FLOAT32_BOUND = 2e-4


@pytest.mark.long
@pytest.mark.parametrize("name", ["edae", "sae", "dae2"])
def test_a_model_does_not_depend_on_its_neighbours(name, x64):
    X = data(dtype=np.float64)
    sweep = SWEEP | {"strength": [0.0, 0.1, 0.5], "seed": [3, 5]}
    whole = fit(name, X=X, sweep=sweep).params
    turned = SWEEP | {"strength": [0.5, 0.1, 0.0], "seed": [5, 3]}
    turned = fit(name, X=X, sweep=turned).params
    for g, s in np.ndindex(3, 2):
        assert relative(whole.weight[g, s], turned.weight[2 - g, 1 - s]) <= 1e-10
        assert relative(whole.bias[g, s], turned.bias[2 - g, 1 - s]) <= 1e-10
    assert relative(whole.weight[0, 0], whole.weight[0, 1]) > 1e-3


@pytest.mark.long
def test_a_grid_equals_single_trainings_in_float32():
    whole = fit(sweep=SWEEP | {"seed": [3, 5]})
    for g, strength in enumerate(SWEEP["strength"]):
        for s, seed in enumerate((3, 5)):
            single = fit(sweep=SWEEP | {"strength": strength, "seed": seed})
            difference = relative(whole.params.weight[g, s], single.params.weight)
            assert difference <= FLOAT32_BOUND
    assert relative(whole.params.weight[0, 0], whole.params.weight[1, 0]) > 50 * FLOAT32_BOUND


def test_blocks_that_stay_in_the_cache_change_nothing(x64, monkeypatch):
    """Five models of 30 weights in blocks of two, the last of one; as large ones are trained."""
    X, sweep = data(dtype=np.float64), SWEEP | {"strength": [0.0, 0.1, 0.2, 0.3, 0.5]}
    whole = fit(X=X, sweep=sweep)
    grid_program.cache_clear()
    monkeypatch.setattr("aesparse.training.blocks.CACHE_BYTES", 2 * 3 * 8 * 35)
    blocks = fit(X=X, sweep=sweep)
    grid_program.cache_clear()
    for name in ("weight", "bias"):
        assert relative(getattr(blocks.params, name), getattr(whole.params, name)) <= 1e-12


def test_on_epoch_sees_the_models_of_every_part():
    calls = []
    result = fit(models_per_program=2, on_epoch=lambda *call: calls.append(call))
    # Three models are two parts, the second filled up with its last model.
    assert [(epoch, m.dead_fraction.shape) for epoch, m in calls] == [(1, (2,)), (2, (2,))] * 2
    last = [calls[i][1].reconstruction for i in (1, 3)]
    np.testing.assert_array_equal(np.concatenate(last)[:3], result.history.reconstruction[:, -1])


def test_equal_calls_give_identical_bits():
    first, second = fit(), fit()
    for name in ("params", "losses", "history", "final"):
        same_bits(getattr(first, name), getattr(second, name))


def test_models_that_end_finite_never_diverged():
    """Finite, recovered, lost at the 2nd of 3 epochs, lost from the 1st on, parameters alone."""
    nan = np.nan
    loss = np.array([[1, 1, 1], [1, nan, 1], [1, np.inf, nan], [nan, nan, nan], [1, 1, 1]])
    finite = np.array([True, True, True, True, False])
    np.testing.assert_array_equal(diverged_epoch(loss, finite), [-1, -1, 2, 1, 3])


# Measurements on other data


def test_a_grid_measured_on_other_data_equals_one_model_at_a_time():
    result, other = fit(sweep=SWEEP | {"seed": [0, 1]}), data(samples=37)
    measured = result.measure(other)
    a = np.einsum("bn,gsmn->gsbm", other, result.params.weight) + result.params.bias[:, :, None]
    np.testing.assert_allclose(measured.activation_fraction, (a > 0).mean((2, 3)), rtol=1e-6)
    y = np.einsum("gsbm,gsmn->gsbn", np.maximum(a, 0), result.params.weight)
    errors = np.sum((other - y) ** 2, -1).mean(-1)
    np.testing.assert_allclose(measured.reconstruction, errors, rtol=1e-5)
    assert measured.reconstruction.shape == (3, 2)
    # On the data of the training it is what the training measured.
    again = result.measure(data())
    for name, values in result.final._asdict().items():
        np.testing.assert_allclose(getattr(again, name), values, rtol=1e-6, atol=1e-7)


def test_a_grid_measured_with_its_coefficients_and_keys():
    def seen(trained, x):
        draw = jax.random.normal(trained.key, ())
        return {"strength": trained.coefficients["strength"], "draw": draw}

    result = fit(sweep=SWEEP | {"seed": [4, 1]}, measure=seen)
    np.testing.assert_allclose(result.final["strength"][:, 0], SWEEP["strength"], rtol=1e-7)
    keys = [jax.random.fold_in(jax.random.key(7), seed) for seed in (4, 1)]
    draws = [float(jax.random.normal(key, ())) for key in keys]
    np.testing.assert_allclose(result.final["draw"], [draws] * 3, rtol=1e-6)
    same_bits(result.measure(data(), seen), result.final)


def test_other_data_that_does_not_suit_is_refused():
    result = fit()
    for X in (data(n=5), data()[0], data() * np.nan, data() + 1j, np.ma.masked_less(data(), 0)):
        with pytest.raises(InputError):
            result.measure(X)
    likelihood = composed(error=cross_entropy)
    pixels = np.clip(data(), 0, 1)
    trained = fit(likelihood, X=pixels, sweep=None)
    with pytest.raises(InputError, match="expects"):
        trained.measure(pixels + 0.5)


# Memory


TOO_LARGE = {
    "more hidden units than any memory": (OneLayer(10**12), 784, {"strength": 0.1}),
    "more hidden units than any array has": (OneLayer(2**53), 784, {"strength": 0.1}),
    "more models than any memory": (OneLayer(1000), 784, {"strength": 0.1, "seed": range(20_000)}),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_a_grid_that_cannot_fit_is_refused_before_anything_is_allocated(case, monkeypatch):
    """And says in a number what would fit."""
    monkeypatch.setattr("aesparse.training.memory.host_memory", lambda: 16 * 2**30)
    model, inputs, sweep = TOO_LARGE[case]
    X = np.zeros((100, inputs), np.float32)
    with pytest.raises(InputError) as refused:
        ae.fit(X, model, "dae", sweep=sweep)
    sentence = str(refused.value)
    assert "GiB" in sentence
    if "seed" in sweep:
        each = 4 * (1000 * 784 + 1000)
        (number,) = (int(word) for word in sentence.split() if word.isdecimal() and word != "20000")
        assert number == 16 * 2**30 // each


def test_a_history_that_cannot_fit_is_refused_by_how_many_epochs_can(monkeypatch):
    """Of every epoch a model's loss and two parts, and at every moment what is measured."""
    monkeypatch.setattr("aesparse.training.memory.host_memory", lambda: 10**5)
    options = {"sweep": {"strength": [0.1, 0.2]}, "measure": lambda trained, x: jnp.zeros(30)}
    options["check_compiled"] = False
    with pytest.raises(InputError, match="epochs") as refused:
        fit(epochs=10**10, **options)
    fitting = [int(word) for word in str(refused.value).split() if word.isdecimal()]
    each = 2 * 4 * (30 + len(fit(epochs=1, **options).losses))
    assert 10**5 // each in fitting
    with pytest.raises(InputError, match="GiB"):
        fit(epochs=10**10, history_epochs=[0], **options)
    few = fit(epochs=10**5 // each + 1, history_epochs=[0], **options)
    assert few.history.shape == (2, 30, 1)


def test_parts_make_a_grid_fit(monkeypatch):
    """The sentence names how many models at once do; these many are then taken."""
    monkeypatch.setattr("aesparse.training.memory.device_memory", lambda: 4 * 35 * 4 * 5)
    sweep = SWEEP | {"seed": range(2)}
    with pytest.raises(InputError, match="models_per_program=") as refused:
        fit(sweep=sweep)
    text = str(refused.value).split("models_per_program=")[1]
    number = int("".join(letter for letter in text if letter.isdecimal()))
    assert 0 < number < 6
    with pytest.raises(InputError):
        fit(sweep=sweep, models_per_program=number + 1)
    assert fit(sweep=sweep, models_per_program=number).shape == (3, 2)


MANY_OBJECTIVES = """
import sys; sys.path.insert(0, "tests")
import numpy as np
from small_fit import data, fit
from aesparse.losses.objectives import regularized

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

X, sizes = data(samples=20), []
for number in range(120):
    fit(regularized(lambda forward, eps: (forward.code**2).mean()), X=X,
        sweep={"strength": 0.1}, epochs=1)
    if number % 60 == 59:
        sizes.append(resident())
print(*sizes)
"""


@pytest.mark.long
def test_different_objectives_do_not_grow_the_process_without_end():
    """The second sixty add less than 1 MiB each; all kept, it would be 7 to 8."""
    done = subprocess.run(
        [sys.executable, "-c", MANY_OBJECTIVES], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    sizes = [float(word) for word in done.stdout.split()]
    assert sizes[1] - sizes[0] < 60, sizes


def test_equal_models_share_one_program():
    """Objects made anew, as a user's loop makes them; a call compiles no more than rates."""
    compiled = []

    def count(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    fit("cae", model=ae.OneLayer(5), sweep=SWEEP)
    programs = grid_program.cache_info().misses
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        fit(ae.get_objective("cae"), model=ae.OneLayer(5), optimizer=ae.sgd(0.5))
        fit("cae", model=RELU, sweep=SWEEP | {"strength": [0.2, 0.4, 0.6], "momentum": 0.5})
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert grid_program.cache_info().misses == programs
    assert len(compiled) <= 2
