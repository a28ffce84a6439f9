"""The Lecture's figures: what they compute, against NumPy, SciPy and scikit-learn, and decide."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from commands import has_numbers, numbers
from scipy.spatial.distance import pdist
from scipy.stats import norm

import aesparse as ae
from aesparse.data import Dataset
from aesparse.losses.objectives import composed
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from experiments.evidence.bootstrap import Interval, over_seeds_and_units
from experiments.evidence.criteria import apart
from experiments.figures.lecture import lecture_filters, lecture_kl, lecture_overfit, lecture_probe
from experiments.figures.lecture.common import probe
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

QUICK, REDUCED = Plan("quick", 2), Plan("reduced", 3)


def changed(study: Study, **options) -> Study:
    return study._replace(options=tuple((dict(study.options) | options).items()))


def small_data(rng, samples=60, heldout=40) -> Dataset:
    X = rng.uniform(size=(samples + heldout, 9)).astype(np.float32)
    return Dataset("small", X[:samples], X[samples:], (3, 3, 1))


TINY = {"hidden": 7, "epochs": 2, "batch_size": 10}


# Levels of a corruption

BOTH = composed(corrupt="masking", terms={"cae": "cae"})


@pytest.mark.parametrize(
    ("objective", "sweep"),
    [
        ("dae-masking", {"strength": [0.0, 1.0]}),
        (composed(corrupt="masking"), {"corruption": [1.5]}),
        (BOTH, {("corruption", "cae"): [[0.5, 3.0], [1.0, 0.0]]}),
    ],
)
def test_masking_with_a_probability_of_one_or_more_is_refused(objective, sweep, rng):
    with pytest.raises(ae.InputError, match=r"corruption|strength"):
        ae.fit(small_data(rng).train, ae.OneLayer(7, "sigmoid"), objective, sweep=sweep)


@pytest.mark.parametrize(
    ("objective", "sweep"),
    [
        (BOTH, {("corruption", "cae"): [[0.99, 3.0], [0.0, 0.0]]}),
        ("dae", {"strength": [0.0, 4.0]}),
    ],
)
def test_levels_bound_the_probability_alone_and_gaussian_noise_not_at_all(objective, sweep, rng):
    model = ae.OneLayer(7, "sigmoid")
    result = ae.fit(
        small_data(rng).train, model, objective, sweep=sweep, epochs=1, check_compiled=False
    )
    assert result.shape == (2,)


# Intervals


def test_the_interval_of_units_has_the_width_of_the_normal_law(rng):
    values = rng.normal(size=(1, 400))
    found = over_seeds_and_units(values, np.mean)
    half = norm.ppf(0.975) * values.std() / 20
    np.testing.assert_allclose(found, values.mean() + half * np.array([0, -1, 1]), atol=0.15 * half)


def test_seeds_that_differ_widen_the_interval(rng):
    units = rng.normal(size=(5, 400))
    moved = units + np.arange(5)[:, None]
    alike, apart_ = over_seeds_and_units(units), over_seeds_and_units(moved)
    assert apart_.high - apart_.low > 5 * (alike.high - alike.low)
    lost = over_seeds_and_units(np.where(np.arange(5)[:, None] == 4, np.nan, moved))
    assert abs(lost.value - np.median(moved[:4])) < 1e-12


def test_intervals_are_apart_only_where_disjoint():
    low, high = Interval(1.0, 0.5, 1.5), Interval(2.0, 1.6, 2.4)
    assert apart("", low, high).decided
    assert apart("", low, high).holds
    assert apart("", high, low).decided
    assert not apart("", high, low).holds
    assert not apart("", low, high._replace(low=1.4)).decided


# Figure of KL


@pytest.fixture(scope="module")
def kl():
    (study,) = lecture_kl.runs(QUICK)
    few = changed(study, shape=(12, 5, 3), starts=2)
    return {few: lecture_kl.compute(few, None)}


def test_kl_holds_both_claims_and_draws(kl):
    assert [(v.claim, v.verdict) for v in lecture_kl.verdicts(kl, "")] == [
        ("L1", "holds"),
        ("L2", "holds"),
    ]
    assert len(lecture_kl.draw(kl, QUICK).axes) == 3
    assert "SLSQP from 2 random" in lecture_kl.caption(kl, QUICK)


def test_the_slides_gradients_are_those_of_finite_differences(rng):
    weight, bias, X = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(20, 4))

    def means(w):
        return (1 / (1 + np.exp(-(X @ w.T + bias)))).mean(axis=0)

    h, found = 1e-6, lecture_kl.slide_mean_gradient(weight, bias, X)
    for j, i in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[j, i] = h
        slope = (means(weight + step) - means(weight - step)) / (2 * h)
        assert abs(slope[j] - found[j, i]) < 1e-8
        assert np.abs(np.delete(slope, j)).max() == 0
    t = np.linspace(0.1, 0.9, 9)

    def kl_of(q):
        return 0.2 * np.log(0.2 / q) + 0.8 * np.log(0.8 / (1 - q))

    slope = (kl_of(t + h) - kl_of(t - h)) / (2 * h)
    np.testing.assert_allclose(lecture_kl.slide_slope(0.2, t), slope, atol=1e-7)


def test_a_wrong_slide_and_a_better_input_would_fail(kl, monkeypatch):
    ((study, run),) = kl.items()
    turned = run.assign(angle=run["angle"] + 0.01)
    assert lecture_kl.verdicts({study: turned}, "")[1].verdict == "fails"
    monkeypatch.setattr(lecture_kl, "slide_slope", lambda rho, mean: rho / mean + (1 - rho))
    assert lecture_kl.verdicts(kl, "")[0].verdict == "fails"


# Figure of filters


def widths(*medians: float, seeds=3, spread=0.01):
    """Stored runs with normal widths around given medians, one per level."""
    rng = np.random.default_rng(0)
    found = {}
    for study in lecture_filters.runs(REDUCED):
        levels = len(study.option("levels"))
        centre = np.array(medians[:levels])[:, None]
        found[study] = xr.Dataset(
            {
                "width": (
                    ("seed", "level", "unit"),
                    centre + spread * rng.normal(size=(seeds, levels, 50)),
                ),
                "dark": (("seed", "level"), np.full((seeds, levels), 0.1)),
                "tile": (("level", "shown", "input"), np.ones((levels, 25, 9), np.int8)),
            },
            attrs={"shape": (3, 3, 1)},
        )
    return found


@pytest.mark.parametrize(
    ("medians", "verdict"),
    [
        ((0.1, 0.2, 0.3), "holds"),
        ((0.3, 0.2, 0.1), "fails"),
        ((0.1, 0.3, 0.2), "fails"),
        ((0.1, 0.2, 0.2005), "inconclusive"),
    ],
)
def test_widths_decide_only_where_their_intervals_are_disjoint(medians, verdict):
    (found,) = lecture_filters.verdicts(widths(*medians), "mnist")
    assert found.verdict == verdict


def test_filters_are_drawn_with_their_sizes_in_the_caption():
    found = widths(0.1, 0.2, 0.3)
    assert len(lecture_filters.draw(found, REDUCED).axes) == 5
    assert "zero" not in lecture_filters.caption(found, REDUCED)
    assert "black" in lecture_filters.caption(found, REDUCED)  # to which masking sets a pixel
    assert "demonstration" in lecture_filters.caption(found, QUICK)


@pytest.mark.long
def test_filters_are_trained_and_measured(rng):
    study = lecture_filters.runs(QUICK)[0]
    run = lecture_filters.compute(changed(study, tiles=4, **TINY), small_data(rng))
    assert run["width"].shape == (2, 3, 7)
    w = run["tile"].values.astype(float)  # rounded to 1/127: the width hardly moves
    ratio = (w**2).sum(-1) ** 2 / (9 * (w**4).sum(-1))
    np.testing.assert_allclose(run["width"][0, :, :4], ratio, rtol=0.05)
    assert (run["dark"] == 0).all()


def test_smoothness_parts_a_stroke_from_noise(rng):
    stroke = np.zeros((8, 8))
    stroke[2:6, 2:6] = 1
    noise = rng.choice([-1.0, 1.0], size=(25, 64))
    tiles = np.stack([np.tile(stroke.ravel(), (25, 1)), noise])
    run = xr.Dataset({"tile": (("level", "shown", "input"), tiles)}, attrs={"shape": (8, 8, 1)})
    assert lecture_filters.smoothness(run, 0) == pytest.approx(12 / 16)
    assert abs(lecture_filters.smoothness(run, 1)) < 0.1


def test_the_share_on_dark_pixels():
    X = np.ones((200, 4))
    X[:, 1] = 0
    weight = np.array([[[[0.0, 3.0, 4.0, 0.0], [1.0, 0.0, 0.0, 0.0]]]])
    np.testing.assert_allclose(lecture_filters.dark_share(weight, X), (9 / 25 + 0) / 2)


# Figure of the probe


def test_embedded_digits_are_found_by_their_pixels():
    from sklearn.datasets import load_digits

    known, data = load_digits(), ae.data.load("digits")
    train, heldout = probe.labels(data)
    assert len(train) + len(heldout) == 1797
    for digit in range(10):
        mean = np.concatenate([data.train[train == digit], data.heldout[heldout == digit]]).mean(0)
        np.testing.assert_allclose(mean, known.data[known.target == digit].mean(0) / 16, atol=1e-6)


@pytest.fixture(scope="module")
def digits():
    data = ae.data.load("digits")
    return data._replace(train=data.train[:500], heldout=data.heldout[:150])


def probes(**options) -> dict[str, Study]:
    few = {"few": 300, "validation": 150, "hidden": 12, "unlabelled": 300, "epochs": 2}
    studies = lecture_probe.runs(QUICK)
    return {
        s.option("code"): changed(
            s, **{k: v for k, v in (few | options).items() if k in dict(s.options)}
        )
        for s in studies
    }


def test_the_probe_is_scikit_learns_on_features_scaled_by_hand(digits):
    from sklearn.linear_model import LogisticRegression

    study = probes(costs=(0.3,), max_iter=3000)["raw"]
    run = lecture_probe.compute(study, digits)
    train, test = probe.labels(digits)
    X = digits.train.astype(float)
    mean, spread = X.mean(0), X.std(0) + 0.1 * X.std(0).mean()
    model = LogisticRegression(C=0.3, solver="newton-cg", max_iter=500, tol=1e-8)
    model.fit((X - mean) / spread, train)
    wrong = model.predict((digits.heldout - mean) / spread) != test
    assert abs(int(wrong.sum()) - int(run["wrong"].sum())) <= 1
    assert run["validation"].shape == (1, 1)
    assert 0.02 < float(run["wrong"].mean()) < 0.2


@pytest.mark.long
@pytest.mark.parametrize("code", ["pca", "dae", "sae", "satae"])
def test_every_code_recognizes_digits_better_than_chance(code, digits):
    study = probes()[code]
    run = lecture_probe.compute(study, digits)
    assert run["validation"].shape == (len(study.option("strengths")), 2)
    assert float(run["validation"].min()) == float(run["validation"][int(run["chosen"])].min())
    assert float(run["wrong"].mean()) < 0.6


def test_components_are_those_of_the_singular_value_decomposition(digits):
    study = changed(probes()["pca"], strengths=(8.0,))
    (code,) = probe.fit_encoders(study, digits.train)
    X = digits.heldout[:20]
    seen = digits.train[: study.option("few")].astype(float)
    _, _, axes = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(pdist(code(X)), pdist(X @ axes[:8].T), rtol=1e-3)


def outcomes(raw: int, others: dict[str, int], samples=10_000):
    """Stored runs with given numbers of wrong test samples, those of a code among raw's."""
    found = {}
    for study in lecture_probe.runs(REDUCED):
        count = others.get(study.option("code"), raw)
        wrong = np.zeros(samples, np.int8)
        wrong[:count] = 1
        shape = (len(study.option("strengths")), len(study.option("costs")))
        parts = {"validation": (("strength", "cost"), np.full(shape, count / samples))}
        found[study] = xr.Dataset(parts | {"wrong": ("sample", wrong), "steps": 100})
    return found


