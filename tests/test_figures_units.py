"""A19 and A20 on made-up runs: what decides them, what is left out, and what is drawn."""

import numpy as np
import pytest
import tiny
from stored_runs import fake, fake_maxout

from experiments.pipeline.protocol import STRENGTHS
from experiments.pipeline.registry import get_figure
from experiments.pipeline.verdicts import decided

pytestmark = pytest.mark.usefixtures("tiny_scales")

LEVELS = np.array(STRENGTHS)
RISING = np.linspace(0.0, 1.0, len(LEVELS))


def negative(*, tanh, maxout_mean=-RISING, maxout_small=0.3 - 0.2 * RISING, jitter=0.001) -> dict:
    """All runs of the negative examples: the share of tanh units with |h| > 0.1, and maxout's."""
    runs = {}
    for spec in get_figure("arpit-negative").runs(tiny.plan()):
        shift = jitter * spec.seed
        if spec.kind == "study":
            runs[spec] = fake_maxout(spec, maxout_mean + shift, maxout_small + shift)
        else:
            shares = tanh[:1] if spec == spec.baseline else tanh[1:]
            runs[spec] = fake(spec)
            runs[spec]["code_small"] = ("strength", 1 - shares - shift)
    return runs


def verdict(runs, beginning: str, dataset="digits"):
    of_all = decided(get_figure("arpit-negative"), runs)
    (one,) = (v for v in of_all if v.dataset == dataset and v.statement.startswith(beginning))
    assert one.claim == "A20"
    return one


@pytest.mark.parametrize(
    ("tanh", "expected"),
    [
        (0.9 + 0.09 * RISING, "holds"),
        (0.9 - 0.30 * RISING, "fails"),
        (0.9 - 0.04 * RISING, "holds"),  # too small a range for a direction
        (0.9 - 0.30 * RISING[np.r_[0, 11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6]], "holds"),  # irregular
    ],
)
def test_tanh_must_not_have_a_decreasing_direction(tanh, expected):
    assert verdict(negative(tanh=tanh), "tanh").verdict == expected


def test_a_range_that_seeds_disagree_about_is_inconclusive():
    runs = negative(tanh=0.9 - 0.05 * RISING)
    for spec, run in runs.items():
        if spec.kind == "grid" and spec != spec.baseline:
            run["code_small"] = run["code_small"] + (spec.seed - 1) * 0.01 * RISING[1:]
    assert verdict(runs, "tanh").verdict == "inconclusive"


@pytest.mark.parametrize(
    ("mean", "small", "expected"),
    [
        (-RISING, 0.3 - 0.2 * RISING, "holds"),
        (RISING, 0.3 - 0.2 * RISING, "fails"),
        (-RISING, 0.3 + 0.2 * RISING, "fails"),
        (-RISING, 0.3 + 0.04 * RISING, "holds"),
    ],
)
def test_maxout_means_must_fall_without_more_small_codes(mean, small, expected):
    runs = negative(tanh=0.9 + 0 * RISING, maxout_mean=mean, maxout_small=small)
    assert verdict(runs, "maxout").verdict == expected


def test_models_that_diverged_are_left_out_and_more_than_two_strengths_are_too_many():
    for lost, expected in ((2, "holds"), (3, "inconclusive")):
        runs = negative(tanh=0.9 + 0 * RISING)
        for spec, run in runs.items():
            if spec.kind == "study":
                run["code_mean"][12 - lost :] = 100.0
                run["flagged_epoch"][12 - lost :] = 3
        assert verdict(runs, "maxout").verdict == expected


def test_a_missing_study_or_an_old_run_leaves_the_other_activation_decided():
    runs = negative(tanh=0.9 + 0 * RISING)
    study = next(s for s in runs if s.kind == "study" and s.dataset == "digits")
    of_all = decided(get_figure("arpit-negative"), runs | {study: None})
    outcomes = {(v.dataset, v.statement.startswith("tanh")): v.verdict for v in of_all}
    assert outcomes == {
        ("digits", True): "holds",
        ("digits", False): "not run",
        ("photos", True): "holds",
        ("photos", False): "holds",
    }
    old = {s: run.drop_vars("code_small") if s.kind == "grid" else run for s, run in runs.items()}
    assert verdict(old, "tanh").verdict == "not run"
    assert verdict(old, "maxout").verdict == "holds"


