"""A trained grid: selecting from its axes, one model in the units of its data, as a dataset."""

import dataclasses
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aesparse.data import standardize, whiten
from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.losses.objectives import get_objective
from aesparse.metrics import activation_statistics
from aesparse.models.one_layer import OneLayer
from aesparse.training.result import Result, TrainedModel
from aesparse.training.sweep import Axis, parse_sweep

N_INPUTS, HIDDEN, EPOCHS, MOMENTS = 4, 3, 5, 2
STRENGTHS, RATES, MOMENTA, SEEDS = [0.0, 0.1, 1.0], [0.1, 0.1, 0.3], [0.0, 0.9, 0.9], [7, 3]
FIRST_KEY = jax.random.key(5)


class Encoder(NamedTuple):
    weight: np.ndarray
    shift: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Rectified:
    """h = max(0, W x), y = D h, with parameters in a dict that holds a NamedTuple."""

    hidden: int = HIDDEN

    def init(self, key, n):
        weight = jax.random.normal(key, (self.hidden, n))
        return {"encoder": Encoder(weight), "decoder": weight.T}

    def encode(self, params, x):
        return jnp.maximum(x @ params["encoder"].weight.T, 0)

    def decode(self, params, h):
        return h @ params["decoder"].T


def penalized(model, params, x, eps, coefficients):
    return coefficients["strength"] * jnp.mean(model.encode(params, x) ** 2), {}


PENALIZED = Objective(penalized, ("strength",))


class UnitCounts(NamedTuple):
    active: np.ndarray
    error: np.ndarray


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def grid(sweep=None, **changes):
    """A result whose numbers are random, over the axes of a sweep."""
    if sweep is None:
        sweep = {
            "strength": STRENGTHS,
            ("learning_rate", "momentum"): list(zip(RATES, MOMENTA, strict=True)),
            "seed": SEEDS,
        }
    defaults = {"learning_rate": 0.001, "momentum": 0.9, "decay": 0.5}
    axes, fixed = parse_sweep(sweep, coefficients=["strength"], hyperparameters=defaults)
    shape = tuple(axis.size for axis in axes)
    fields = {
        "axes": axes,
        "fixed": fixed,
        "model": Rectified(),
        "objective": PENALIZED,
        "params": {
            "encoder": Encoder(numbers(*shape, HIDDEN, N_INPUTS)),
            "decoder": numbers(*shape, N_INPUTS, HIDDEN, seed=1),
        },
        "losses": {
            "loss": numbers(*shape, EPOCHS, seed=2),
            "penalty": numbers(*shape, EPOCHS, seed=3),
        },
        "history": UnitCounts(
            numbers(*shape, HIDDEN, MOMENTS, seed=4), numbers(*shape, MOMENTS, seed=5)
        ),
        "history_epochs": np.array([0, EPOCHS]),
        "final": UnitCounts(numbers(*shape, HIDDEN, seed=6), numbers(*shape, seed=7)),
        "diverged_epoch": np.arange(-1, math.prod(shape) - 1, dtype=np.int32).reshape(shape),
        "guard": 1e-6,
        "key_data": np.asarray(jax.random.key_data(FIRST_KEY)),
    }
    return Result(**(fields | changes))


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_shape_sizes_and_coordinates_are_those_of_the_axes():
    result = grid()
    assert result.shape == (3, 3, 2)
    assert result.sizes == {"strength": 3, "learning_rate": 3, "seed": 2}
    assert {name: list(values) for name, values in result.coordinates.items()} == {
        "strength": STRENGTHS,
        "learning_rate": RATES,
        "momentum": MOMENTA,
        "seed": SEEDS,
    }


def test_a_selected_model_is_the_one_at_its_place():
    result = grid()
    places = itertools.product(
        enumerate(STRENGTHS), enumerate(zip(RATES, MOMENTA, strict=True)), enumerate(SEEDS)
    )
    for (i, strength), (j, (rate, momentum)), (k, seed) in places:
        trained = result.select(strength=strength, learning_rate=rate, momentum=momentum, seed=seed)
        assert isinstance(trained, TrainedModel)
        same(trained.params["encoder"].weight, result.params["encoder"].weight[i, j, k])
        same(trained.params["decoder"], result.params["decoder"][i, j, k])
        assert trained.coordinates == {
            "strength": strength,
            "learning_rate": rate,
            "momentum": momentum,
            "seed": seed,
            "decay": 0.5,
        }


