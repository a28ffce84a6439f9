"""What is worth knowing of an accelerator that is at hand for minutes, and runs for the record.

    python benchmarks/accelerator.py --pack PACK.zip --data-dir DATA         (beforehand)
    python benchmarks/accelerator.py --minutes 9 --out OUT --data-dir PACK.zip
    python benchmarks/accelerator.py --keep OUT ; python -m experiments import OUT/runs.zip

In turn: where it runs and what the numerics guard says of its products; speed, next to PyTorch
and a plain loop; agreement with the CPU; missing runs in the order of `experiments/wanted.toml`.
Each part ends at its deadline, and what it measured until then is in OUT/numbers.json; the runs
are in OUT/runs.zip (runs-2.zip, …). The same command goes on from there. With --dry all parts run
at toy size.
"""

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]  # the latter where it is run by -m

from kit.call import Options, call  # noqa: E402
from kit.keep import keep  # noqa: E402
from kit.pack import write_pack  # noqa: E402

from aesparse.command import run  # noqa: E402
from aesparse.errors import InputError  # noqa: E402


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; `InputError` for a combination that is none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="of the whole call")
    parser.add_argument("--out", type=Path, help="folder of numbers.json and runs.zip")
    parser.add_argument("--data-dir", type=Path, help="folder of data, or a pack")
    parser.add_argument("--device", choices=("gpu", "cpu"), help="default: what JAX finds")
    parser.add_argument("--dry", action="store_true", help="toy sizes, no data")
    parser.add_argument("--store", type=Path, default=ROOT / "figures", help="where runs are")
    parser.add_argument("--pack", type=Path, help="write the data to this zip file instead")
    parser.add_argument("--keep", type=Path, help="keep the numbers of this folder instead")
    options = parser.parse_args(arguments)
    if not (math.isfinite(options.minutes) and options.minutes > 0):
        raise InputError(f"--minutes is {options.minutes:g}; expected a number > 0, such as 9.")
    if sum(v is not None for v in (options.out, options.pack, options.keep)) != 1:
        raise InputError("Expected one of --out, --pack and --keep; see --help.")
    if options.pack is not None and options.data_dir is None:
        raise InputError("--pack needs --data-dir with the MNIST and CIFAR-10 files.")
    return options


def main() -> None:
    """Runs the command line and exits; `aesparse.command` has the statuses."""
    run(_command)


def _command() -> None:
    begin = time.monotonic()
    asked = parsed()
    if asked.pack is not None:
        size = write_pack(asked.pack, asked.data_dir)
        print(f"Written: {asked.pack}, {size / 2**20:.1f} MiB")
    elif asked.keep is not None:
        print(f"Written: {', '.join(map(str, keep(asked.keep, ROOT / 'benchmarks')))}")
    else:
        with tempfile.TemporaryDirectory() as toys:
            store = Path(toys) if asked.dry else asked.store
            fields = (asked.minutes, asked.out, asked.data_dir, asked.device, asked.dry)
            call(Options(*fields, store, begin))


if __name__ == "__main__":
    main()
