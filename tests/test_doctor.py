"""The doctor says what is there and what to do, whatever is broken."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from typer.testing import CliRunner

from aesparse.cli import checks
from aesparse.cli.app import app
from aesparse.data.readers import PATCHES
from aesparse.errors import NumericsError
from aesparse.models.one_layer import OneLayer


def guarded(X, model, *arguments, **options):
    """A training whose guard knows the right program."""
    if model.activation != OneLayer(1, "relu").activation:
        raise NumericsError("The compiled program disagrees.")
    return SimpleNamespace(guard=1e-7)


@pytest.fixture
def found(monkeypatch, tmp_path):
    """Findings by check, without preparing JAX in this process and without a training."""
    monkeypatch.setattr(checks, "prepare", lambda: None)
    monkeypatch.setattr("aesparse.training.fit.fit", guarded)

    def by_check(data_dir=None, out=tmp_path / "out"):
        return {finding.check: finding for finding in checks.findings(data_dir, out)}

    return by_check


def test_where_all_is_well_it_can_be_used(found, tmp_path):
    findings = found()
    assert checks.PROBLEM not in {finding.state for finding in findings.values()}
    for finding in findings.values():
        assert bool(finding.advice) == (finding.state != checks.OK)
        assert len(f"{finding.found}{finding.advice}".splitlines()) == 1
    assert jax.__version__ in findings["jax"].found
    assert list(tmp_path.iterdir()) == []


def test_every_broken_thing_is_a_finding_with_what_to_do(found, monkeypatch, tmp_path):
    def broken(*args, **options):
        raise RuntimeError("broken\nin two lines")

    for name in (
        "prepare", "importlib.metadata.version", "importlib.metadata.requires", "tempfile.tempdir",
        "tempfile.TemporaryFile", "platform.python_version", "locale.getpreferredencoding",
    ):  # fmt: skip
        monkeypatch.setattr(f"aesparse.cli.checks.{name}", broken)
    monkeypatch.setattr(jax, "devices", broken)
    monkeypatch.setattr("aesparse.training.fit.fit", broken)
    monkeypatch.setattr(Path, "home", broken)
    findings = found(Path("\0"))
    for name in ("python", "packages", "jax", "devices", "compile check", "output"):
        assert findings[name].state == checks.PROBLEM
    for name in ("text", "home"):
        assert findings[name].state == checks.WARNING
    assert all(f.advice for f in findings.values() if f.state != checks.OK)
    assert all(len(f.found.splitlines()) == 1 for f in findings.values())


def test_a_program_that_disagrees_is_a_problem(found, monkeypatch):
    def wrong(*args, **options):
        raise NumericsError("The compiled program disagrees.")

    monkeypatch.setattr("aesparse.training.fit.fit", wrong)
    assert found()["compile check"].state == checks.PROBLEM


def test_a_guard_that_refuses_nothing_is_a_problem(found, monkeypatch):
    monkeypatch.setattr("aesparse.training.fit.fit", lambda *a, **o: SimpleNamespace(guard=1e-7))
    assert found()["compile check"].state == checks.PROBLEM


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("mnist", "train-images.idx3-ubyte"),
        ("mnist", "mnist.npz"),
        ("cifar10", f"cifar10-patches-{min(PATCHES)}.npy"),
    ],
)
def test_data_is_found_wherever_it_is_read(name, file, found, tmp_path):
    path = tmp_path / "data" / file
    path.parent.mkdir(parents=True)
    path.touch()
    findings = found(tmp_path / "data")
    assert findings[name].state == checks.OK
    assert path.name in findings[name].found
    other = {"mnist": "cifar10", "cifar10": "mnist"}[name]
    assert findings[other].state == checks.WARNING


def test_a_pack_of_data_is_looked_into(found, tmp_path):
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.writestr("mnist/train-images-idx3-ubyte.gz", b"")
    findings = found(tmp_path / "pack.zip")
    assert findings["mnist"].state == checks.OK
    assert findings["cifar10"].state == checks.WARNING


def test_data_is_found_by_its_files(found, tmp_path):
    data = tmp_path / "data"
    assert found(data)["mnist"].state == checks.PROBLEM
    (data / "cifar-10-batches-bin").mkdir(parents=True)
    for i in range(1, 5):
        (data / "cifar-10-batches-bin" / f"data_batch_{i}.bin").touch()
    (data / "train-images-idx3-ubyte.gz").touch()
    findings = found(data)
    assert findings["mnist"].state == checks.OK
    assert findings["cifar10"].state == checks.WARNING
    assert "data_batch_5.bin" in findings["cifar10"].found
    (data / "cifar10" / "3.0.2").mkdir(parents=True)
    (data / "cifar10" / "3.0.2" / "dataset_info.json").touch()
    assert findings["mnist"] == found(data)["mnist"]
    assert "cifar10" in found(data)["cifar10"].found


def test_a_jax_that_is_too_old_or_untested_is_named(found, monkeypatch):
    states = {}
    for version in ("0.9.2", "0.12.0.1", "0.13.0"):
        monkeypatch.setattr("importlib.metadata.version", lambda name, v=version: v)
        states[version] = found()["jax"].state
    assert states == {"0.9.2": "problem", "0.12.0.1": "ok", "0.13.0": "warning"}


@pytest.mark.long
@pytest.mark.parametrize("broken", [False, True])
def test_the_command_prints_lines_or_json_and_its_status_says_whether_it_can_be_used(
    broken, monkeypatch, tmp_path
):
    monkeypatch.setattr(checks, "prepare", lambda: None)
    (tmp_path / "file").touch()
    out = str(tmp_path / "file" / "out" if broken else tmp_path)
    shown = CliRunner().invoke(app, ["doctor", "--out", out, "--json"])
    record = json.loads(shown.stdout)
    assert shown.exit_code == (2 if broken else 0)
    assert record["usable"] is not broken
    states = {finding["check"]: finding["state"] for finding in record["findings"]}
    assert states["output"] == ("problem" if broken else "ok")
    lines = CliRunner().invoke(app, ["doctor", "--out", out]).stdout.splitlines()
    assert sum(line.startswith(("ok", "warning", "problem")) for line in lines) == len(states)


def test_a_missing_package_is_named(found, monkeypatch):
    monkeypatch.setattr(checks.importlib.metadata, "requires", lambda name: ["nowhere>=3", "numpy"])
    assert "nowhere is missing" in found()["packages"].found
    monkeypatch.setattr(checks.importlib.metadata, "requires", lambda name: ["numpy>=99"])
    assert "numpy" in found()["packages"].found
    assert found()["packages"].state == checks.PROBLEM