def test_a_part_of_the_grid_keeps_the_other_axes_and_all_arrays_follow():
    result = grid()
    part = result.select(strength=0.1)
    assert isinstance(part, Result)
    assert part.sizes == {"learning_rate": 3, "seed": 2}
    assert part.fixed == {"decay": 0.5, "strength": 0.1}
    for name in ("params", "losses", "history", "final", "diverged_epoch"):
        same(getattr(part, name), jax.tree.map(lambda leaf: leaf[1], getattr(result, name)))
    same(part.history_epochs, result.history_epochs)
    middle = result.select(learning_rate=0.3)
    same(middle.losses["loss"], result.losses["loss"][:, 2])
    assert middle.fixed["momentum"] == 0.9
    last = result.select(seed=3)
    same(last.history.active, result.history.active[:, :, 1])
    same(
        part.select(seed=3, momentum=0.0).params,
        result.select(strength=0.1, seed=3, momentum=0.0).params,
    )


def test_without_a_name_the_result_is_the_same_and_without_axes_it_is_a_model():
    result = grid()
    assert result.select().sizes == result.sizes
    single = grid({"strength": 0.25, "seed": 3})
    assert single.shape == ()
    trained = single.select()
    assert trained.coordinates == single.fixed
    same(trained.params, single.params)
    same(single.select(strength=0.25, seed=3).params, single.params)


@pytest.mark.parametrize(
    "value", [0.1, np.float32(0.1), np.float64(np.float32(0.1)), jnp.asarray(0.1), np.array(0.1)]
)
def test_a_value_matches_in_either_precision(value):
    assert grid().select(strength=value).fixed["strength"] == 0.1
    assert grid({"strength": 0.1, "seed": [0, 1]}).select(strength=value).shape == (2,)
    rounded = grid({"strength": np.array([0.1, 0.2], np.float32)})
    assert rounded.select(strength=value).coordinates["strength"] == np.float32(0.1)


def test_values_that_are_close_are_told_apart_where_one_is_equal():
    sweep = {"strength": [1.0, 1.0 + 1e-9, 0.0, 1e-12], "seed": [2_000_000, 2_000_001]}
    result = grid(sweep)
    for i, j in itertools.product(range(4), range(2)):
        trained = result.select(strength=sweep["strength"][i], seed=sweep["seed"][j])
        same(trained.params["decoder"], result.params["decoder"][i, j])


@pytest.mark.parametrize(
    "near", [{"seed": 2_000_001}, {"strength": 1e-9}, {"strength": 2.0 * (1 + 1e-5)}], ids=str
)
def test_a_value_that_is_only_near_is_not_taken_for_another(near):
    with pytest.raises(InputError):
        grid({"strength": [0.0, 2.0], "seed": [2_000_000, 5]}).select(**near)


@pytest.mark.parametrize(
    ("coordinates", "word"),
    [
        ({"strenght": 0.1}, "strength"),
        ({"strength": 0.2}, "1.0"),
        ({"strength": float("nan")}, "1.0"),
        ({"strength": float("inf")}, "1.0"),
        ({"seed": 4}, "7"),
        ({"learning_rate": 0.1}, "0.9"),  # two points
        ({"momentum": 0.9}, "0.3"),
        ({"learning_rate": 0.3, "momentum": 0.0}, "0.9"),  # each is there, not together
        ({"decay": 0.4}, "0.5"),
        ({"strength": "0.1"}, "strength"),
        ({"strength": None}, "strength"),
        ({"strength": True}, "strength"),
        ({"seed": False}, "seed"),
        ({"strength": [0.1]}, "strength"),
        ({"strength": slice(None)}, "strength"),
        ({"strength": 10**400}, "strength"),
        ({"strength": 1j}, "strength"),
    ],
)
def test_what_is_not_there_once_is_refused_with_what_is_there(coordinates, word):
    with pytest.raises(InputError) as refused:
        grid().select(**coordinates)
    assert word in str(refused.value)
    assert "\n" not in str(refused.value)


