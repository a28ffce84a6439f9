"""The numerics guard against planted faults: each is named, none trains."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_fit
from small_fit import SWEEP, data, same_bits

import aesparse as ae
from aesparse.losses import dictionary
from aesparse.losses.objectives import Objective, get_objective, regularized
from aesparse.models.one_layer import OneLayer
from aesparse.training import guard, program


def fit(*arguments, **options):
    """Checked, unless it is said otherwise."""
    return small_fit.fit(*arguments, **{"epochs": 1, "check_compiled": True} | options)


def with_fault(monkeypatch, fault):
    """Lets the trainer use `fault(program)`, with one of its functions spoiled."""
    make = program.grid_program

    def spoiled(recipe, mesh):
        return fault(make(recipe, mesh)._replace(checked={}))

    monkeypatch.setattr("aesparse.training.loop.grid_program", spoiled)


def epoch(change):
    """A program whose epoch's parameters are changed by `change(params, steps)`."""

    def fault(right):
        def spoiled(state, draws, X, points, first, steps):
            state, losses = right.epoch(state, draws, X, points, first, steps)
            return state._replace(params=change(state.params, steps)), losses

        return right._replace(epoch=spoiled)

    return fault


def momentum(value):
    """A program that was compiled with another momentum."""

    def fault(right):
        def spoiled(state, *rest):
            wanted = state.optimizer.hyperparams
            other = wanted | {"momentum": jnp.full_like(wanted["momentum"], value)}
            kept = jax.tree.map(jnp.copy, wanted)
            moved = state._replace(optimizer=state.optimizer._replace(hyperparams=other))
            state, losses = right.epoch(moved, *rest)
            return state._replace(optimizer=state.optimizer._replace(hyperparams=kept)), losses

        return right._replace(epoch=spoiled)

    return fault


def otherwise(right, **functions):
    """The program with other functions to start from, which nobody has checked."""
    return right._replace(starting=right.starting._replace(checked=set(), **functions))


def start(change):
    def fault(right):
        init = right.starting.init
        return otherwise(right, init=lambda *arguments: change(init(*arguments)))

    return fault


def rate_off_by_one_percent(right):
    def spoiled(params, hyperparameters):
        rate = 1.01 * hyperparameters["learning_rate"]
        return state(params, {**hyperparameters, "learning_rate": rate})

    state = right.starting.state
    return otherwise(right, state=spoiled)


def halved_fraction(right):
    (part,) = right.measure.parts

    def spoiled(*arguments):
        measured = part.compiled(*arguments)
        return measured._replace(activation_fraction=measured.activation_fraction / 2)

    parts = (part._replace(compiled=spoiled, checked=set()),)
    return right._replace(measure=dataclasses.replace(right.measure, parts=parts))


def larger_loss(right):
    def spoiled(*arguments):
        state, losses = right.epoch(*arguments)
        return state, losses | {"loss": losses["loss"] * 1.001}

    return right._replace(epoch=spoiled)


def scaled(params):
    return params._replace(weight=params.weight * (1 + 9e-5))


def one_entry_off(params):
    return params._replace(weight=params.weight.at[1, 2, 3].add(2e-4))


def equal_rows(params):
    return params._replace(weight=jnp.broadcast_to(params.weight[:, :1], params.weight.shape))


