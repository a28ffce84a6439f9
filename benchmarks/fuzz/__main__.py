"""Reads many damaged inputs and counts what comes of them.

    python -m benchmarks.fuzz [--seed 0] [--count 1200] [--only readers]

Takes the targets in turn and writes benchmarks/fuzz.json: outcomes by target, failures, seconds
and memory. A failure is repeated alone, with its traceback, by --only TARGET --number N.
"""

import argparse
import faulthandler
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import jax

from aesparse import command
from aesparse.errors import InputError, unknown_name
from aesparse.files import write_text
from benchmarks.fuzz.kit import FAILURES, LONGEST, OUTCOMES, Target, attempted, peak_memory
from benchmarks.fuzz.targets import MODULES, all_targets

OUT = Path(__file__).parents[1] / "fuzz.json"
_MOST_BYTES = 10**9  # by which the memory may grow
_EVERY = 10.0  # seconds between lines of progress


def chosen(only: str | None) -> dict[str, Target]:
    """The targets of a module, one target, or all; `InputError` for an unknown name."""
    targets = all_targets()
    if only is None:
        return targets
    mine = {n: t for n, t in targets.items() if only in (n, n.partition(".")[0])}
    if not mine:
        raise unknown_name("target", only, [*MODULES, *targets])
    return mine


def run(
    targets: Mapping[str, Target],
    seed: int,
    count: int,
    longest: float = LONGEST,
    most_bytes: float = _MOST_BYTES,
) -> dict:
    """Makes `count` attempts, the targets in turn; returns what is stored of them.

    `longest` is how many seconds one may take. One during which the peak of the memory rises to
    more than `most_bytes` above the one at the start is a failure, "memory", whatever it returned.
    """
    names, begin, before = list(targets), time.monotonic(), peak_memory()
    counts = {name: Counter() for name in names}
    failures, said, largest = [], begin, dict.fromkeys(names, 0)
    for i in range(count):
        name, number = names[i % len(names)], i // len(names)
        peak = peak_memory()
        outcome = attempted(targets, name, number, seed, longest)
        largest[name] = max(largest[name], peak_memory() - peak)
        if peak_memory() > max(peak, before + most_bytes):
            said_of_it = f"{(peak_memory() - before) / 2**20:,.0f} MiB more than at the start"
            outcome = outcome._replace(kind="memory", message=said_of_it)
        counts[name][outcome.kind] += 1
        if outcome.kind in FAILURES:
            entry = {"target": name, "number": number} | outcome._asdict()
            failures.append({k: v for k, v in entry.items() if k != "trace"})
        if time.monotonic() - said > _EVERY:
            said = time.monotonic()
            text = f"{i + 1} of {count} inputs, {len(failures)} failures, {said - begin:.0f} s"
            print(text, file=sys.stderr, flush=True)
    return {
        "seed": seed,
        "count": count,
        "jax": jax.__version__,
        "seconds": round(time.monotonic() - begin, 1),
        "bytes": {"before": before, "peak": peak_memory(), "largest growth": largest},
        "targets": {n: {k: c[k] for k in OUTCOMES if c[k]} for n, c in counts.items()},
        "failures": failures,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0, help="of all inputs; default 0")
    parser.add_argument("--count", type=int, default=1200, help="how many inputs; default 1200")
    parser.add_argument(
        "--only", help=f"{', '.join(MODULES)}, or one target; nothing is then written"
    )
    parser.add_argument("--number", type=int, help="with --only TARGET: this input alone")
    return parser


def main() -> None:
    """Runs the command line; exit status 1 if there are failures."""
    faulthandler.enable()
    options = _parser().parse_args()
    targets = chosen(options.only)
    if options.number is not None and len(targets) != 1:
        raise InputError("--number needs --only with one target, such as the failures name.")
    if min(options.seed, options.count - 1, options.number or 0) < 0:
        raise InputError("--seed and --number must be at least 0, and --count at least 1.")
    if options.number is not None:
        outcome = attempted(targets, options.only, options.number, options.seed)
        print(f"{outcome.what}: {outcome.kind}\n{outcome.trace or outcome.message}")
        sys.exit(outcome.kind in FAILURES)
    stored = run(targets, options.seed, options.count)
    if options.only is None:
        write_text(OUT, json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
        print(f"Written: {OUT.name}")
    for name, counts in stored["targets"].items():
        print(f"{name}: {', '.join(f'{n} {kind}' for kind, n in counts.items())}")
    for failure in stored["failures"]:
        print("{kind}: --only {target} --number {number} ({what}): {message}".format(**failure))
    print(f"{stored['seconds']} s, peak {stored['bytes']['peak'] / 2**20:,.0f} MiB")
    sys.exit(bool(stored["failures"]))


if __name__ == "__main__":
    command.run(main)
