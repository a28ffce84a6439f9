"""How much memory a device has, and the refusal of grids that cannot fit before they are begun."""

import math

import jax
from jaxtyping import PyTree

from aesparse.errors import InputError
from aesparse.memory import host_memory

__all__ = ["check_history", "check_memory", "device_memory", "tree_bytes"]


def tree_bytes(tree: PyTree) -> int:
    """Bytes of all arrays, or shapes of arrays, of a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def device_memory() -> int:
    """Bytes of one local device; a host's CPU devices share its memory."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit", host_memory() // len(jax.local_devices()))


def check_memory(models: int, shapes: PyTree, moments: PyTree, *, at_once: int, count: int) -> None:
    """`InputError` if a grid cannot fit whatever else is needed; `cost.estimate` says more.

    `shapes` and `moments` are those of one model's parameters and optimizer state, `count` is that
    of the devices. A device holds both of its share of the `at_once` models twice, as the first
    epoch is checked on a copy; the host, or the devices, the parameters of all.
    """
    each, trained = tree_bytes(shapes), 2 * tree_bytes((shapes, moments))
    here, total = device_memory(), host_memory()
    fitting = count * int(here // trained)
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    size = f"{parameters:,} parameters"
    if fitting < 1:
        raise InputError(
            f"One model of {size} needs at least {trained / 2**30:.3g} GiB in training and a "
            f"device has {here / 2**30:.3g}; expected at most "
            f"{parameters * here // trained:,} parameters, such as fewer hidden units."
        )
    if models * each > total:
        raise InputError(
            f"The parameters of {models} models of {size} need {models * each / 2**30:.3g} GiB "
            f"and this machine has {total / 2**30:.3g}; train at most {total // each} in one call."
        )
    if at_once > fitting:
        raise InputError(
            f"Training {at_once} models of {size} at once needs at least "
            f"{at_once * trained / 2**30:.3g} GiB on {count} device(s) of {here / 2**30:.3g}; "
            f"give models_per_program={fitting} or less."
        )


def check_history(models: int, epochs: int, moments: int, record: tuple[int, int]) -> None:
    """`InputError` if what is recorded of a grid cannot fit into the host's memory.

    `record` are the bytes of one model's losses of an epoch, and of its measurements at one of the
    `moments` of the history.
    """
    losses, measured = record
    needed, total = models * (epochs * losses + moments * measured), host_memory()
    if needed > total:
        raise InputError(
            f"The losses of {epochs} epochs and the measurements at {moments} of them need "
            f"{needed / 2**30:.3g} GiB for {models} model(s) and this machine has "
            f"{total / 2**30:.3g}; expected at most {total // (models * (losses + measured))} "
            "epochs with a measurement each. Train fewer, or give history_epochs."
        )
