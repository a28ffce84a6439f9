"""Commands as processes: wherever they run and whatever ends them, a sentence and a status."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aesparse.cli.options import output_paths
from aesparse.errors import InputError

ROOT = Path(__file__).parents[1]
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
AUDIT = ("audit", "--activation", "relu", "--penalty", "cae", "--hidden", "2")
TINY = [
    "--inputs",
    "2",
    "--hidden",
    "2",
    "--samples",
    "50",
    "--models",
    "1",
    "--epochs",
    "1",
    "--rate",
    "1",
]
# A command that says when it has begun, and lasts.
LASTING = """
import sys, time
from aesparse.command import run

def command():
    print("begun", file=sys.stderr, flush=True)
    time.sleep({seconds})
    print("done", flush=True)

run(command)
"""


def module(name, *words) -> list[str]:
    return [sys.executable, "-m", name, *map(str, words)]


def importing(path: Path, package: str, code: str) -> dict[str, str]:
    """The environment of commands that import a package of one line in place of the true one."""
    (path / package).mkdir()
    (path / package / "__init__.py").write_text(code, encoding="utf-8")
    return {"PYTHONPATH": str(path)}


def finished(words, *, without=(), redirected="", **environment) -> subprocess.CompletedProcess:
    """What a process says and its exit status; `redirected` is the shell's, such as `>&-`."""
    inherited = {k: v for k, v in os.environ.items() if k not in without}
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirected}', "sh", *words],
        capture_output=True,
        cwd=ROOT,
        env=inherited | environment,
    )


def quiet(shown: subprocess.CompletedProcess) -> bool:
    """Whether a process said at most one thing, and that in a line."""
    said = shown.stderr.decode(errors="replace")
    return "Traceback" not in said and "ignored" not in said and len(said.splitlines()) <= 1


