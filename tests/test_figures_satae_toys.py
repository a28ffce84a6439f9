"""SATAE's Figures 1, 2, 3 and 6: what they compute, decide and draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from commands import has_numbers
from scipy.integrate import quad

from aesparse.models.activations import get_activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from experiments.figures.satae import satae_fig1, satae_fig2, satae_fig3, satae_fig6
from experiments.figures.satae.common import plane
from experiments.figures.satae.common.low_energy import decide_s3
from experiments.pipeline.plan import Plan

PLAN = Plan("quick", 2)


def study_with(figure, **options):
    (study,) = figure.runs(PLAN)
    return study._replace(options=tuple((dict(study.options) | options).items()))


def shown(figure, study, run):
    """Caption and picture can be made of what is stored; returns the verdicts by claim."""
    found = {study: run}
    assert figure.caption(found, PLAN).endswith(".")
    assert figure.draw(found, PLAN).axes
    return {v.claim: v for v in figure.verdicts(found, "")}


TINY = {"samples": 40.0, "batch": 4.0, "epochs": 2.0, "inputs": 5.0, "hidden": 4.0}


@pytest.fixture(scope="module")
def first():
    study = study_with(satae_fig1, **TINY)
    return study, satae_fig1.compute(study, None)


@pytest.mark.long
def test_figure_1_decides_its_claims(first):
    verdicts = shown(satae_fig1, *first)
    assert {c: v.verdict for c, v in verdicts.items()} == dict.fromkeys(("S1", "S2", "S7"), "holds")
    run = first[1]
    z = run["z"].values
    np.testing.assert_allclose(run["value"][0], np.sign(z) * np.maximum(np.abs(z) - 0.5, 0))
    np.testing.assert_allclose(run["value"][2], np.clip(z, -1, 1))
    assert run["effect"].values.min() > 1e-3  # the penalty did something in these updates
    assert float(run["cae_value"]) > 1  # a penalty that is there, without a slope


@pytest.mark.long
def test_another_penalty_than_l1_is_distinguished(monkeypatch):
    def larger(seen, eps):
        return 1.001 * l1(seen, eps)

    l1 = satae_fig1.l1
    monkeypatch.setattr(satae_fig1, "l1", larger)
    study = study_with(satae_fig1, **TINY)
    with jax.enable_x64(True):
        found = satae_fig1.section_3_2(study)
    assert found["gradients"].min() > 1e-6
    assert found["trajectories"].min() > 1e-7


def test_l1_is_summed_over_units_and_averaged_over_samples(rng):
    w, x = rng.normal(size=(4, 3)).astype("f"), rng.normal(size=(5, 3)).astype("f")
    params = Params(jnp.asarray(w), jnp.zeros(4))
    found = satae_fig1.l1(one_layer_forward(params, jnp.asarray(x), "shrink"), None)
    np.testing.assert_allclose(found, np.maximum(np.abs(x @ w.T) - 0.5, 0).sum() / 5, rtol=1e-5)


@pytest.fixture(scope="module")
def sixth():
    (study,) = satae_fig6.runs(PLAN)
    return study, satae_fig6.compute(study, None)


def test_figure_6_equals_the_convolution_at_an_extremum(sixth):
    _, run = sixth
    turns = run["turn"].values
    wave = run["value"].values
    turning = (np.diff(np.sign(np.diff(wave))) != 0).sum()
    assert turning == len(turns)
    z, scale = turns[-1], 1.0

    def slope(u):
        return (2 * np.cos(2 * u) - u / 4 * np.sin(2 * u)) * np.exp(-(u**2) / 8)

    assert abs(slope(z)) < 1e-10

    def averaged(length, sign):
        whole = quad(lambda u: abs(slope(u)), *sorted((z, z + sign * length)), limit=200)[0]
        return whole / length * np.exp(-length / scale) / scale

    sides = [quad(averaged, 1e-8, 30, args=(sign,), limit=200)[0] for sign in (1, -1)]
    i = list(run["scale"].values).index(scale)
    np.testing.assert_allclose(run["at_turns"].values[i, -1], min(sides), rtol=2e-3)


@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
def test_figure_6_decides(sixth):
    study, run = sixth
    steep = {v.claim: v.verdict for v in satae_fig6.verdicts({study: run}, "")}
    assert steep == {"S6a": "holds", "S6b": "fails"}
    somewhere = run["slope_at_turns"].copy()
    somewhere[0, 0] = 0
    flat = satae_fig6.verdicts({study: run.assign(slope_at_turns=somewhere)}, "")
    assert {v.claim: v.verdict for v in flat} == {"S6a": "fails", "S6b": "holds"}


TOY = {
    "samples": 40.0,
    "epochs": 1.0,
    "alphas": (0.0, 0.1),
    "drawn": 1.0,
    "seeds": (0.0, 1.0, 2.0),
    "batch": 4.0,
    "side": 21.0,
}


@pytest.mark.long
@pytest.mark.parametrize("figure", [satae_fig2, satae_fig3])
def test_toy_figures_are_computed_and_drawn(figure):
    study = study_with(figure, **TOY)
    run = figure.compute(study, None)
    assert set(shown(figure, study, run)) == set(figure.CLAIMS)
    assert run["error"].shape == (2, 3, 2)
    np.testing.assert_allclose(*np.moveaxis(run["error"].values[0], -1, 0), rtol=1e-5)  # both α = 0
    assert (run["error"].values[1, :, 0] != run["error"].values[1, :, 1]).all()
    assert run.nbytes < 300_000


def test_energy_is_half_the_squared_distance(rng):
    w, b, d = (
        rng.normal(size=(2, 2, 3, 2)),
        rng.normal(size=(2, 2, 3)),
        rng.normal(size=(2, 2, 2, 3)),
    )
    x = rng.normal(size=(7, 2)).astype("f")
    params = Params(*(jnp.asarray(v, jnp.float32) for v in (w, b)), None, jnp.asarray(d, "f"))
    found = plane.energy(params, x, get_activation("saturated-linear"))
    for s, g in np.ndindex(2, 2):
        y = np.clip(x @ w[s, g].T + b[s, g], -1, 1) @ d[s, g].T
        np.testing.assert_allclose(found[s, g], ((x - y) ** 2).sum(1) / 2, rtol=2e-4)


def test_areas_are_those_of_circles():
    energies = (plane.square(201) ** 2).sum(axis=1)
    radii = np.array([0.25, 0.5, 0.9])
    found = plane.area_below(np.stack([energies] * 3), radii**2)
    np.testing.assert_allclose(found, np.pi * radii**2, rtol=0.02)


def test_the_curve_lies_inside_the_square():
    points = plane.curve(50)
    assert np.abs(points).max() <= 0.8
    np.testing.assert_allclose(np.polyfit(*points.T, 2), [0.5, 0, -0.2], atol=1e-6)


def path_of(area, error):
    """A run whose ratios are given for α = 0.1 and α = 0.2, the same for four initializations."""
    cells = ("alpha", "seed", "penalty")

    def ratios(values):
        return cells, np.stack([np.tile([[1.0, v]], (4, 1)) for v in (1.0, *values)])

    found = {"area": ratios(area), "area_at_own_level": ratios(area), "error": ratios(error)}
    return xr.Dataset(found | {"drawn_at": 1}, {"alpha": [0.0, 0.1, 0.2]})


@pytest.mark.parametrize(
    ("area", "error", "verdict", "strength"),
    [
        ((0.9, 0.4), (1.1, 1.9), "holds", 0.2),
        ((0.4, 0.1), (1.9, 9.0), "holds", 0.1),
        ((0.9, 0.4), (1.1, 2.1), "fails", 0.2),  # never both at one α
        ((0.55, 0.4), (1.1, 9.0), "fails", 0.1),  # the nearest
    ],
)
def test_s3_needs_both_at_one_strength(area, error, verdict, strength):
    decided = decide_s3(path_of(area, error), "", "units")
    assert decided.verdict == verdict
    assert f"α = {strength}" in decided.numbers


def test_s3_is_inconclusive_where_initializations_disagree():
    run = path_of((0.4, 0.4), (1.5, 1.5))
    run["area"].values[1:, 0, 1] = 1.2
    assert decide_s3(run, "", "units").verdict == "inconclusive"


def test_the_edge_of_the_linear_region_against_a_scan(rng):
    w, b, start = rng.normal(size=(2, 2)), np.array([0.2, -0.3]), np.array([0.1, 0.2])
    angles = rng.uniform(0, 2 * np.pi, 9)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = np.linspace(0, 20, 200_001)
    a = (start + along[:, None, None] * rays) @ w.T + b
    scanned = along[np.argmax((np.abs(a) >= 1).any(axis=-1), axis=0)]
    np.testing.assert_allclose(satae_fig3.edges(w, b, start, rays), scanned, atol=2e-4)
    assert np.isnan(satae_fig3.edges(w, b + 5, start, rays)).all()


def test_the_growth_of_a_perfect_linear_region_is_quadratic():
    eye = jnp.eye(2)[None, None]
    params = Params(eye, jnp.zeros((1, 1, 2)), jnp.zeros((1, 1, 2)), eye)
    distances = np.geomspace(0.1, 10, 9)
    units = get_activation("saturated-linear")
    growth, edge = satae_fig3.grown(params, units, 8, distances)
    assert np.abs(growth - 2).max() < 0.25  # a second unit saturates on the way
    np.testing.assert_allclose(edge, 0, atol=1e-10)
    worse, _ = satae_fig3.grown(params._replace(decoder=0.5 * eye), units, 8, distances)
    assert worse.max() < 1.9  # a linear region that is not reconstructed


def test_log_slopes():
    d = np.geomspace(0.1, 10, 5)
    rows = np.stack([3 * d**2, d**1.5, np.full(5, np.nan)])
    np.testing.assert_allclose(satae_fig3.log_slope(d, rows), [2, 1.5, np.nan])


def test_s8_is_decided_on_all_rays_and_explained_by_where_the_region_is_reconstructed():
    study = study_with(satae_fig3)
    growth = np.array([[2.0, 2.02], [1.98, 1.95], [2.01, 2.0], [1.94, np.nan]])
    edge = np.array([[0, 0], [0, 1e-2], [0, 0], [1e-2, np.nan]])
    run = path_of((0.4, 0.4), (1.5, 1.5)).assign(
        growth=(("seed", "ray"), growth), edge_energy=(("seed", "ray"), edge)
    )
    assert satae_fig3.verdicts({study: run}, "")[1].verdict == "holds"
    for shift in (0.5, -0.5):
        moved = run.assign(growth=(("seed", "ray"), growth + shift))
        verdict = satae_fig3.verdicts({study: moved}, "")[1]
        assert verdict.verdict == "fails"
        (sentence,) = satae_fig3.explain({study: moved}, verdict)
        reconstructed, other = np.mean([2, 2.02, 1.98, 2.01, 2]), np.mean([1.95, 1.94])
        assert has_numbers(sentence, round(reconstructed + shift, 3), 5, 8)  # of 8 rays
        assert has_numbers(sentence, round(other + shift, 3), 2, 8)
