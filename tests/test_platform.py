"""An operating system without POSIX: what works there, and what says that it does not."""

import subprocess
import sys

import pytest

_WITHOUT_POSIX = """
import os, psutil, sys  # psutil has its own way on every system
sys.modules |= {"fcntl": None, "resource": None}
del os.sysconf
"""


def _run(code: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", _WITHOUT_POSIX + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.long
def test_the_library_trains():
    trained = _run(
        "import numpy as np, aesparse as ae\n"
        "X = np.eye(4, dtype=np.float32)\n"
        "print(ae.fit(X, ae.OneLayer(2), 'ae', epochs=1, batch_size=4).losses['loss'].shape)"
    )
    assert trained.stdout.strip() == "(1,)", trained.stderr


@pytest.mark.parametrize(("command", "status"), [("status", 0), ("lecture-kl", 2)])
def test_commands_that_write_are_refused_and_others_work(command, status, tmp_path):
    ended = _run(
        f"from experiments.__main__ import main\n"
        f"sys.argv = ['experiments', {command!r}, '--out', {str(tmp_path)!r}]\n"
        "main()"
    )
    assert ended.returncode == status
    assert "Traceback" not in ended.stderr
    assert ("WSL" in ended.stderr) == (status == 2)
