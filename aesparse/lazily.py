"""Packages whose modules are imported when they are first used."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence

__all__ = ["modules"]


def modules(package: str, path: Sequence[str]) -> tuple[Callable, Callable, list[str]]:
    """`__getattr__`, `__dir__` and `__all__` (PEP 562) of a package, which make its modules public.

    Takes the package's `__name__` and `__path__`. A module is imported when it is first used.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(path))

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return importlib.import_module(f"{package}.{name}")

    return get, lambda: names, names
