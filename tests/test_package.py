"""The shape of the package: one direction of imports, and nothing heavy at start-up."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import aesparse

PACKAGE = Path(aesparse.__file__).parent
MODULES = sorted({p.stem for p in PACKAGE.glob("*.py")} - {"__init__", "__main__"})
# What trains; the theory is about models and does without.
TRAINER = {
    "blocks", "checkpoints", "continuation", "deep", "draws", "fullbatch", "grid", "guard",
    "program", "recording", "sharding", "training", "verification",
}  # fmt: skip
HEAVY = {"matplotlib", "sklearn", "xarray", "tensorflow_datasets", "flax", "typer", "tqdm"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "aesparse":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("aesparse.") for name in found}


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


def test_theory_uses_the_models_and_never_the_trainer():
    assert set(MODULES) >= TRAINER
    for path in (PACKAGE / "theory").glob("*.py"):
        ours = {name.split(".")[0] for name in imported(path)}
        assert not ours & {*TRAINER, "experiments"}, path.name
    for name in MODULES:
        assert not any(n.startswith("theory") for n in imported(PACKAGE / f"{name}.py")), name


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, aesparse; print(sorted({HEAVY!r} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_everything_public_exists_and_has_a_docstring():
    for name in MODULES:
        module = getattr(aesparse, name, None) or __import__(f"aesparse.{name}", fromlist=["*"])
        for public in module.__all__:
            value = getattr(module, public)
            if callable(value) and not hasattr(value, "__origin__"):
                assert value.__doc__, f"{name}.{public}"


def test_a_device_that_is_not_there_is_named_in_one_sentence():
    code = [sys.executable, "-m", "aesparse", "plan"]
    environment = {**os.environ, "JAX_PLATFORMS": "nowhere"}
    ended = subprocess.run(
        code, capture_output=True, text=True, cwd=PACKAGE.parent, env=environment
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: JAX_PLATFORMS is 'nowhere'")
    assert len(ended.stderr.splitlines()) == 1
