"""The oracle's verdicts on paths written here, whose verdicts are known."""

import numpy as np
import pytest
from oracle_page import Statement, candidates
from oracle_verdicts import decide
from oracle_written import study

ALPHAS = tuple(k / 10 for k in range(11))
GROWING = np.linspace(0, 1, 11)
PANEL = {"part": "path", "role": "decides", "control": 1, "alphas": ALPHAS, "hidden": 100}
OF_UNITS = {
    "shrink": {"activation": "shrink", "start": "copied"},
    "linear": {"activation": "saturated-linear", "start": "glorot"},
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "reduced"


def path(folder, letters, units, *, seeds=(0, 0, 0), name="", **curves):
    """A path and its control; each curve is (path, control) over the stages, plus the seed's."""
    values = {
        key: np.stack([np.broadcast_to(np.stack([a + s * np.ones(11), b * np.ones(11)]), (2, 11))
                       for s in seeds])
        for key, (a, b) in curves.items() if key != "gabor_r2"
    }  # fmt: skip
    if "gabor_r2" in curves:
        values["gabor_r2"] = np.tile(curves["gabor_r2"], (3, 1)) + np.array(seeds)[:, None]
    values.setdefault("flat", np.zeros((3, 2, 11)) + 0.05 * GROWING)
    options = PANEL | {"letters": letters} | OF_UNITS[units]
    return study(folder, "satae-fig4", values, dataset=name or letters, **options)


def verdict(folder, claim, dataset, *parts, **options):
    """The one decision of a claim on a data set whose statement would have these words."""
    found = [
        decision
        for key, decision in decide(folder, **options).items()
        if key[0] == claim and key[2] == dataset and all(p in key[3][-1] for p in parts)
    ]
    assert len(found) == 1
    return found[0].verdict


@pytest.mark.parametrize(
    ("win7", "control", "seeds", "expected"),
    [
        (0.5, 0.3, (0, 0.01, 0.02), "holds"),
        (0.5, 0.4, (0, 0, 0), "fails"),
        (0.4, 0.3, (0, 0, 0), "fails"),
        (0.44, 0.3, (0, 0.01, 0.02), "inconclusive"),
    ],
)
def test_strokes_need_a_control_without_them(folder, win7, control, seeds, expected):
    smooth = (0.9, 0.9)
    curves = {"win7": (win7, control), "neighbour_correlation": smooth}
    path(folder, "a", "shrink", seeds=seeds, **curves)
    assert verdict(folder, "S4a", "a") == expected


@pytest.mark.parametrize(
    ("peak", "pr", "expected"),
    [(0.6, 0.01, "holds"), (0.6, 0.03, "fails"), (0.4, 0.01, "inconclusive")],
)
def test_no_effect_is_asked_of_identity_like_filters_alone(folder, peak, pr, expected):
    path(folder, "b", "linear", peak_share=(peak, 0), participation=(0.1 + pr, 0.1))
    assert verdict(folder, "S4b", "b") == expected


@pytest.mark.parametrize(
    ("fits", "selectivity", "expected"),
    [((0.7, 0.2), 0.6, "holds"), ((0.7, 0.4), 0.6, "fails"), ((0.7, 0.2), 0.4, "fails")],
)
def test_gabor_filters_have_a_direction_and_a_control(folder, fits, selectivity, expected):
    path(folder, "c", "shrink", gabor_r2=fits, orientation_selectivity=(selectivity, 0))
    assert verdict(folder, "S4c", "c") == expected


@pytest.mark.parametrize(
    ("pr", "control", "flat", "expected"),
    [
        (0.1 + 0.4 * GROWING, 0.1, 0.05, "holds"),  # 0.34 at α = 0.6 against 0.14 at 0.1
        (0.1 + 0.4 * GROWING, 0.2, 0.05, "fails"),
        (0.1 + 0.1 * GROWING, 0.05, 0.05, "fails"),
        (0.1 + 0.4 * GROWING, 0.1, 0.2, "inconclusive"),
    ],
)
def test_filters_spread_from_the_linear_region(folder, pr, control, flat, expected):
    path(folder, "gh", "linear", participation=(pr, control), flat=(flat + GROWING / 2, flat))
    for claim in ("S4g", "S4h", "S5"):
        assert verdict(folder, claim, "gh") == expected
    assert verdict(folder, "S8", "gh") == ("inconclusive" if flat > 0.1 else "holds")


def test_other_starts_are_measured(folder):
    PANEL_SHOWN = PANEL | {"role": "shown"} | OF_UNITS["linear"] | {"start": "bumps"}
    values = {"flat": np.zeros((3, 2, 11)), "participation": np.ones((3, 2, 11))}
    study(folder, "satae-fig4", values, dataset="gh", letters="gh", **PANEL_SHOWN)
    assert verdict(folder, "S4h", "gh", "identity-like") == "measured"


def test_more_units_and_rectified_units_are_compared_with_what_decides(folder):
    def numbers(pr, win7):
        seeds = np.array([0, 0.01, 0.02])[:, None, None]
        return {
            "participation": pr + seeds + np.zeros((3, 1, 11)),
            "win7": win7 + 0 * seeds + np.zeros((3, 1, 11)),
            "neighbour_correlation": np.ones((3, 1, 11)),
            "flat": np.zeros((3, 1, 11)),
        }

    base = PANEL | OF_UNITS["shrink"] | {"letters": "a", "control": 0}
    study(folder, "satae-fig4", numbers(0.3, 0.5), dataset="x", **base)
    more = base | {"role": "compared", "hidden": 300}
    relu = base | {"role": "compared", "activation": "relu"}
    study(folder, "satae-fig4", numbers(0.29, 0.5), dataset="x", **more)
    study(folder, "satae-fig4", numbers(0.3, 0.54), dataset="x", **relu)
    assert verdict(folder, "S9", "x") == "inconclusive"
    assert verdict(folder, "S10", "x") == "holds"
    study(folder, "satae-fig4", numbers(0.25, 0.5), dataset="x", **more)
    study(folder, "satae-fig4", numbers(0.3, 0.56), dataset="x", **relu)
    assert verdict(folder, "S9", "x") == "holds"
    assert verdict(folder, "S10", "x") == "fails"


@pytest.mark.parametrize(
    ("areas", "errors", "expected"),
    [
        ([[0.4, 0.9], [0.9, 0.4], [0.4, 0.9]], [[0.05] * 2] * 3, "fails"),  # at no one α
        ([[0.9, 0.4], [0.9, 0.4], [0.9, 0.4]], [[0.05] * 2] * 3, "holds"),
        ([[0.9, 0.4], [0.9, 0.4], [0.9, 0.4]], [[0.05] * 2, [0.05, 0.2], [0.05] * 2], "fails"),
    ],
)
def test_one_strength_for_all_curves(tmp_path, areas, errors, expected):
    values = {
        "alpha": [0, 0.1, 0.2],
        "area": np.ones((3, 3, 5, 2)),
        "error": np.full((3, 3, 5, 2), 0.01),
    }
    values["area"][:, 1:, :, 1] = np.array(areas)[..., None]
    values["error"][:, 1:, :, 1] = np.array(errors)[..., None]
    study(tmp_path / "quick", "satae-fig2", values, dataset="")
    assert verdict(tmp_path / "quick", "S3", "") == expected


@pytest.mark.parametrize(
    ("off", "longer", "ends", "expected"),
    [
        (15, 1.6, 1, ("holds", "holds")),
        (25, 1.4, 1, ("fails", "fails")),
        (15, 1.6, 0, ("holds", "fails")),
    ],
)
def test_two_units(tmp_path, off, longer, ends, expected):
    values = {
        "angle": np.full((2, 9, 2), 90 - off),
        "length": np.ones((2, 9, 2, 2)) * np.array([1, longer])[:, None],
        "saturated": np.full((2, 9, 2, 2), ends),
        "growth": np.full((9, 4), 2.0),
    }
    study(tmp_path / "quick", "satae-fig3", values, dataset="", drawn=1)
    found = tuple(verdict(tmp_path / "quick", claim, "") for claim in ("S3b", "S3c"))
    assert found == expected


def test_the_statement_of_a_panel_is_told_by_its_units_and_start(folder):
    path(folder, "gh", "linear", participation=(0.1, 0.1), name="cifar10-small")
    shown = PANEL | {"role": "shown", "letters": "gh"} | OF_UNITS["linear"] | {"start": "bumps"}
    values = {"flat": np.zeros((3, 2, 11)), "participation": np.ones((3, 2, 11))}
    study(folder, "satae-fig4", values, dataset="cifar10-small", **shown)
    statement = "templates (SL, T = 5, m = 100, from an identity-like start)"
    row = Statement("S4h", "reduced", "CIFAR-10 at 16×16", statement, "measured", "")
    (key,) = candidates(row, decide(folder))
    assert "identity-like" in key[3][-1]