def test_a_user_without_a_home_and_a_name_has_all_commands():
    as_nobody = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    if subprocess.run([*as_nobody, "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    shown = finished([*as_nobody, *module("experiments")], without=("HOME", "XDG_CACHE_HOME"))
    assert shown.returncode == 0, shown.stderr
    assert quiet(shown)


@pytest.mark.long
def test_a_home_that_cannot_be_written_costs_the_cache_alone(tmp_path):
    (tmp_path / "home").touch()  # a file: not even root can make folders in it
    words = module("aesparse", *AUDIT, "--out", tmp_path)
    shown = finished(words, without=("XDG_CACHE_HOME",), HOME=str(tmp_path / "home"))
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == b""


@pytest.mark.parametrize(
    "environment", [ASCII, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_letters_that_a_terminal_lacks_are_question_marks(environment):
    shown = finished(module("aesparse", "plan", *TINY), **environment)
    assert shown.returncode == 0, shown.stderr
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith(b"layout"))
    assert (b"\xd7" if "latin-1" in environment.values() else b"?") in line
    shown = finished(module("aesparse", *AUDIT, "--activation", "\u03c3"), **environment)
    assert shown.returncode == 2
    assert quiet(shown)


@pytest.mark.long
def test_files_are_utf_8_and_printed_json_is_whole_whatever_the_locale(tmp_path):
    words = module("aesparse", *AUDIT, "--out", tmp_path, "--json")
    shown = finished(words, **ASCII, PYTHONIOENCODING="ascii")
    assert shown.returncode == 0, shown.stderr
    (file,) = tmp_path.glob("*.json")
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert "s(−∞) = 0" in stored["conditions"]
    assert json.loads(shown.stdout) == stored


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_output_is_a_sentence_and_a_full_standard_error_changes_nothing():
    shown = finished(module("aesparse", "-h"), redirected="> /dev/full")
    assert (shown.returncode, quiet(shown)) == (2, True)
    assert shown.stderr.startswith(b"Error: ")
    for redirected in ("2> /dev/full", "2>&-"):
        shown = finished(module("aesparse", "nothing"), redirected=redirected)
        assert (shown.returncode, shown.stderr) == (2, b"")
    shown = finished(module("aesparse", "-h"), redirected="> /dev/full 2>&1")
    assert shown.returncode == 2


@pytest.mark.parametrize("redirected", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_lead_nowhere(redirected):
    shown = finished(module("aesparse", "-h"), redirected=redirected)
    assert shown.returncode == 0
    assert shown.stderr == b""


def test_a_closed_pipe_ends_a_command_without_a_word():
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        module("aesparse", "-h"), cwd=ROOT, stdout=writer, stderr=subprocess.PIPE
    ) as process:
        os.close(writer)
        assert process.communicate()[1] == b""
    assert process.returncode == 128 + signal.SIGPIPE


def lasting(seconds=30, before=(), **options) -> subprocess.Popen:
    """A command that lasts, once it has begun."""
    words = [*before, sys.executable, "-c", LASTING.format(seconds=seconds)]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    process.stderr.readline()
    return process


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_ends_a_command_with_a_word_and_its_status(name, times):
    number = getattr(signal, name)
    with lasting() as process:
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.02)
        said = process.communicate()[1]
    assert process.returncode == 128 + number
    assert name in said
    assert len(said.split()) == 3


def test_a_signal_that_is_ignored_already_stays_so():
    """As SIGINT in a script's background job, whose command Ctrl-C is not meant for."""
    with lasting(seconds=0.5, before=["sh", "-c", 'trap "" INT; exec "$@"', "sh"]) as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate()[0] == "done\n"
    assert process.returncode == 0


def test_an_alarm_from_outside_changes_nothing():
    with lasting(seconds=0.5) as process:
        process.send_signal(signal.SIGALRM)
        assert process.communicate() == ("done\n", "")
    assert process.returncode == 0


def test_nohup_is_heeded():
    with lasting(seconds=0.5, before=["nohup"], stdin=subprocess.DEVNULL) as process:
        process.send_signal(signal.SIGHUP)
        assert process.communicate()[0] == "done\n"
    assert process.returncode == 0


def catches(process: subprocess.Popen, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
@pytest.mark.parametrize("delay", [0, 0.15, 0.3, 0.6])
@pytest.mark.parametrize("name", ["experiments", "aesparse"])
def test_ctrl_c_while_modules_are_imported(name, delay, tmp_path):
    """Python itself takes up to a tenth of a second in which nothing can be done about it."""
    words = module(name, *("arpit-fig3",) if name == "experiments" else AUDIT, "--out", tmp_path)
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while not catches(process, signal.SIGTERM):  # Python has none for it
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGINT
    assert "SIGINT" in said
    assert "Traceback" not in said


SWALLOWING = """
import gc, os, signal, sys, time
from aesparse.command import run

def callback(phase, info):
    os.kill(os.getpid(), signal.SIGTERM)
    gc.callbacks.clear()

def command():
    gc.callbacks.append(callback)
    gc.collect()
    time.sleep(30)

run(command)
"""


def test_a_signal_that_a_callback_swallows_comes_again():
    shown = finished([sys.executable, "-c", SWALLOWING])
    assert shown.returncode == 128 + signal.SIGTERM
    assert len(shown.stderr.split()) == 3


def test_a_closed_terminal_ends_a_command():
    ours, terminal = pty.openpty()
    words = [sys.executable, "-c", LASTING.format(seconds=30)]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        assert os.read(ours, 100).startswith(b"begun")
        os.close(
            ours
        )  # what is written from now on fails; the terminal was not its controlling one
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 128 + signal.SIGHUP


def test_writing_to_a_terminal_that_is_gone_is_as_a_hangup():
    ours, terminal = pty.openpty()
    words = [sys.executable, "-c", LASTING.format(seconds=0.5)]
    with subprocess.Popen(
        words, cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        os.read(ours, 100)
        os.close(ours)
        assert process.wait(20) == 128 + signal.SIGHUP


FAILING = """
import errno
from aesparse.command import run

def command():
    raise {error}

run(command)
"""


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("MemoryError('Unable to allocate 9 TiB')", "9 TiB"),
        ("OSError(errno.ENOSPC, 'No space left', 'figures/x.nc')", "figures/x.nc"),
        ("PermissionError(errno.EACCES, 'Permission denied', 'a')", "Permission"),
        ("RuntimeError('RESOURCE_EXHAUSTED: Out of memory\\nallocating 9 bytes')", "memory"),
        ("ModuleNotFoundError('No module', name='xarray')", "xarray"),
        ("ModuleNotFoundError('No module', name='fcntl')", "Linux"),
    ],
)
def test_what_the_machine_lacks_is_a_sentence(error, word):
    shown = finished([sys.executable, "-c", FAILING.format(error=error)])
    assert shown.returncode == 2
    assert quiet(shown)
    assert word in shown.stderr.decode()


def test_a_fault_of_ours_has_its_traceback():
    shown = finished([sys.executable, "-c", FAILING.format(error="ZeroDivisionError('x')")])
    assert shown.returncode == 1
    assert b"ZeroDivisionError" in shown.stderr


def test_a_device_that_is_not_there_is_named_in_one_sentence():
    shown = finished(module("aesparse", "plan"), JAX_PLATFORMS="nowhere")
    assert shown.returncode == 2
    assert quiet(shown)
    assert b"JAX_PLATFORMS is 'nowhere'" in shown.stderr


def test_a_console_script_finds_modules_of_the_current_folder(tmp_path):
    (tmp_path / "mine.py").write_text("calls = []\n", encoding="utf-8")
    script = tmp_path / "bin" / "aesparse"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nfrom aesparse.cli.scripts import main\nmain()\n", encoding="utf-8"
    )
    script.chmod(0o755)
    shown = subprocess.run(
        [script, "audit", "--activation", "mine:calls", "--penalty", "cae"],
        cwd=tmp_path,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert shown.returncode == 2
    assert b"mine:calls" in shown.stderr
    assert quiet(shown)
    shown = subprocess.run(
        [script, "nothing"], capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert b"`aesparse -h`" in shown.stderr


@pytest.mark.parametrize(
    ("script", "name", "line", "expected"),
    [
        ("aesparse-experiments", "experiments", "arpit-fig", "arpit-fig1-epochs"),
        ("aesparse-experiments", "experiments", "stat", "status"),
        ("aesparse", "aesparse", "doc", "doctor"),
        ("aesparse", "aesparse", "audit --largest", "--largest-strength"),
    ],
)
def test_a_shell_completes_commands_figures_and_options(script, name, line, expected):
    variable = f"_{script}_COMPLETE".replace("-", "_").upper()
    asked = {
        variable: "complete_bash",
        "COMP_WORDS": f"{script} {line}",
        "COMP_CWORD": str(len(line.split())),
    }
    shown = finished(module(name), **asked)
    assert shown.returncode == 0, shown.stderr
    assert expected in shown.stdout.decode().split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_a_shell_gets_the_script_of_the_console_script():
    command = f"{sys.executable} -m experiments --show-completion; exit $?"
    shown = finished(["bash", "-c", command])
    assert shown.returncode == 0, shown.stderr
    assert b"aesparse-experiments" in shown.stdout


@pytest.mark.parametrize("words", [("aesparse", "plan", "-h"), ("experiments", "status", "-h")])
def test_help_does_not_wait_for_jax(words, tmp_path):
    shown = finished(module(*words), **importing(tmp_path, "jax", "raise OSError('imported')"))
    assert shown.returncode == 0, shown.stderr
    assert b"--" in shown.stdout


@pytest.mark.parametrize("words", [("aesparse", "plan"), ("experiments",), ("experiments", "-h")])
def test_a_jaxlib_that_does_not_fit_is_a_sentence(words, tmp_path):
    broken = importing(tmp_path, "jaxlib", "raise RuntimeError('another version')")
    shown = finished(module(*words), **broken)
    assert shown.returncode == 2
    assert quiet(shown)
    assert b"another version" in shown.stderr


@pytest.mark.parametrize("stem", ["x" * 251, "ä" * 130, "x" * 5000])
def test_a_name_that_is_too_long_is_refused_before_the_work(stem, tmp_path):
    assert len(output_paths(tmp_path, "x" * 250)) == 3
    with pytest.raises(InputError, match="shorter"):
        output_paths(tmp_path, stem)


def test_output_is_shown_at_once_where_python_is_told_so():
    ended = "run(lambda: (print('shown', end=''), os._exit(0)))"
    code = f"import os; from aesparse.command import run; {ended}"
    assert finished([sys.executable, "-u", "-c", code]).stdout == b"shown"
