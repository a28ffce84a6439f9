"""What `doctor` looks at. Every check stands alone: one that fails is a finding itself."""

import functools
import importlib
import importlib.metadata
import importlib.util
import locale
import os
import platform
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from aesparse.errors import first_line
from aesparse.process import prepare

__all__ = ["OK", "PROBLEM", "WARNING", "Finding", "findings"]

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_OLDEST_PYTHON = (3, 11)
_TESTED_JAX = ((0, 10), (0, 12))  # first and last release series
_FEW_BYTES = 2**30  # of disk or memory; a run needs less, a grid more


class Finding(NamedTuple):
    """What a check found: its state is `OK`, `WARNING` (works, but) or `PROBLEM` (does not)."""

    check: str
    state: str
    found: str
    advice: str = ""  # what to do; empty where all is well


def findings(data_dir: Path | None, out: Path) -> Iterator[Finding]:
    """All findings in turn, none of which raises; `out` is where results would be written."""
    alone = _one_by_one
    yield from alone("python", PROBLEM, _python)
    yield from alone("packages", PROBLEM, _packages)
    yield from alone("jax", PROBLEM, _jax)
    yield from alone("devices", PROBLEM, _devices)
    yield from alone("compile check", PROBLEM, _compile_check)
    yield from alone("known bug", WARNING, _known_bug)
    for name in ("mnist", "cifar10"):
        yield from alone(name, WARNING, functools.partial(_data, name, data_dir))
    yield from alone("cache", WARNING, _cache)
    yield from alone("output", PROBLEM, functools.partial(_output, out))
    yield from alone("memory", WARNING, _memory)
    yield from alone("text", WARNING, _text)
    yield from alone("home", WARNING, _home)


Said = tuple[str, str] | tuple[str, str, str]  # state, what was found and, if need be, advice


def _one_by_one(name: str, worst: str, check: Callable[[], Said]) -> Iterator[Finding]:
    """The finding of one check; of state `worst` if it fails itself."""
    try:
        yield Finding(name, *check())
    except Exception as error:  # whatever is broken here is what was looked for
        advice = "Repair what this names, or install the package anew in an empty environment."
        yield Finding(name, worst, f"cannot be checked ({first_line(error)})", advice)


def _python() -> Said:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST_PYTHON:
        return PROBLEM, found, "Use Python 3.11 or newer."
    if os.name != "posix":
        return WARNING, found, "The experiments need Linux or macOS (WSL on Windows)."
    return OK, found


def _requirements() -> list[str]:
    """What the package needs, such as `numpy>=2`, as installed or as its source says."""
    try:
        listed = importlib.metadata.requires("aesparse") or []
        return [line for line in listed if "extra ==" not in line]
    except importlib.metadata.PackageNotFoundError:
        source = Path(__file__).parents[2] / "pyproject.toml"
        return tomllib.loads(source.read_text(encoding="utf-8"))["project"]["dependencies"]


def _packages() -> Said:
    from packaging.requirements import Requirement

    versions, wrong = [], []
    for line in _requirements():
        needed = Requirement(line)
        try:
            version = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        versions.append(f"{needed.name} {version}")
        if not needed.specifier.contains(version, prereleases=True):
            wrong.append(f"{needed.name} {version} is not {needed.specifier}")
    if wrong:
        return PROBLEM, "; ".join(wrong), "pip install '.' in a copy of the repository."
    return OK, ", ".join(versions)


def _jax() -> Said:
    prepare()
    versions = [importlib.metadata.version(name) for name in ("jax", "jaxlib")]
    found = "jax {}, jaxlib {}".format(*versions)
    first, last = (".".join(map(str, series)) for series in _TESTED_JAX)
    for version in versions:
        series = tuple(int(part) for part in version.split(".")[:2])
        if not _TESTED_JAX[0] <= series <= _TESTED_JAX[1]:
            advice = f"Tested are {first} to {last}: pip install 'jax>={first},<={last}.99'."
            return (PROBLEM if series < _TESTED_JAX[0] else WARNING), found, advice
    return OK, f"{found}; tested are {first} to {last}"


def _devices() -> Said:
    import jax

    try:
        devices = jax.devices()
    except (AssertionError, RuntimeError) as error:
        advice = "Unset JAX_PLATFORMS, or install JAX for that device, such as jax[cuda13]."
        return PROBLEM, f"JAX finds none ({first_line(error)})", advice
    kinds = dict.fromkeys(f"{d.platform} ({d.device_kind})" for d in devices)
    found = f"{len(devices)} × {', '.join(kinds)}"
    if devices[0].platform == "cpu" and Path("/dev/nvidia0").exists():
        return WARNING, f"{found}, though there is an NVIDIA GPU", "pip install 'jax[cuda13]'."
    return OK, found


