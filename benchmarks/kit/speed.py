"""Part 2: our grid step, a plain JAX loop and PyTorch, next to the device's own rates.

    python -m kit.speed OUT [--dry]

The rows come in the order of `measurements()`; each is stored as soon as it is measured. Times are
seconds per model and step: median, least and most of `ROUNDS` rounds.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from step import BATCH, SIZES, SPEED, jax_loop, ours

from aesparse.errors import first_line
from aesparse.process import prepare
from kit.numbers import Numbers

ROUNDS, SECONDS, FEWEST = 5, 1.0, 12
MAIN, SPARE = ("ae", "dae", "cae", "edae"), ("mdae", "sae", "dae2")
TORCH = ("torch.compile", "torch.func.vmap", "torch eager")
_LOOPED = 3  # models of the plain loop, which costs the same per model at any number
_DRY_SIZE = (20, 10)


class Measurement(NamedTuple):
    """What one row measures."""

    objective: str
    size: str
    models: int
    variant: str = "aesparse"
    precision: str = "highest"


def measurements() -> list[Measurement]:
    """What is wanted, then, in spare time, what is good to have, most valuable first."""
    wanted = [Measurement(o, "mnist", models) for models in (FEWEST, 256) for o in MAIN]
    wanted += [Measurement(o, "mnist", FEWEST, v) for o in MAIN for v in TORCH]
    wanted += [Measurement(o, "mnist", FEWEST, "jax loop") for o in MAIN]
    rounded = itertools.product((FEWEST, 256), MAIN)
    wanted += [Measurement(o, "mnist", g, precision="tensorfloat32") for g, o in rounded]
    for objective in SPARE:
        torch = () if objective == "dae2" else TORCH  # which torch_step does not have
        wanted += [Measurement(objective, "mnist", FEWEST, v) for v in ("aesparse", *torch)]
    wanted += [Measurement(o, "cifar10", FEWEST, v) for o in MAIN for v in ("aesparse", TORCH[0])]
    wanted += [Measurement("dae", "mnist", models) for models in (1, 48, 1024)]
    return wanted + [Measurement(o, "mnist", FEWEST, "torch reduce-overhead") for o in MAIN]


def dry_measurements() -> list[Measurement]:
    """One of each kind that needs no compiler beside JAX's, at toy size."""
    kinds = ("aesparse", "torch.func.vmap", "torch eager", "jax loop")
    return [Measurement("cae", "toy", 2, kind) for kind in kinds]


def rates(dry: bool) -> Iterator[dict]:
    """FLOP/s of products by precision, and bytes/s of a copy, the best of five."""
    cpu = jax.devices()[0].platform == "cpu"
    size, times = (64, 2) if dry else (2000, 2) if cpu else (8192, 8)
    length = 2**12 if dry else 2**26 if cpu else 2**28

    def product(a):
        return jax.lax.fori_loop(0, times, lambda _, y: (y @ a) / size, a)

    square = jax.random.normal(jax.random.key(0), (size, size))
    for precision in ("highest", "tensorfloat32"):
        with jax.default_matmul_precision(precision):
            best = _best(jax.jit(product), square)
        yield {
            "what": "rate",
            "precision": precision,
            "product_flops": 2 * size**3 * times / best,
        }
    # In a loop, as in training: a fresh array would measure the system's new pages.
    copy = jax.jit(lambda x: jax.lax.fori_loop(0, times, lambda _, y: y + 1.0, x))
    bandwidth = 2 * 4 * length * times / _best(copy, jnp.zeros(length))
    yield {"what": "rate", "precision": "copy", "copy_bytes": bandwidth}


def _best(f: Callable, x) -> float:
    jax.block_until_ready(f(x))
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        jax.block_until_ready(f(x))
        times.append(time.perf_counter() - begin)
    return min(times)


def runner(which: Measurement) -> tuple[Callable[[int], float], int]:
    """Seconds of that many steps of all models, and how many models these are."""
    n, m = _DRY_SIZE if which.size == "toy" else SIZES[which.size]
    if which.variant == "aesparse":
        return ours(which.objective, n, m, which.models)[0], which.models
    if which.variant == "jax loop":
        return jax_loop(which.objective, n, m, _LOOPED), _LOOPED
    from kit.torch_step import variants

    runs = variants(
        which.objective,
        n,
        m,
        which.models,
        batch=BATCH,
        rate=SPEED,
        device="cpu" if jax.devices()[0].platform == "cpu" else "cuda",
        only=which.variant,
    )
    return runs[which.variant], which.models


def timed(which: Measurement, seconds: float) -> dict:
    """The row of one measurement: seconds per model and step; compilation apart."""
    begin = time.perf_counter()
    run, models = runner(which)
    run(1)
    compiled = time.perf_counter() - begin
    run(2)
    steps = max(1, min(5000, round(seconds / ROUNDS / max(run(3) / 3, 1e-5))))
    times = [run(steps) / steps / models for _ in range(ROUNDS)]
    return {
        "seconds": statistics.median(times),
        "least": min(times),
        "most": max(times),
        "steps": steps,
        "seconds_to_compile": compiled,
    }


def share_of_roofline(which: Measurement, seconds: float, device: list[dict]) -> float:
    """What the device's rates allow, over `seconds`.

    The five products of an update at the product rate, and weights, momentum and gradient read
    and written once at the copy rate, one after the other: the update needs the whole gradient.
    """
    n, m = _DRY_SIZE if which.size == "toy" else SIZES[which.size]
    rate = next(r["product_flops"] for r in device if r["precision"] == which.precision)
    bandwidth = next(r["copy_bytes"] for r in device if r["precision"] == "copy")
    return (5 * 2 * BATCH * n * m / rate + 6 * 4 * n * m / bandwidth) / seconds


def times_best_torch(rows: list[dict]) -> dict[str, float]:
    """How many times as long as ours the best PyTorch variant takes, by objective and size."""
    ours_, torch = {}, {}
    for row in rows:
        if row.get("models") != FEWEST or row["precision"] != "highest" or "seconds" not in row:
            continue
        name = f"{row['objective']} {row['size']}"
        if row["variant"] == "aesparse":
            ours_[name] = row["seconds"]
        elif row["variant"].startswith("torch"):
            torch[name] = min(torch.get(name, float("inf")), row["seconds"])
    return {name: round(torch[name] / ours_[name], 3) for name in torch if name in ours_}


def main(out: str, *options: str) -> None:
    """Writes the rows of this part to OUT/numbers.json."""
    prepare()
    numbers, dry = Numbers(Path(out)), "--dry" in options
    if len([r for r in numbers.rows("speed") if r["what"] == "rate"]) < 3:
        for row in rates(dry):
            if not numbers.has("speed", what="rate", precision=row["precision"]):
                numbers.add("speed", **row)
    device = [row for row in numbers.rows("speed") if row["what"] == "rate"]
    for which in dry_measurements() if dry else measurements():
        if numbers.has("speed", what="step", **which._asdict()):
            continue
        try:
            with jax.default_matmul_precision(which.precision):
                row = timed(which, 0.05 if dry else SECONDS)
            row["share_of_roofline"] = share_of_roofline(which, row["seconds"], device)
        except Exception as error:  # no memory, no compiler, no PyTorch: the others go on
            row = {"failed": first_line(error)}
        numbers.add("speed", what="step", **which._asdict(), **row)
        numbers.set(times_best_torch=times_best_torch(numbers.rows("speed")))


if __name__ == "__main__":
    main(*sys.argv[1:])
