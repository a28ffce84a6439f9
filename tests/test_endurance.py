"""What `python -m benchmarks.endurance` counts as lost, and as the same bits."""

import json
import signal
import subprocess

import pytest
import stored_runs

from benchmarks.kit.attacked import SCALE, Left, bits, ended, left_in
from experiments.pipeline.plan import Plan
from experiments.pipeline.store import RunStore


def test_a_command_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr("benchmarks.kit.attacked.LONGEST", 0.05)
    process = subprocess.Popen(["sleep", "30"])
    with pytest.raises(subprocess.TimeoutExpired):
        ended(process, signals=[signal.SIGCONT], after=0.05)
    assert process.poll() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (Left(frozenset(), {}), Left(frozenset(), {}), 0),
        (Left(frozenset("a"), {}), Left(frozenset("ab"), {}), 0),
        (Left(frozenset("a"), {}), Left(frozenset(), {"a": 3}), 1),
        (Left(frozenset(), {"a": 3}), Left(frozenset(), {"a": 4}), 0),
        (Left(frozenset(), {"a": 3}), Left(frozenset("a"), {}), 0),
        (Left(frozenset(), {"a": 3}), Left(frozenset(), {"a": 2}), 1),
        (Left(frozenset("b"), {"a": 3}), Left(frozenset(), {}), 2),
    ],
)
def test_runs_may_not_vanish_and_checkpoints_not_fall_back(before, after, lost):
    assert len(before.lost(after)) == lost


def test_equal_bits_are_those_of_all_numbers_and_of_no_times(tmp_path):
    spec = Plan.checked(SCALE, 1, None).specs("digits", "dae", "relu", "unit")[0]
    run, store = stored_runs.fake(spec), RunStore(tmp_path, SCALE)
    store.save(spec, run)
    first = bits(tmp_path)
    assert left_in(tmp_path).runs == {spec.key}
    parents = json.loads(run.attrs["provenance"]) | {"wall_seconds": 2.0}
    store.save(spec, run.assign_attrs(provenance=json.dumps(parents)))
    assert bits(tmp_path) == first
    changed = run["dead_fraction"].copy()
    changed[0] += 1e-7
    store.save(spec, run.assign(dead_fraction=changed))
    assert bits(tmp_path).keys() == first.keys()
    assert bits(tmp_path) != first
