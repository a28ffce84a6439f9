"""The oracle's verdicts on studies written here, whose verdicts are known."""

import numpy as np
import pytest
from oracle_page import Statement, candidates
from oracle_runs import Setting
from oracle_verdicts import decide
from oracle_written import ALL, study, three, write
from test_oracle import verdict

KINDS = ("decay", "tied", "cae", "sae")
STRENGTHS = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "reduced"


def over_fitting(folder, kind, heldout, validation, chosen=0):
    """Errors (S, E), the strength of the lowest validation error being the first."""
    values = {"heldout": heldout, "validation": validation, "chosen": chosen}
    values["grid_validation"] = [2.0, 3.0]
    hidden = 100 if kind == "small" else 1_000
    return study(folder, "lecture-overfit", values, kind=kind, hidden=hidden)


def plain(folder):
    """Three plain models: 6 at the end, 4.5 at the epoch of the lowest validation error."""
    heldout = np.tile([10, 4.5, 4, 6], (3, 1))
    return over_fitting(folder, "plain", heldout, np.tile([10, 3.0, 3.5, 5], (3, 1)))


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((4.2, 4.2, 4.2), "holds"),  # below 4.5, though not below the lowest held-out error
        ((4.7, 4.7, 4.7), "fails"),  # below the final error only
        ((7, 7, 7), "fails"),
        ((4.2, 4.7, 4.2), "inconclusive"),
    ],
)
def test_a_regularized_model_must_beat_early_stopping_on_the_same_digits(folder, ends, expected):
    plain(folder)
    for kind in KINDS:
        heldout = np.stack([[10, end] for end in ends])
        over_fitting(folder, kind, heldout, heldout)
        assert verdict(folder, "L5", f"against {kind}") == expected


def test_the_strength_must_be_that_of_the_lowest_validation_error(folder):
    plain(folder)
    over_fitting(folder, "cae", np.ones((3, 2)), np.ones((3, 2)), chosen=1)
    with pytest.raises(ValueError, match="validation"):
        decide(folder)


@pytest.mark.parametrize(
    ("rise", "expected"), [(1.2, "holds"), (1.05, "inconclusive"), (1.0, "fails")]
)
def test_over_complete_models_over_fit_more_with_disjoint_intervals(folder, rise, expected):
    few = np.array([[9, 5, 5 * r] for r in (1.02, 1.05, 1.08)])
    seen = over_fitting(folder, "small", few, few)
    many = np.tile([9, 4, 4 * rise], (3, 1))
    over_fitting(folder, "plain", many, many)
    assert verdict(folder, "L6") == expected
    assert verdict(folder, "L6", seen=frozenset([seen])) == "not run"


def copying(folder, gaussian, saturated=0.0, activation="saturated-linear"):
    """Plain models with an error share of 1/200, regularized ones with that at each strength.

    Noisy validation inputs are best reconstructed at the fourth strength, clean ones at the first.
    """
    shape = np.ones((3, 1))
    fixed = {"activation": activation}
    values = {"gaussian": shape / 200, "saturated": saturated * shape}
    study(folder, "lecture-copying", values, **fixed, objective="ae")
    values = {
        "gaussian": shape * gaussian,
        "clean": shape * STRENGTHS,
        "denoising": shape * [0.9, 0.8, 0.7, 0.3, 0.5],
        "saturated": np.zeros((3, 5)),
    }
    study(folder, "lecture-copying", values, **fixed, objective="cae")


@pytest.mark.parametrize(
    ("gaussian", "saturated", "expected"),
    [
        ([0, 0, 0, 0.03, 0], 0, "holds"),
        ([0.03, 0.03, 0.03, 0.02, 0.03], 0, "fails"),
        ([0, 0, 0, 0.03, 0], 0.06, "inconclusive"),
    ],
)
def test_copying_at_the_strength_that_removes_noise(folder, gaussian, saturated, expected):
    copying(folder, np.array(gaussian), saturated)
    assert verdict(folder, "L7", "cae with saturated-linear") == expected
    assert verdict(folder, "L7", "dae with saturated-linear") == "not run"


def test_a_plain_model_that_does_not_copy_fails(folder):
    copying(folder, np.full(5, 0.5), activation="relu")
    key = study(
        folder,
        "lecture-copying",
        {"gaussian": np.full((3, 1), 0.011), "saturated": np.ones((3, 1))},
        activation="relu",
        objective="ae",
    )
    assert verdict(folder, "L7", "cae with relu") == "fails"
    assert verdict(folder, "L7", "cae with relu", seen=frozenset([key])) == "not run"


