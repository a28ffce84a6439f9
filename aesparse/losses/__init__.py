"""Losses as pure functions: reconstruction, corruption, penalties, objectives."""

from aesparse.lazily import modules

__getattr__, __dir__, __all__ = modules(__name__, __path__)
