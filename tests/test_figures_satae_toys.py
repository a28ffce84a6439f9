"""SATAE's Figures 1, 2, 3 and 6: what they compute, decide and draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from commands import has_numbers, numbers
from scipy.integrate import quad

from aesparse.models.activations import get_activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from experiments.figures.satae import satae_fig1, satae_fig2, satae_fig3, satae_fig6
from experiments.figures.satae.common import growth, plane
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
    "samples": 40,
    "epochs": 1,
    "alphas": (0.0, 0.1),
    "drawn": 1,
    "seeds": (0, 1, 2),
    "side": 21,
}


@pytest.mark.long
@pytest.mark.parametrize("figure", [satae_fig2, satae_fig3])
def test_toy_figures_are_computed_and_drawn(figure):
    study = study_with(figure, **TOY)
    run = figure.compute(study, None)
    assert set(shown(figure, study, run)) == set(figure.CLAIMS)
    error = run["error"].values  # [..., α, S, without and with penalty]
    assert error.shape[-3:] == (2, 3, 2)
    np.testing.assert_allclose(error[..., 0, :, 0], error[..., 0, :, 1], rtol=1e-5)  # both α = 0
    assert (error[..., 1, :, 0] != error[..., 1, :, 1]).all()
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


def test_energies_along_a_path_are_in_units_of_the_half_variance():
    """Units that reconstruct nothing: E = ½‖x‖², of which 2τ is a circle's squared radius."""
    study = study_with(satae_fig3, side=201)
    nothing = Params(jnp.zeros((1, 2, 2, 2)), jnp.zeros((1, 2, 2)), None, jnp.zeros((1, 2, 2, 2)))
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    X = 0.6 * np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("f")
    assert plane.half_variance(X + 3) == pytest.approx(0.18, rel=1e-5)  # ½ 0.6²
    found = plane.energies(study, X, [nothing], get_activation("saturated-linear"))
    np.testing.assert_allclose(found["error"], 1, rtol=1e-5)
    np.testing.assert_allclose(found["area"], np.pi * 0.036, rtol=0.02)
    assert not found["covered"].any()


def test_areas_are_those_of_circles():
    energies = (plane.square(201) ** 2).sum(axis=1)
    for radius in (0.25, 0.5, 0.9):
        found = plane.area_below(energies, radius**2)
        np.testing.assert_allclose(found, np.pi * radius**2, rtol=0.02)


def test_the_curves_lie_inside_the_square_and_have_their_formulas():
    t = np.linspace(-0.8, 0.8, 50)
    x, y = plane.points_of("parabola", 50).T
    np.testing.assert_allclose([x, y], [t, t**2 / 2 - 0.2], atol=1e-6)
    x, y = plane.points_of("sine", 50).T
    np.testing.assert_allclose([x, y], [t, 0.5 * np.sin(np.pi * t / 0.8)], atol=1e-6)
    z = plane.points_of("spiral", 50) @ [1, 1j]
    np.testing.assert_allclose(np.abs(z), np.linspace(0.2, 0.95, 50), atol=1e-6)
    np.testing.assert_allclose(np.unwrap(np.angle(z))[-1], 2.5 * np.pi, atol=1e-5)
    assert max(np.abs(plane.points_of(name, 500)).max() for name in plane.CURVES) <= 1


def paths_of(area, error):
    """A run whose numbers are given per curve at α = 0.1 and 0.2, alike for four starts.

    Without the penalty the area is 1 and the energy on the curve 0.
    """
    cells = ("curve", "alpha", "seed", "penalty")

    def stored(values, plain):
        values = np.array(values)[:, :, None, None]
        both = np.concatenate([np.full_like(values, plain), values], axis=-1)
        zero = np.full_like(both[:, :1], plain)
        return cells, np.repeat(np.concatenate([zero, both], axis=1), 4, axis=2)

    names = [f"curve {c}" for c in range(len(area))]
    found = {"area": stored(area, 1.0), "error": stored(error, 0.0)}
    return xr.Dataset(found, {"curve": names, "alpha": [0.0, 0.1, 0.2]})


