"""JAX's persistent compilation cache, for commands: the second start compiles little."""

import os
from pathlib import Path

import jax

__all__ = ["keep_compiled"]


def keep_compiled() -> None:
    """Keeps compiled programs under the user's cache folder unless JAX was told another one.

    A program from the cache is checked by the numerics guard like any other.
    """
    if jax.config.jax_compilation_cache_dir is None:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(home) / "aesparse"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
