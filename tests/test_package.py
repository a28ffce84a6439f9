"""The package as a user meets it: its names, its commands, and nothing heavy at start-up."""

import importlib
import json
import os
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
HEAVY = {"matplotlib", "sklearn", "xarray", "tensorflow_datasets", "flax", "typer", "tqdm"}


def command(name, *words, without=(), before="pass", **environment):
    """`python -m name words`, in a new process that lacks some variables and has others."""
    inherited = {k: v for k, v in os.environ.items() if k not in without}
    code = (
        f"import sys; sys.argv = {[name, *words]}; {before}; import {name}.__main__ as m; m.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        cwd=PACKAGE.parent,
        env=inherited | environment,
    )


def test_a_user_without_a_home_has_no_cache_and_all_commands():
    nobody = "import pwd; pwd.getpwuid = lambda number: {}[number]"
    shown = command("experiments", "-h", without=("HOME", "XDG_CACHE_HOME"), before=nobody)
    assert shown.returncode == 0, shown.stderr
    assert b"Traceback" not in shown.stderr


ASCII_ALONE = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}


@pytest.mark.long
def test_a_terminal_of_ascii_alone_shows_question_marks():
    shown = command("experiments", "status", **ASCII_ALONE)
    assert shown.returncode == 0, shown.stderr
    assert b"?" in shown.stdout
    assert max(shown.stdout) < 128


@pytest.mark.long
def test_files_are_utf_8_whatever_the_locale(tmp_path):
    options = ("--activation", "relu", "--penalty", "cae", "--hidden", "2", "--out", str(tmp_path))
    shown = command("aesparse", "audit", *options, **ASCII_ALONE)
    assert shown.returncode == 0, shown.stderr
    (file,) = tmp_path.glob("*.json")
    assert "s(−∞) = 0" in json.loads(file.read_text(encoding="utf-8"))["conditions"]


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


def test_a_device_that_is_not_there_is_named_in_one_sentence():
    code = [sys.executable, "-m", "aesparse", "plan"]
    environment = {**os.environ, "JAX_PLATFORMS": "nowhere"}
    ended = subprocess.run(
        code, capture_output=True, text=True, cwd=PACKAGE.parent, env=environment
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: JAX_PLATFORMS is 'nowhere'")
    assert len(ended.stderr.splitlines()) == 1
