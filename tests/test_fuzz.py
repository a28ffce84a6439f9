"""Damaged inputs are refused or read rightly; `python -m benchmarks.fuzz` has more of them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aesparse.command import Stopped
from aesparse.errors import InputError
from benchmarks.fuzz.__main__ import run
from benchmarks.fuzz.kit import Attempt, attempted, damage
from benchmarks.fuzz.targets import MODULES, outcome_table

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("module", MODULES)
def test_no_damaged_input_is_a_traceback_or_another_number(module):
    """A process of its own: there the types of arguments are not checked, as for a user."""
    command = [sys.executable, "-m", "benchmarks.fuzz", "--only", module, "--count", "40"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def target(call, sound=lambda value: True):
    return {"x": lambda rng, folder: Attempt("a damage", call, sound)}


def raising(error):
    def call():
        raise error

    return call


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: 3, "sound"),
        (lambda: 4, "wrong number"),
        (raising(InputError("a sentence")), "refused"),
        (raising(InputError("")), "traceback"),
        (raising(InputError("two\nlines")), "traceback"),
        (raising(ValueError("not ours")), "traceback"),
        (raising(RecursionError()), "traceback"),
        (raising(MemoryError()), "traceback"),
        (raising(SystemExit(2)), "traceback"),
        (lambda: time.sleep(60), "hangs"),
    ],
)
def test_what_comes_of_an_input(call, kind):
    targets = target(call, sound=lambda value: value == 3)
    assert attempted(targets, "x", 0, 0, longest=0.1).kind == kind
    assert run(targets, 0, 1, longest=0.1)["targets"] == {"x": {kind: 1}}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped(signal.SIGTERM)])
def test_a_signal_that_ends_the_command_is_no_outcome(error):
    with pytest.raises(type(error)):
        attempted(target(raising(error)), "x", 0, 0)


def test_an_input_that_takes_much_memory_is_a_failure():
    """A process of its own: the peak of this one may be higher already."""
    program = """
from benchmarks.fuzz.__main__ import run
from benchmarks.fuzz.kit import Attempt
takes = lambda size: lambda rng, folder: Attempt("none", lambda: len(bytearray(size)))
targets = {"little": takes(10**6), "much": takes(5 * 10**8)}
stored = run(targets, 0, 2, most_bytes=4 * 10**8)
print(stored["targets"], [failure["target"] for failure in stored["failures"]])
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    counts = {"little": {"sound": 1}, "much": {"memory": 1}}
    assert ended.stdout.strip() == f"{counts} {['much']}"


def test_an_input_follows_from_its_number_alone_and_its_folder_is_empty():
    drawn = []

    def draw(rng, folder):
        assert not list(folder.iterdir())
        (folder / "file").touch()
        drawn.append(float(rng.random()))
        return Attempt("none", lambda: None)

    targets = {"x": draw, "y": draw}
    stored = run(targets, 0, 6)
    assert stored["failures"] == []
    assert len(set(drawn)) == 6
    attempted({"y": draw}, "y", 2, 0)
    attempted({"y": draw}, "y", 2, 1)
    assert drawn[6] == drawn[5] != drawn[7]
    assert "| x | 3 | 3 |" in outcome_table(stored)


@pytest.mark.parametrize("size", [0, 1, 2, 100, 50_000])
def test_damage_changes_every_file_in_several_ways(rng, size):
    data = rng.bytes(size)
    damaged = [damage(rng, data) for _ in range(100)]
    assert all(changed != data for _, changed in damaged)
    assert len({changed for _, changed in damaged}) > (1 if size < 2 else 10)
    repeated = [damage(np.random.default_rng(5), data) for _ in range(2)]
    assert repeated[0] == repeated[1]
