"""The named axes of a grid: what they accept, in which order models lie along them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aesparse.errors import InputError
from aesparse.training.sweep import parse_sweep

SGD = {"learning_rate": 0.001, "momentum": 0.9}


def parsed(sweep, coefficients=("strength",), hyperparameters=SGD):
    return parse_sweep(sweep, coefficients=coefficients, hyperparameters=hyperparameters)


def test_columns_are_a_loop_over_the_product_of_the_axes():
    strengths, pairs, seeds = [0.0, 0.5, 2.0], [(0.1, 0.0), (0.2, 0.9)], (4, 2)
    sweep = parsed(
        {"strength": strengths, ("learning_rate", "momentum"): pairs, "seed": seeds, "decay": 7},
        hyperparameters={**SGD, "decay": 1.0},
    )
    rows = itertools.product(strengths, pairs, seeds)
    models = [
        {"strength": s, "learning_rate": lr, "momentum": mu, "seed": seed, "decay": 7}
        for s, (lr, mu), seed in rows
    ]
    assert sweep.shape == (3, 2, 2)
    assert sweep.size == 12
    for name in models[0]:
        assert sweep.column(name).tolist() == [model[name] for model in models]
    assert [axis.names for axis in sweep.axes] == [
        ("strength",),
        ("learning_rate", "momentum"),
        ("seed",),
    ]
    assert [axis.size for axis in sweep.axes] == [3, 2, 2]
    assert sweep.fixed == {"decay": 7}


def test_axes_stand_in_the_order_of_the_mapping():
    sweep = parsed({"seed": [0, 1], "strength": [1.0, 2.0, 3.0]})
    assert sweep.shape == (2, 3)
    assert sweep.column("seed").tolist() == [0, 0, 0, 1, 1, 1]


def test_what_is_not_given_takes_its_default():
    sweep = parsed(None, coefficients=())
    assert sweep.axes == ()
    assert sweep.shape == ()
    assert sweep.size == 1
    assert sweep.fixed == {"learning_rate": 0.001, "momentum": 0.9, "seed": 0}
    assert sweep.column("momentum").tolist() == [0.9]
    assert parsed({"strength": 0.25, "seed": 3}).fixed == {"strength": 0.25, **SGD, "seed": 3}


def test_a_default_in_float32_is_the_number_that_was_meant():
    rate = jnp.asarray(0.001, jnp.float32)
    assert float(rate) != 0.001
    assert parsed({"strength": 1}, hyperparameters={"rate": rate}).fixed["rate"] == 0.001


def test_the_seed_is_an_integer_and_all_else_is_float64():
    sweep = parsed({"strength": [1, 2], "seed": np.arange(2, dtype=np.uint8)})
    assert sweep.column("seed").dtype.kind == "i"
    assert sweep.column("strength").dtype == sweep.column("momentum").dtype == np.float64
    fixed = parsed({"strength": 1, "seed": np.int16(3)})
    assert isinstance(fixed.fixed["seed"], int)
    assert fixed.column("seed").dtype.kind == "i"
    assert isinstance(fixed.fixed["strength"], float)


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 2],
        (0, 1, 2),
        range(3),
        np.arange(3),
        np.arange(3, dtype=np.float16),
        jnp.arange(3),
        jnp.arange(3, dtype=jnp.bfloat16),
        [np.float32(0), jnp.asarray(1), 2.0],
    ],
    ids=str,
)
def test_any_sequence_or_array_of_numbers_is_an_axis(values):
    sweep = parsed({"strength": values})
    assert sweep.shape == (3,)
    assert sweep.column("strength").tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2), jnp.asarray(2.0)], ids=repr)
def test_any_single_number_is_fixed(value):
    sweep = parsed({"strength": value})
    assert sweep.shape == ()
    assert sweep.fixed["strength"] == 2


def test_one_value_in_a_list_is_an_axis_and_values_may_repeat():
    assert parsed({"strength": [0.5], "seed": [1, 1]}).shape == (1, 2)


def test_seeds_may_be_zipped_with_strengths():
    sweep = parsed({("strength", "seed"): [(0.5, 3), (0.25, 2**31 - 1)]})
    assert sweep.column("seed").tolist() == [3, 2**31 - 1]
    assert sweep.column("seed").dtype.kind == "i"


def test_the_sweep_does_not_follow_later_changes_of_the_callers_array():
    values = np.array([0.5, 1.0])
    sweep = parsed({"strength": values})
    values[:] = -1
    assert sweep.column("strength").tolist() == [0.5, 1.0]


MASKED = np.ma.masked_array([0.1, 0.2], [False, True])


@pytest.mark.parametrize(
    "sweep",
    [
        {"strength": bad}
        for bad in (
            [],
            [[0.1, 0.2]],
            "0.1",
            ["0.1"],
            None,
            True,
            np.True_,
            [0.1, True],
            [0.1, np.array(True)],
            np.array([True, False]),
            jnp.asarray(True),
            1j,
            [0.1, 1j],
            MASKED,
            [0.1, np.ma.masked],
            [0.1, [0.2]],
            -0.1,
            [0.1, -0.1],
            np.nan,
            [0.1, np.inf],
            10**400,
            {0.1},
            {0.1: 1},
            (x for x in (0.1, 0.2)),
            jax.random.key(0),
            range(10**15),
        )
    ]
    + [
        {"strength": 1, "seed": bad}
        for bad in (
            -1, 2**31, 0.5, 3.0, [0.0, 1.0], [], True, [0, True], "0", [[0]], 10**30,
            range(2**70), iter([1, 2]), np.ma.masked_array([1, 2], [0, 1]),
        )
    ]
    + [{"strength": 1, "learning_rate": bad} for bad in (0, -1, np.nan, np.inf, [0.1, 0])]
    + [{"strength": 1, "momentum": bad} for bad in (-0.1, 1, [0.5, 1.5], np.nan)]
    + [
        {("strength", "seed"): bad}
        for bad in (
            [0.1, 0.2], [(0.1,)], [(0.1, 1, 2)], [], (0.1, 1), 0.1, [(0.1, 0.5)], [(0.1, -1)],
            [(-0.1, 1)], [(0.1, True)], [(0.1, "1")], [(0.1, 1), (0.2,)], [(np.nan, 1)],
        )
    ]
    + [
        {("strength", "seed"): [(0.1, 0)], "strength": 1},
        {"seed": 0, ("strength", "seed"): [(0.1, 0)]},
        {("strength", "strength"): [(0.1, 0.2)]},
        {(): [0.1], "strength": 1},
        {"strength": 1, 3: [0.1]},
        {"strength": 1, ("seed", 3): [(0, 1)]},
        {"strength": 1, None: 3},
        {"strength": 1, "strenght": 2},
        {"strength": 1, frozenset({"seed"}): [0]},
        {"seed": 0},
        {},
        None,
        [("strength", 1)],
        "strength",
        0.1,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_everything_else_is_refused_in_one_sentence(sweep):
    with pytest.raises(InputError) as refused:
        parsed(sweep)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 350


def test_a_misspelt_name_is_answered_with_the_near_and_the_known_ones():
    with pytest.raises(InputError) as refused:
        parsed({"strenght": 1})
    message = str(refused.value)
    assert message.index("strenght") < message.rindex("strength")
    assert all(name in message for name in ("learning_rate", "momentum", "seed"))


def test_every_missing_coefficient_is_named():
    with pytest.raises(InputError) as refused:
        parsed({"beta": 0.1}, coefficients=("corruption", "beta", "gamma"))
    assert "corruption" in str(refused.value)
    assert "gamma" in str(refused.value)
    assert "beta" not in str(refused.value)


@pytest.mark.parametrize(
    ("coefficients", "hyperparameters"),
    [(("momentum",), SGD), (("seed",), SGD), ((), {"seed": 1}), (("a", "a"), {})],
)
def test_a_name_stands_for_one_thing(coefficients, hyperparameters):
    with pytest.raises(InputError, match="two things"):
        parsed(
            dict.fromkeys(coefficients, 0.1),
            coefficients=coefficients,
            hyperparameters=hyperparameters,
        )


def test_other_hyperparameters_only_need_to_be_finite():
    sweep = parsed({"strength": 1, "eps_root": [-1.0, 0.0]}, hyperparameters={"eps_root": 0.5})
    assert sweep.column("eps_root").tolist() == [-1, 0]
    with pytest.raises(InputError):
        parsed({"strength": 1, "eps_root": [0.0, np.inf]}, hyperparameters={"eps_root": 0.5})


def test_a_column_of_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="strength"):
        parsed({"strength": 1}).column("strengths")
