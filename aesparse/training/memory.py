"""How much memory there is, and the refusal of grids that cannot fit before they are begun."""

import os
import resource
from pathlib import Path

import jax

from aesparse.errors import InputError

__all__ = ["check_memory", "device_memory", "host_memory"]

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def host_memory() -> int:
    """Bytes this process may use: the machine's, or less where a limit is set."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    for name in _CGROUPS:
        try:
            limits.append(int(Path(name).read_text(encoding="utf-8")))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return min(limits)


def device_memory() -> int:
    """Bytes of one local device; a host's CPU devices share its memory."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit", host_memory() // len(jax.local_devices()))


def check_memory(
    models: int, inputs: int, hidden: int, *, at_once: int, devices: int, itemsize: int, tied: bool
) -> None:
    """`InputError` if a grid cannot fit whatever else is needed; `planning.estimate` says more.

    A device holds parameters and momentum of its share of the `at_once` models twice, as the
    first epoch is checked on a copy; the host, or the devices, the parameters of all.
    """
    each = itemsize * (inputs * hidden * (1 if tied else 2) + hidden)
    here, total = device_memory(), host_memory()
    fitting = devices * int(here // (4 * each))
    size = f"{inputs} inputs and {hidden} hidden units"
    if fitting < 1:
        raise InputError(
            f"One model of {size} needs at least {4 * each / 2**30:.3g} GiB in training and a "
            f"device has {here / 2**30:.3g}; expected at most "
            f"{max(1, here // (4 * each // hidden))} hidden units for so many inputs."
        )
    if models * each > total:
        raise InputError(
            f"The parameters of {models} models of {size} need {models * each / 2**30:.3g} GiB "
            f"and this machine has {total / 2**30:.3g}; train at most {total // each} in one call."
        )
    if at_once > fitting:
        raise InputError(
            f"Training {at_once} models of {size} at once needs at least "
            f"{4 * at_once * each / 2**30:.3g} GiB on {devices} device(s) of {here / 2**30:.3g}; "
            f"give cells_per_program={fitting} or less."
        )
