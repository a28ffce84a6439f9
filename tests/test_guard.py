"""The numerics guard against planted faults: each is named, none trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aesparse as ae
from aesparse.losses.objectives import get_objective
from aesparse.models.activations import get_activation
from aesparse.training import grid, guard

STRENGTHS = (0.0, 0.1, 0.3)


def fit(**options):
    X = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    sizes = {"hidden": 5, "epochs": 1, "batch_size": 10, "learning_rate": 0.01}
    objective = get_objective("dae", get_activation("relu"))
    return ae.fit_grid(
        jax.random.key(0), X, objective=objective, strengths=STRENGTHS, **sizes | options
    )


def with_fault(monkeypatch, fault):
    """Lets the grid train with `fault(program, other)`, which spoils one of its functions.

    `other(**options)` makes the program with other options.
    """
    make = grid.grid_program

    def spoiled(objective, rows, **options):
        def other(**changed):
            return make(objective, rows, **options | changed)

        return fault(make(objective, rows, **options)._replace(checked={}), other)

    monkeypatch.setattr(grid, "grid_program", spoiled)


def epoch(change):
    """A program whose epoch's result is changed by `change(params, n_steps)`."""

    def fault(program, other):
        def spoiled(state, draws, X, cells, n_steps):
            state, losses = program.epoch(state, draws, X, cells, n_steps)
            return state._replace(params=change(state.params, n_steps)), losses

        return program._replace(epoch=spoiled)

    return fault


def start(change):
    def fault(program, other):
        def spoiled(*arguments):
            state = program.start(*arguments)
            return state._replace(params=change(state.params))

        return program._replace(start=spoiled)

    return fault


def halved_fraction(program, other):
    def spoiled(params, X):
        units, metrics = program.measure(params, X)
        half = metrics.activation_fraction / 2
        return units, metrics._replace(activation_fraction=half)

    return program._replace(measure=spoiled)


def momentum(value):
    return lambda program, other: program._replace(epoch=other(momentum=value).epoch)


def scaled(params):
    return params._replace(weight=params.weight * (1 + 9e-5))


def one_entry_off(params):
    return params._replace(weight=params.weight.at[1, 2, 3].add(2e-4))


def equal_rows(params):
    return params._replace(weight=jnp.broadcast_to(params.weight[:, :1], params.weight.shape))


FAULTS = {
    "momentum 0.5 for 0.9": momentum(0.5),
    "no momentum": momentum(0.0),
    "an error for more than one step": epoch(
        lambda p, steps: p._replace(weight=p.weight * (1 + 1e-3 * (steps > 1)))
    ),
    "weights × (1 + 9e-5)": epoch(lambda p, steps: scaled(p)),
    "one entry off": epoch(lambda p, steps: one_entry_off(p)),
    "a start off by 9e-5": start(scaled),
    "equal starting rows": start(equal_rows),
    "one entry of the start off": start(one_entry_off),
    "a halved fraction": halved_fraction,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named(fault, monkeypatch):
    with_fault(monkeypatch, fault)
    with pytest.raises(guard.NumericsError, match="disagrees"):
        fit()
    assert np.isnan(fit(check_compiled=False).guard)


def test_means_that_are_zero_but_for_rounding_are_no_fault():
    X = np.random.default_rng(1).normal(size=(60, 6))
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    for name in ("ae", "cae"):
        objective = get_objective(name, get_activation("sigmoid"))
        sizes = {"hidden": 5, "epochs": 1, "batch_size": 10}
        trained = ae.fit_grid(
            jax.random.key(0), X, objective=objective, strengths=STRENGTHS, **sizes
        )
        assert trained.guard < guard.LIMITS["float32"]


def test_without_a_fault_the_wrapper_changes_nothing(monkeypatch):
    expected = fit()
    with_fault(monkeypatch, lambda program, other: program)
    again = fit()
    np.testing.assert_array_equal(again.params.weight, expected.params.weight)
    assert again.guard < guard.LIMITS["float32"]


def test_a_row_wrong_on_one_batch_only_is_rounding():
    right, wrong = np.array([[0.0, 1e-7]]), np.array([[1e-2, 1e-7]])
    both = guard.smaller({"a": wrong}, {"a": right})
    assert guard.judge(both, 1e-4) == 1e-7
    with pytest.raises(guard.NumericsError, match="row 0"):
        guard.judge(guard.smaller({"a": wrong}, {"a": wrong}), 1e-4)
