"""SATAE Figure 5 and the CIFAR-10 panels of Figure 4: which paths, which units, what decides."""

import numpy as np
import pytest
import xarray as xr
from commands import has_numbers

from aesparse.data import Dataset
from experiments.figures.satae import satae_fig4, satae_fig5, satae_starts
from experiments.figures.satae.common.panels import ALPHAS, panel_of
from experiments.figures.satae.common.stored_path import followed
from experiments.pipeline.plan import Plan

QUICK, REDUCED = (Plan.checked(scale, None, None) for scale in ("quick", "reduced"))
SIDE = 4


def run_of(*, small=0.1, large=0.3, control=0.1, flat=0.05):
    """A stored path with made-up participation ratios at α = 0.1 and 0.6, three seeds."""
    spread = np.interp(ALPHAS, (0.1, 0.6), (small, large))
    both = np.stack([spread, np.full(len(ALPHAS), control)])
    seeds = both + 0.001 * np.arange(3)[:, None, None]
    pixels = np.zeros((2, 2, len(ALPHAS), SIDE * SIDE * 3), np.int8)
    pixels[0, 0, :, 5], pixels[1, 1, :, 7] = 127, -127
    axes = ("seed", "run", "stage")
    return xr.Dataset(
        {
            "participation": (axes, seeds),
            "flat": (axes, np.full(seeds.shape, flat)),
            "followed": (("which", "run", "stage", "input"), pixels),
        },
        attrs={"shape": (SIDE, SIDE, 3)},
    )


def runs_of(plan=REDUCED, **numbers):
    return {study: run_of(**numbers) for study in satae_fig5.runs(plan)}


def verdict_of(start: str, **numbers):
    runs = of_the_deciding_data(runs_of(**numbers))
    ((study, run),) = [(s, r) for s, r in runs.items() if panel_of(s).start == start]
    (verdict,) = satae_fig5.verdicts({study: run}, study.dataset)
    return verdict


def of_the_deciding_data(runs: dict) -> dict:
    (dataset,) = (s.dataset for s in runs if panel_of(s).role == "decides")
    return {study: run for study, run in runs.items() if study.dataset == dataset}


@pytest.mark.parametrize("plan", [QUICK, REDUCED])
def test_figure_5_trains_nothing_of_its_own_and_a_random_start_decides(plan):
    studies = satae_fig5.runs(plan)
    (decides,) = (study for study in studies if panel_of(study).role == "decides")
    assert decides in satae_fig4.runs(plan)
    assert panel_of(decides).start == "glorot"
    assert "bumps" in [panel_of(s).start for s in studies if s.dataset == decides.dataset]
    if plan is REDUCED:
        assert set(studies) <= {*satae_fig4.runs(plan), *satae_starts.runs(plan)}


@pytest.mark.parametrize("letters", ["ef", "gh"])
def test_random_starts_decide_the_panels_of_cifar10_each_with_a_control(letters):
    panels = [panel_of(s) for s in (*satae_fig4.runs(REDUCED), *satae_starts.runs(REDUCED))
              if s.option("part") == "path"]  # fmt: skip
    ours = [panel for panel in panels if panel.letters == letters]
    assert [panel.start for panel in ours if panel.role == "decides"] == ["glorot"]
    assert "bumps" in [panel.start for panel in ours if panel.role == "shown"]
    assert all(panel.control for panel in ours)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, "holds"),
        ({"large": 0.19}, "fails"),  # less than twice that at α = 0.1
        ({"control": 0.16}, "fails"),  # less than twice the control's
        ({"flat": 0.11}, "inconclusive"),  # saturated before any penalty
        ({"large": 0.15, "flat": 0.11}, "inconclusive"),
    ],
)
def test_s5_asks_for_twice_the_spread_of_units_that_start_unsaturated(numbers, expected):
    assert verdict_of("glorot", **numbers).verdict == expected


def test_an_identity_like_start_decides_nothing_and_is_named():
    for large in (0.15, 0.3):
        verdict = verdict_of("bumps", large=large)
        assert verdict.verdict == "measured"
        assert "identity-like" in verdict.statement
        assert has_numbers(verdict.numbers, float(f"{(large + 0.001) / 0.101:.3f}"))


