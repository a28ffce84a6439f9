"""What several commands share: their options, functions by name, and where output goes."""

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from aesparse.errors import InputError, first_line
from aesparse.files import require_writable
from aesparse.options import shortened

__all__ = [
    "DataOption",
    "JsonOption",
    "OutOption",
    "experiments_module",
    "output_paths",
    "resolved",
]

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder with the files of MNIST and CIFAR-10.",
        show_default="tensorflow-datasets'",
    ),
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the results.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def resolved(kind: str, name: str, built_in: Callable[[str], object]) -> object:
    """A built-in by its name, or the `function` of `module:function`; `InputError` otherwise."""
    if ":" not in name:
        try:
            return built_in(name)
        except InputError as error:
            raise InputError(f"{error} For a function of your own give module:function.") from None
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InputError(f"--{kind} is '{name}'; expected module:function, such as mine:{kind}.")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the user's module does is the cause
        raise InputError(
            f"--{kind}: '{name}' does not import ({first_line(error)}); expected module:function "
            "with the module in this folder or installed."
        ) from None
    if not callable(function):
        raise InputError(f"--{kind}: '{name}' is a {type(function).__name__}; expected a function.")
    return function


def output_paths(folder: Path, stem: str) -> list[Path]:
    """Where picture and numbers go (png, svg, json), after a look that they can be written."""
    require_writable(folder)
    name = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "-" for c in stem)
    paths = [folder / f"{name}.{kind}" for kind in ("png", "svg", "json")]
    try:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                path.lstat()
    except OSError as error:  # a name that is too long, by the file system's own limit
        raise InputError(
            f"The results cannot be called {shortened(f'{name}.json')} ({error.strerror}); "
            "expected a shorter name. Rename the data's file or the function that it is made of."
        ) from None
    return paths


def experiments_module(name: str) -> ModuleType:
    """A module of the experiments, which are not part of the library; `InputError` without them."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("experiments"):
            raise
        raise InputError(
            "The papers' experiments are not installed with the library; run this in a copy of "
            "the repository."
        ) from None
