"""Strict session: rank promotion raises, warnings are errors (pyproject), shapes are checked."""

import contextlib
import ctypes
import gc
import inspect
import os
import signal
import sys
from pathlib import Path

import jax
import jaxtyping
import matplotlib as mpl
import numpy as np
import pytest

jaxtyping.install_import_hook("aesparse", "beartype.beartype")
jax.config.update("jax_numpy_rank_promotion", "raise")
mpl.use("Agg")


def pytest_configure(config):
    """Programs compiled once serve every worker and later sessions."""
    jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("jax")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(autouse=True, scope="session")
def heeded_signals():
    """Commands that tests start inherit no ignored signal, of `nohup` or a background job."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # a handler is not inherited


MOST_BYTES = 1.2e9  # resident, of a worker, before it forgets what it compiled


def resident_bytes() -> int:
    """The memory of this process that is in use now; 0 where /proc does not say."""
    with contextlib.suppress(OSError):
        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def forget_programs() -> None:
    """Drops every program that JAX and the cached functions of ours hold."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("aesparse", "experiments"):
            for value in list(vars(module).values()):
                if inspect.isroutine(getattr(value, "cache_clear", None)):
                    value.cache_clear()
    jax.clear_caches()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc gives freed memory back if asked
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(autouse=True)
def bounded_memory():
    """A worker that has grown large starts the next test without programs; they are on disk."""
    yield
    if resident_bytes() > MOST_BYTES:
        forget_programs()


@pytest.fixture
def tiny_scales(monkeypatch):
    """The scales `reduced` and `paper` are tiny."""
    import tiny  # after the import hook

    tiny.use(monkeypatch)


@pytest.fixture(scope="session")
def arpit_runs(tmp_path_factory) -> Path:
    """A folder with all made-up runs of Arpit's figures at the tiny reduced scale; add no runs."""
    import tiny

    out = tmp_path_factory.mktemp("arpit")
    tiny.store_arpit(out)
    return out


@pytest.fixture(scope="session")
def arpit_report(arpit_runs, tmp_path_factory):
    """A folder with the report of three figures' runs, two of them drawn, and its verdicts."""
    import report_pages

    out = tmp_path_factory.mktemp("report")
    return out, report_pages.store_report(arpit_runs, out)


@pytest.fixture(scope="session")
def stored_report(tmp_path_factory):
    """A folder with the report of the runs that the repository stores, and its verdicts."""
    import report_pages

    out = tmp_path_factory.mktemp("stored")
    return out, report_pages.store_stored(out)


@pytest.fixture
def x64():
    """float64 inside the test only."""
    with jax.enable_x64(True):
        yield


@contextlib.contextmanager
def _unchanged(path: Path):
    def files():
        found = (p for p in path.rglob("*") if p.is_file() and p.name != ".lock")
        return {p: p.read_bytes() for p in found}

    before = files()
    yield
    assert files() == before


@pytest.fixture
def unchanged():
    """A context in which no file below a folder may change, appear or vanish."""
    return _unchanged


@pytest.fixture
def data_dir() -> Path:
    """The folder with real MNIST and CIFAR-10 files, from AESPARSE_DATA_DIR."""
    folder = os.environ.get("AESPARSE_DATA_DIR")
    if not folder:
        pytest.skip("AESPARSE_DATA_DIR does not name a folder with MNIST and CIFAR-10")
    return Path(folder)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
