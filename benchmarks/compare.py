"""The update of this working copy against another one's, in turns on one machine.

    python benchmarks/compare.py OTHER [--objectives dae cae] [--models 12] [--rounds 5]

OTHER is a second checkout of the repository, such as `git worktree add OTHER REVISION` makes. Each
side is a process with its own code; they take turns within every round, so that a machine that
slows down slows both. Printed are medians over rounds, least and most, and their ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from aesparse.command import run

ROOT = Path(__file__).parents[1]
# What each side runs, with the functions of its own `benchmarks/step.py`.
_SIDE = """
import json
import sys
from aesparse.process import prepare
prepare()
from step import SIZES, ours, per_step
objective, size, models = sys.argv[1:]
run, _ = ours(objective, *SIZES[size], int(models))
run(1)
for _ in sys.stdin:
    print(json.dumps(per_step(run) / int(models)), flush=True)
"""


def side(checkout: Path, objective: str, size: str, models: int) -> subprocess.Popen:
    """A process that answers every line with the seconds of an update of one model."""
    paths = [str(checkout), str(checkout / "benchmarks")]
    return subprocess.Popen(
        [sys.executable, "-c", _SIDE, objective, size, str(models)],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def seconds(process: subprocess.Popen) -> float:
    """Its next measurement; ends the command if it has failed."""
    process.stdin.write("\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        sys.exit("One side has ended with the error above.")
    return json.loads(line)


def compared(other: Path, objective: str, size: str, models: int, rounds: int) -> tuple:
    """Seconds per model and update of the other and of this working copy, round by round."""
    sides = [side(checkout, objective, size, models) for checkout in (other, ROOT)]
    try:
        for process in sides:  # compiles
            seconds(process)
        return tuple(zip(*([seconds(p) for p in sides] for _ in range(rounds)), strict=True))
    finally:
        for process in sides:
            process.kill()
            process.communicate()


def main() -> None:
    """Prints a line per objective."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("other", type=Path, help="another checkout")
    parser.add_argument(
        "--objectives", nargs="+", default=["ae", "dae", "cae", "sae"], help="by name"
    )
    parser.add_argument(
        "--size", default="mnist", choices=("mnist", "cifar10"), help="of the inputs"
    )
    parser.add_argument("--models", type=int, default=12, help="trained at once")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    options = parser.parse_args()
    for objective in options.objectives:
        times = compared(
            options.other.resolve(), objective, options.size, options.models, options.rounds
        )
        shown = [
            f"{1e3 * statistics.median(t):.3f} ({1e3 * min(t):.3f} to {1e3 * max(t):.3f}) ms"
            for t in times
        ]
        ratio = statistics.median(times[1]) / statistics.median(times[0])
        print(f"{objective}: other {shown[0]}, here {shown[1]}, here / other {ratio:.3f}")


if __name__ == "__main__":
    run(main)