FAULTS = {
    "momentum 0.5 for 0.9": momentum(0.5),
    "no momentum": momentum(0.0),
    "an error from the second step on": epoch(
        lambda p, steps: p._replace(weight=p.weight * (1 + 1e-3 * (steps > 1)))
    ),
    "weights × (1 + 9e-5)": epoch(lambda p, steps: scaled(p)),
    "one entry off": epoch(lambda p, steps: one_entry_off(p)),
    "a start off by 9e-5": start(scaled),
    "equal starting rows": start(equal_rows),
    "one entry of the start off": start(one_entry_off),
    "another learning rate": rate_off_by_one_percent,
    "a halved fraction": halved_fraction,
    "a loss off by 1e-3": larger_loss,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_named(fault, monkeypatch):
    with_fault(monkeypatch, fault)
    with pytest.raises(guard.NumericsError, match="disagrees"):
        fit()
    assert np.isnan(fit(check_compiled=False).guard)


def test_without_a_fault_the_wrapper_changes_nothing(monkeypatch):
    expected = fit()
    with_fault(monkeypatch, lambda right: right)
    again = fit()
    same_bits(again.params, expected.params)
    assert 0 < again.guard < guard.LIMITS["float32"]


def tied_units(**options):
    """A top-k model whose first two units have equal pre-activations and different atoms."""
    rng = np.random.default_rng(0)
    weight, decoder = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 6), (6, 5)))
    weight[:2] = 10 * weight[0]
    params = ae.DictionaryParams(weight, np.zeros(5), decoder, np.zeros(6))
    params = jax.tree.map(lambda leaf: np.float32([leaf, leaf]), params)
    given = {"model": ae.DictionaryModel(5, ae.codes.TopK(1)), "constraint": None, "start": params}
    return fit(dictionary.topk(), sweep={"learning_rate": 0.02, "seed": [0, 1]}, **given | options)


def parameters_off_by_rounding(right):
    def spoiled(state, *rest):
        rng = np.random.default_rng(5)
        off = jax.tree.map(
            lambda leaf: leaf * (1 + 1e-7 * rng.normal(size=leaf.shape)).astype(np.float32),
            state.params,
        )
        return right.epoch(state._replace(params=off), *rest)

    return right._replace(epoch=spoiled)


@pytest.mark.parametrize("optimizer", [None, optax.inject_hyperparams(optax.adam)(0.02)])
def test_rounding_that_switches_a_unit_on_every_batch_is_no_disagreement(optimizer, monkeypatch):
    with_fault(monkeypatch, parameters_off_by_rounding)
    assert tied_units(optimizer=optimizer).guard <= guard.LIMITS["float32"]


def test_an_error_in_float64_that_is_rounding_in_float32_is_named(x64, monkeypatch):
    with_fault(monkeypatch, epoch(lambda p, steps: p._replace(weight=p.weight * (1 + 1e-8))))
    with pytest.raises(guard.NumericsError, match="weight"):
        fit(X=data(dtype=np.float64))


def test_a_fault_is_named_although_units_are_about_to_switch(monkeypatch):
    with_fault(monkeypatch, epoch(lambda p, steps: one_entry_off(p)))
    with pytest.raises(guard.NumericsError, match="weight' of model 1, row 2"):
        tied_units()


def test_a_wrong_second_moment_of_adam_is_named(monkeypatch):
    def fault(right):
        def spoiled(*arguments):
            state, losses = right.epoch(*arguments)
            scale, *rest = state.optimizer
            nu = jax.tree.map(lambda leaf: 1.001 * leaf, scale.nu)
            return state._replace(optimizer=(scale._replace(nu=nu), *rest)), losses

        return right._replace(epoch=spoiled)

    with_fault(monkeypatch, fault)
    with pytest.raises(guard.NumericsError, match="optimizer"):
        fit(optimizer=optax.adam(0.01), sweep={"strength": [0.1, 0.5]})


def compiled(x):
    """Whether the objective is part of a compiled program, not evaluated op by op."""
    return isinstance(jnp.sum(x), jax.core.Tracer) and not jax.config.jax_disable_jit


def test_a_loss_that_is_another_once_compiled_is_named_on_every_machine():
    """For one strength only."""

    def faulty(model, params, x, eps, coefficients):
        loss, parts = get_objective("ae")(model, params, x, eps, {})
        wrong = jnp.where(coefficients["strength"] == 0.5, 0.01 * jnp.sum(params.bias), 0.0)
        return (loss + wrong if compiled(x) else loss), parts

    with pytest.raises(guard.NumericsError, match="of model 2"):
        fit(Objective(faulty))


