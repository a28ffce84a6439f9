"""A saved model comes back whole: parameters bit by bit, activation, scaler, coordinates."""

import io
import json
import tracemalloc
import zipfile

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aesparse.data import standardize, whiten
from aesparse.errors import InputError
from aesparse.models import saved
from aesparse.models.activations import ACTIVATIONS, Activation, shrink
from aesparse.models.codes import BatchTopK, Gated, JumpRelu, Relu, TopK
from aesparse.models.dictionary import DictionaryModel
from aesparse.models.flax import FlaxModel
from aesparse.models.one_layer import OneLayer, Params


def numbers(params):
    return jax.tree.map(np.asarray, params)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("options", [{}, {"tied": False, "decoder_bias": True}])
def test_a_model_comes_back_whole(name, options, tmp_path, rng):
    model = OneLayer(4, Activation(ACTIVATIONS[name].fn, 0.25), **options)
    params = numbers(model.init(jax.random.key(0), 6))
    X = rng.normal(size=(20, 6)) + 3
    scaler, where = standardize(X, 0.1), {"strength": 0.25, "seed": np.int64(3)}
    saved.save(tmp_path / "model", model, params, scaler=scaler, coordinates=where)
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]
    again, known, same_scaler, coordinates = saved.load(tmp_path / "model.npz")
    assert again == model
    assert coordinates == {"strength": 0.25, "seed": 3}
    assert isinstance(coordinates["seed"], int)
    for one, two in zip(params, known, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one is None or one.dtype == two.dtype
    np.testing.assert_array_equal(same_scaler(X), scaler(X))


@pytest.mark.parametrize("rule", [Relu(), TopK(2), BatchTopK(3), JumpRelu(0.25, 0.5), Gated()])
def test_a_dictionary_comes_back_whole(rule, tmp_path):
    model = DictionaryModel(4, rule, subtract_decoder_bias=isinstance(rule, TopK))
    params = numbers(model.init(jax.random.key(0), 6))
    saved.save(tmp_path / "model", model, params, coordinates={"seed": 3})
    again, known, scaler, coordinates = saved.load(tmp_path / "model.npz")
    assert (again, scaler, coordinates) == (model, None, {"seed": 3})
    assert jax.tree.structure(known) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, known, params)


def test_a_width_that_a_built_in_activation_has_is_known_by_its_value(tmp_path):
    model, params = OneLayer(2, shrink(0.5)), Params(np.ones((2, 3)), np.zeros(2))
    saved.save(tmp_path / "m", model, params)
    assert saved.load(tmp_path / "m")[0] == OneLayer(2, "shrink")


def test_float64_parameters_stay_as_they_are(tmp_path):
    """Also where JAX itself computes in float32."""
    model, weight = OneLayer(2), np.random.default_rng(0).normal(size=(2, 3))
    saved.save(tmp_path / "m.npz", model, Params(weight, np.zeros(2)))
    _, params, scaler, coordinates = saved.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(params.weight, weight)
    assert params.weight.dtype == np.float64
    assert (scaler, coordinates) == (None, {})


def test_bfloat16_parameters_stay_as_they_are(tmp_path):
    model, weight = OneLayer(2), np.arange(6).reshape(2, 3).astype(jnp.bfloat16)
    saved.save(tmp_path / "m.npz", model, Params(weight, np.zeros(2, jnp.bfloat16)))
    _, params, _, _ = saved.load(tmp_path / "m.npz")
    assert params.weight.dtype == jnp.bfloat16
    np.testing.assert_array_equal(params.weight, weight)


def test_whitening_is_saved_too(tmp_path, rng):
    X, model = rng.normal(size=(30, 4)), OneLayer(2)
    scaler = whiten(X, 3)
    saved.save(tmp_path / "m.npz", model, numbers(model.init(jax.random.key(0), 3)), scaler=scaler)
    np.testing.assert_array_equal(saved.load(tmp_path / "m.npz")[2](X), scaler(X))


def test_what_cannot_be_saved_whole_is_refused(tmp_path):
    model = OneLayer(2)
    params = numbers(model.init(jax.random.key(0), 3))
    stacked = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), params)
    deep = FlaxModel(nn.Dense(2), nn.Dense(3))
    atoms = numbers(DictionaryModel(2).init(jax.random.key(0), 3))
    wrong = {
        "cannot hold its function": (OneLayer(2, lambda a: a**2), params, {}),
        r"width=0\.25": (OneLayer(2, shrink(0.25)), params, {}),
        "FlaxModel": (deep, deep.init(jax.random.key(0), 3), {}),
        "one-layer model": (model, stacked, {}),
        "one such model": (OneLayer(2, tied=False), params, {}),
        "Params": (model, {"weight": params.weight}, {}),
        "DictionaryParams": (DictionaryModel(2), params, {}),
        "what its rule has": (DictionaryModel(2, Gated()), atoms, {}),
        "own rule": (DictionaryModel(2, OwnRule()), atoms, {}),
    }
    for word, (given, numbers_, options) in wrong.items():
        with pytest.raises(InputError, match=word):
            saved.save(tmp_path / "m.npz", given, numbers_, **options)
    assert not list(tmp_path.iterdir())


