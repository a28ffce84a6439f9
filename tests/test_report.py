"""The table of T1 to T13, its command and pictures, and the stored copies."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import stored_runs
from commands import has_numbers
from matplotlib.figure import Figure
from typer.testing import CliRunner

import experiments.figures.beyond.audit_pairs as pairs
from aesparse.cli.app import app
from aesparse.errors import InputError
from aesparse.theory.conclusion import INDIFFERENT, NO_EFFECT, NOT_GUARANTEED, SPARSIFIES
from aesparse.theory.conjectures import CONJECTURES
from aesparse.theory.errata import decay_factor
from aesparse.theory.falsifier import SIZES
from experiments.cli import app as other
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.record import read_pictured
from experiments.theorems import attacks, pictures, rows

FIGURES = Path(__file__).parents[1] / "figures"
VERDICTS = {"holds", "false", "measured", "erratum"}


def few():
    return (CONJECTURES[0], next(c for c in CONJECTURES if not c.true))


@pytest.mark.long
def test_command_theorems_writes_table_pictures_and_json(tmp_path, monkeypatch):
    """The whole way, with few statements; each has its own test, and `-m long` runs all."""
    monkeypatch.setattr(rows, "CONJECTURES", few())
    monkeypatch.setattr(rows, "ACTIVATIONS", {"relu": None})
    monkeypatch.setattr(rows, "errata", lambda: [decay_factor()])
    monkeypatch.setattr(pictures, "CONJECTURES", few())
    monkeypatch.setattr(attacks, "EFFORT", {"sizes": SIZES[:2], "starts": 2, "steps": 2})
    shown = CliRunner().invoke(app, ["theorems", "--out", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    table = read_pictured(tmp_path / "theorems.json")["rows"]
    assert {row["verdict"] for row in table} == VERDICTS
    assert all(row["statement"] in shown.output for row in table)
    (found,) = (row for row in table if row["verdict"] == "false")
    assert found["details"]["counter_example"]["weight"]
    for kind in ("png", "svg"):
        assert (tmp_path / f"theorems.{kind}").stat().st_size > 20_000


def test_command_theorems_prints_json_alone_when_asked(tmp_path, monkeypatch):
    row = rows.Row("T1", "Σ falls", "holds", "0.1", {"margin": 0.1})
    monkeypatch.setattr(rows, "theorems", lambda: [row])
    monkeypatch.setattr(pictures, "draw_theorems", Figure)
    shown = CliRunner().invoke(app, ["theorems", "--out", str(tmp_path), "--json"])
    assert json.loads(shown.output) == [row._asdict()]
    assert read_pictured(tmp_path / "theorems.json")["rows"] == json.loads(shown.output)


def test_theorems_without_the_experiments_says_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "experiments.theorems.command", None)
    shown = CliRunner().invoke(app, ["theorems", "--out", str(tmp_path)])
    assert isinstance(shown.exception, InputError)
    assert "repository" in str(shown.exception)


def test_both_command_lines_offer_theorems(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "theorems", list)
    monkeypatch.setattr(pictures, "draw_theorems", Figure)
    shown = [CliRunner().invoke(a, ["theorems", "--out", str(tmp_path)]) for a in (app, other)]
    assert [one.exit_code for one in shown] == [0, 0]
    assert shown[0].output == shown[1].output


def test_command_theorems_writes_a_page_of_the_rows(tmp_path, monkeypatch):
    row = rows.Row("T1", "|Σ| falls", "holds", "0.1", {"margin": 0.1})
    monkeypatch.setattr(rows, "theorems", lambda: [row])
    monkeypatch.setattr(pictures, "draw_theorems", Figure)
    page = tmp_path / "docs" / "theorems.md"
    shown = CliRunner().invoke(app, ["theorems", "--out", str(tmp_path), "--page", str(page)])
    assert shown.exit_code == 0, shown.output
    assert "\n| T1 | \\|Σ\\| falls | holds | 0.1 |\n" in page.read_text(encoding="utf-8")
    assert str(page) in shown.output
    (tmp_path / "taken").write_text("", encoding="utf-8")
    page = tmp_path / "taken" / "theorems.md"
    shown = CliRunner().invoke(app, ["theorems", "--out", str(tmp_path), "--page", str(page)])
    assert "taken" in str(shown.exception)


def test_command_theorems_refuses_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    shown = CliRunner().invoke(app, ["theorems", "--out", str(tmp_path / "taken")])
    assert "taken" in str(shown.exception)


def test_the_stored_table_covers_every_claim_and_none_fails():
    table = read_pictured(FIGURES / "theorems.json")["rows"]
    assert {row["id"] for row in table} == {f"T{i}" for i in range(1, 16)}
    assert {row["verdict"] for row in table} == VERDICTS
    attacked = {row["statement"]: row for row in table if "evaluations" in row["details"]}
    assert set(attacked) == {c.title for c in CONJECTURES}
    most = 32 * 51 * len(SIZES)
    for conjecture in CONJECTURES:
        row = attacked[conjecture.title]
        assert row["verdict"] == ("holds" if conjecture.true else "false")
        evaluations = row["details"]["evaluations"]
        assert evaluations >= 100 * most if conjecture.true else evaluations <= most
        if conjecture.true:
            assert row["details"]["random_problems"] == 1000


@pytest.mark.long
def test_the_whole_table_today():
    for row in rows.theorems():
        expected = row.details.get("expected")
        assert row.verdict in ({"true": {"holds"}, "false": {"false"}}.get(expected, VERDICTS)), row


def stored_pairs():
    return read_pictured(FIGURES / "quick" / "audit-pairs.json")["verdicts"]


def test_the_audit_abstains_seldom_and_is_mostly_right():
    outcomes = [v["verdict"] for v in stored_pairs()]
    assert len(outcomes) == 24
    assert outcomes.count("abstained") <= 8
    said = 24 - outcomes.count("abstained")
    assert outcomes.count("right") >= 0.9 * said


class Said(NamedTuple):
    conclusion: str
    reason: str = "it is so"


FALLING, LEVEL = np.linspace(0.8, 0.3, 11), np.full(11, 0.8)


@pytest.mark.parametrize(
    ("conclusion", "fraction", "lost", "outcome"),
    [
        (SPARSIFIES, FALLING, 0, "right"),
        (SPARSIFIES, LEVEL, 0, "wrong"),
        (SPARSIFIES, FALLING, 3, "inconclusive"),
        (INDIFFERENT, LEVEL, 0, "right"),
        (INDIFFERENT, FALLING, 0, "wrong"),
        (NO_EFFECT, LEVEL, 0, "right"),
        (NO_EFFECT, 1.1 - FALLING, 0, "wrong"),
        (NOT_GUARANTEED, FALLING, 0, "abstained"),
    ],
)
def test_predictions_are_held_against_what_was_trained(
    conclusion, fraction, lost, outcome, monkeypatch
):
    plan = Plan.checked("quick", None, None)
    audited = [(s, r) for s in pairs.ACTIVATIONS for r in pairs.PENALTIES]
    said = dict.fromkeys(audited, Said(conclusion))
    monkeypatch.setattr(pairs, "audits", lambda samples: said)
    found = {
        spec: stored_runs.fake(spec, fraction[:1] if spec == spec.baseline else fraction)
        for spec in pairs.runs(plan)
    }
    for spec, run in found.items():
        if spec != spec.baseline:
            run["flagged_epoch"] = ("strength", np.where(np.arange(11) < lost, 1, -1))
    verdicts = pairs.verdicts(found, "digits")
    assert [v.verdict for v in verdicts] == [outcome] * 24
    counts = {"abstained": (24, 0, 0), "inconclusive": (0, 0, 0), "wrong": (0, 0, 24)}
    abstained, right, other = counts.get(outcome, (0, 24, 24))
    assert has_numbers(pairs.caption(found, plan), abstained, right, other)
    assert len(pairs.draw(found, plan).axes) == 24


@pytest.mark.long
def test_the_audits_predictions_today_are_the_stored_ones():
    stored = [v["statement"].split("predicted ")[1] for v in stored_pairs()]
    today = pairs.audits(SCALES["quick"].samples).values()
    assert stored == [audit.conclusion for audit in today]
    abstained = [v["verdict"] == "abstained" for v in stored_pairs()]
    assert abstained == [conclusion == NOT_GUARANTEED for conclusion in stored]