@pytest.mark.parametrize(
    ("raw", "best", "other", "verdict"),
    [
        (780, 250, 500, "holds"),
        (780, 250, 790, "fails"),
        (780, 340, 500, "fails"),
        (780, 295, 500, "inconclusive"),
        (1000, 250, 500, "holds"),  # the error of pixels checks the set-up alone
    ],
)
def test_the_probe_decides_by_its_intervals(raw, best, other, verdict):
    codes = dict.fromkeys(("ae", "cae", "sae", "satae"), other) | {"dae": best}
    found = outcomes(raw, codes)
    (decided,) = lecture_probe.verdicts(found, "mnist-labelled")
    assert decided.verdict == verdict
    assert "DAE, masking" in decided.numbers
    assert raw / 100 in numbers(decided.numbers)  # the error of raw pixels in %
    assert has_numbers(decided.numbers, 7.4, 7.9)  # where it is expected
    assert len(lecture_probe.draw(found, REDUCED).axes) == 2
    assert "7 of 7" in lecture_probe.caption(found, REDUCED)


def test_the_paired_interval_is_that_of_the_normal_law():
    rng = np.random.default_rng(1)
    raw, code = (
        xr.Dataset({"wrong": ("sample", (rng.uniform(size=4000) < p))}) for p in (0.3, 0.2)
    )
    gain, *ends = lecture_probe.paired_gain(raw, code)
    difference = raw["wrong"].values.astype(float) - code["wrong"].values
    half = norm.ppf(0.975) * difference.std() / np.sqrt(4000)
    assert gain == pytest.approx(difference.mean())
    np.testing.assert_allclose(ends, gain + half * np.array([-1, 1]), atol=0.15 * half)


