"""What Arpit's theorems assume and real data violates, and what of Theorem 1 survives.

    python benchmarks/assumptions.py --data-dir DATA [--out benchmarks/assumptions.json]

Per data set, standardized and whitened: E[x] and E[xxᵀ] − I; the law of the residual of a
trained ReLU auto-encoder; and, with SAE at 1.05 times the strength at which every unit meets
Theorem 1's condition at the start, the share of (unit, step) pairs meeting it whose E[a_j] falls,
under full batches, minibatches and single samples, plain gradient descent, momentum and Adam; also
on raw pixels, whose mean is not 0.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import aesparse as ae
from aesparse.command import run
from aesparse.files import write_text
from aesparse.losses.penalties import log_sparsity
from aesparse.losses.reconstruction import reconstruction_error
from aesparse.models.activations import get_activation
from aesparse.models.forward import forward
from aesparse.models.one_layer import OneLayer, Params, preactivation
from aesparse.theory import properties, statements
from aesparse.theory.residuals import residual_law

SAMPLES, FEW, RANK, STEPS = 10_000, 2_000, 100, 200
BATCHES = (None, 50, 1)
ABOVE = 1.05  # the least strength that meets the condition everywhere at the start, times this
EPSILON = {"mnist": 0.1, "cifar10": 0.0}
RELU, PENALTY = get_activation("relu"), log_sparsity()
# Rates at which E[a_j] moves visibly over all steps; momentum and Adam remember earlier ones.
OPTIMIZERS = {
    "plain": (optax.identity(), 1e-5),
    "momentum": (optax.trace(0.9), 1e-6),
    "adam": (optax.scale_by_adam(), 1e-3),
}


def assumptions(X: np.ndarray) -> dict:
    """How far `X` is from Assumption 1."""
    X = jnp.asarray(X, jnp.float64)
    lengths = jnp.sum(X**2, axis=1)
    return {
        "largest |E[x_i]|": float(properties.zero_mean(X)),
        "largest |E[xx^T] - I|": float(properties.whiteness(X)),
        "E|x|^2 / n": float(jnp.mean(lengths) / X.shape[1]),
    }


def residual(X: np.ndarray) -> dict:
    """The residual's law after ten epochs of the unregularized model."""
    with jax.enable_x64(False):
        model = OneLayer(256, RELU)
        result = ae.fit(X.astype(np.float32), model, "ae", constraint="unit", epochs=10)
    params = Params(*(jnp.asarray(leaf, jnp.float64) for leaf in result.params[:2]))
    law = residual_law(params, jnp.asarray(X, jnp.float64), RELU)
    return {name: float(value) for name, value in law._asdict().items()}


def survival(X: np.ndarray, name: str, batch: int | None) -> dict:
    """Of the units that meet Theorem 1's condition, the share whose E[a_j] falls in the step."""
    optimizer, rate = OPTIMIZERS[name]
    X = jnp.asarray(X, jnp.float64)
    model = OneLayer(64, RELU)
    params = model.init(jax.random.key(0), X.shape[1])
    start = statements.theorem1_condition(params, X, RELU, PENALTY, 1.0, 1e-6)
    strength = ABOVE * float(jnp.max(start.right / start.left))
    rng = np.random.default_rng(0)
    rows = rng.integers(len(X), size=(STEPS, batch)) if batch else np.zeros((STEPS, 1), int)

    def loss(p, x):
        error = reconstruction_error(model, p, x, x)
        return error + strength * PENALTY(forward(model, p, x), None)

    def step(carry, chosen):
        params, state = carry
        condition = statements.theorem1_condition(params, X, RELU, PENALTY, strength, 1e-6)
        gradient = jax.grad(loss)(params, X[chosen] if batch else X)
        direction, state = optimizer.update(gradient, state)
        moved = jax.tree.map(lambda p, d: p - rate * d, params, direction)
        change = jnp.mean(preactivation(moved, X) - preactivation(params, X), axis=0)
        met = condition.left > condition.right
        variance = statements.theorem1_variance(params, X).margin
        return (moved, state), (jnp.sum(met), jnp.sum(met & (change < 0)), -jnp.min(variance))

    start = (params, optimizer.init(params))
    _, (met, falls, variance) = jax.lax.scan(step, start, jnp.asarray(rows))
    return {
        "strength": strength,
        "condition met": float(met.sum() / (STEPS * 64)),
        "falls where met": float(falls.sum() / met.sum()) if met.sum() else None,
        "largest relative error of Var[a_j]": float(variance.max()),
    }


def measured(name: str, data_dir: Path) -> dict:
    """Everything for one data set."""
    pixels = ae.data.load(name, data_dir=data_dir, samples=SAMPLES).train.astype(np.float64)
    few = _kinds(pixels[:FEW], EPSILON[name])  # transformed by themselves: E[x] = 0 on them too
    return {
        kind: {
            "assumption 1": assumptions(X),
            "residual": residual(X),
            "theorem 1": {
                f"{optimizer}, {'full batch' if batch is None else f'batch {batch}'}": survival(
                    few[kind], optimizer, batch
                )
                for optimizer in OPTIMIZERS
                for batch in BATCHES
            },
        }
        for kind, X in _kinds(pixels, EPSILON[name]).items()
    }


def _kinds(pixels: np.ndarray, epsilon: float) -> dict[str, np.ndarray]:
    return {
        "raw": pixels,
        "standardized": ae.data.standardize(pixels, epsilon)(pixels),
        "white": ae.data.whiten(pixels, RANK)(pixels),
    }


def main() -> None:
    """Prints and stores the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data-dir", type=Path, required=True, help="folder with MNIST and CIFAR-10"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/assumptions.json"), help="file"
    )
    options = parser.parse_args()
    with jax.enable_x64(True):
        found = {name: measured(name, options.data_dir) for name in EPSILON}
    text = json.dumps(found, indent=1)
    write_text(options.out, text + "\n")
    print(text)


if __name__ == "__main__":
    run(main)