@pytest.mark.parametrize(
    ("area", "error", "verdict", "strength"),
    [
        ([[0.9, 0.4]], [[0.05, 0.09]], "holds", 0.2),
        ([[0.4, 0.1]], [[0.09, 0.9]], "holds", 0.1),
        ([[0.9, 0.4]], [[0.05, 0.11]], "fails", 0.2),  # never both at one α
        ([[0.55, 0.4]], [[0.05, 0.9]], "fails", 0.1),  # the nearest
        ([[0.4, 0.3], [0.6, 0.4]], [[0.05, 0.09], [0.05, 0.09]], "holds", 0.2),
        ([[0.4, 0.3], [0.6, 0.4]], [[0.05, 0.2], [0.05, 0.09]], "fails", 0.1),  # each at its own
    ],
)
def test_s3_needs_both_at_one_strength_for_all_curves(area, error, verdict, strength):
    decided = decide_s3(paths_of(area, error), "")
    assert decided.verdict == verdict
    assert f"α = {strength}" in decided.numbers


def test_s3_is_inconclusive_where_starts_disagree():
    run = paths_of([[0.4, 0.4]], [[0.05, 0.05]])
    run["area"].values[0, 1:, 0, 1] = 1.2
    assert decide_s3(run, "").verdict == "inconclusive"


def test_angles_between_lines(rng):
    rows = np.array([[[1.0, 0], [0, 3]], [[1, 0], [-2, 2]], [[1, 1], [2, 2]]])
    np.testing.assert_allclose(satae_fig3.angle(rows), [90, 45, 0], atol=1e-5)


def test_an_end_is_saturated_where_a_unit_is():
    weights, biases = np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.array([[0.0, 0.3]])
    ends = np.array([[0.9, 0.8], [0.9, 0.6], [-1.5, 0]])  # 0.8 + 0.3 is beyond 1
    np.testing.assert_array_equal(satae_fig3.saturated(weights, biases, ends), [[1, 0, 1]])


def test_typical_starts_are_those_around_the_median():
    values = np.array([3.0, 90, 88, 91, 80, 1, 87, 2, 89])
    assert set(values[satae_fig3.middle_three(values)]) == {80, 87, 88}


def start(angle=85.0, longer=2.0, saturated=(1, 1)):
    """A start's angle without penalty, growth of its mean row length, and ends with the penalty."""
    return angle, longer, saturated


@pytest.mark.parametrize(
    ("starts", "orthogonal", "longer"),
    [
        ([start()] * 9, "holds", "holds"),
        ([start(angle=60.0)] * 9, "fails", "holds"),
        ([start(longer=1.4)] * 9, "holds", "fails"),
        ([start()] * 9 + [start(saturated=(1, 0))] * 27, "holds", "fails"),  # one end, 1/4
        ([start()] * 27 + [start(angle=1.0)] * 2, "holds", "holds"),  # a few are degenerate
        ([start()] * 5 + [start(angle=60.0)] * 4, "inconclusive", "holds"),
    ],
)
def test_figure_3_decides(starts, orthogonal, longer):
    study = study_with(satae_fig3, drawn=0)
    angles, ratios, ends = (np.array(each) for each in zip(*starts, strict=True))
    cells = ("alpha", "seed", "penalty")
    rows = np.stack([np.ones_like(ratios), ratios], axis=1)[..., None] * [0.5, 1.5]
    run = xr.Dataset(
        {
            "angle": (cells, np.stack([angles, np.full_like(angles, 40.0)], axis=1)[None]),
            "length": ((*cells, "row"), rows[None]),
            "saturated": ((*cells, "end"), np.stack([0 * ends, ends], axis=1)[None]),
            "growth": (("seed", "ray"), np.full((len(starts), 4), 2.0)),
            "error": (cells, np.stack([0 * angles + 0.2, angles], axis=1)[None]),
        }
    )
    found = {v.claim: v for v in satae_fig3.verdicts({study: run}, "")}
    assert [found[c].verdict for c in ("S3b", "S3c", "S8")] == [orthogonal, longer, "holds"]
    (angles_told,) = satae_fig3.explain({study: run}, found["S3b"])
    assert {*np.round(90 - angles), len(starts)} <= set(numbers(angles_told))  # all degenerate
    (ratios_told,) = satae_fig3.explain({study: run}, found["S3c"])
    assert {*ratios, 0} <= set(numbers(ratios_told))  # none became shorter


