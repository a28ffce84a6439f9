"""Trains one small grid over all devices and over one, in a process of its own.

python sharded_worker.py OUT [HOST:PORT PROCESSES NUMBER]
"""

import sys

import jax
import numpy as np

import aesparse as ae

out, *distributed = sys.argv[1:]
if distributed:
    address, processes, number = distributed
    jax.distributed.initialize(address, int(processes), int(number))

X = np.random.default_rng(0).normal(size=(200, 7)).astype(np.float32)
seen = []


def fit(devices, **options):
    return ae.fit_grid(
        jax.random.key(3),
        X,
        objective=ae.objectives.denoising(ae.activations.get_activation("relu")),
        strengths=[0.0, 0.1, 0.3, 0.6, 1.0],
        seeds=[0, 4],
        hidden=9,
        epochs=4,
        batch_size=20,
        learning_rate=0.01,
        devices=devices,
        **{
            "on_epoch": lambda epoch, metrics: seen.append(np.asarray(metrics.activation_fraction)),
            **options,
        },
    )


def stored(result) -> dict:
    leaves = jax.tree_util.tree_leaves_with_path(result)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def interrupted(checkpoints):
    """The same on all devices, stopped after an epoch and begun again."""

    class StoppedError(Exception):
        pass

    def stop(epoch, metrics):
        if epoch == 2:
            raise StoppedError

    try:
        fit(None, checkpoints=checkpoints, on_epoch=stop)
    except StoppedError:
        return fit(None, checkpoints=checkpoints)


everywhere = stored(fit(None))
epochs = np.stack(seen)
alone = stored(fit(jax.local_devices()[:1]))
if not distributed:
    again = stored(interrupted(ae.Checkpoints(f"{out}-checkpoints", "this", every_seconds=0)))
    assert all(np.array_equal(everywhere[name], leaf) for name, leaf in again.items())
np.savez(
    out,
    devices=jax.device_count(),
    epochs=epochs,
    **{f"one{k}": v for k, v in alone.items()},
    **{f"all{k}": v for k, v in everywhere.items()},
)