def test_repeated_values_of_an_axis_cannot_be_selected():
    with pytest.raises(InputError, match="2 points"):
        grid({"strength": 1, "seed": [1, 1, 0]}).select(seed=1)


def test_a_result_without_parameters_gives_parts_and_no_model():
    result = grid(params=None)
    part = result.select(strength=0.1)
    assert part.params is None
    same(part.losses["loss"], result.losses["loss"][1])
    with pytest.raises(InputError, match="keep_params"):
        part.select(seed=7, learning_rate=0.3)


def plain_encode(params, x):
    return np.maximum(x @ params["encoder"].weight.T, 0)


def plain_decode(params, h):
    return h @ params["decoder"].T


def close(one, other):
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


@pytest.fixture
def trained():
    return grid({"strength": 0.25, "seed": 3}).select()


def test_a_model_encodes_decodes_and_reconstructs_rows_and_one_row(trained):
    x = numbers(6, N_INPUTS, seed=8)
    h = plain_encode(trained.params, x)
    assert isinstance(trained.encode(x), np.ndarray)
    close(trained.encode(x), h)
    close(trained.decode(h), plain_decode(trained.params, h))
    close(trained.reconstruct(x), plain_decode(trained.params, h))
    close(trained.encode(x[0]), h[0])
    close(trained.reconstruct(jnp.asarray(x[0])), plain_decode(trained.params, h[0]))
    same(trained.encode((8 * x).astype(int)), trained.encode(np.trunc(8 * x)))


SPREAD = np.array([5.0, 0.1, 2.0, 1.0], np.float32)


@pytest.mark.parametrize("rank", [None, N_INPUTS, 2], ids=["standardize", "whiten", "whiten to 2"])
def test_a_scaler_is_applied_first_and_undone_last(trained, rank):
    data = numbers(50, N_INPUTS, seed=9) * SPREAD + 3
    scaler = standardize(data) if rank is None else whiten(data, rank)
    params = {
        "encoder": Encoder(trained.params["encoder"].weight[:, : rank or N_INPUTS]),
        "decoder": trained.params["decoder"][: rank or N_INPUTS],
    }
    scaled = dataclasses.replace(trained, params=params).with_scaler(scaler)
    mean, matrix = scaler
    matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
    h = plain_encode(params, (data - mean) @ matrix)
    back = np.linalg.solve(matrix.T @ matrix, matrix.T)  # (MᵀM)⁻¹ Mᵀ
    close(scaled.encode(data), h)
    close(scaled.decode(scaled.encode(data)), mean + plain_decode(params, h) @ back)
    close(scaled.reconstruct(data), mean + plain_decode(params, h) @ back)
    close(scaled.reconstruct(data[0]), scaled.reconstruct(data)[0])
    assert scaled.encode(data).dtype == np.float32
    same(scaled.with_scaler(None).params, params)
    assert scaled.with_scaler(None).scaler is None


class Whole(NamedTuple):
    """An encoder and decoder that change nothing."""

    def init(self, key, n):
        return {}

    def encode(self, params, x):
        return x

    def decode(self, params, h):
        return h


def test_a_perfect_model_reconstructs_in_the_units_of_the_data_what_the_scaler_keeps():
    data = numbers(50, N_INPUTS, seed=9) * SPREAD + 3
    for scaler in (standardize(data), whiten(data)):
        close(TrainedModel(Whole(), {}, {}, scaler).reconstruct(data), data)
    scaler = whiten(data, 2)
    kept = np.linalg.qr(scaler.matrix)[0]
    projected = scaler.mean + (data - scaler.mean) @ kept @ kept.T
    close(TrainedModel(Whole(), {}, {}, scaler).reconstruct(data), projected)


