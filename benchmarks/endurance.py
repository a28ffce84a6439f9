"""Kills, interrupts and fills the disk of a short training command, and looks what is left.

    python -m benchmarks.endurance [--kills 20] [--interrupts 10] [--disks 4] [--seed 0]

The command makes `arpit-fig1-epochs` at the quick scale with one seed: two runs of 40 epochs and a
picture. It is killed (SIGKILL) and repeated until it is done, and interrupted twice within 20 ms
(SIGINT), three times in ten within its first second; every second of these moments is anywhere in
the command, the others are while it trains. It is run on disks (tmpfs, which needs root) too small
for its log, its checkpoints, its runs or its pictures. Stored runs must not vanish, checkpoints not
fall back, messages be one sentence, and the final runs, record and pictures equal those of an
undisturbed command in every bit. Writes benchmarks/endurance.json.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from aesparse.command import run
from aesparse.errors import InputError
from aesparse.files import write_text
from benchmarks.kit.attacked import (
    FIGURE,
    LONGEST,
    SCALE,
    Ended,
    Left,
    bits,
    ended,
    finish,
    left_in,
    started,
)

OUT = Path(__file__).with_suffix(".json")
DISKS = ("log", "checkpoints", "runs", "pictures")
_PAGE = 4096  # bytes by which a tmpfs grows
_ROOM = 64 * 2**20
_TRAINING = 0.2  # share of the command's time in which its epochs are, and a little more
_FIRST = 0.3  # share of the interrupts in the first second


class Attacks:
    """Attacks on one command, all in one folder; `rows` and `problems` are what was seen."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.rows, self.problems = [], []
        self.sound = folder / "sound"
        finish(self.sound)
        begin = time.monotonic()
        shutil.rmtree(self.sound)
        finish(self.sound)  # compiled programs are now read from the cache
        self.seconds, self.bits = time.monotonic() - begin, bits(self.sound)

    def kills(self, count: int) -> None:
        """SIGKILL at random moments; what is done is compared and begun again."""
        out, done = self.folder / "killed", 0
        while done < count:
            before, process = left_in(out), started(out, often=True)
            moment = self._moment(out, process, training=done % 2 == 1)
            how = ended(process, signals=(signal.SIGKILL,), after=moment)
            if how.status == 0:
                self._compared("kills", out)
                continue
            done += 1
            self._seen("kills", how, before, out, seconds=round(moment, 2))
        self._compared("kills", out)

    def interrupts(self, count: int) -> None:
        """SIGINT twice within 20 ms, some of them in the first second."""
        out, done = self.folder / "interrupted", 0
        while done < count:
            before, first = left_in(out), done < _FIRST * count
            gap, signals = float(self.rng.uniform(0, 0.02)), (signal.SIGINT,) * 2
            process = started(out, often=not first)
            if first:
                moment = float(self.rng.uniform(0, 1))
            else:
                moment = self._moment(out, process, training=done % 2 == 1)
            how = ended(process, signals=signals, after=moment, gap=gap)
            if how.status == 0:
                self._compared("interrupts", out)
                continue
            done += 1
            self._seen("interrupts", how, before, out, seconds=round(moment, 2))
            self._require("interrupts", how, 130)
        self._compared("interrupts", out)

    def disks(self, kinds: Sequence[str]) -> None:
        """A disk too small for one kind of file; after making room the command ends well."""
        for kind in kinds:
            with _tmpfs(self.folder / f"disk-{kind}", self._bytes(kind)) as disk:
                out, before = disk / "out", left_in(disk / "out")
                process = started(out, often=kind == "checkpoints")
                how = ended(process, after=LONGEST)
                self._seen("disks", how, before, out, too_small_for=kind)
                self._require("disks", how, 2)
                subprocess.run(["mount", "-o", f"remount,size={_ROOM}", str(disk)], check=True)
                self._compared("disks", out)

    def _bytes(self, kind: str) -> int:
        """The size of a disk that holds all that is written before the first file of a kind."""
        runs = [_pages(p) for p in sorted((self.sound / "runs" / SCALE).glob("*.nc.gz"))]
        pictures = [_pages(p) for p in sorted((self.sound / SCALE).glob("*.*"))]
        log = _pages(self.sound / "runs" / SCALE / "epochs.jsonl")
        lock = _PAGE
        return {
            "log": lock,
            "checkpoints": lock + 2 * log,
            "runs": lock + log + min(runs) - _PAGE,
            "pictures": lock + log + sum(runs) + sum(pictures) // 2,
        }[kind]

    def _moment(self, out: Path, process: subprocess.Popen, *, training: bool) -> float:
        """Seconds to wait from now on; while `training`, this begins with the next line logged."""
        if not training:
            return float(self.rng.uniform(0, self.seconds))
        log = out / "runs" / SCALE / "epochs.jsonl"
        size = log.stat().st_size if log.exists() else 0
        while process.poll() is None and not (log.exists() and log.stat().st_size > size):
            time.sleep(0.01)
        return float(self.rng.uniform(0, _TRAINING * self.seconds))

    def _seen(self, kind: str, how: Ended, before: Left, out: Path, **more) -> None:
        after = left_in(out)
        row = {"kind": kind, **more, "status": how.status, "runs stored": len(after.runs)}
        row["epoch of checkpoint"] = max(after.checkpoints.values(), default=0)
        if kind != "kills":
            row["said"] = how.sentence.replace(f"{self.folder}{os.sep}", "")
        self.rows.append(row)
        print(json.dumps(row, ensure_ascii=False), flush=True)
        self._problem(kind, before.lost(after))

    def _require(self, kind: str, how: Ended, status: int) -> None:
        wrong = []
        if how.status != status:
            wrong.append(f"exit status {how.status}, not {status}: {how.error[-2000:]}")
        elif "Traceback" in how.error:
            wrong.append(f"a traceback: {how.error[-2000:]}")
        self._problem(kind, wrong)

    def _compared(self, kind: str, out: Path) -> None:
        """Lets the command finish, and compares every bit with the undisturbed one's."""
        finish(out)
        other = bits(out)
        names = sorted(other.keys() | self.bits.keys())
        differing = [n for n in names if other.get(n) != self.bits.get(n)]
        self._problem(kind, [f"other bits: {name}" for name in differing])
        self.rows.append({"kind": kind, "done": True, "equal": not differing})
        shutil.rmtree(out)

    def _problem(self, kind: str, sentences: Sequence[str]) -> None:
        for sentence in sentences:
            self.problems.append(f"{kind}, row {len(self.rows)}: {sentence}")
            print(f"PROBLEM {self.problems[-1]}", flush=True)