def test_the_picture_of_negative_examples_shows_what_is_stored_and_says_what_is_not():
    figure, runs = get_figure("arpit-negative"), negative(tanh=0.9 + 0.05 * RISING)
    some = {s: r for s, r in runs.items() if s.kind == "grid" or s.dataset == "photos"}
    picture = figure.draw(some, tiny.plan())
    means, shares = picture.axes[:2], picture.axes[2:]
    assert [line.get_label() for line in shares[0].lines] == ["tanh"]
    np.testing.assert_allclose(shares[0].lines[0].get_ydata(), 0.9 + 0.05 * RISING + 0.001)
    assert any("not run: maxout" in text.get_text() for text in means[0].texts)
    np.testing.assert_allclose(means[1].lines[1].get_ydata(), -RISING + 0.001)
    np.testing.assert_allclose(shares[1].lines[1].get_ydata(), 0.7 + 0.2 * RISING - 0.001)
    assert "m = 6" in figure.caption(some, tiny.plan())


@pytest.mark.long
def test_the_study_trains_unit_rows_with_the_protocols_numbers(monkeypatch):
    import aesparse as ae

    figure = get_figure("arpit-negative")
    study = next(s for s in figure.runs(tiny.plan()) if s.kind == "study" and s.seed == 1)
    results, fit = [], ae.fit
    monkeypatch.setattr(ae, "fit", lambda *a, **k: results.append(fit(*a, **k)) or results[-1])
    data = ae.data.load(study.dataset, samples=study.samples)
    run = figure.compute(study, data)
    (result,) = results
    weight, bias = result.params.weight, result.params.bias
    assert weight.shape == (12, 3, 6, 64)
    np.testing.assert_allclose(np.linalg.norm(weight, axis=-1), 1, atol=1e-6)
    X = (data.train - data.train.mean(axis=0)) / (data.train.std(axis=0) + 0.1)
    h = np.max(np.einsum("gkmn,sn->gskm", weight, X) + bias[:, None], axis=2)
    np.testing.assert_allclose(run["code_mean"], h.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(run["code_small"], np.mean(np.abs(h) <= 0.1, axis=(1, 2)), atol=2e-4)
    assert run["code_mean"].values[-1] < run["code_mean"].values[0] - 0.05


SPARSE = {9: 0.06, 10: 0.09}  # fractions of DAE at the last two strengths of eleven


def distributed(*, rarely=0.95, fractions=SPARSE, dead=0.0) -> dict:
    """All runs of the histograms; DAE with ReLU has some models with fractions as given."""
    runs = {}
    for spec in get_figure("arpit-distributed").runs(tiny.plan()):
        fraction = np.full(len(spec.strengths), 0.6)
        if (spec.objective, spec.activation) == ("dae", "relu"):
            fraction[list(fractions)] = list(fractions.values())
        run = runs[spec] = fake(spec, fraction)
        run["rarely_active"] = ("strength", np.where(fraction < 0.5, rarely, 0.0))
        run["dead_fraction"] = ("strength", np.full(len(fraction), dead))
    return runs


def of_dae(runs, dataset="digits", activation="relu"):
    of_all = decided(get_figure("arpit-distributed"), runs)
    (one,) = (
        v for v in of_all
        if (v.dataset, v.claim) == (dataset, "A19")
        and v.statement.startswith(f"DAE, {activation}")
    )  # fmt: skip
    return one


def dae_run(runs, seed=1):
    where = ("digits", "dae", "relu", seed)
    return next(
        r for s, r in runs.items() if (s.dataset, s.objective, s.activation, s.seed) == where
    )


@pytest.mark.parametrize(("rarely", "expected"), [(0.9, "holds"), (0.89, "fails")])
def test_each_sparse_model_needs_nine_tenths_of_its_units_rarely_active(rarely, expected):
    verdict = of_dae(distributed(rarely=rarely))
    assert verdict.verdict == expected
    assert "6 models" in verdict.numbers


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"fractions": {9: 0.049, 10: 0.101}}, "inconclusive"),
        ({"fractions": {9: 0.05, 10: 0.1}}, "holds"),
        ({"dead": 0.011}, "inconclusive"),
        ({"dead": 0.01}, "holds"),
    ],
)
def test_only_models_of_that_fraction_with_few_dead_units_count(changed, expected):
    assert of_dae(distributed(**changed)).verdict == expected


