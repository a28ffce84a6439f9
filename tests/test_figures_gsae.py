"""The figures on generalized sparse auto-encoders: what they compute, decide and say."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from commands import has_numbers

from aesparse.data import Dataset
from aesparse.losses.objectives import composed
from aesparse.losses.reconstruction import half_squared_error
from aesparse.models.one_layer import OneLayer, Params
from experiments.figures.arpit import sparse_coding
from experiments.figures.gsae import gsae_fig1, gsae_pca, gsae_penalties
from experiments.pipeline.plan import Plan
from experiments.pipeline.registry import get_figure
from experiments.pipeline.spec import Study
from experiments.pipeline.verdicts import decided

FIGURES = (gsae_fig1, gsae_pca, gsae_penalties, sparse_coding)
PLAN = Plan("quick", 2)


def small(n=16, samples=60) -> Dataset:
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(samples, 5)) @ rng.uniform(size=(5, n)) / 5
    return Dataset(
        "digits", (X + 0.1 * rng.uniform(size=X.shape)).astype(np.float32), X[:0], (4, 4)
    )


def shrunk(study: Study, **options) -> Study:
    return study._replace(options=tuple((dict(study.options) | options).items()))


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_found_and_its_studies_are_distinct(figure):
    assert get_figure(figure.__name__.split(".")[-1].replace("_", "-")) is figure.FIGURE
    for scale in figure.FIGURE.scales:
        studies = figure.runs(Plan(scale, 3))
        assert len({s.key for s in studies}) == len(studies)


def publish(figure, found):
    """Everything that is made of stored studies."""
    figure.draw(found, PLAN)
    assert "demonstration" in figure.caption(found, PLAN)
    verdicts = decided(figure.FIGURE, found)
    assert {v.claim for v in verdicts} == set(figure.FIGURE.claims)
    return verdicts


def stored(run):
    return run.assign_attrs(provenance='{"data_sha256": ""}')


@pytest.mark.long
def test_figure_1_end_to_end(monkeypatch):
    monkeypatch.setattr(gsae_fig1, "TILES", 4)
    sizes = {"hidden": 4, "iterations": 20, "draws": 20, "checked": 10}
    studies = [shrunk(s, **sizes) for s in gsae_fig1.runs(PLAN)[:1]]
    found = {s: stored(gsae_fig1.compute(s, small())) for s in studies}
    first, similar = publish(gsae_fig1, found)
    assert (first.verdict, first.claim) == ("holds", "G1")
    assert similar.claim == "G3"
    (run,) = found.values()
    assert float(run["gradient_error"]) < 1e-12
    assert float(run["printed_error"]) > 1e-3


def test_a_span_within_the_components_has_angle_zero_and_a_random_one_has_not():
    rng = np.random.default_rng(7)
    components = np.linalg.qr(rng.normal(size=(30, 4)))[0].T
    assert gsae_fig1.largest_angle(components.T @ rng.normal(size=(4, 4)), components) < 1e-6
    study = shrunk(gsae_fig1.runs(PLAN)[0], draws=50)
    assert gsae_fig1.random_angles(study, components).min() > 0.5


def similar_verdict(plain: float) -> str:
    angle = np.full((3, 2), 1.4)
    angle[gsae_fig1.MODELS.index("plain")] = plain
    runs = [
        xr.Dataset(
            {
                "angle": (("model", "side"), angle + 0.001 * seed),
                "random_angle": ("draw", np.linspace(1.2, 1.3, 101)),
                "image_angle": 0.8,
            }
        )
        for seed in range(3)
    ]
    return gsae_fig1.similar_to_pca(runs, "mnist").verdict


def test_similar_to_pca_is_below_the_fifth_percentile_of_random_subspaces():
    assert similar_verdict(1.1) == "holds"
    assert similar_verdict(1.25) == "fails"


def test_rows_of_the_same_moments_have_the_same_loss(x64):
    X = small(samples=200).train.astype(float)
    rows = gsae_pca.same_moments(X)
    assert rows.shape == (17, 16)
    objective = composed(error=half_squared_error())
    rng = np.random.default_rng(1)
    weight, bias, decoder_bias, decoder = (
        jnp.asarray(rng.normal(size=shape)) for shape in ((3, 16), (3,), (16,), (16, 3))
    )
    params = Params(weight, bias, decoder_bias, decoder)
    model = OneLayer.of(params, "identity")
    one, two = (
        float(objective(model, params, jnp.asarray(Z), jnp.asarray(Z), {})[0])
        for Z in (X - X.mean(axis=0), rows)
    )
    np.testing.assert_allclose(one, two, rtol=1e-12)


@pytest.mark.long
def test_the_linear_autoencoder_reaches_the_principal_subspace():
    studies = [
        shrunk(s, hidden=3, rank=2, iterations=(5.0, 200.0)) for s in gsae_pca.runs(PLAN)[:2]
    ]
    found = {s: stored(gsae_pca.compute(s, small())) for s in studies}
    (verdict,) = publish(gsae_pca, found)
    assert verdict.verdict == "holds"
    tied, untied = (run["angle"].values for run in found.values())
    assert tied[0, 0, 0] > tied[0, 0, 1]
    assert untied.shape == (2, 3, 2)
    assert (untied[1, 0, 1] < 1e-6).all()


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        ((0.009, 0.008, 0.007), "holds"),
        ((0.013, 0.012, 0.011), "fails"),
        ((0.013, 0.008, 0.002), "inconclusive"),
    ],
)
def test_g2_is_decided_by_the_last_largest_angle(angles, expected):
    found = {}
    for study in gsae_pca.runs(Plan("reduced", 3)):
        lines = len(gsae_pca.LINES_OF[study.option("model")])
        along = np.full((2, lines, 8), 1.0)
        along[..., -1] = angles[study.seed]
        found[study] = xr.Dataset(
            {
                "angle": (("case", "line", "mark"), along),
                "value": ("case", [3.5 + 0.25 * (lines > 1), 0.0]),
            }
        )
    (verdict,) = gsae_pca.verdicts(found, "mnist")
    assert verdict.verdict == expected
    (why,) = gsae_pca.explain(found, verdict)
    assert "1.0000 after 1600" in why
    assert "2.5e-01 above" in why


@pytest.mark.long
def test_penalties_end_to_end():
    studies = [shrunk(s, hidden=4, iterations=10) for s in gsae_penalties.runs(PLAN)[::2]]
    run = stored(gsae_penalties.compute(studies[1], small()))
    at = run.sel(beta=0.0)["mean"].values
    np.testing.assert_allclose(at, at[0], rtol=1e-4)  # β = 0 is one model for every penalty
    assert (run["kl_of_batches"].values >= run["kl_of_all"].values - 1e-5).all()  # Jensen
    assert len(publish(gsae_penalties, dict.fromkeys(studies, run))) == 9


def test_kl_at_given_means_is_kl():
    from aesparse.losses.sparsity import kl_sparsity

    means = np.array([0.2, 0.5], np.float32)
    expected = sum(0.1 * np.log(0.1 / t) + 0.9 * np.log(0.9 / (1 - t)) for t in means)
    found = gsae_penalties.penalty_at(kl_sparsity(0.1), jnp.asarray(means))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], "holds"),
        ([0.6, 0.5, 0.4, 0.3, 0.1, 0.2], "holds"),  # −0.943
        ([0.6, 0.5, 0.4, 0.1, 0.2, 0.3], "fails"),  # −0.771
        ([0.03, 0.05, 0.08, 0.1, 0.1, 0.1], "fails"),
    ],
)
def test_g4_is_decided_by_the_rank_correlation(curve, expected):
    means = np.array([curve] * 3)
    assert gsae_penalties.mean_falls(means, "mnist", "sigmoid", "kl").verdict == expected
    means[1, 2:5] = np.nan
    assert gsae_penalties.mean_falls(means, "mnist", "sigmoid", "kl").verdict == "inconclusive"


@pytest.mark.parametrize(("start", "explained"), [(-0.01, True), (0.3, False)])
def test_a_mean_that_begins_below_the_target_is_given_with_its_course(start, explained):
    curve = np.array([start, 0.13, 0.11, 0.06, 0.09, 0.09])
    values = {"mean": np.stack([curve + 1, curve, curve]), "gradient_norm": np.full((3, 6), 5.0)}
    run = xr.Dataset({name: (("penalty", "beta"), v) for name, v in values.items()})
    found = {s: run for s in gsae_penalties.runs(PLAN) if s.option("unit") == "identity"}
    verdict = gsae_penalties.mean_falls(curve[None], "mnist", "identity", "l1")
    sentences = gsae_penalties.explain(found, verdict)
    assert bool(sentences) == explained
    if explained:
        assert has_numbers(sentences[0], -0.01, 0.1)  # the first mean, the target
        assert has_numbers(sentences[0], 0.130, 0.110, 0.060, 0.090, 0.090)


@pytest.mark.long
def test_sparse_coding_end_to_end(monkeypatch):
    monkeypatch.setattr(sparse_coding, "TILES", 4)
    (study,) = sparse_coding.runs(PLAN)
    study = shrunk(study, hidden=5, epochs=2, iterations=3, batch_size=20)
    found = {study: stored(sparse_coding.compute(study, small()))}
    (verdict,) = publish(sparse_coding, found)
    (run,) = found.values()
    loss = sparse_coding.loss(run)
    recoded, encoder = (list(sparse_coding.METHODS).index(n) for n in ("recoded", "encoder"))
    dearer = (loss[..., encoder] / loss[..., 0]).mean(axis=0) > 1
    assert verdict.verdict == ("holds" if dearer.all() else "fails")
    order = list(range(len(sparse_coding.METHODS)))
    order[0], order[encoder] = encoder, 0  # the encoder's numbers as free codes', and back
    parts = {name: run[name].isel({"method": order}).values for name in ("reconstruction", "size")}
    turned = run.assign({name: (run[name].dims, values) for name, values in parts.items()})
    (other,) = sparse_coding.verdicts({study: turned}, "")
    assert {verdict.verdict, other.verdict} == {"holds", "fails"}
    assert (loss[..., recoded] <= loss[..., encoder] + 1e-5).all()  # the same rows, free codes
    activity = run["activity"].copy()
    activity.loc[{"method": "encoder", "strength": run["strength"][-1]}] = 0
    dead = {study: run.assign(activity=activity)}
    assert np.isnan(sparse_coding.loss(dead[study])[:, -1, [recoded, encoder]]).all()
    (without,) = publish(sparse_coding, dead)
    assert f"λ = {run['strength'].values[-1]:g}:" in without.numbers
    assert "dead" in without.numbers
    assert "dead" not in verdict.numbers
    assert sparse_coding.caption(dead, PLAN) != sparse_coding.caption(found, PLAN)
