"""Part 1: the device, its software, and whether the numerics guard accepts its products.

    python -m kit.where OUT [--dry] [--gpu]

Refuses a device other than that of the numbers in OUT before anything is written.
"""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

from aesparse.command import run
from aesparse.errors import InputError, first_line
from aesparse.process import prepare
from kit.numbers import Numbers

PRECISIONS = ("highest", "tensorfloat32", "bfloat16")
_LIBRARIES = ("jax", "jaxlib", "optax", "flax", "numpy", "xarray", "torch")


def check_device(numbers: Numbers, *, gpu: bool, dry: bool) -> dict:
    """What identifies this device; `InputError` if it is no GPU though asked, or not OUT's."""
    from experiments.pipeline.provenance import provenance

    here = provenance(None)
    here = {name: here[name] for name in ("device", "platform")} | {"dry": dry}
    if gpu and not here["platform"].startswith(("gpu", "cuda")):
        raise InputError(
            f"--device gpu is given, but JAX sees {here['device']} only; expected a GPU. Install "
            "the extra 'cuda' where there is one, or leave the option out."
        )
    before = numbers.read()
    stored = {name: before.get(name) for name in here}
    if before["parts"] and stored != here:
        raise InputError(
            f"{numbers.path.parent} holds numbers of {stored} and this is {here}; give another "
            "folder with --out."
        )
    return here


def device() -> dict:
    """Memory, driver and versions."""
    import jax

    first = jax.devices()[0]
    row = {"what": "device", "kind": first.device_kind, "devices": jax.device_count()}
    row["memory_bytes"] = (first.memory_stats() or {}).get("bytes_limit")
    if shutil.which("nvidia-smi"):
        query = "--query-gpu=name,memory.total,driver_version"
        command = ["nvidia-smi", query, "--format=csv,noheader"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        row["nvidia_smi"] = shown.stdout.strip()
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return row | {"python": sys.version.split()[0], "versions": versions}


def guard(precision: str) -> dict:
    """The difference the numerics guard sees at a matmul precision, in a tiny training."""
    import numpy as np

    import aesparse as ae
    from aesparse.training.guard import NumericsError, limit

    X = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    row = {"what": "guard", "precision": precision}
    row["limit"] = limit("float32", precision)
    try:
        result = ae.fit(
            X,
            ae.OneLayer(32),
            "dae",
            sweep={"strength": [0.0, 0.3]},
            constraint="unit",
            epochs=1,
            matmul_precision=precision,
        )
    except NumericsError as error:
        return row | {"accepted": False, "difference": None, "message": first_line(error)}
    return row | {"accepted": True, "difference": result.guard}


def main(out: str, *options: str) -> None:
    """Writes the rows of this part to OUT/numbers.json."""
    prepare()
    numbers, dry = Numbers(Path(out)), "--dry" in options
    here = check_device(numbers, gpu="--gpu" in options, dry=dry)
    numbers.set(**here)
    if not numbers.has("where", what="device"):
        numbers.add("where", **device())
    for precision in PRECISIONS:
        if not numbers.has("where", what="guard", precision=precision):
            numbers.add("where", **guard(precision))


if __name__ == "__main__":
    run(lambda: main(*sys.argv[1:]))
