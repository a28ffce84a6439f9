"""One update of the paper's grid as a share of this machine's float32 matrix-product rate.

    python benchmarks/step.py [--objective dae] [--cells 12] [--steps 30] [--rounds 5]

n = 784, m = 1000, batch 50, ReLU, unit rows. Both rates are measured in turn, in one process;
compilation is left out. Counted are the five products of one update (two forward, three
backward) of every cell; everything else an update does is overhead. Run it on an idle machine.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from aesparse.activations import get_activation
from aesparse.model import get_constraint
from aesparse.objectives import get_objective
from aesparse.program import grid_program

INPUTS, HIDDEN, BATCH, SAMPLES = 784, 1000, 50, 5000
PRODUCT = 2000


def seconds(run) -> float:
    """The wall time of `run()` until its result is there."""
    begin = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - begin


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objective", default="dae")
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    program = grid_program(
        get_objective(args.objective, get_activation("relu")),
        get_constraint("unit"),
        batch_size=BATCH,
        momentum=0.9,
        hidden=HIDDEN,
        tied=True,
        decoder_bias=False,
    )
    key = jax.random.key(0)
    X = jax.random.normal(key, (SAMPLES, INPUTS))
    square = jax.random.normal(key, (PRODUCT, PRODUCT))
    strengths, keys = jnp.linspace(0.0, 1.0, args.cells), jax.random.split(key, 1)
    rates = jnp.full(args.cells, 0.001)
    product = jax.jit(jnp.matmul)
    state = program.start(keys, X, args.cells)

    def epoch(steps: int):
        nonlocal state
        state, losses = program.epoch(
            state, keys, X, strengths, rates, np.int32(1), np.int32(steps)
        )
        return losses

    seconds(lambda: epoch(1)), seconds(lambda: product(square, square))
    product_rates, step_times = [], []
    for _ in range(args.rounds):
        fastest = min(seconds(lambda: product(square, square)) for _ in range(5))
        product_rates.append(2 * PRODUCT**3 / fastest)
        step_times.append(seconds(lambda: epoch(args.steps)) / args.steps)
    step, rate = statistics.median(step_times), statistics.median(product_rates)
    achieved = args.cells * 5 * 2 * BATCH * INPUTS * HIDDEN / step
    print(
        f"{args.objective}, {args.cells} cells, {jax.devices()[0].device_kind}, "
        f"jax {jax.__version__}: {1e3 * step:.1f} ms per grid step, "
        f"{achieved / 1e9:.0f} GFLOP/s of {rate / 1e9:.0f} GFLOP/s, share {achieved / rate:.2f} "
        f"(median of {args.rounds} rounds)"
    )


if __name__ == "__main__":
    main()
