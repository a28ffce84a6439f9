"""The oracle's verdicts on filters of GSAE and of the lecture, whose verdicts are known."""

import numpy as np
import pytest
from oracle_written import study
from test_oracle_regimes import verdict

MODELS = np.array(["sparse", "linear", "mixtures", "plain"])
SIDES = np.array(["decoder", "encoder"])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "reduced"


def first_figure(folder, **changes):
    """Three seeds: plain filters like PCA's, sparse ones local, linear ones at the bound."""
    values = {
        "model": MODELS,
        "side": SIDES,
        "angle": [[0.9, 0.9], [0.2, 0.2], [0.2, 0.2], [0.3, 0.3]],
        "window": [[0.6, 0.6], [0.3, 0.3], [0.3, 0.3], [0.31, 0.31]],
        "image_angle": np.full((4, 2), 0.5),
        "pca_window": 0.3,
        "fall": [5e-4] * 4,
        "value": [5, 1.01, 1.01, 5],
        "bound": [np.nan, 1, 1, np.nan],
        "never_inked": [0.5, 0.005, 0.005, 0.5],
        "gradient_error": 1e-12,
    }
    for seed in range(3):
        study(folder, "gsae-fig1", values | changes, seed=seed, decay=0.003, smooth=0.2)


CLAIMS = {"G3 columns": 0, "G3 covariance": 1, "G5 components": 2, "G5 plain": 3, "G6 0.003": 4}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"image_angle": np.full((4, 2), 0.25)}, {"G3 columns": "fails", "G3 covariance": "fails"}),
        ({"pca_window": 0.35}, {"G3 columns": "fails"}),
        ({"pca_window": 0.7}, {"G3 columns": "fails", "G5 components": "fails"}),
        ({"value": [5, 1.03, 1.01, 5]}, {"G6 0.003": "fails"}),
        ({"never_inked": [0.5, 0.02, 0.005, 0.5]}, {"G6 0.003": "fails"}),
        (
            {"fall": [5e-4, 2e-3, 5e-4, 2e-3]},
            dict.fromkeys(("G3 columns", "G3 covariance", "G5 plain", "G6 0.003"), "inconclusive"),
        ),
    ],
)
def test_filters_next_to_those_of_pca(folder, changes, expected):
    first_figure(folder, **changes)
    for name in CLAIMS:
        claim, word = name.split()
        assert verdict(folder, claim, "mnist", word) == expected.get(name, "holds"), name


@pytest.mark.parametrize(
    ("rise", "fall", "expected"),
    [
        (0.0, 5e-4, ("by construction", "measured")),
        (0.1, 5e-4, ("fails", "measured")),
        (0.0, 2e-3, ("inconclusive", "inconclusive")),
    ],
)
def test_penalties_at_a_minimum(folder, rise, fall, expected):
    sums = np.array([[1, 0.5, 0.2 + rise, 0.1 + 3 * rise]] * 3)
    values = dict.fromkeys(("kl_of_all", "distance", "square"), sums)
    values["fall"] = np.full((3, 4), fall)
    for seed in range(3):
        study(folder, "gsae-penalties", values, seed=seed, unit="sigmoid")
    found = [verdict(folder, "G4", "mnist", *words) for words in (["rise"], ["distance", "ℓ1"])]
    assert tuple(found) == expected


@pytest.mark.parametrize(
    ("widths", "expected"),
    [((1.0, 1.5, 2.0), "holds"), ((1.0, 1.5, 1.5), "inconclusive"), ((2.0, 1.5, 1.0), "fails")],
)
def test_masking_widens_filters(folder, widths, expected):
    units = np.random.default_rng(0).normal(scale=0.3, size=(3, 1, 50))
    units = units + np.array(widths)[:, None]
    study(folder, "lecture-filters", {"half_width": units}, noise="masking", gain=1.0)
    assert verdict(folder, "L3", "mnist", "masked") == expected
    study(folder, "lecture-filters", {"half_width": units}, noise="gaussian", gain=1.0)
    assert verdict(folder, "L3", "mnist", "shape") == "measured"