@pytest.mark.parametrize(
    "x",
    [
        numbers(6, N_INPUTS + 1),
        numbers(N_INPUTS - 1),
        numbers(2, 3, N_INPUTS),
        np.array(1.0),
        np.zeros((0, N_INPUTS)),
        np.array([[1.0, np.nan, 0, 0]]),
        np.array([["a", "b", "c", "d"]]),
        np.ma.masked_array(numbers(2, N_INPUTS), True),
    ],
)
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("part", ["encode", "reconstruct", "measure"])
def test_rows_of_another_kind_are_refused_in_one_sentence(trained, x, scaled, part):
    if scaled:
        trained = trained.with_scaler(standardize(numbers(9, N_INPUTS)))
    more = (lambda model, x: model.model.encode(model.params, x),) if part == "measure" else ()
    with pytest.raises(InputError) as refused:
        getattr(trained, part)(x, *more)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("h", [numbers(2, HIDDEN + 1), np.array(0.0), np.array("code")])
def test_codes_of_another_kind_are_refused_in_one_sentence(trained, h):
    with pytest.raises(InputError):
        trained.decode(h)


@pytest.mark.parametrize("scaler", ["whiten", np.eye(3), lambda x: x, (np.zeros(3), np.ones(3))])
def test_a_scaler_of_another_kind_is_refused(trained, scaler):
    with pytest.raises(InputError, match="standardize"):
        trained.with_scaler(scaler)


def test_a_measurement_sees_model_parameters_coefficients_and_the_seeds_key():
    result = grid()
    trained = result.select(strength=0.1, learning_rate=0.3, seed=3)
    x = numbers(6, N_INPUTS, seed=8)

    def measurement(seen, rows):
        assert seen.model == Rectified()
        assert seen.objective == PENALIZED
        assert set(seen.coefficients) == {"strength"}
        noise = jax.random.normal(seen.key, (2,))
        return {
            "codes": seen.model.encode(seen.params, rows),
            "rest": (seen.coefficients["strength"], noise),
        }

    measured = trained.measure(x, measurement)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(measured))
    close(measured["codes"], plain_encode(trained.params, x))
    close(measured["rest"][0], 0.1)
    same(measured["rest"][1], jax.random.normal(jax.random.fold_in(FIRST_KEY, 3), (2,)))
    scaler = standardize(x)
    scaled = trained.with_scaler(scaler).measure(x, measurement)
    close(scaled["codes"], plain_encode(trained.params, scaler(x)))


def test_the_librarys_measurement_of_a_model_is_a_plain_mean_of_its_codes():
    model = OneLayer(HIDDEN)
    params = jax.tree.map(np.asarray, model.init(jax.random.key(1), N_INPUTS))
    objective, x = get_objective("cae"), numbers(700, N_INPUTS, seed=8)
    trained = TrainedModel(model, params, {"strength": 0.25}, objective=objective)
    measured = trained.measure(x, activation_statistics)
    h = np.maximum(x @ params.weight.T, 0)
    close(measured.activation_fraction, np.mean(h > 0))
    close(measured.reconstruction, np.mean(np.sum((x - h @ params.weight) ** 2, axis=1)))


def test_a_model_without_its_objective_measures_once_one_is_named(trained):
    alone = TrainedModel(trained.model, trained.params, trained.coordinates)
    x = numbers(6, N_INPUTS, seed=8)

    def measurement(seen, rows):
        return seen.model.encode(seen.params, rows), jax.random.key_data(seen.key)

    with pytest.raises(InputError, match="objective"):
        alone.measure(x, measurement)
    with pytest.raises(InputError, match="beta"):
        alone.measure(x, measurement, objective=Objective(penalized, ("beta",)))
    codes, key = alone.measure(x, measurement, objective=PENALIZED)
    close(codes, plain_encode(trained.params, x))
    same(key, jax.random.key_data(jax.random.key(0)))


@pytest.mark.parametrize(
    "measurement", [lambda x: x, lambda trained, x: x @ x, lambda trained, x: trained.codes]
)
def test_a_measurement_of_another_kind_is_refused_in_one_sentence(trained, measurement):
    with pytest.raises(InputError):
        trained.measure(numbers(6, N_INPUTS), measurement)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_one_layer_model_returns_whole_from_a_file(tmp_path, scaled):
    model = OneLayer(HIDDEN, activation="sigmoid", tied=False, decoder_bias=True)
    params = jax.tree.map(np.asarray, model.init(jax.random.key(1), N_INPUTS))
    x = numbers(20, N_INPUTS, seed=8)
    trained = TrainedModel(
        model, params, {"strength": 0.25, "seed": 3}, standardize(x) if scaled else None
    )
    trained.save(tmp_path / "model.npz")
    read = TrainedModel.load(tmp_path / "model.npz")
    assert read.model == model
    assert read.coordinates == {"strength": 0.25, "seed": 3}
    same(read.params, params)
    same(read.scaler, trained.scaler)
    same(read.encode(x), trained.encode(x))
    same(read.reconstruct(x), trained.reconstruct(x))