def _pages(path: Path) -> int:
    return -(-path.stat().st_size // _PAGE) * _PAGE


@contextlib.contextmanager
def _tmpfs(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def summary(attacks: Attacks, seed: int) -> dict:
    """What is stored: counts, then every attack."""
    by_kind = {}
    for kind in dict.fromkeys(row["kind"] for row in attacks.rows):
        mine = [row for row in attacks.rows if row["kind"] == kind]
        ends = [row["equal"] for row in mine if "equal" in row]
        by_kind[kind] = {"attacks": len(mine) - len(ends), "ends": len(ends), "equal": sum(ends)}
    return {
        "command": " ".join(("python -m experiments", *FIGURE[:-1])),
        "seed": seed,
        "undisturbed seconds": round(attacks.seconds, 1),
        "counts": by_kind,
        "problems": attacks.problems,
        "rows": attacks.rows,
    }


def main() -> None:
    """Runs the command line; exit status 1 if something was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.endurance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=20, help="how many; default 20")
    parser.add_argument("--interrupts", type=int, default=10, help="how many; default 10")
    parser.add_argument(
        "--disks", type=int, default=4, choices=range(5), help=f"of {', '.join(DISKS)}; default 4"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default 0")
    options = parser.parse_args()
    if options.disks and os.geteuid():
        raise InputError("Small disks are mounted by root alone; be root, or give --disks 0.")
    with tempfile.TemporaryDirectory() as folder:
        attacks = Attacks(Path(folder), options.seed)
        attacks.disks(DISKS[: options.disks])
        attacks.kills(options.kills)
        attacks.interrupts(options.interrupts)
    stored = summary(attacks, options.seed)
    write_text(OUT, json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(stored["counts"]), f"{len(attacks.problems)} problems", sep="\n")
    sys.exit(bool(attacks.problems))


if __name__ == "__main__":
    run(main)