class OwnRule(Relu):
    def __repr__(self):
        return "own rule"


def rewritten(path, **changes):
    stored = dict(np.load(path)) | changes
    np.savez(path, **{k: v for k, v in stored.items() if v is not None})


@pytest.mark.parametrize(
    "change",
    [
        {"settings": None},
        {"settings": np.array("{")},
        {"settings": np.array(json.dumps({"kind": "else"}))},
        {"weight": None},
        {"bias": np.zeros(5)},
        {"weight": np.ones((2, 3), int)},
        {"more": np.zeros(1)},
    ],
)
def test_a_file_that_holds_no_model_is_refused(change, tmp_path):
    path, model = tmp_path / "m.npz", OneLayer(2)
    saved.save(path, model, numbers(model.init(jax.random.key(0), 3)))
    saved.load(path)
    rewritten(path, **change)
    with pytest.raises(InputError, match=r"m\.npz"):
        saved.load(path)


def test_a_file_of_the_kind_without_a_checksum_is_still_read(tmp_path):
    path, model = tmp_path / "m.npz", OneLayer(2)
    params = numbers(model.init(jax.random.key(0), 3))
    saved.save(path, model, params, coordinates={"seed": 3.0})
    settings = json.loads(str(np.load(path)["settings"]))
    former = {k: v for k, v in settings.items() if k != "sha256"}
    rewritten(path, settings=json.dumps(former | {"kind": "aesparse.OneLayer 1"}))
    again, known, _, coordinates = saved.load(path)
    assert (again, coordinates) == (model, {"seed": 3})
    np.testing.assert_array_equal(known.weight, params.weight)
    rewritten(path, settings=json.dumps(former))  # of the new kind, without its checksum
    with pytest.raises(InputError, match="checksum"):
        saved.load(path)
    edited = settings | {"kind": "aesparse.OneLayer 1"}  # of the first kind, with a checksum
    rewritten(path, settings=json.dumps(edited))
    with pytest.raises(InputError, match="checksum"):
        saved.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: {"weight": s["weight"] * 2},
        lambda s: {"weight": s["weight"].astype(np.float64)},
        lambda s: {"weight": s["weight"].view(np.int32).view(np.float32) + 0.5},
        lambda s: {"weight": s["weight"][::-1]},
        lambda s: {"bias": -s["bias"] - 0.0},
        lambda s: {"scaler_mean": s["scaler_mean"] + 1},
        lambda s: {"scaler_mean": None, "scaler_matrix": None},
        lambda s: {"settings": str(s["settings"]).replace("0.25", "0.5")},
        lambda s: {"settings": str(s["settings"]).replace("relu", "tanh")},
        lambda s: {"settings": "[]"},
        lambda s: {"settings": "[" * 10**5},
        lambda s: {"settings": np.array([1, 2])},
    ],
)
def test_an_edit_that_leaves_the_archive_sound_is_noticed(change, tmp_path, rng):
    path, model = tmp_path / "m.npz", OneLayer(2)
    scaler = standardize(rng.normal(size=(9, 3)))
    params = numbers(model.init(jax.random.key(0), 3))
    saved.save(path, model, params, scaler=scaler, coordinates={"strength": 0.25})
    rewritten(path)
    saved.load(path)
    rewritten(path, **change(np.load(path)))
    with pytest.raises(InputError, match=r"m\.npz"):
        saved.load(path)


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path):
    path, model = tmp_path / "m.npz", OneLayer(2)
    saved.save(path, model, numbers(model.init(jax.random.key(0), 3)))
    stored = dict(np.load(path))
    np.savez_compressed(path, **stored, filler=np.zeros(10**7))
    tracemalloc.start()
    with pytest.raises(InputError, match="compressed"):
        saved.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in stored.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            claim = buffer.getvalue().replace(b"(2, 3)", b"(2**9,") if name == "weight" else None
            huge = buffer.getvalue().replace(b"(2, 3), }    ", b"(2, 3000000), }")
            assert claim is None or huge != buffer.getvalue()
            archive.writestr(f"{name}.npy", huge)
    with pytest.raises(InputError, match=r"m\.npz"):
        saved.load(path)
    assert tracemalloc.get_traced_memory()[1] < 2**23  # 80 MB and 36 MB are claimed
    tracemalloc.stop()


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 broken", b"text"])
def test_a_broken_file_is_refused(content, tmp_path):
    path = tmp_path / "m.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.npz"):
        saved.load(path)


def test_arrays_of_a_device_are_saved(tmp_path):
    model = OneLayer(2)
    params = model.init(jax.random.key(0), 3)
    saved.save(tmp_path / "m.npz", model, params)
    assert jnp.array_equal(saved.load(tmp_path / "m.npz")[1].weight, params.weight)
