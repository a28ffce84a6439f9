"""The command that `benchmarks.endurance` attacks: started, ended, and what it has left."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.pipeline.stored import decode

__all__ = [
    "FIGURE",
    "LONGEST",
    "SCALE",
    "Ended",
    "Left",
    "bits",
    "ended",
    "finish",
    "left_in",
    "started",
]

ROOT = Path(__file__).parents[2]
SCALE = "quick"
FIGURE = ("arpit-fig1-epochs", "--scale", SCALE, "--seeds", "1", "--out")
LONGEST = 600.0  # seconds of a command that nobody stops
# The command with a checkpoint after every epoch: its runs are shorter than the usual minute.
_OFTEN = """
from aesparse.command import run

def command():
    from aesparse.training.checkpoints import Checkpoints
    Checkpoints.__init__.__kwdefaults__["every_seconds"] = 0
    from experiments.cli import main
    return main()

run(command)
"""


class Ended(NamedTuple):
    """How a command ended: its exit status as a shell says it, and its standard error."""

    status: int
    error: str

    @property
    def sentence(self) -> str:
        """The last line on standard error but those of progress."""
        said = [line for line in self.error.splitlines() if line.startswith(("Error:", "Stopped"))]
        return said[-1] if said else ""


class Left(NamedTuple):
    """What is on the disk: the stored runs, and the newest checkpoint of the unfinished ones."""

    runs: frozenset[str]
    checkpoints: dict[str, int]

    def lost(self, after: "Left") -> list[str]:
        """What is here and neither there nor, for a checkpoint, stored as a run meanwhile."""
        gone = [f"the run {key} vanished" for key in sorted(self.runs - after.runs)]
        for key, epoch in self.checkpoints.items():
            now = after.checkpoints.get(key, 0)
            if now < epoch and key not in after.runs:
                gone.append(f"{key} fell back from epoch {epoch} to {now}")
        return gone


def started(out: Path, *, often: bool) -> subprocess.Popen:
    """The command, with a checkpoint after every epoch or as it is."""
    how = ["-c", _OFTEN] if often else ["-m", "experiments"]
    return subprocess.Popen(
        [sys.executable, *how, *FIGURE, str(out)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """Undoes that a shell lets its background jobs ignore SIGINT, which a command leaves so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(
    process: subprocess.Popen, *, signals: Sequence[signal.Signals] = (), after: float, gap=0.0
) -> Ended:
    """Waits for a command, which is sent signals `gap` seconds apart if it is not done by then.

    A command that lasts longer than `LONGEST` after them is killed; raises `TimeoutExpired`.
    """
    try:
        error = process.communicate(timeout=after)[1]
    except subprocess.TimeoutExpired:
        for i, number in enumerate(signals or (signal.SIGKILL,)):
            time.sleep(gap if i else 0)
            process.send_signal(number)
        error = process.communicate(timeout=LONGEST)[1]
    finally:  # one that is past its limit, or not waited for any more
        process.kill()
        process.wait()
    status = process.returncode
    return Ended(128 - status if status < 0 else status, error)


def left_in(out: Path) -> Left:
    """What a command has left; raises `InputError` if a stored run is damaged."""
    folder = out / "runs" / SCALE
    runs = {path.name.partition(".")[0]: path for path in folder.glob("*.nc.gz")}
    for path in runs.values():
        decode(path.read_bytes(), path.name)
    epochs: dict[str, int] = {}
    for path in folder.glob(".checkpoints/*/*.npz"):
        if path.stem.isdecimal():
            epochs[path.parent.name] = max(epochs.get(path.parent.name, 0), int(path.stem))
    return Left(frozenset(runs), epochs)


def bits(out: Path) -> dict[str, str]:
    """SHA-256 of each run's numbers, of the figure's record without parentage, of its pictures."""
    digests = {}
    for path in sorted((out / "runs" / SCALE).glob("*.nc.gz")):
        digest, run = hashlib.sha256(), decode(path.read_bytes(), path.name)
        for name in sorted(run.variables):
            values = run[name].values
            digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
        digests[path.name] = digest.hexdigest()
    for path in sorted((out / SCALE).glob("*.*")):
        content = path.read_bytes()
        if path.suffix == ".json":
            record = json.loads(content)
            shown = {name: record[name] for name in ("caption", "verdicts", "title")}
            content = json.dumps(shown, sort_keys=True).encode()
        digests[path.name] = hashlib.sha256(content).hexdigest()
    return digests


def finish(out: Path) -> None:
    """Lets the command run undisturbed; raises if it does not end well."""
    how = ended(started(out, often=False), after=LONGEST)
    if how.status:
        raise RuntimeError(f"the undisturbed command ends with {how.status}: {how.error[-2000:]}")
