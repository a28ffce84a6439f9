"""What `import aesparse` costs beyond JAX's own import.

    python benchmarks/import_time.py [--rounds 15]

In every round each of the statements runs in a process of its own, in turns, so that a machine that
is busy for a while is so for all. Writes benchmarks/import_time.json: per statement the median over
rounds, with quartiles, of its difference to `import jax` alone, in seconds of wall clock and of the
processor (user and system, which other programs disturb less). Modules are compiled to bytecode
beforehand, as `pip install` does.
"""

import argparse
import compileall
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

import aesparse
from aesparse.command import run
from aesparse.files import write_text

BASELINE = "import jax"
STATEMENTS = (
    "import jax, aesparse",
    "import jax, aesparse; aesparse.fit",
    "import jax, aesparse; aesparse.audit",
)
PATH = Path(__file__).with_suffix(".json")


def seconds(statement: str) -> tuple[float, float]:
    """Wall clock and processor time of a process that runs a statement."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measures, stores and prints one line per statement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="of all statements (default: 15)")
    rounds = parser.parse_args().rounds
    package = Path(aesparse.__file__).parent
    os.environ["PYTHONPATH"] = str(package.parent)
    compileall.compile_dir(package, quiet=1)
    times = np.array([[seconds(s) for s in (BASELINE, *STATEMENTS)] for _ in range(rounds)])
    rows = []
    for i, statement in enumerate(STATEMENTS, start=1):
        beyond = times[:, i] - times[:, 0]
        low, median, high = np.quantile(beyond, (0.25, 0.5, 0.75), axis=0).round(4).tolist()
        parts = {
            kind: {"median": median[k], "quartiles": [low[k], high[k]]}
            for k, kind in enumerate(("wall", "processor"))
        }
        rows.append({"statement": statement, **parts})
        print(f"{statement}: {median[0]:.3f} s, {median[1]:.3f} s of the processor", flush=True)
    wall, processor = np.median(times[:, 0], axis=0).round(4).tolist()
    record = {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),  # programs that wanted a core meanwhile
        "rounds": rounds,
        "import jax": {"wall": wall, "processor": processor},
        "seconds beyond import jax": rows,
    }
    write_text(PATH, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
