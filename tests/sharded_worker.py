"""Trains one small grid over all devices, in a process of its own.

python sharded_worker.py OUT [HOST:PORT PROCESSES NUMBER]
"""

import sys

import jax
import numpy as np

import aesparse as ae


class StoppedError(Exception):
    """The end of an interrupted training."""


def fit(devices, **options):
    """The grid of these tests."""
    return ae.fit(
        np.random.default_rng(0).normal(size=(200, 7)).astype(np.float32),
        ae.OneLayer(9),
        "dae",
        sweep={"seed": [0, 4], "strength": [0.0, 0.1, 0.3, 0.6, 1.0], "learning_rate": 0.01},
        constraint="unit",
        key=jax.random.key(3),
        epochs=4,
        batch_size=20,
        devices=devices,
        **options,
    )


def stored(result) -> dict:
    """Every array of a result by its name."""
    names = ("params", "losses", "history", "final", "diverged_epoch", "history_epochs")
    leaves = jax.tree_util.tree_leaves_with_path({name: getattr(result, name) for name in names})
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    assert all(isinstance(leaf, np.ndarray) for leaf in named.values())
    return named


def interrupted(checkpoints):
    """The same on all devices, stopped after an epoch and begun again."""

    def stop(epoch, measured):
        if epoch == 2:
            raise StoppedError

    try:
        fit(None, checkpoints=checkpoints, on_epoch=stop)
    except StoppedError:
        return fit(None, checkpoints=checkpoints)


def main(out, *distributed):
    """Writes the result, and what was seen after every epoch."""
    if distributed:
        address, processes, number = distributed
        jax.distributed.initialize(address, int(processes), int(number))
    seen = []
    result = fit(None, on_epoch=lambda _, m: seen.append(m.activation_fraction))
    everywhere = stored(result)
    if not distributed:
        again = stored(interrupted(ae.Checkpoints(f"{out}-checkpoints", "this", every_seconds=0)))
        assert all(np.array_equal(everywhere[name], leaf) for name, leaf in again.items())
    np.savez(out, devices=jax.device_count(), epochs=np.stack(seen), **everywhere)


if __name__ == "__main__":
    main(*sys.argv[1:])
