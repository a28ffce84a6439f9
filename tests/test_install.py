"""Wheel and source archive, built without network and installed outside the checkout."""

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import aesparse

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[1]


def run(*command: object, cwd: Path, status: int = 0) -> str:
    """What a command prints, away from the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what the archives are made from: building leaves files behind."""
    folder = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in tracked.stdout.decode().split("\0"):
        path = Path(name)
        if name and (path.parts[0] in ("aesparse", "tests") or len(path.parts) == 1):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes((ROOT / path).read_bytes())
    return folder


@pytest.fixture(scope="module")
def archives(source) -> dict[str, Path]:
    """The wheel, and the source archive, by their kinds."""
    backend = "from setuptools.build_meta import build_sdist, build_wheel"
    run(sys.executable, "-c", f"{backend}; build_sdist('s'), build_wheel('w')", cwd=source)
    (sdist,), (wheel,) = (source / "s").iterdir(), (source / "w").iterdir()
    return {"sdist": sdist, "wheel": wheel}


def test_the_archives_hold_the_library_alone(archives):
    with tarfile.open(archives["sdist"]) as archive:
        files = {Path(*Path(m.name).parts[1:]) for m in archive.getmembers() if m.isfile()}
    modules = {path.relative_to(ROOT) for path in (ROOT / "aesparse").rglob("*.py")}
    wanted = {Path(name) for name in ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml")}
    assert {*modules, *wanted, Path("aesparse/py.typed")} <= files
    assert {path.parts[0] for path in files}.isdisjoint({"tests", "experiments", "figures"})
    with zipfile.ZipFile(archives["wheel"]) as archive:
        inside = {Path(name) for name in archive.namelist()}
    assert {*modules, Path("aesparse/py.typed")} <= inside
    assert {path.parts[0] for path in inside} == {
        "aesparse",
        f"aesparse-{aesparse.__version__}.dist-info",
    }


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_installed_package_runs_every_command(kind, archives, tmp_path):
    environment, away = tmp_path / "environment", tmp_path / "away"
    away.mkdir()
    venv.create(environment)
    # pip, setuptools and what the package needs are those of the tests: there is no network.
    (site,) = environment.glob("lib/python*/site-packages")
    folders = [path for path in sys.path if path.endswith("-packages")]
    (site / "needed.pth").write_text("\n".join(folders), encoding="utf-8")
    python, script = environment / "bin" / "python", environment / "bin" / "aesparse"
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed")
    run(python, "-m", "pip", "install", "-q", *offline, archives[kind], cwd=away)
    where = run(python, "-c", "import aesparse; print(aesparse.__file__)", cwd=away)
    assert Path(where.strip()).is_relative_to(environment)
    assert aesparse.__version__ in run(script, "--version", cwd=away)
    assert run(python, "-m", "aesparse", "--version", cwd=away) == run(
        script, "--version", cwd=away
    )
    assert "expected training time" in run(script, "plan", "--rate", "10", cwd=away)
    assert json.loads(run(script, "doctor", "--json", cwd=away))["usable"]
    audit = ("audit", "--activation", "sigmoid", "--penalty", "sae", "--hidden", "8")
    run(script, *audit, "--out", "found", cwd=away)
    assert sorted(path.suffix for path in (away / "found").iterdir()) == [".json", ".png", ".svg"]
    assert "theorems" in run(script, "theorems", "--help", cwd=away)
    refused = run(f"{script}-experiments", cwd=away, status=2)
    assert len(refused.splitlines()) == 1
