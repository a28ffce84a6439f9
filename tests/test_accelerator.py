"""The accelerator kit: its parts end on time, its pack is the record's data, bad input is named."""

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import commands
import numpy as np
import pytest

from aesparse import data
from aesparse.data.readers import PATCHES, read_patches
from aesparse.errors import InputError
from experiments.pipeline.plan import Plan
from experiments.pipeline.provenance import parentage
from experiments.pipeline.registry import get_figure
from experiments.pipeline.store import RunStore

ROOT = Path(__file__).parents[1]
SLOW = """
import time
import jax._src.compiler as compiler
compile = compiler.compile_or_get_cached
def slowly(*arguments, **options):
    time.sleep(3)
    return compile(*arguments, **options)
compiler.compile_or_get_cached = slowly
"""


def kit(*arguments, **environment):
    """The command's exit status, and what it wrote to standard error."""
    command = [sys.executable, "benchmarks/accelerator.py", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_the_command_may_be_run_as_a_module_too():
    command = [sys.executable, "-m", "benchmarks.accelerator", "-h"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--minutes" in done.stdout


def refused(*arguments, **environment) -> str:
    """The one sentence with which the command ends."""
    status, error = kit(*arguments, **environment)
    assert status == 2, error
    errors = [line for line in error.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert "Traceback" not in error
    return errors[0]


def refused_here(monkeypatch, capsys, *arguments) -> str:
    """The same of the command run in this process."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    command = importlib.import_module("accelerator")
    assert commands.exit_status(monkeypatch, *arguments, main=command.main) == 2
    (error,) = capsys.readouterr().err.splitlines()
    return error


@pytest.mark.long
@pytest.mark.parametrize("case", ["as it is", "8 devices", "slow compilation"])
def test_a_dry_call_goes_through_all_parts_and_ends_on_time(case, tmp_path):
    environment, minutes = {}, 2 if case == "slow compilation" else 8
    if case == "8 devices":
        environment = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    if case == "slow compilation":
        (tmp_path / "sitecustomize.py").write_text(SLOW, encoding="utf-8")
        environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    out, begin = tmp_path / "out", time.monotonic()
    status, error = kit("--dry", "--minutes", minutes, "--out", out, **environment)
    assert status == 0, error
    assert time.monotonic() - begin < 60 * minutes + 90  # Python itself may start slowly
    files = list(out.iterdir())
    assert len(files) <= 6
    assert all(path.stat().st_size <= 15e6 for path in files)
    numbers = json.loads((out / "numbers.json").read_text(encoding="utf-8"))
    assert numbers["finished"]
    assert list(numbers["parts"]) == ["where", "speed", "agreement", "record"]
    assert all("status" in part for part in numbers["parts"].values())
    device = numbers["parts"]["where"]["rows"][0]
    if case == "8 devices":
        assert device["devices"] == 8
    if case == "slow compilation":
        ended = [part["status"] for part in numbers["parts"].values()]
        assert "ended at its deadline" in ended
        return
    assert all(part["rows"] for part in numbers["parts"].values())
    runs = [row["run"] for row in numbers["parts"]["record"]["rows"]]
    command = [sys.executable, "-m", "experiments", "import", out / "runs.zip", "--out"]
    subprocess.run([*command, tmp_path / "figures"], cwd=ROOT, check=True)
    assert all((tmp_path / "figures" / "runs" / run).is_file() for run in runs)


@pytest.mark.long
def test_numbers_of_another_device_or_kind_of_call_are_left_alone(tmp_path, unchanged):
    numbers = {"device": "Another 9000", "platform": "gpu x86_64", "dry": True}
    numbers["parts"] = {"where": {"status": "done", "rows": [{"what": "device"}]}}
    (tmp_path / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
    with unchanged(tmp_path):
        message = refused("--dry", "--out", tmp_path, "--device", "cpu")
    assert "Another 9000" in message


@pytest.mark.long
def test_an_accelerator_that_is_not_there_is_named(tmp_path):
    import jax

    if jax.default_backend() == "gpu":
        pytest.skip("There is a GPU.")
    message = refused("--dry", "--device", "gpu", "--out", tmp_path / "out")
    assert "--device gpu" in message
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--minutes", "0"), "--minutes"),
        (("--minutes", "nan"), "--minutes"),
        ((), "--data-dir"),
        (("--data-dir", "nowhere"), "nowhere"),
        (("--keep", "nowhere"), "--keep"),
    ],
)
def test_bad_options_are_named_before_anything_is_written(
    arguments, named, tmp_path, monkeypatch, capsys
):
    assert named in refused_here(monkeypatch, capsys, "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_numbers_of_a_dry_call_are_not_kept(tmp_path):
    (tmp_path / "numbers.json").write_text(
        '{"parts": {}, "dry": true, "finished": true}', encoding="utf-8"
    )
    assert str(tmp_path) in refused("--keep", tmp_path)


def test_a_kept_call_is_numbers_and_a_picture_under_the_devices_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from kit.keep import keep

    step = {"what": "step", "size": "mnist", "models": 12, "precision": "highest"}
    speed = [
        step | {"objective": "ae", "variant": v, "seconds": 1e-4}
        for v in ("aesparse", "torch.compile")
    ]
    agreement = [{"objective": "ae", "updates": k, "difference": k * 1e-7} for k in (1, 10)]
    numbers = {
        "device": "NVIDIA H200",
        "dry": False,
        "finished": True,
        "parts": {"speed": {"rows": speed}, "agreement": {"rows": agreement}},
    }
    (tmp_path / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
    keep(tmp_path, tmp_path / "stored")
    assert (
        json.loads(
            (tmp_path / "stored" / "accelerator-nvidia-h200.json").read_text(encoding="utf-8")
        )
        == numbers
    )
    assert (tmp_path / "stored" / "accelerator-nvidia-h200.png").stat().st_size > 5_000


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """The pack of the real data."""
    folder = os.environ.get("AESPARSE_DATA_DIR")
    if not folder:
        pytest.skip("AESPARSE_DATA_DIR does not name a folder with MNIST and CIFAR-10")
    path = tmp_path_factory.mktemp("pack") / "pack.zip"
    status, error = kit("--pack", path, "--data-dir", folder)
    assert status == 0, error
    return path


@pytest.mark.long
def test_the_pack_is_small_and_holds_the_data_of_the_stored_runs(pack):
    assert pack.stat().st_size <= 25 * 2**20
    for scale in ("paper", "reduced"):
        plan, store = Plan.checked(scale, 1, None), RunStore(ROOT / "figures", scale)
        for spec in get_figure("arpit-fig1").runs(plan):
            if spec == spec.baseline:
                rows = data.load(spec.dataset, data_dir=pack, samples=spec.samples).train
                now = hashlib.sha256(np.ascontiguousarray(rows)).hexdigest()
                assert now == parentage(store.load(spec))["data_sha256"]


@pytest.mark.long
def test_a_pack_gives_the_heldout_rows_and_labels_of_the_files_too(pack, data_dir):
    for name, samples in (("cifar10", 10_000), ("mnist", 10_000), ("mnist-labelled", None)):
        packed, files = (
            data.load(name, data_dir=folder, samples=samples) for folder in (pack, data_dir)
        )
        np.testing.assert_array_equal(packed.heldout, files.heldout)
        assert packed.shape == files.shape
        for one, other in zip(packed.labels or (), files.labels or (), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_a_pack_with_another_checksum_is_refused_before_anything_is_written(pack, tmp_path):
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(pack) as sound, zipfile.ZipFile(changed, "w") as other:
        for name in sound.namelist():
            raw = bytearray(sound.read(name))
            if name.startswith("cifar10"):
                raw[-1] ^= 1
            other.writestr(name, bytes(raw))
    message = refused("--data-dir", changed, "--out", tmp_path / "out")
    assert re.search(r"cifar10-patches-\d+\.npy", message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 and no more"])
def test_a_damaged_pack_is_refused(raw, tmp_path):
    (tmp_path / "pack.zip").write_bytes(raw)
    with pytest.raises(InputError, match=r"pack\.zip"):
        data.load("cifar10", data_dir=tmp_path / "pack.zip", samples=50_000)


def test_patches_of_another_checksum_or_kind_are_refused(tmp_path):
    samples = min(PATCHES)
    np.save(tmp_path / f"cifar10-patches-{samples}.npy", np.zeros((12, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="checksum"):
        read_patches(tmp_path, samples)
    (tmp_path / f"cifar10-patches-{samples}.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="NumPy"):
        read_patches(tmp_path, samples)


def test_the_ratio_is_to_the_fastest_torch_variant(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from kit.speed import times_best_torch

    def row(variant, seconds, models=12, precision="highest"):
        label = {"objective": "ae", "size": "mnist", "models": models, "precision": precision}
        return label | {"variant": variant, "seconds": seconds}

    rows = [row("aesparse", 2.0), row("torch eager", 6.0), row("torch.compile", 3.0)]
    rows += [row("aesparse", 9.0, models=256), row("aesparse", 9.0, precision="tensorfloat32")]
    rows += [row("jax loop", 1.0), {"what": "rate", "precision": "copy"}]
    failed = {"objective": "cae", "size": "mnist", "models": 12, "precision": "highest"}
    rows += [failed | {"variant": "torch eager", "failed": "no memory"}]
    assert times_best_torch(rows) == {"ae mnist": 1.5}
