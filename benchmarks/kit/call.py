"""One call of the kit: its parts in turn, each a process that is ended at its deadline."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aesparse.errors import InputError
from aesparse.files import UNFINISHED, require_writable
from experiments.pipeline.archive import Archive
from kit.numbers import PARTS, Numbers
from kit.pack import check_data

__all__ = ["Options", "budget", "call"]

ROOT = Path(__file__).parents[2]
# Shares of the whole time, and most seconds: whatever a part leaves, the record has.
_LONGEST = {"where": (1 / 3, 180.0), "speed": (1 / 3, 150.0), "agreement": (1 / 8, 60.0)}
_RECORD = 0.57  # of the whole time, which speed must leave beside agreement if where was short
_LAST = 3.0  # seconds to end in
_TO_STORE = (0.1, 20.0)  # share and most seconds of the record for ending by itself


class Options(NamedTuple):
    """What the command line asks for."""

    minutes: float
    out: Path
    data_dir: Path | None
    device: str | None
    dry: bool
    store: Path
    begin: float  # time.monotonic() when the call began


def budget(part: str, total: float, left: float) -> float:
    """Seconds a part may take, of `total` with `left` to go."""
    if part == "record":
        return max(left - _LAST, 0.0)
    share, most = _LONGEST[part]
    longest = min(share * total, most)
    if part == "speed":
        spare = left - _RECORD * total - min(_LONGEST["agreement"][0] * total, 60.0)
        longest = min(longest, max(spare, 0.2 * total))
    return min(longest, max(left - _LAST, 0.0))


def call(options: Options) -> None:
    """Goes through all parts; `InputError` on bad input, before anything is written."""
    total = 60 * options.minutes
    numbers = Numbers(options.out)
    before = numbers.read()["parts"]
    if not options.dry:
        if options.data_dir is None:
            raise InputError("--data-dir is missing; expected a folder of data, or a pack.")
        check_data(options.data_dir)
    require_writable(options.out)
    for part in PARTS:
        # The first one always looks whose numbers are there, the last one whether runs are left.
        if part not in ("where", "record") and before.get(part, {}).get("status") == "done":
            continue
        left = total - (time.monotonic() - options.begin)
        seconds = budget(part, total, left)
        begin = time.monotonic()
        status = _ended(_command(part, options, seconds), _environment(options), seconds)
        for leftover in options.out.glob(f"{UNFINISHED}*"):
            leftover.unlink()
        if part == "where" and not numbers.rows("where"):
            raise InputError(
                f"No word of the device in {seconds:.0f} s; nothing was measured. Give more "
                "--minutes, or see the messages above."
            )
        if part == "record":
            numbers.set(parts=numbers.read()["parts"] | {"record": {"rows": _runs(options.out)}})
        numbers.close(part, status, time.monotonic() - begin)
        print(f"{part}: {status}, {len(numbers.rows(part))} rows", flush=True)
    numbers.set(minutes=options.minutes, finished=True)


def _runs(out: Path) -> list[dict]:
    return [{"run": name} for name in Archive(out / "runs.zip").names()]


def _command(part: str, options: Options, seconds: float) -> list[str]:
    if part != "record":
        flags = ["--dry"] * options.dry + ["--gpu"] * (options.device == "gpu" and part == "where")
        return [sys.executable, "-m", f"kit.{part}", str(options.out.resolve()), *flags]
    share, most = _TO_STORE
    minutes = max(seconds - min(share * seconds, most), 1.0) / 60
    command = [sys.executable, "-m", "experiments", "wanted", "--minutes", f"{minutes:.3f}"]
    command += ["--archive", str((options.out / "runs.zip").resolve())]
    command += ["--out", str(options.store.resolve())]
    if options.dry:
        return [*command, "--list", str(Path(__file__).with_name("dry.toml"))]
    return [*command, "--data-dir", str(options.data_dir.resolve())]


def _environment(options: Options) -> dict[str, str]:
    """What the parts see: the code, memory left for PyTorch, and the device asked for."""
    paths = [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    more = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.7"} | os.environ | more
    if options.device == "cpu":
        return environment | {"JAX_PLATFORMS": "cpu"}
    if options.device == "gpu":
        environment.pop("JAX_PLATFORMS", None)  # agreement needs the CPU, too
    return environment


def _ended(command: Sequence[str], environment: dict[str, str], seconds: float) -> str:
    """Runs a part in a process group of its own, and ends the group at its deadline."""
    process = subprocess.Popen(command, env=environment, cwd=ROOT, start_new_session=True)
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return "ended at its deadline"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code == 2:  # one sentence has been printed
        raise SystemExit(2)
    return "done" if code == 0 else f"failed with exit status {code}"
