"""Where numbers come from: data, machine, versions, code, generator."""

import contextlib
import functools
import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path

import numpy as np

from aesparse.errors import InputError
from aesparse.options import GENERATOR

__all__ = ["checksum", "code_revision", "parentage", "provenance"]

_GENERATOR = {
    "jax_default_prng_impl": GENERATOR,
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
}  # by names of JAX's settings; other values draw other numbers from the same seeds


def checksum(train: np.ndarray) -> str:
    """What tells one set of training rows from another."""
    return hashlib.sha256(np.ascontiguousarray(train)).hexdigest()


def provenance(train: np.ndarray | None) -> dict:
    """Where numbers come from: the training rows' checksum, machine, versions, code, generator.

    `InputError` where JAX's generator is set to draw other numbers than those of the stored runs.
    """
    import jax
    import jaxlib
    import optax

    device = jax.devices()[0]
    return {
        "data_sha256": "" if train is None else checksum(train),
        "device": device.device_kind if device.platform != "cpu" else _processor(),
        "devices": jax.device_count(),
        "platform": f"{device.platform} {platform.machine()}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "optax": optax.__version__,
        "revision": code_revision(),
        "random": _generator(),
    }


def _generator() -> dict:
    """The generator of the numbers, which must be that of every stored run."""
    import jax

    actual = {name: getattr(jax.config, name) for name in _GENERATOR}
    changed = [name for name in _GENERATOR if actual[name] != _GENERATOR[name]]
    if changed:
        raise InputError(
            f"The random numbers are drawn with {changed[0]} = {actual[changed[0]]}, the stored "
            f"runs with {_GENERATOR[changed[0]]}; unset {changed[0].upper()} in the environment."
        )
    return {
        "implementation": str(actual["jax_default_prng_impl"]),
        "threefry_partitionable": bool(actual["jax_threefry_partitionable"]),
    }


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


@functools.cache
def code_revision() -> str:
    """The commit of the code that runs, and that code's own checksum if it was changed since.

    Without git, as in a copy of the code alone, the checksum tells which commit it can be.
    """
    root = Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        if not git("status", "--porcelain", "--", "aesparse", "experiments"):
            return commit
        return f"{commit}-changed-{_code(root)}"
    except (OSError, subprocess.SubprocessError):
        return f"unknown-{_code(root)}"


def _code(root: Path) -> str:
    """A checksum of all Python files of the two packages."""
    files = sorted(p for name in ("aesparse", "experiments") for p in (root / name).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


def parentage(run) -> dict:
    """Where a stored run comes from: code, versions, machine and data."""
    return json.loads(run.attrs["provenance"])
