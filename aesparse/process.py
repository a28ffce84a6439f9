"""JAX set up for a command: compiled programs kept, one CPU device for every core.

A library must not touch these global settings; a command owns its process.
"""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from aesparse.errors import InputError, first_line
from aesparse.files import require_writable

__all__ = ["OLDEST_JAX", "devices_named", "prepare"]

OLDEST_JAX = (0, 10)  # release series, as pyproject.toml has it


def prepare() -> None:
    """Call before JAX is used; settings the user made are left as they are.

    Programs compiled once are read from the user's cache folder (and checked by the numerics
    guard like any other), if it can be written. A CPU becomes one device per core: models trained
    side by side, each by one core, are faster than models trained in turn by all cores (see
    `benchmarks/step.py`). `InputError` if JAX cannot be imported
    or is too old.
    """
    jax = _imported_jax()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that a home cannot be written
    # A cache that is full, or read while it is written, costs time alone.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    if jax.config.jax_compilation_cache_dir is None and (folder := _cache_folder()):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if jax.config.jax_num_cpu_devices < 1 and not chosen:
        with contextlib.suppress(RuntimeError):  # JAX is in use already: as many as it has
            jax.config.update("jax_num_cpu_devices", _cores())


def _imported_jax() -> ModuleType:
    try:
        import jax
    except Exception as error:  # a jaxlib that does not fit raises what it likes
        raise InputError(
            f"JAX cannot be imported ({first_line(error)}); install jax and jaxlib of one version "
            "(pip install jax). `python -m aesparse doctor` says what is there."
        ) from None
    if jax.__version_info__ < OLDEST_JAX:
        raise InputError(
            f"JAX is {jax.__version__}; expected {'.'.join(map(str, OLDEST_JAX))} or newer. "
            "Update both parts of it (pip install -U jax jaxlib)."
        )
    return jax


def _cache_folder() -> Path | None:
    """Where compiled programs are kept; None for a user without a home, or with a read-only one."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(home) / "aesparse"
        require_writable(folder)
    except (RuntimeError, InputError):
        return None
    return folder


@contextlib.contextmanager
def devices_named() -> Iterator[None]:
    """A context in which JAX that cannot be imported, or has no such device, is an `InputError`.

    Both are looked for only after a failure: a command that needs none leaves them alone.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        if "jax" not in sys.modules:
            _imported_jax()
        elif isinstance(error, AssertionError | RuntimeError):
            _require_devices()
        raise


def _require_devices() -> None:
    import jax

    try:
        jax.devices()
    except (AssertionError, RuntimeError):
        raise InputError(
            f"JAX_PLATFORMS is '{jax.config.jax_platforms}', but JAX finds no such device "
            "here; expected one that is present. Unset it, or install JAX for that device, "
            "such as jax[cuda13]."
        ) from None


def _cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
