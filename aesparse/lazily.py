"""Packages whose modules are imported when they are first used."""

import importlib
from collections.abc import Callable, Sequence

__all__ = ["modules"]


def modules(package: str, names: Sequence[str]) -> tuple[Callable, Callable]:
    """`__getattr__` and `__dir__` (PEP 562) of a package whose attributes are these modules of it.

    A module is imported when it is first used.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return importlib.import_module(f"{package}.{name}")

    return get, lambda: sorted(names)
