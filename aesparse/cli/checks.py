"""What `doctor` looks at. Every check stands alone: one that fails is a finding itself."""

import contextlib
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

from aesparse.errors import InputError, first_line
from aesparse.process import OLDEST_JAX, prepare

__all__ = ["OK", "PROBLEM", "WARNING", "Finding", "findings"]

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_OLDEST_PYTHON = (3, 11)
_TESTED_JAX = (OLDEST_JAX, (0, 12))  # first and last release series
_FEW_BYTES = 2**30  # of disk or memory; a run needs less, a grid more


class Finding(NamedTuple):
    """What a check found: its state is `OK`, `WARNING` (works, but) or `PROBLEM` (does not)."""

    check: str
    state: str
    found: str
    advice: str = ""  # what to do; empty where all is well


def findings(data_dir: Path | None, out: Path) -> Iterator[Finding]:
    """All findings in turn, none of which raises; `out` is where results would be written."""
    yield _finding("python", PROBLEM, _python)
    yield _finding("packages", PROBLEM, _packages)
    yield _finding("jax", PROBLEM, _jax)
    yield _finding("devices", PROBLEM, _devices)
    yield _finding("compile check", PROBLEM, _compile_check)
    yield _finding("known bug", WARNING, _known_bug)
    for name in ("mnist", "cifar10"):
        yield _finding(name, WARNING, functools.partial(_data, name, data_dir))
    yield _finding("cache", WARNING, _cache)
    yield _finding("output", PROBLEM, functools.partial(_output, out))
    yield _finding("memory", WARNING, _memory)
    yield _finding("text", WARNING, _text)
    yield _finding("home", WARNING, _home)


_Said = tuple[str, str] | tuple[str, str, str]  # state, what was found and, if need be, advice


def _finding(name: str, worst: str, check: Callable[[], _Said]) -> Finding:
    """What one check found; of state `worst` if it fails itself."""
    try:
        return Finding(name, *check())
    except Exception as error:  # whatever is broken here is what was looked for
        advice = "Repair what this names, or install the package anew in an empty environment."
        return Finding(name, worst, f"cannot be checked ({first_line(error)})", advice)


def _python() -> _Said:
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


def _packages() -> _Said:
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


def _jax() -> _Said:
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


def _devices() -> _Said:
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


def _compile_check() -> _Said:
    """Two tiny trainings: the guard accepts a right compiled program and refuses a wrong one."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from aesparse.errors import NumericsError
    from aesparse.models.activations import Activation
    from aesparse.models.one_layer import OneLayer
    from aesparse.training.fit import fit

    def miscompiled(a):  # 1.1 times too large, unless its operations are computed one by one
        return jnp.maximum(a, 0) * (1.0 if jax.config.jax_disable_jit else 1.1)

    def differing(activation: str | Activation) -> float:
        X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
        sweep = {"strength": [0.0, 0.1]}
        model = OneLayer(4, activation)
        options = {"epochs": 1, "batch_size": 10, "check_compiled": True}
        return fit(X, model, "cae", sweep=sweep, **options).guard

    try:
        apart = differing("relu")
    except NumericsError as error:
        return PROBLEM, first_line(error), "Install another jaxlib; trainings would be refused."
    try:
        differing(Activation(miscompiled))
    except NumericsError:
        found = f"a compiled training differs from its operations one by one by {apart:.0e}"
        return OK, f"{found}; a wrong program is refused"
    advice = "Install another release of jax and jaxlib; wrong trainings would not be noticed."
    return PROBLEM, "a wrong program passes the guard", advice


def _known_bug() -> _Said:
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


def _data(name: str, data_dir: Path | None) -> _Said:
    """Whether the files are there, where they are looked for; reading them checks the rest."""
    from aesparse.data import readers

    needed = "It is needed at the scales `reduced` and `paper` alone"
    if data_dir is None:
        usual = os.path.expanduser("~/tensorflow_datasets")  # as it is without a home
        folder = Path(os.environ.get("TFDS_DATA_DIR") or usual)
        if readers.prepared_folder(name, folder) is None:
            advice = f"{needed}: give --data-dir with its files."
            return WARNING, f"not given, and not prepared in {folder}", advice
        return _read_by_tfds(folder / name)
    try:
        folder = readers.data_folder(data_dir)
    except InputError as error:
        return PROBLEM, str(error), "Give --data-dir with a folder that exists."
    try:
        if isinstance(folder, Path) and (prepared := readers.prepared_folder(name, folder)):
            return _read_by_tfds(prepared / name)
        if name == "mnist":
            return OK, f"found {readers.find_mnist(folder)}"
        for crops in map(readers.patches_file, readers.PATCHES):
            if (folder / crops).is_file():
                return OK, f"found {folder / crops}"
        return OK, f"found {readers.find_cifar10(folder)[0]} and the other batches"
    except InputError as error:
        return WARNING, str(error), f"{needed}; download the files."


def _read_by_tfds(folder: Path) -> _Said:
    if importlib.util.find_spec("tensorflow_datasets") is None:
        return WARNING, f"prepared in {folder}", "pip install '.[datasets]', which reads it."
    return OK, f"prepared in {folder}"


def _cache() -> _Said:
    """Compiled programs of former commands."""
    import jax

    folder = jax.config.jax_compilation_cache_dir
    if folder is None:
        advice = "Set XDG_CACHE_HOME to a folder that can be written; else all is compiled anew."
        return WARNING, "no folder for compiled programs", advice
    used = sum(_bytes(Path(top, name)) for top, _, names in os.walk(folder) for name in names)
    return OK, f"{_size(used)} of compiled programs in {folder}, which may be deleted"


def _output(out: Path) -> _Said:
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


def _memory() -> _Said:
    import psutil

    from aesparse.memory import host_memory
    from aesparse.training.memory import device_memory

    total, available = host_memory(), psutil.virtual_memory().available
    found = f"{_size(available)} of {_size(total)} available, {_size(device_memory())} a device"
    if min(available, total) < _FEW_BYTES:
        return WARNING, found, "End other programs, or train fewer models at once."
    return OK, found


def _text() -> _Said:
    encodings = {"output": sys.stdout.encoding, "locale": locale.getpreferredencoding(False)}
    found = ", ".join(f"{what} {encoding}" for what, encoding in encodings.items())
    if all("utf" in (encoding or "").lower() for encoding in encodings.values()):
        return OK, found
    return WARNING, found, 'Greek letters are shown as "?" (files are UTF-8): set PYTHONUTF8=1.'


def _home() -> _Said:
    try:
        home = Path.home()
    except RuntimeError:
        return WARNING, "this user has none", "Set HOME to a folder that can be written."
    if not (home.is_dir() and os.access(home, os.W_OK)):
        return WARNING, f"{home} cannot be written", "Set HOME to a folder that can be written."
    return OK, str(home)


def _bytes(path: Path) -> int:
    """The size of a file; 0 of one that another process removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_size
    return 0


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
