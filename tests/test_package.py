"""The package as a user meets it: its names, its commands, and nothing heavy at start-up."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import aesparse

PACKAGE = Path(aesparse.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if not path.stem.startswith("__")
)
PACKAGES = sorted(f"aesparse.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py"))
HEAVY = {
    "jax",
    "numpy",
    "matplotlib",
    "sklearn",
    "xarray",
    "tensorflow_datasets",
    "flax",
    "typer",
    "tqdm",
}


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, aesparse; print(sorted({HEAVY!r} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_exists_and_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        value = getattr(module, public)
        if callable(value) and not hasattr(value, "__origin__"):
            assert value.__doc__, f"{name}.{public}"


def test_the_packages_names_exist_once():
    for package in (aesparse, *map(importlib.import_module, PACKAGES)):
        names = getattr(package, "__all__", [])
        assert len(set(names)) == len(names)
        for name in names:
            assert getattr(package, name) is not None
    assert {"fit", "OneLayer", "FlaxModel", "Result", "TrainedModel"} <= set(aesparse.__all__)
