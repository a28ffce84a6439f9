"""The comparison with other libraries: what it measures, and the numbers that are stored."""

import json
import statistics
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA

import aesparse as ae
from aesparse.losses.objectives import get_objective
from benchmarks import comparisons, methods, side_by_side
from benchmarks.methods import METHODS, Setting
from benchmarks.side_by_side import Data

ROOT = Path(__file__).parents[1]
COMPILED = ("SparseAutoencoder", "DictionaryModel, top-k")
SETTING = Setting(units=6, active=2, epochs=3, strength=0.5)


def samples(rng, n=5):
    return (rng.gamma(0.3, size=(300, 8)) @ rng.normal(size=(8, n))).astype(np.float32)


def test_the_measures_of_hand_made_codes():
    assert side_by_side.l0(np.array([[0.0, 2.0, -1.0], [0.0, 0.0, 3.0]])) == 1.5
    x = np.array([[1.0, 0.0], [3.0, 0.0]])
    assert side_by_side.explained(x, np.array([[2.0, 0.0], [3.0, 0.0]])) == 0.5
    assert side_by_side.explained(x, np.tile(x.mean(0), (2, 1))) == 0


def test_all_methods_get_centred_data_of_variance_one(rng):
    X = 50 + 7 * samples(rng)
    data = side_by_side.scaled(Data(X[:200], X[200:], SETTING))
    np.testing.assert_allclose(data.train.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(data.train.var(axis=0).mean(), 1, rtol=1e-4)
    factor = (X[201] - X[200]) / (data.heldout[1] - data.heldout[0])  # one for all inputs
    np.testing.assert_allclose(factor, factor[0], rtol=1e-3)
    assert data.train.dtype == data.heldout.dtype == np.float32


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in COMPILED else [])
        for name in METHODS
        if name != "PyTorch loop"
    ],
)
def test_every_method_returns_codes_and_reconstructions(name, rng):
    X = samples(rng)
    coder = METHODS[name](X, SETTING, 0)
    codes = coder.encode(X[:7])
    units = SETTING.active if name in ("PCA", "NMF") else SETTING.units
    assert codes.shape == (7, units)
    assert np.asarray(coder.atoms).shape == (units, 5)
    assert coder.decode(codes).shape == (7, 5)
    if name.endswith(("Learning", "top-k")):
        assert np.count_nonzero(codes, axis=1).max() <= SETTING.active


def test_the_components_of_the_comparison_are_those_of_pca(rng):
    X = samples(rng)
    coder = methods.pca(X, SETTING, 0)
    explained = side_by_side.explained(X, coder.decode(coder.encode(X)))
    expected = PCA(SETTING.active).fit(X).explained_variance_ratio_.sum()
    assert explained == pytest.approx(expected, rel=1e-5)


def test_nmf_reconstructs_in_the_units_of_the_data(rng):
    X = samples(rng)
    coder = methods.nmf(X, SETTING._replace(active=5), 0)
    assert coder.encode(X).min() >= 0
    assert side_by_side.explained(X, coder.decode(coder.encode(X))) > 0.9


def test_the_loop_in_pytorch_has_the_loss_of_the_estimator(rng):
    torch = pytest.importorskip("torch", reason="needs PyTorch, of the extra `benchmarks`")
    from benchmarks.torch_loop import loss

    X = samples(rng)
    weight = rng.normal(size=(6, 5)).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)
    x = jnp.asarray(X)
    ours, _ = get_objective("satae")(
        ae.OneLayer(6), ae.Params(jnp.asarray(weight), jnp.asarray(bias)), x, x, {"strength": 0.5}
    )
    theirs = loss(*(torch.from_numpy(v) for v in (weight, bias, X)), 0.5)
    assert float(theirs) == pytest.approx(float(ours), rel=1e-5)


@pytest.mark.long
def test_the_loop_in_pytorch_learns_with_rows_of_length_1(rng):
    pytest.importorskip("torch", reason="needs PyTorch, of the extra `benchmarks`")
    X = samples(rng)

    def trained(epochs):
        coder = methods.torch_loop(X, SETTING._replace(epochs=epochs, strength=0.0), 0)
        return coder, side_by_side.explained(X, coder.decode(coder.encode(X)))

    (_, before), (coder, after) = trained(0), trained(100)
    assert after > max(before, 0.5)
    np.testing.assert_allclose(np.linalg.norm(coder.atoms, axis=1), 1, rtol=1e-5)


def stored():
    return json.loads((ROOT / "benchmarks" / "side_by_side.json").read_text(encoding="utf-8"))


def test_the_stored_comparison_has_every_method_on_every_data_set():
    record = stored()
    assert record["seeds"] >= 3
    assert record["data"].keys() == side_by_side.SETS.keys()
    for data in record["data"].values():
        assert data["methods"].keys() == METHODS.keys()
        for row in data["methods"].values():
            lists = [numbers for numbers in row.values() if isinstance(numbers, list)]
            assert {len(numbers) for numbers in lists} == {record["seeds"]}


def test_the_stored_codes_are_as_sparse_as_each_other():
    for name, data in stored()["data"].items():
        l0 = {method: statistics.mean(row["L0"]) for method, row in data["methods"].items()}
        active = data["active"]
        assert l0["PCA"] == active, name
        assert 0.95 * active < l0["DictionaryModel, top-k"] <= active, name
        assert 0.95 * active < l0["MiniBatchDictionaryLearning"] <= active, name
        for method in ("SparseAutoencoder", "PyTorch loop"):
            assert l0[method] == pytest.approx(active, rel=0.1), (name, method)


def test_the_table_has_medians_of_times_and_ranges_of_all_else():
    row = {
        "fit seconds": [9.0, 1.0, 3.0],
        "fit CPU seconds": [9.0, 5.0, 7.0],
        "encode microseconds": [99.0, 4.0, 40.0],
        "L0": [2.0, 2.0, 2.0],
        "explained variance": [0.5, 0.25, 0.75],
        "matched F1": [0.1, 0.2, 0.3],
    }
    record = {
        "versions": {"jax": "1"},
        "cores": 2,
        "learning rate": 0.003,
        "batch": 128,
        "seeds": 3,
        "data": {
            "toy": {
                "samples": 1000,
                "held out": 10,
                "inputs": 5,
                "units": 6,
                "active": 2,
                "epochs": 7,
                "strength": 0.5,
                "alpha": 1.0,
                "search seconds": 2.0,
                "search seconds of alpha": 3.0,
                "PyTorch's threads": 1,
                "load before and after": [0.5, 1.0],
                "methods": {"mine": row},
            }
        },
    }
    lines = comparisons.side_by_side(record).splitlines()
    cells = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert cells == ["mine", "2", "6", "22", "9", "2.00", "0.250 to 0.750", "0.100 to 0.300"]
    assert len(lines[-3].strip("|").split("|")) == len(cells)
