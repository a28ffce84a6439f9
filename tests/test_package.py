"""The package as a user meets it: its names, its commands, and nothing heavy at start-up."""

import ast
import importlib
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import pytest

import aesparse
from aesparse.errors import InputError
from aesparse.process import OLDEST_JAX, prepare

PACKAGE = Path(aesparse.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if not path.stem.startswith("__")
)
PACKAGES = sorted(f"aesparse.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py"))
LATE = {  # imported where a function needs it
    "flax", "jax.extend", "jax.scipy.stats", "matplotlib", "optax", "orbax",
    "packaging", "pandas", "PIL", "psutil", "scipy", "sklearn", "tensorflow_datasets", "tqdm",
    "typer", "xarray",
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "late"),
    [
        ("import aesparse", {*LATE, "jax", "numpy"}),
        ("import aesparse; aesparse.fit", {*LATE, "aesparse.theory"}),
    ],
)
def test_an_import_brings_nothing_that_is_needed_later(code, late):
    code = f"import sys; {code}; print(sorted({late!r} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_type_checkers_and_python_are_told_the_same_names():
    """The names that type checkers read are imported from where Python takes them."""
    tree = ast.parse(Path(aesparse.__file__).read_text(encoding="utf-8"))
    imports = {
        alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(imports) == sorted(aesparse.__all__)
    assert {*aesparse.__all__} <= {*dir(aesparse)}
    for name, path in imports.items():
        scope = {}
        exec("from {} import {}".format(*path.rsplit(".", 1)), scope)
        assert getattr(aesparse, name) is scope[name]
    assert (PACKAGE / "py.typed").exists()


def test_a_name_that_does_not_exist_is_an_attribute_error():
    for module in (aesparse, aesparse.losses):
        with pytest.raises(AttributeError, match="nothing"):
            _ = module.nothing


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_exists_and_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        value = getattr(module, public)
        if inspect.isroutine(value) or inspect.isclass(value):
            assert value.__doc__, f"{name}.{public}"


def test_the_packages_names_exist_once():
    for package in (aesparse, *map(importlib.import_module, PACKAGES)):
        names = getattr(package, "__all__", [])
        assert len(set(names)) == len(names)
        for name in names:
            assert getattr(package, name) is not None
    assert {"fit", "OneLayer", "FlaxModel", "Result", "TrainedModel"} <= set(aesparse.__all__)


def test_a_jax_that_is_too_old_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(jax, "__version__", "0.9.2")
    monkeypatch.setattr(jax, "__version_info__", (0, 9, 2))
    with pytest.raises(InputError, match=r"0\.9\.2.*0\.10"):
        prepare()


def test_the_oldest_jax_is_that_of_the_requirements():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    oldest = ".".join(map(str, OLDEST_JAX))
    assert {f"jax>={oldest}", f"jaxlib>={oldest}"} <= {*project["project"]["dependencies"]}