def test_one_model_that_is_not_distributed_makes_a_seed_disagree():
    runs = distributed()
    dae_run(runs)["rarely_active"][10] = 0.5
    verdict = of_dae(runs)
    assert verdict.verdict == "inconclusive"
    assert "0.500 [0.500, 0.950]" in verdict.numbers
    dae_run(runs)["activation_fraction"][10] = 0.2  # no model of which the claim speaks
    assert of_dae(runs).verdict == "holds"
    dae_run(runs)["activation_fraction"][10] = 0.09
    dae_run(runs)["flagged_epoch"][10] = 3
    assert of_dae(runs).verdict == "holds"


def test_an_old_or_missing_run_leaves_the_other_activation_decided():
    runs = distributed()
    old = {s: r.drop_vars("rarely_active") if s.objective == "dae" else r for s, r in runs.items()}
    assert of_dae(old).verdict == "not run"
    missing = next(s for s in runs if (s.dataset, s.activation) == ("digits", "sigmoid"))
    of_all = decided(get_figure("arpit-distributed"), runs | {missing: None})
    here = [v for v in of_all if v.dataset == "digits"]
    assert {v.verdict for v in here if "sigmoid" in v.statement} == {"not run"}
    assert {v.verdict for v in here if "relu" in v.statement} == {"holds", "inconclusive"}


def test_the_histograms_are_those_of_the_sparse_models_and_of_ae():
    figure, runs = get_figure("arpit-distributed"), distributed()
    counts = np.zeros(50, int)
    counts[[1, 4, 20]] = [5, 4, 1]
    for spec, run in runs.items():
        if (spec.objective, spec.activation) == ("dae", "relu"):
            run["unit_active_histogram"][9:] = np.stack([counts, counts[::-1]])
    picture = figure.draw(runs, tiny.plan())
    lines = {line.get_label(): line for line in picture.axes[0].lines}
    x, y = lines["DAE"].get_xydata()[np.isfinite(lines["DAE"].get_ydata())].T
    np.testing.assert_allclose(x, [0.03, 0.09, 0.41, 0.59, 0.91, 0.97])
    np.testing.assert_allclose(y, [0.25, 0.2, 0.05, 0.05, 0.2, 0.25])
    said = [" ".join(text.get_text() for text in axis.texts) for axis in picture.axes]
    assert "SAE 0.60" in said[0]
    assert "DAE 0.60" not in said[0].replace("mDAE", "")
    some = {s: run for s, run in runs.items() if s.objective != "sae" and s.activation == "relu"}
    picture = figure.draw(some, tiny.plan())
    said = [" ".join(text.get_text() for text in axis.texts) for axis in picture.axes]
    assert said[0].endswith("not run: SAE")
    assert said[1].startswith("not run: DAE")
    assert "m = 6" in figure.caption(some, tiny.plan())


def test_the_least_distributed_model_is_described():
    figure, runs = get_figure("arpit-distributed"), distributed(rarely=0.8)
    worst = dae_run(runs)
    worst["rarely_active"][9] = 0.3
    counts = np.zeros(50, int)
    counts[[0, 14, 15]] = [1, 1, 2]
    worst["unit_active_histogram"][9] = counts
    verdict = of_dae(runs)
    assert verdict.verdict == "fails"
    group = {s: r for s, r in runs.items() if (s.dataset, s.activation) == ("digits", "relu")}
    (sentence,) = figure.explain(group, verdict)
    assert "0.81" in sentence
    assert "50.0%" in sentence
    assert "25.0%" in sentence
