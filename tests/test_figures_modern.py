"""The figure of today's sparse auto-encoders: data, measurements, verdicts and panels."""

import re

import numpy as np
import pytest
import xarray as xr

from aesparse.data import Dataset, generated
from experiments.figures.beyond import modern_pareto
from experiments.figures.beyond.common import pareto_data
from experiments.figures.beyond.common.pareto import BY_K, METHODS, random_cosine, recovered
from experiments.pipeline.plan import Plan
from experiments.pipeline.registry import get_figure
from experiments.pipeline.spec import Study
from experiments.pipeline.verdicts import decided

PLANS = {scale: Plan.checked(scale, None, None) for scale in ("quick", "reduced")}
QUICK = PLANS["quick"]
TINY = {
    "hidden": 8,
    "heldout": 20,
    "epochs": 2,
    "batch_size": 5,  # SATAE has its columns scaled at every tenth update
    "inputs": 6,
    "directions": 8,
    "active": 2,
    "coherence": 0.9,
    "seeds": 2,
}


def changed(study: Study, **options) -> Study:
    return study._replace(options=tuple((dict(study.options) | options).items()))


def tiny(study: Study) -> Study:
    ks = {"points": (2,)} if study.option("method") in BY_K else {}
    kept = dict(study.options).keys() | {"points"}
    sizes = {name: value for name, value in TINY.items() if name in kept}
    return changed(study, **sizes, **ks)._replace(samples=60)


def made_up(study: Study):
    """Numbers of a study that trained as it should: L0 equal to k, or falling with the strength."""
    points = np.array(study.option("points"), float)
    l0 = points if study.option("method") in BY_K else 32 / (1 + np.arange(len(points)))
    each = np.stack([l0] * 3)
    numbers = {"l0": each, "fewest": each, "most": each, "explained_variance": 1 - 1 / each}
    numbers |= {"dead_fraction": 0 * each, "diverged_epoch": np.full(each.shape, -1)}
    if not study.dataset:
        numbers |= {"mean_cosine": each / 100, "recovered": each / 200, "matched_f1": each / 50}
        numbers["random_cosine"] = 0.4
    run = xr.Dataset({name: (("seed", "point")[: np.ndim(v)], v) for name, v in numbers.items()})
    return run.assign_attrs(provenance='{"data_sha256": ""}')


def every(plan=QUICK) -> dict:
    return {study: made_up(study) for study in modern_pareto.runs(plan)}


def of_method(runs, method: str):
    return next(s for s in runs if s.option("method") == method and s.dataset)


@pytest.mark.parametrize("scale", ["quick", "reduced"])
def test_all_methods_have_the_same_settings_and_three_seeds(scale):
    assert get_figure("modern-pareto") is modern_pareto.FIGURE
    studies = modern_pareto.runs(PLANS[scale])
    assert len({study.key for study in studies}) == len(studies) == 2 * 10
    for has_name in (True, False):
        of_data = [study for study in studies if bool(study.dataset) is has_name]
        assert [study.option("method") for study in of_data] == list(METHODS)
        rest = [dict(s.options) | {"method": 0, "points": 0} for s in of_data]
        assert all(options == rest[0] for options in rest)
        assert rest[0]["seeds"] >= 3
        k = {s.option("points") for s in of_data if s.option("method") in BY_K}
        assert len(k) == 1


def test_generated_data_are_scaled_without_turning_the_directions():
    study = tiny(next(s for s in modern_pareto.runs(QUICK) if not s.dataset))
    study = changed(study, noise=0.0)
    train, heldout, truth = pareto_data.prepared(study, None)
    assert (len(train), len(heldout), len(truth.codes)) == (60, 20, 20)
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    assert np.sum(train**2) / len(train) == pytest.approx(6, rel=1e-5)
    # Differences of samples are those of the true combinations, up to one number.
    exact = np.diff(truth.codes @ truth.directions, axis=0)
    scale = np.linalg.norm(np.diff(heldout, axis=0)) / np.linalg.norm(exact)
    np.testing.assert_allclose(np.diff(heldout, axis=0), scale * exact, atol=1e-4)


def test_recovery_is_perfect_for_the_truth_in_another_order_and_absent_where_diverged():
    truth = generated(200, 6, 8, active=2, seed=3)
    order = np.random.default_rng(0).permutation(8)
    codes = np.stack([truth.codes[:, order], truth.codes[:, order]])[None]
    atoms = np.stack([3 * truth.directions[order], truth.directions[order]])[None].copy()
    atoms[0, 1, 2, 3] = np.nan
    found = recovered(codes, atoms, truth)
    for name in ("mean_cosine", "recovered", "matched_f1"):
        np.testing.assert_allclose(found[name], [[1, np.nan]], rtol=1e-6)


def test_random_atoms_of_two_dimensions_are_as_near_as_the_angles_between_them():
    """One atom has the mean cosine 0 with directions all around, a thousand leave no gap."""
    rng = np.random.default_rng(1)
    angles = rng.uniform(0, 2 * np.pi, 2000)
    truth = generated(1, 2, 2000, active=1, seed=0)
    truth = truth._replace(directions=np.stack([np.cos(angles), np.sin(angles)], 1))
    one, many = (random_cosine(truth, np.zeros((1, 1, m, 2))) for m in (1, 1000))
    assert abs(one) < 0.06
    assert 0.999 < many <= 1


