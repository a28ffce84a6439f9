"""What is public: the names in `aesparse.__all__`, and in `__all__` of every module among these."""

import importlib
import inspect
import types

import aesparse


def public_modules(module: types.ModuleType = aesparse) -> dict[str, types.ModuleType]:
    """A module and the public ones under it, by name; those of other projects left out."""
    found = {module.__name__: module}
    for name in module.__all__:
        value = getattr(module, name, None)
        if value is None:  # a module of a package that nothing has imported yet
            value = importlib.import_module(f"{module.__name__}.{name}")
        if inspect.ismodule(value) and value.__name__ not in found:
            found |= public_modules(value)
    return found


def is_documented(value: object) -> bool:
    """Whether a value has a docstring: a class, a function, also a compiled or cached one."""
    return (
        inspect.isclass(value)
        or (callable(value) and hasattr(value, "__wrapped__"))
        or (inspect.isfunction(value))
    )


def public_names() -> dict[str, object]:
    """Every public name that is no module, by the module that defines it."""
    names = {}
    for module in public_modules().values():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value):
                continue
            home = getattr(value, "__module__", None) if is_documented(value) else None
            names[f"{home or module.__name__}.{name}"] = value
    return names


def methods(cls: type) -> dict[str, object]:
    """Public methods and properties that a class itself defines, as functions."""
    found = {}
    for name, value in vars(cls).items():
        function = getattr(value, "fget", None) or getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(inspect.unwrap(function)):
            found[name] = function
    return found