def test_the_other_start_is_told_with_its_numbers_where_the_claim_fails():
    runs = of_the_deciding_data(runs_of(large=0.15))
    failed = next(v for v in satae_fig5.verdicts(runs, "x") if v.verdict == "fails")
    (said,) = satae_fig5.explain(runs, failed)
    assert "identity-like" in said
    saturated = satae_fig5.explain(of_the_deciding_data(runs_of(flat=0.4)), failed)
    assert has_numbers(saturated[0], 40.0)


def bar(*places) -> np.ndarray:
    """A filter of 16 inputs that is 1 at some and 0 elsewhere."""
    return np.isin(np.arange(16), places).astype(float)


def test_the_followed_units_are_an_element_that_turns_and_an_edge_that_spreads():
    along = np.zeros((len(ALPHAS), 6, 16))
    middle, end = ALPHAS.index(0.5), len(ALPHAS)
    along[:, 0] = bar(0)  # stays an element
    along[:middle, 1], along[middle:, 1] = bar(3), bar(4, 5)  # an element that becomes an edge
    along[:end, 2] = bar(8, 9)
    along[-1, 2] = bar(*range(12))  # an edge that becomes a template
    along[:, 3], along[-1, 3] = bar(6, 7), bar(6, 7, 10)
    along[:middle, 4], along[middle:, 4] = bar(1), bar(*range(2, 16))  # turns, but is global
    along[:, 5] = bar(*range(14))
    assert followed(along) == (1, 2)
    assert followed(along[:, ::-1]) == (4, 3)
    assert followed(-3 * along) == (1, 2)  # neither sign nor length counts


@pytest.mark.long
@pytest.mark.parametrize("start", ["glorot", "bumps"])
def test_a_stored_path_follows_the_same_units_with_and_without_penalty(start):
    (study,) = [s for s in satae_fig5.runs(QUICK) if panel_of(s).start == start]
    small = {"hidden": 6, "seeds": (7,), "divisor": 5.0}
    study = study._replace(options=tuple((dict(study.options) | small).items()), samples=60)
    X = np.random.default_rng(0).uniform(size=(60, SIDE * SIDE * 3)).astype(np.float32)
    run = satae_fig4.compute(study, Dataset("photos", X, X[:0], (SIDE, SIDE, 3)))
    filters = run["followed"].values.astype(float)
    assert filters.shape == (2, 2, len(ALPHAS), SIDE * SIDE * 3)
    np.testing.assert_array_equal(filters[:, 0, 0], filters[:, 1, 0])  # α = 0 in both
    assert (np.abs(filters[:, 0, -1] - filters[:, 1, -1]).max(axis=-1) > 2).all()
    np.testing.assert_allclose(run["participation"][0, 0, 0], run["participation"][0, 1, 0])


def test_picture_and_caption_name_the_start_that_presupposes_the_identity():
    runs = runs_of()
    axes = satae_fig5.draw(runs, REDUCED).axes
    local = [axis for axis in axes if "identity-like" in axis.get_title()]
    assert len(local) == sum(panel_of(study).local_start for study in runs)
    assert "random start" in axes[len(local)].get_title()
    assert [label.get_text() for label in local[0].get_xticklabels()] == [f"{a:g}" for a in ALPHAS]
    picture = local[0].get_images()[0].get_array()
    assert picture.shape[:2] == (4 * (SIDE + 1) - 1, len(ALPHAS) * (SIDE + 1) - 1)
    # Input 5 of the first unit's path is the last channel of pixel (0, 1); its control is empty.
    assert picture[0, 1].tolist() == [128, 128, 255]
    assert (picture[SIDE + 1 : 2 * SIDE + 1, :SIDE] == 128).all()
    # Input 7 of the second unit's control is channel 1 of pixel (0, 2).
    assert picture[3 * (SIDE + 1), 2].tolist() == [128, 0, 128]
    decides = axes[len(local)].get_images()[0].get_array()
    assert decides.shape[0] == 2 * (SIDE + 1) - 1  # the paths alone
    np.testing.assert_allclose(axes[-1].lines[0].get_ydata()[[0, -1]], [0.101, 0.301])
    caption = satae_fig5.caption(runs, REDUCED)
    assert "identity-like" in caption
    assert has_numbers(caption, 5, 100, 10)
