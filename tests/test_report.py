"""The table of T1 to T13, its command and pictures, and the stored copies."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from aesparse.cli.app import app
from aesparse.theorems import attacks, pictures, rows
from aesparse.theory.conjectures import CONJECTURES
from aesparse.theory.errata import decay_factor
from aesparse.theory.falsifier import SIZES
from experiments.cli import app as other
from experiments.pipeline.record import read_pictured

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


def test_both_command_lines_offer_theorems(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "theorems", list)
    monkeypatch.setattr(pictures, "draw_theorems", Figure)
    shown = [CliRunner().invoke(a, ["theorems", "--out", str(tmp_path)]) for a in (app, other)]
    assert [one.exit_code for one in shown] == [0, 0]
    assert shown[0].output == shown[1].output


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