def test_a_wrong_small_gradient_is_named():
    """Off by 1e-3 of E‖x‖²/‖W‖ where the right one is all rounding."""

    def faulty(model, params, x, eps, coefficients):
        loss, parts = get_objective("ae")(model, params, x, eps, {})
        return (loss + 1e-3 * jnp.sum(params.bias) if compiled(x) else loss), parts

    sweep = {"strength": 0.1, "learning_rate": 1e-6}
    with pytest.raises(guard.NumericsError, match="optimizer"):
        fit(Objective(faulty), X=data(n=1), model=OneLayer(1), sweep=sweep)


def miscompiles_broadcast_products() -> bool:
    def sums(s):
        return jax.vmap(lambda s: (jnp.ones((100, 100)) * s) @ jnp.ones((100, 100)))(s).sum((1, 2))

    s = np.arange(1.0, 4.0, dtype=np.float32)
    return not np.allclose(jax.jit(sums)(s), 100**3 * s)


def test_the_broadcast_product_of_some_jaxlibs_is_named():
    if not miscompiles_broadcast_products():
        pytest.skip("this jaxlib compiles the product correctly")

    def penalty(forward, eps):
        constant = jnp.ones((100, 100))
        product = (constant * jnp.sum(forward.params.bias + 1.0)) @ constant
        return 1e-6 * jnp.sum(product)

    with pytest.raises(guard.NumericsError, match="disagrees"):
        fit(regularized(penalty), sweep=SWEEP | {"strength": [0.1, 0.5, 1.0]})


@pytest.mark.parametrize("name", ["ae", pytest.param("cae", marks=pytest.mark.long)])
def test_rounding_alone_is_no_disagreement(name):
    """One input, one unit row: the gradient has no tangential part, so momenta are rounding."""
    sweep = {"seed": range(3)} | ({} if name == "ae" else {"strength": 0.1})
    trained = fit(name, X=data(n=1), model=OneLayer(1), sweep=sweep)
    np.testing.assert_array_equal(np.abs(trained.params.weight), 1.0)
    assert trained.guard <= guard.LIMITS["float32"]


@pytest.mark.parametrize("name", ["ae", pytest.param("cae", marks=pytest.mark.long)])
def test_means_that_are_zero_but_for_rounding_are_no_disagreement(name):
    X = np.random.default_rng(1).normal(size=(60, 6))
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    sweep = {} if name == "ae" else {"strength": [0.0, 0.1, 0.3]}
    trained = fit(name, X=X, model=OneLayer(5, "sigmoid"), sweep=sweep)
    assert trained.guard < guard.LIMITS["float32"]


@pytest.mark.long
def test_every_compiled_program_is_checked_once(monkeypatch):
    calls = []

    def spy(differences, largest, judge=guard.judge):
        calls.append(judge(differences, largest))
        return calls[-1]

    monkeypatch.setattr(guard, "judge", spy)
    sweep, model = {"strength": np.linspace(0, 1, 4)}, OneLayer(7)
    first = fit(model=model, sweep=sweep | {"seed": [0, 1, 2]})
    checks = len(calls)
    again = fit(model=model, sweep=sweep | {"seed": [3, 4, 5]})  # the same program
    fit(model=model, sweep=sweep | {"seed": [6, 7, 8], "learning_rate": 0.01})
    assert len(calls) == checks
    assert first.guard == again.guard > 0
    assert first.guard in calls
    # 12 models again, of other seeds and strengths: another program
    fit(model=model, sweep={"strength": [0.1, 0.2, 0.3], "seed": [0, 1, 2, 3]})
    assert len(calls) == 2 * checks


@pytest.mark.long
def test_a_training_at_another_precision_is_judged_by_its_limit(monkeypatch):
    limits = []

    def spy(differences, largest):
        limits.append(largest)
        return 0.0

    monkeypatch.setattr(guard, "judge", spy)
    fit(matmul_precision="bfloat16", model=OneLayer(3))
    assert guard.PRODUCT_LIMITS["bfloat16"] in limits
