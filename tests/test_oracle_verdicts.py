"""The oracle of docs/protocol.md: that it is independent, and its verdicts on the stored runs."""

import ast
import re
from pathlib import Path

import pytest
from oracle_page import DATASETS, SCALES, candidates, statements
from oracle_verdicts import decide, seen_keys

HERE = Path(__file__).parent
ROOT = HERE.parent
ELSEWHERE = r"T\d+|S11"  # claims that the oracle leaves alone: theorems, and a timing
WHY = "by the length of a step"  # of A18: measured, and no number is asked for


@pytest.fixture(scope="module")
def record():
    return statements(ROOT / "docs/results/statements.md")


@pytest.fixture(scope="module")
def decisions():
    seen = seen_keys(ROOT / "experiments/evidence/seen.txt")
    made = {}
    for scale in SCALES:
        made |= decide(ROOT / "figures/runs" / scale, seen)
    return made


def test_every_verdict_of_the_record_is_that_of_the_oracle(record, decisions):
    wrong, compared = [], 0
    rows = [
        row
        for row in record
        if row.verdict != "superseded"
        and not re.fullmatch(ELSEWHERE, row.claim)
        and WHY not in row.statement
    ]
    # "not run" is said of a whole figure, some of whose runs the oracle lacks, too
    decided = {row[:3] for row in rows if row.verdict != "not run"}
    lacking = {key[:2] for key, found in decisions.items() if found.verdict == "not run"}
    for row in rows:
        if row.verdict == "not run":
            known = any(k[:2] == row[:2] and k[2] in DATASETS.get(row.data, ()) for k in decisions)
            if known and row[:3] not in decided and row[:2] not in lacking:
                wrong.append((row, "the oracle has all runs"))
            continue
        about = candidates(row, decisions)
        if len(about) != 1:
            wrong.append((row, f"a statement about one of {about}"))
            continue
        found, compared = decisions[about[0]], compared + 1
        if found.verdict != row.verdict or not row.prints(found.number, found.interval):
            wrong.append((row, found))
    assert not wrong, "\n".join(map(str, wrong))
    assert compared >= 120


def test_no_decision_is_left_out_of_the_record(record, decisions):
    # a control is printed with what it controls; a row of a figure that is not run, nowhere
    absent = {row[:3] for row in record if row.verdict == "not run"}
    replaced = {row.claim for row in record if row.verdict == "superseded"}
    about = [candidates(row, decisions) for row in record]
    printed = {keys[0] for keys in about if len(keys) == 1}
    same = {(key[1:3], key[3][:3], decisions[key]) for key in printed}  # as at the common rate
    for key, found in decisions.items():
        if found.verdict == "not run" or key[3][-1] == "control" or key[0] in replaced:
            continue
        elsewhere = any(key[:2] == row[:2] and key[2] in DATASETS.get(row[2], ()) for row in absent)
        assert key in printed or elsewhere or (key[1:3], key[3][:3], found) in same, (
            f"{key}: {found} is in no row of the record"
        )


def test_no_construction_breaks(decisions):
    for key, found in decisions.items():
        if key[0] in ("G1", "L1", "L2", "S1", "S2", "S7") or key[3][-1] == "equals cae":
            assert found.verdict in ("by construction", "not run"), (key, found)


@pytest.mark.parametrize("path", sorted(HERE.glob("oracle_*.py")), ids=lambda p: p.stem)
def test_the_oracle_imports_no_code_that_it_checks(path):
    allowed = {"numpy", "scipy", "gzip", "io", "json", "re", "pathlib", "collections"}
    allowed |= {"dataclasses", "typing", *(p.stem for p in HERE.glob("oracle_*.py"))}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module.split(".")[0] in allowed