def test_the_edge_of_the_linear_region_against_a_scan(rng):
    w, b, start = rng.normal(size=(2, 2)), np.array([0.2, -0.3]), np.array([0.1, 0.2])
    angles = rng.uniform(0, 2 * np.pi, 9)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = np.linspace(0, 20, 200_001)
    a = (start + along[:, None, None] * rays) @ w.T + b
    scanned = along[np.argmax((np.abs(a) >= 1).any(axis=-1), axis=0)]
    np.testing.assert_allclose(growth.edges(w, b, start, rays), scanned, atol=2e-4)
    assert np.isnan(growth.edges(w, b + 5, start, rays)).all()


def test_the_growth_of_a_perfect_linear_region_is_quadratic():
    eye = jnp.eye(2)[None, None]
    params = Params(eye, jnp.zeros((1, 1, 2)), jnp.zeros((1, 1, 2)), eye)
    X, units = plane.points_of("parabola", 9), "saturated-linear"
    distances = (0.1, 0.3)  # on no ray a second unit saturates so near
    slopes, edge = growth.grown(params, get_activation(units), X, 8, distances)
    assert np.abs(slopes - 2).max() < 0.01
    np.testing.assert_allclose(edge, 0, atol=1e-10)
    half = params._replace(decoder=0.5 * eye)
    worse, edge = growth.grown(half, get_activation(units), X, 8, distances)
    assert worse.max() < 1.9  # a linear region that is not reconstructed
    assert (edge > 0.1).all()


def test_log_slopes():
    d = np.geomspace(0.1, 10, 5)
    rows = np.stack([3 * d**2, d**1.5, np.full(5, np.nan)])
    np.testing.assert_allclose(growth.log_slope(d, rows), [2, 1.5, np.nan])


def test_s8_is_decided_on_all_rays_and_explained_by_where_the_region_is_reconstructed():
    study = study_with(satae_fig3, drawn=0)
    slopes = np.array([[2.0, 2.02], [1.98, 1.95], [2.01, 2.0], [1.94, np.nan]])
    edge = np.array([[0, 0], [0, 1e-2], [0, 0], [1e-2, np.nan]])
    cells = ("alpha", "seed", "penalty")
    other = {
        "angle": (cells, np.full((1, 4, 2), 80.0)),
        "length": ((*cells, "row"), np.ones((1, 4, 2, 2))),
        "saturated": ((*cells, "end"), np.ones((1, 4, 2, 2))),
    }
    run = xr.Dataset(
        other | {"growth": (("seed", "ray"), slopes), "edge_energy": (("seed", "ray"), edge)}
    )
    assert satae_fig3.verdicts({study: run}, "")[2].verdict == "holds"
    for shift in (0.5, -0.5):
        moved = run.assign(growth=(("seed", "ray"), slopes + shift))
        verdict = satae_fig3.verdicts({study: moved}, "")[2]
        assert verdict.verdict == "fails"
        (sentence,) = satae_fig3.explain({study: moved}, verdict)
        reconstructed, other = np.mean([2, 2.02, 1.98, 2.01, 2]), np.mean([1.95, 1.94])
        assert has_numbers(sentence, round(reconstructed + shift, 3), 5, 8)  # of 8 rays
        assert has_numbers(sentence, round(other + shift, 3), 2, 8)