# Figure of over-fitting


def test_all_parameters_count_once_and_pull_twice(rng):
    parts = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 2), (3,), (2,), (2, 3))]
    params = Params(*map(jnp.asarray, parts))

    def penalty(p):
        return lecture_overfit.all_parameters(
            one_layer_forward(p, jnp.zeros((1, 2)), "sigmoid"), None
        )

    expected = sum(np.sum(part.astype(float) ** 2) for part in parts)
    np.testing.assert_allclose(penalty(params), expected, rtol=1e-5)
    pull = jax.grad(penalty)(params)
    for part, slope in zip(parts, pull, strict=True):
        np.testing.assert_allclose(slope, 2 * part, rtol=1e-6)


def errors(plain: float, tied: float, decay: tuple, contractive: tuple, chosen_on=(1.0, 2.0)):
    """Stored runs with given gaps, each ±0.01 over 5 seeds; training error 1 throughout."""
    gaps = {"decay": (plain, *decay), "tied": (tied,), "contractive": contractive}
    found = {}
    for study in lecture_overfit.runs(REDUCED):
        gap = np.array(gaps[study.option("kind")])
        jitter = np.linspace(-0.01, 0.01, 5)[:, None]
        select = {"decay": (0.5, *chosen_on), "tied": (1.0,), "contractive": chosen_on}
        parts = {
            "train": np.ones((5, len(gap))),
            "heldout": 1 + gap + jitter,
            "chosen_on": np.array(select[study.option("kind")]) + jitter,
        }
        found[study] = xr.Dataset({k: (("seed", "strength"), v) for k, v in parts.items()})
    return found


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (errors(1.0, 0.5, (0.6, 2.0), (0.7, 2.0)), "holds"),
        (errors(1.0, 0.5, (0.6, 2.0), (0.7, 2.0), chosen_on=(2.0, 1.0)), "fails"),
        (errors(1.0, 1.5, (0.6, 2.0), (0.7, 2.0)), "fails"),
        (errors(1.0, 0.995, (0.6, 2.0), (0.7, 2.0)), "inconclusive"),
    ],
)
def test_gaps_decide_at_the_strength_with_the_lowest_held_out_error(found, verdict):
    (decided,) = lecture_overfit.verdicts(found, "mnist")
    assert decided.verdict == verdict
    assert "5 seeds" in decided.numbers
    assert len(lecture_overfit.draw(found, REDUCED).axes) == 3
    assert "5 seeds" in lecture_overfit.caption(found, REDUCED)


