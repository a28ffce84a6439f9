"""The pairs that judge the audit: the list, the outcomes, the counts and the stored record."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from aesparse.losses.penalties import PENALTIES
from aesparse.models.activations import ACTIVATIONS
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from experiments.figures.beyond import audit_calibration
from experiments.figures.beyond.common import functions, outcomes, pairs
from experiments.pipeline.plan import Plan
from experiments.pipeline.record import read_pictured

PLAN = Plan.checked("quick", None, None)
STORED = Path(__file__).parents[1] / "figures" / "quick" / "audit-calibration.json"


def test_the_list_is_what_the_protocol_asks_for():
    listed = pairs.pairs()
    held = [pair for pair in listed if pair.part == "held_out"]
    assert len(held) >= 60
    assert len({pair[:5] for pair in listed}) == len(listed)
    strange = [p for p in held if p.activation not in ACTIVATIONS or p.penalty not in PENALTIES]
    assert sum(pair.outside for pair in held) >= len(held) / 2
    assert {pair for pair in held if pair.outside} <= set(strange)
    assert len({pair.data for pair in held}) >= 4
    assert {pair.constraint for pair in held} == {"unit", "free", "max-norm"}


def test_another_threshold_alone_is_no_function_of_ones_own():
    assert not functions.outside("relu, 2.5", "cae")
    assert functions.outside("mish", "cae")
    assert functions.outside("relu", "hoyer")


def test_penalties_of_ones_own_against_numpy(rng):
    h = rng.uniform(0.1, 2.0, size=(6, 4)).astype(np.float32)
    seen = one_layer_forward(Params(jnp.eye(4), jnp.zeros(4)), jnp.asarray(h), "identity")
    covariance = np.cov(h.T, bias=True)
    share = h / h.sum(axis=1, keepdims=True)
    off = covariance - np.diag(np.diag(covariance))
    expected = {
        "hoyer": np.mean(np.abs(h).sum(axis=1) / np.linalg.norm(h, axis=1)),
        "entropy": -np.mean(np.sum(share * np.log(share), axis=1)),
        "logdet": np.log(np.linalg.det(np.eye(4) + covariance)) / 2,
        "variance": np.trace(covariance),
        "decorrelation": np.sum(off**2) / 4,
        "group lasso": np.mean(np.linalg.norm(h, axis=1)),
        "exclusive": np.mean(h.sum(axis=1) ** 2),
        "l1": np.mean(h.sum(axis=1)),
        "lifetime": np.sum(np.sqrt(np.mean(h**2, axis=0))),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(functions.penalty_of(name)(seen, None), value, rtol=2e-3)


@pytest.mark.parametrize(
    ("says", "trained", "diverged", "outcome"),
    [
        ("falls", -0.051, -1, "right"),
        ("falls", -0.049, -1, "wrong"),
        ("rises", 0.2, -1, "right"),
        ("rises", -0.2, -1, "wrong"),
        ("does not move", 0.049, -1, "right"),
        ("does not move", -0.06, -1, "wrong"),
        ("abstains", -0.5, -1, "abstained"),
        ("falls", -0.5, 3, "undecided"),
    ],
)
def test_a_forecast_is_held_against_its_training(says, trained, diverged, outcome):
    runs = {}
    *trainings, last = audit_calibration.runs(PLAN)
    for study in trainings:
        fraction = np.full((2, 4), 0.5)
        fraction[:, -1] += trained + np.array([0.01, -0.01])  # the mean over seeds counts
        axes = ("seed", "strength")
        runs[study] = xr.Dataset(
            {
                "fraction": (axes, fraction),
                "mean": (axes, fraction),
                "spread": (axes, np.ones((2, 4))),
                "diverged_epoch": (axes, np.full((2, 4), diverged)),
            }
        )
    count = len(trainings)
    runs[last] = xr.Dataset(
        {
            "says": ("pair", np.full(count, outcomes.WORDS.index(says))),
            "fraction": (("pair", "strength"), np.full((count, 4), 0.5)),
            "mean": (("pair", "strength"), np.full((count, 4), 0.5)),
        }
    )
    assert {one.outcome for one in outcomes.judged(runs)} == {outcome}
    verdicts = audit_calibration.verdicts(runs, "")
    assert [v.verdict for v in verdicts[2:]] == [outcome] * count
    if outcome in {"right", "wrong"}:
        good = "holds" if outcome == "right" else "fails"
        assert [v.verdict for v in verdicts[:2]] == [good, "holds"]
        assert isinstance(audit_calibration.draw(runs, PLAN), Figure)


def test_counts_carry_wilsons_interval():
    right, said, z = 57, 60, 1.959964
    p = right / said
    centre = (p + z**2 / (2 * said)) / (1 + z**2 / said)
    half = z * np.sqrt(p * (1 - p) / said + z**2 / (4 * said**2)) / (1 + z**2 / said)
    text = str(outcomes.Count(right, 3, 5, 1))
    for number in (p, centre - half, centre + half, 5 / 65):
        assert f"{number:.1%}" in text
    assert "1 diverged" in text


def test_the_stored_record_counts_every_pair_once():
    stored = read_pictured(STORED)["verdicts"]
    per_pair = [v for v in stored if v["verdict"] not in {"holds", "fails"}]
    assert len(per_pair) == len(pairs.pairs())
    held = [v["verdict"] for v in per_pair if "(held out)" in v["statement"]]
    assert len(held) >= 60
    right, wrong, abstained = (held.count(o) for o in ("right", "wrong", "abstained"))
    met = {
        "holds" if right >= 0.95 * (right + wrong) else "fails",
        "holds" if abstained <= 0.15 * (right + wrong + abstained) else "fails",
    }
    assert {v["verdict"] for v in stored if v not in per_pair} == met
