"""The stored measurements of `benchmarks/targets.py`."""

import json
from pathlib import Path

import pytest

STORED = Path(__file__).parents[1] / "benchmarks" / "targets.json"
SETS, TARGETS = ("digits", "generated", "table", "mnist"), (0.02, 0.05, 0.2)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("data", SETS)
def test_a_share_of_active_units_is_met_on_samples_that_had_no_part_in_it(data, target):
    rows = json.loads(STORED.read_text(encoding="utf-8"))["targets"]
    assert len(rows) == len(SETS) * len(TARGETS)
    assert rows[f"{data}, {target}"]["set apart"] == pytest.approx(target, rel=0.1)