def test_gaps_are_open_where_every_model_is_lost():
    found = errors(1.0, 0.5, (0.6, 2.0), (0.7, 2.0))
    diverged = next(study for study in found if study.option("kind") == "contractive")
    found[diverged] = found[diverged] * np.nan
    (decided,) = lecture_overfit.verdicts(found, "mnist")
    assert decided.verdict == "inconclusive"
    assert "CAE, λ = 0.01 nan" in decided.numbers
    assert len(lecture_overfit.draw(found, REDUCED).axes) == 3
    assert "nan" in lecture_overfit.explain(found, decided)[0]


def test_gaps_are_given_seed_by_seed_and_what_a_penalty_does_to_prediction():
    found = errors(1.0, 0.5, (0.6, 2.0), (0.7, 2.0), chosen_on=(2.0, 1.0))
    (verdict,) = lecture_overfit.verdicts(found, "mnist")
    (sentence, *_) = lecture_overfit.explain(found, verdict)
    paired = dict(re.findall(r"([^;:]+): (-?[\d.]+ \[[^\]]+\])", sentence))
    gains = {name.strip(): numbers(gain) for name, gain in paired.items()}
    assert gains["tied weights"] == [0.5, 0.5, 0.5]  # every seed differs by exactly as much
    assert gains["CAE, λ = 0.1"] == [-1, -1, -1]
    # The error that chooses, without a penalty, with weight decay and with CAE's largest strength.
    assert has_numbers(sentence, 0.5, 0, 1, 0.003, 1)
    assert sentence.count("largest") == 2
    small = errors(1.0, 0.5, (0.6, 2.0), (0.7, 2.0))
    other = lecture_overfit.explain(small, verdict)[0]
    assert (other.count("smallest"), other.count("largest")) == (2, 0)


@pytest.mark.long
def test_errors_are_measured_on_three_parts(rng):
    data = small_data(rng)
    for study in lecture_overfit.runs(QUICK)[1:]:
        few = changed(study, seeds=2, half=15, **TINY)
        run = lecture_overfit.compute(few, data)
        assert run["train"].shape == (2, len(study.option("strengths")))
        assert all(np.isfinite(run[name]).all() for name in ("train", "chosen_on", "heldout"))
        assert not np.allclose(run["chosen_on"], run["heldout"])