@pytest.mark.parametrize(("error", "expected"), [(0.0, "by construction"), (0.05, "fails")])
def test_closed_forms_of_linear_models(folder, error, expected):
    values = {
        "kind": np.array(["gaussian", "masking", "cae"]),
        "level": np.array([1.0, 0.5, 0.5]),
        "trained": np.array([0.25, 0.0 + error, 0.0625]),
        "untied": 1e-15,
    }
    study(folder, "lecture-copying", values, dataset="", activation="identity")
    assert verdict(folder, "L7", "linear", dataset="") == expected


@pytest.mark.parametrize(
    ("across", "expected"), [(1 - 0.9 * ALL, "holds"), (1 + ALL, "fails")], ids=["falls", "rises"]
)
def test_gains_along_and_across_the_data(tmp_path, across, expected):
    gain = np.stack([np.ones((5, 12)), np.tile(across, (5, 1))], axis=-1)
    folder = tmp_path / "quick"
    key = study(folder, "lecture-plane", {"gain": gain, "strength": ALL}, dataset="")
    assert verdict(folder, "L8", dataset="") == expected
    assert not [k for k in decide(folder, frozenset([key])) if k[0] == "L8"]


@pytest.mark.parametrize(
    ("slope", "curvature", "S6a", "S6b"),
    [(0.5, -1, "by construction", "fails"), (0.0, 1, "fails", "holds")],
    ids=["peak", "flat minimum"],
)
def test_extrema_of_a_non_monotone_function(tmp_path, slope, curvature, S6a, S6b):
    z = np.linspace(-1, 1, 101)
    values = {
        "z": z,
        "turn": [0.005],
        "complement": 3 + curvature * (z[None] - 0.005) ** 2,
        "at_turns": [[3.0]],
        "slope_at_turns": [[slope]],
        "steepest": [2.0],
    }
    study(tmp_path / "quick", "satae-fig6", values, dataset="")
    assert verdict(tmp_path / "quick", "S6a", dataset="") == S6a
    assert verdict(tmp_path / "quick", "S6b", dataset="") == S6b


def maxout(folder, seeds, mean, small, diverged=()):
    flagged = np.where(np.isin(np.arange(12), diverged), 3, -1)
    values = {"strength": ALL, "code_mean": mean, "code_small": small, "flagged_epoch": flagged}
    for seed in seeds:
        study(folder, "arpit-negative", values, seed=seed, pieces=3)


@pytest.mark.parametrize(
    ("mean", "small", "diverged", "expected"),
    [
        (1 - ALL, 0.5 - 0.3 * ALL, (), "holds"),
        (1 - ALL, 0.5 + 0.03 * ALL, (), "holds"),  # rises by too little for a direction
        (1 - ALL, 0.5 + 0.3 * ALL, (), "fails"),
        (1 + ALL, 0.5 - 0.3 * ALL, (), "fails"),
        (1 - ALL, 0.5 - 0.3 * ALL, (1, 2, 3), "inconclusive"),
    ],
)
def test_maxout_does_not_become_sparse(folder, mean, small, diverged, expected):
    maxout(folder, (3, 4), mean, small, diverged)
    assert verdict(folder, "A20", "maxout") == "not run"
    maxout(folder, (5,), mean, small, diverged)
    assert verdict(folder, "A20", "maxout") == expected


def test_what_is_measured_may_rest_on_runs_seen_before(folder):
    for constraint in ("unit", "free"):
        for objective in ("cae", "dae", "sae"):
            setting = Setting("mnist", "relu", constraint, objective)
            three(folder, setting, 0.6 - 0.4 * ALL * (constraint == "unit"))
    seen = frozenset(f"reduced/{path.name.removesuffix('.nc.gz')}" for path in folder.glob("*"))
    assert verdict(folder, "A17", "cae", "relu", seen=seen) == "measured"
    assert verdict(folder, "A17", "dae", "relu", seen=seen) == "not run"
    assert verdict(folder, "A17", "dae", "relu") == "holds"
    assert verdict(folder, "A18", "relu", seen=seen) == "measured"


@pytest.mark.parametrize(
    ("claim", "statement", "expected"),
    [
        ("A19", "DAE, relu: units alive, each rarely active", "dae relu unit own distributed"),
        ("L5", "weight decay, λ = 0.01: lower held-out error", "    against decay"),
        ("L5", "CAE, λ = 0.1: lower held-out error", "    against cae"),
        ("L7", "ReLU: copies unless regularized by CAE", "    cae with relu"),
        ("L7", "saturated linear: copies, corruption", "    dae with saturated-linear"),
    ],
)
def test_which_decision_a_statement_is_about(folder, claim, statement, expected):
    write(folder, Setting("mnist", "relu", "unit", "dae"), 0, ALL)
    row = Statement(claim, "reduced", "MNIST", statement, "holds", "")
    assert [" ".join(key[3]) for key in candidates(row, decide(folder))] == [expected]
