"""Trainings that go on where an earlier call ended, on the same data or on other."""

import numpy as np
import optax
import pytest

from aesparse import InputError, OneLayer, fit, lbfgs, sgd
from aesparse.training.stopping import EarlyStopping

pytestmark = pytest.mark.long

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(60, 3)) @ RNG.normal(size=(3, 6))).astype(np.float32)
SWEEP = {"strength": [0.1, 0.3], "learning_rate": [0.002, 0.01]}


def train(epochs, X=X, optimizer=None, **options):
    given = {"sweep": SWEEP, "batch_size": 20, "constraint": "unit", "keep_optimizer": True}
    return fit(X, OneLayer(4), "dae", epochs=epochs, optimizer=optimizer, **(given | options))


@pytest.mark.parametrize(
    "optimizer", [sgd(), optax.inject_hyperparams(optax.adam)(0.01)], ids=["sgd", "adam"]
)
def test_two_trainings_in_turn_are_one_of_all_epochs(optimizer):
    whole = train(5, optimizer=optimizer)
    first = train(2, optimizer=optimizer)
    second = train(3, optimizer=optimizer, start=first)
    for one, other in zip(whole.params[:2], second.params[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    joined = np.concatenate([first.losses["loss"], second.losses["loss"]], axis=-1)
    np.testing.assert_array_equal(whole.losses["loss"], joined)
    assert (first.epochs, second.epochs, whole.epochs) == (2, 5, 5)


def test_parts_of_a_grid_go_on_too():
    whole, first = train(4), train(2)
    second = train(2, start=first, models_per_program=2)
    np.testing.assert_allclose(second.params.weight, whole.params.weight, atol=1e-6)


def test_without_the_state_the_optimizer_starts_afresh():
    first = train(2, keep_optimizer=False)
    assert first.optimizer_state is None
    again = train(1, start=first)
    given = train(1, start=first.params)
    np.testing.assert_array_equal(again.params.weight, given.params.weight)
    assert again.epochs == 1


def test_a_training_goes_on_on_other_data_of_another_length():
    first = train(2)
    more = train(1, X=X[:40] + 1, start=first)
    assert more.epochs == 3
    assert not np.array_equal(more.params.weight, first.params.weight)
    np.testing.assert_allclose(np.linalg.norm(more.params.weight, axis=-1), 1, rtol=1e-5)


def test_one_model_selected_from_a_grid_goes_on():
    whole, first = train(3), train(2)
    one = {"sweep": {"strength": 0.3, "learning_rate": 0.002}}
    chosen = first.select(strength=0.3)
    assert chosen.optimizer_state.trace.weight.shape == (2, 4, 6)
    second = train(1, start=chosen, sweep={"learning_rate": [0.002, 0.01], "strength": 0.3})
    np.testing.assert_allclose(second.params.weight, whole.params.weight[1], atol=1e-6)
    with pytest.raises(InputError, match="shapes"):
        train(1, start=first, **one)


def test_what_cannot_go_on_is_refused():
    first = train(1)
    with pytest.raises(InputError, match="optimizer's state"):
        train(1, start=first, optimizer=optax.inject_hyperparams(optax.adam)(0.01))
    with pytest.raises(InputError, match="keep_optimizer"):
        train(2, stopping=EarlyStopping())
    with pytest.raises(InputError, match="keep_optimizer"):
        fit(X, OneLayer(4), "ae", optimizer=lbfgs(), keep_optimizer=True)


def test_the_rates_that_the_result_names_are_those_of_the_training():
    first = train(2)
    rates = {"strength": [0.1, 0.3], "learning_rate": [0.004, 0.02]}
    faster, same = train(1, start=first, sweep=rates), train(1, start=first)
    np.testing.assert_allclose(
        faster.optimizer_state.hyperparams["learning_rate"], np.tile([0.004, 0.02], (2, 1))
    )
    moved = [np.abs(r.params.weight - first.params.weight).mean() for r in (faster, same)]
    assert moved[0] > 1.5 * moved[1]


def test_a_training_goes_on_along_another_constraint():
    free = train(2, constraint=None)
    unit = train(1, start=free, constraint="unit", history_epochs=[0], measure=lengths)
    np.testing.assert_allclose(unit.history, 1, rtol=1e-5)


def lengths(trained, x):
    return (trained.params.weight**2).sum(axis=1) ** 0.5


def test_a_model_that_diverged_does_not_hold_up_the_others():
    rates = {"strength": 0.1, "learning_rate": [0.002, 1e6]}
    first = train(2, constraint=None, sweep=rates)
    assert (first.diverged_epoch > 0).tolist() == [False, True]
    second = train(1, constraint=None, sweep=rates, start=first)
    assert (second.diverged_epoch > 0).tolist() == [False, True]
    whole = train(3, constraint=None, sweep=rates)
    np.testing.assert_array_equal(second.params.weight[0], whole.params.weight[0])


def test_flags_in_an_optimizers_state_go_on_as_they_are():
    careful = optax.apply_if_finite(optax.sgd(0.01), 5)
    sweep = {"strength": [0.1, 0.3]}
    first, whole = (train(e, optimizer=careful, sweep=sweep) for e in (1, 2))
    second = train(1, optimizer=careful, sweep=sweep, start=first)
    np.testing.assert_array_equal(second.params.weight, whole.params.weight)
