"""JAX set up for a command: compiled programs kept, one CPU device for every core.

A library must not touch these global settings; a command owns its process.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jax

from aesparse.errors import InputError

__all__ = ["devices_named", "prepare"]


def prepare() -> None:
    """Call before JAX is used; settings the user made are left as they are.

    Programs compiled once are read from the user's cache folder (and checked by the numerics
    guard like any other). A CPU becomes one device per core: models trained side by side, each
    by one core, are faster than models trained in turn by all cores (see `benchmarks/step.py`).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Greek letters shows "?"
            stream.reconfigure(errors="replace")
    if jax.config.jax_compilation_cache_dir is None:
        with contextlib.suppress(RuntimeError):  # a user without a home has no cache
            home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
            jax.config.update("jax_compilation_cache_dir", str(Path(home) / "aesparse"))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if jax.config.jax_num_cpu_devices < 1 and not chosen:
        with contextlib.suppress(RuntimeError):  # JAX is in use already: as many as it has
            jax.config.update("jax_num_cpu_devices", _cores())


@contextlib.contextmanager
def devices_named() -> Iterator[None]:
    """A context in which JAX without the devices it was asked for gives an `InputError`.

    They are looked for only after a failure: a command that needs none leaves them alone.
    """
    try:
        yield
    except (AssertionError, RuntimeError):
        try:
            jax.devices()
        except (AssertionError, RuntimeError):
            raise InputError(
                f"JAX_PLATFORMS is '{jax.config.jax_platforms}', but JAX finds no such device "
                "here; expected one that is present. Unset it, or install JAX for that device, "
                "such as jax[cuda13]."
            ) from None
        raise


def _cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