def test_a_sample_with_another_number_of_active_units_is_seen():
    runs = every()
    assert {v.verdict for v in decided(modern_pareto.FIGURE, runs)} == {"holds", "measured"}
    for method, name, off, most in (
        ("top-k", "fewest", -1, "holds"),
        ("matryoshka", "most", +1, "fails"),
    ):
        study = of_method(runs, method)
        one = runs[study].copy(deep=True)
        one[name][1, 0] += off
        verdicts = decided(modern_pareto.FIGURE, runs | {study: one})
        by = [v.verdict for v in verdicts if v.claim == "sparsity" and v.dataset == "digits"]
        assert by == [most, "fails", "holds"]


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.09, "holds"), (0.91, "holds"), (1.11, "fails"), (0.89, "fails")]
)
def test_a_threshold_may_be_off_by_a_tenth(factor, expected):
    runs = every()
    study = of_method(runs, "batch top-k")
    one = runs[study].copy(deep=True)
    one["l0"][2, 0] *= factor
    verdicts = decided(modern_pareto.FIGURE, runs | {study: one})
    by = [v.verdict for v in verdicts if v.claim == "sparsity" and v.dataset == "digits"]
    assert by == ["holds", "holds", expected]


@pytest.mark.parametrize(("method", "open_"), [("top-k", 2), ("batch top-k", 1)])
def test_a_diverged_model_decides_nothing(method, open_):
    runs = every()
    study = of_method(runs, method)
    one = runs[study].copy(deep=True)
    one["l0"][0, 0] = np.nan
    verdicts = decided(modern_pareto.FIGURE, runs | {study: one})
    assert [v.verdict for v in verdicts if v.claim == "sparsity"].count("inconclusive") == open_


def test_what_fails_is_explained_by_the_mean_l0():
    runs = every(PLANS["reduced"])
    study = of_method(runs, "top-k")
    one = runs[study].copy(deep=True)
    one["fewest"][:, 1] -= 9
    one["l0"][:, 1] = 7.25
    runs |= {study: one}
    real = {s: r for s, r in runs.items() if s.dataset}
    verdicts = modern_pareto.verdicts(real, "mnist")
    (failed,) = (v for v in verdicts if v.verdict == "fails")
    assert any("7.25" in sentence for sentence in modern_pareto.explain(real, failed))
    holding = next(v for v in verdicts if v.verdict == "measured")
    assert modern_pareto.explain(real, holding) == []


def test_every_methods_numbers_are_listed_by_l0():
    runs = every(PLANS["reduced"])
    verdicts = [v for v in decided(modern_pareto.FIGURE, runs) if v.claim == "pareto"]
    assert len(verdicts) == 2 * len(METHODS)
    for verdict in verdicts:
        l0 = [float(number) for number in re.findall(r"L0 ([\d.]+)", verdict.numbers)]
        assert len(l0) >= 2
        assert l0 == sorted(l0)
        assert verdict.numbers.count("F1") == (0 if verdict.dataset else len(l0))


def test_the_panels_show_every_method_but_no_diverged_model():
    runs = every()
    study = next(s for s in runs if s.option("method") == "l1" and not s.dataset)
    one = runs[study].copy(deep=True)
    one["diverged_epoch"][0, 0] = 3
    one["explained_variance"][0, 0] = -1e9
    figure = modern_pareto.draw(runs | {study: one}, QUICK)
    for axis in figure.axes:
        names = [line for line in axis.lines if not line.get_label().startswith("_")]
        assert len(names) == len(METHODS)
        assert all(np.min(line.get_ydata()) >= 0 for line in names)
    looks = {(m.colour, m.marker, m.of_papers) for m in METHODS.values()}
    assert len(looks) == len(METHODS)


@pytest.mark.long
@pytest.mark.parametrize("named", [True, False])
def test_every_method_trains_and_is_measured(named):
    digits = np.random.default_rng(0).normal(size=(80, 64)).astype(np.float32)
    data = Dataset("digits", digits[:60], digits[60:], (8, 8, 1))
    found = {}
    for study in map(tiny, modern_pareto.runs(QUICK)):
        if bool(study.dataset) is named:
            found[study] = run = modern_pareto.compute(study, data if named else None)
            assert run.sizes == {"seed": 2, "point": len(study.option("points"))}
            assert (run["diverged_epoch"] == -1).all()
            assert (run["explained_variance"] < 1).all()
            assert ((run["fewest"] <= run["l0"]) & (run["l0"] <= run["most"])).all()
            assert float(np.ptp(run["explained_variance"].values, axis=0).min()) > 0
            assert ("matched_f1" in run) is not named
    for name in ("top-k", "matryoshka"):
        run = next(r for s, r in found.items() if s.option("method") == name)
        assert (run["most"] == 2).all()
