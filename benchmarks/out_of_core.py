"""The resident memory of a training on a file of 10⁶ × 64 numbers.

    python benchmarks/out_of_core.py [--samples 1000000] [--passes 1]

Writes the file to a temporary folder, block by block, and trains a `SparseAutoencoder` of 128
units on `ae.data.chunks` of it in a process of its own. Writes benchmarks/out_of_core.json: the
peak resident memory of that process in MiB, and the largest after any chunk without the pages of
mapped files, which the system takes back when it needs them; the same of a process that trains on
one chunk alone; and the seconds. For Linux.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from aesparse.command import run
from aesparse.files import write_text

INPUTS, UNITS, ROWS = 64, 128, 16_384
ROOT = Path(__file__).resolve().parents[1]
TRAIN = """
import json, resource, sys, time
import numpy as np
import aesparse as ae
path, rows, units, passes, most = sys.argv[1], *map(int, sys.argv[2:])
X = np.load(path, mmap_mode="r")
model = ae.SparseAutoencoder(units, random_state=0)
begin, count, own = time.perf_counter(), 0, 0
for chunk in ae.data.chunks(X, rows, passes=passes):
    model.partial_fit(chunk)
    count += 1
    with open("/proc/self/status") as status:
        own = max(own, *(int(s.split()[1]) for s in status if s.startswith("RssAnon")))
    if count == most:
        break
taken = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({
    "chunks": count,
    "peak MiB": round(peak),
    "MiB without mapped files": round(own / 1024),
    "seconds": round(taken, 1),
    "explained variance": round(model.score(X[:10000]), 3),
}))
"""


def written(path: Path, samples: int) -> None:
    """A file of sparse combinations of random directions."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2 * INPUTS, INPUTS)).astype(np.float32)
    X = np.lib.format.open_memmap(path, "w+", np.float32, (samples, INPUTS))
    for first in range(0, samples, ROWS):
        block = X[first : first + ROWS]
        codes = rng.random((len(block), 2 * INPUTS), np.float32)
        block[:] = np.where(codes < 0.05, 20 * codes, 0) @ directions
    X.flush()


def trained(path: Path, passes: int, most: int) -> dict:
    """What a process of its own says."""
    command = [sys.executable, "-c", TRAIN, path, ROWS, UNITS, passes, most]
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measures, stores and prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--passes", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npy"
        written(path, args.samples)
        record = {
            "samples": args.samples,
            "inputs": INPUTS,
            "units": UNITS,
            "rows of a chunk": ROWS,
            "MiB of the file": round(path.stat().st_size / 2**20),
            "all chunks": trained(path, args.passes, 0),
            "one chunk": trained(path, 1, 1),
        }
    print(json.dumps(record, indent=1))
    write_text(Path(__file__).with_suffix(".json"), json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
