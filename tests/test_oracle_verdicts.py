"""The oracle of docs/protocol.md: that it is independent, and its verdicts on the stored runs."""

import ast
from pathlib import Path

import pytest
from oracle_verdicts import decide, seen_keys

HERE = Path(__file__).parent


@pytest.mark.parametrize("scale", ["reduced", "paper", "quick"])
def test_committed_runs_are_decided_without_a_construction_that_breaks(scale):
    listed = HERE.parent / "experiments/evidence/seen.txt"
    seen = seen_keys(listed) if listed.exists() else frozenset()
    decisions = decide(HERE.parent / "figures/runs" / scale, seen)
    decisive = [d for d in decisions.values() if d.verdict != "not run"]
    assert len(decisive) >= {"reduced": 70, "paper": 40, "quick": 7}[scale]
    for key, found in decisions.items():
        if key[0] in ("G1", "L1", "L2", "S1", "S2", "S7") or key[3][-1] == "equals cae":
            assert found.verdict in ("by construction", "not run"), (key, found)


@pytest.mark.parametrize("path", sorted(HERE.glob("oracle_*.py")), ids=lambda p: p.stem)
def test_the_oracle_imports_no_code_that_it_checks(path):
    allowed = {"numpy", "scipy", "gzip", "io", "json", "tomllib", "pathlib", "collections"}
    allowed |= {"dataclasses", "typing", *(p.stem for p in HERE.glob("oracle_*.py"))}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module.split(".")[0] in allowed