def test_a_model_of_the_users_own_leaves_no_file(tmp_path, trained):
    with pytest.raises(InputError):
        trained.save(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_names_and_sizes_are_shown_without_the_arrays(trained):
    assert "strength: 3" in repr(grid())
    assert "strength=0.25" in repr(trained)
    assert len(repr(grid())) + len(repr(trained)) < 300


def test_a_dataset_has_the_axes_as_dimensions_and_every_array():
    result = grid()
    dataset = result.to_xarray()
    grid_dims = ("strength", "learning_rate", "seed")
    assert {name: variable.dims for name, variable in dataset.data_vars.items()} == {
        "loss_loss": (*grid_dims, "epoch"),
        "loss_penalty": (*grid_dims, "epoch"),
        "history_active": (*grid_dims, "history_active_0", "moment"),
        "history_error": (*grid_dims, "moment"),
        "active": (*grid_dims, "active_0"),
        "error": grid_dims,
        "param_encoder_weight": (*grid_dims, "param_encoder_weight_0", "param_encoder_weight_1"),
        "param_decoder": (*grid_dims, "param_decoder_0", "param_decoder_1"),
        "diverged_epoch": grid_dims,
    }
    chosen = dataset.sel(strength=1.0, seed=3).isel(learning_rate=1)
    at = (2, 1, 1)
    same(chosen["loss_penalty"], result.losses["penalty"][at])
    same(chosen["history_active"].sel(moment=EPOCHS), result.history.active[at][:, 1])
    same(chosen["error"], result.final.error[at])
    same(chosen["param_encoder_weight"], result.params["encoder"].weight[at])
    same(chosen["diverged_epoch"], result.diverged_epoch[at])
    assert dataset["epoch"].values.tolist() == [1, 2, 3, 4, 5]
    assert dataset["moment"].values.tolist() == [0, EPOCHS]
    assert dataset["momentum"].dims == ("learning_rate",)
    assert dataset["momentum"].values.tolist() == MOMENTA
    assert dataset["seed"].values.tolist() == SEEDS
    assert dataset.attrs == {"decay": 0.5, "guard": 1e-6}


def test_a_dataset_returns_from_a_file(tmp_path):
    import xarray as xr

    dataset = grid().to_xarray()
    dataset.to_netcdf(tmp_path / "grid.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "grid.nc", engine="scipy") as read:
        xr.testing.assert_equal(read, dataset)
        assert read.attrs == dataset.attrs


def test_datasets_of_measurements_without_names_and_of_no_axes():
    result = grid(
        {"strength": 1, "seed": 2}, history=np.zeros(MOMENTS), final=np.zeros(()), params=None
    )
    dataset = result.to_xarray()
    assert dataset["history"].dims == ("moment",)
    assert dataset["final"].dims == ()
    assert dataset["loss_loss"].dims == ("epoch",)
    assert dataset.attrs["seed"] == 2


@pytest.mark.parametrize("name", ["strength", "momentum", "epoch", "moment", "diverged_epoch"])
def test_a_measurement_that_would_hide_a_coordinate_is_refused(name):
    result = grid()
    with pytest.raises(InputError, match=name):
        dataclasses.replace(result, final={name: np.zeros(result.shape)}).to_xarray()


def test_an_axis_called_like_a_dimension_of_the_dataset_is_refused():
    result = grid({"strength": [1.0, 2.0]})
    axis = Axis(("epoch",), (np.array([1.0, 2.0]),))
    with pytest.raises(InputError, match="epoch"):
        dataclasses.replace(result, axes=(axis,)).to_xarray()