def _compile_check() -> Said:
    """A tiny training, whose compiled program is compared with its operations one by one."""
    import numpy as np

    from aesparse.errors import NumericsError
    from aesparse.models.one_layer import OneLayer
    from aesparse.training.fit import fit

    X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    try:
        result = fit(X, OneLayer(4), "cae", sweep={"strength": [0.0, 0.1]}, epochs=1, batch_size=10)
    except NumericsError as error:
        return PROBLEM, first_line(error), "Install another jaxlib; trainings would be refused."
    found = f"a compiled training and its operations one by one differ by {result.guard:.0e}"
    return OK, found


def _known_bug() -> Said:
    """The product with a broadcast constant that some jaxlib releases miscompile on CPUs."""
    import jax
    import jax.numpy as jnp

    scales = jnp.array([1.0, 2.0])
    ones = jnp.ones((100, 100))
    products = jax.jit(jax.vmap(lambda s: ((jnp.ones((100, 100)) * s) @ ones).sum()))(scales)
    if jnp.allclose(products, 1e6 * scales):
        return OK, "products with constant matrices are compiled rightly"
    return (
        WARNING,
        "this jaxlib miscompiles products with constant matrices on CPUs",
        "Pass matrices as arguments to objectives of your own; every training is checked, and "
        "refused if it is affected. XLA_FLAGS=--xla_cpu_experimental_ynn_fusion_type= avoids it.",
    )


def _data(name: str, data_dir: Path | None) -> Said:
    """Whether the files are there, by their names; reading them checks the rest."""
    needed = "It is needed at the scales `reduced` and `paper` alone"
    if data_dir is None:
        usual = os.path.expanduser("~/tensorflow_datasets")  # as it is without a home
        folder = Path(os.environ.get("TFDS_DATA_DIR") or usual)
        if not _prepared(folder, name):
            advice = f"{needed}: give --data-dir with its files."
            return WARNING, f"not given, and not prepared in {folder}", advice
        return _read_by_tfds(folder / name)
    if not data_dir.exists():
        return PROBLEM, f"no folder {data_dir}", "Give --data-dir with a folder that exists."
    if data_dir.is_file():
        return OK, f"{data_dir} is looked into when it is read"
    if _prepared(data_dir, name):
        return _read_by_tfds(data_dir / name)
    sub, files = {
        "mnist": ("mnist", ["train-images-idx3-ubyte"]),
        "cifar10": ("cifar-10-batches-bin", [f"data_batch_{i}.bin" for i in range(1, 6)]),
    }[name]
    folder = data_dir / sub if (data_dir / sub).is_dir() else data_dir
    present = {path.name.removesuffix(".gz") for path in folder.iterdir()}
    if missing := [file for file in files if file not in present]:
        return WARNING, f"{folder} has no {', '.join(missing)}", f"{needed}; download the files."
    return OK, f"files are in {folder}"


def _prepared(folder: Path, name: str) -> bool:
    return any((folder / name).glob("*/dataset_info.json"))


def _read_by_tfds(folder: Path) -> Said:
    if importlib.util.find_spec("tensorflow_datasets") is None:
        return WARNING, f"prepared in {folder}", "pip install '.[tfds]', which reads it."
    return OK, f"prepared in {folder}"


def _cache() -> Said:
    """Compiled programs of former commands."""
    import jax

    folder = jax.config.jax_compilation_cache_dir
    if folder is None:
        advice = "Set XDG_CACHE_HOME to a folder that can be written; else all is compiled anew."
        return WARNING, "no folder for compiled programs", advice
    used = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return OK, f"{_size(used)} of compiled programs in {folder}, which may be deleted"


def _output(out: Path) -> Said:
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        advice = "Choose another folder with --out."
        return PROBLEM, f"{existing} cannot be written ({error.strerror})", advice
    free = shutil.disk_usage(existing).free
    found = f"{_size(free)} free in {existing}"
    return (
        (WARNING, found, "Make room, or choose another folder.")
        if free < _FEW_BYTES
        else (OK, found)
    )


def _memory() -> Said:
    from aesparse.memory import host_memory
    from aesparse.training.memory import device_memory

    total, available = host_memory(), _available_memory()
    found = f"{_size(available)} of {_size(total)} available, {_size(device_memory())} a device"
    if min(available, total) < _FEW_BYTES:
        return WARNING, found, "End other programs, or train fewer models at once."
    return OK, found


def _available_memory() -> int:
    """Bytes that can be had without swapping; where the system does not say, those it has."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        (kibibytes,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 1024 * int(kibibytes)


def _text() -> Said:
    encodings = {"output": sys.stdout.encoding, "locale": locale.getpreferredencoding(False)}
    found = ", ".join(f"{what} {encoding}" for what, encoding in encodings.items())
    if all("utf" in (encoding or "").lower() for encoding in encodings.values()):
        return OK, found
    return WARNING, found, 'Greek letters are shown as "?" (files are UTF-8): set PYTHONUTF8=1.'


def _home() -> Said:
    try:
        home = Path.home()
    except RuntimeError:
        return WARNING, "this user has none", "Set HOME to a folder that can be written."
    if not os.access(home, os.W_OK):
        return WARNING, f"{home} cannot be written", "Set HOME to a folder that can be written."
    return OK, str(home)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
