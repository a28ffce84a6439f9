"""Command lines with nonsense in them, in this process; nothing is trained."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from aesparse.errors import InputError
from benchmarks.fuzz.kit import Attempt, Target, damage

__all__ = ["TARGETS"]

# Values that no option takes as they are, and some that one or the other does.
_NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "0",
    "-0",
    "1e-400",
    "0x10",
    "1_0",
    "1,5",
    "½",
    "٣",
    "9" * 5000,  # more digits than Python converts
)
_TEXTS = (
    "", " ", "\t", "\n", "\0", "a\0b", "-", "--", "---", "=", ":", "::", "a:", ":b", "a:b", "../..",
    "/", "/dev/full", "~", "*", "%s", "{}", "${HOME}", "é", "→", "\u202e", "\ud800", "\x1b[31m",
    "😀", "None", "[]", "relu", "cae", "sys:path", "os:getcwd", "math:pi", "json:loads", "x" * 300,
    "y" * 100_000, "99999999999999999999", "quick", "paper", "1/2", "0/0", "1/0", "-1/2", "a/b",
    f"1/{'9' * 5000}", f"{'9' * 5000}/1",
)  # fmt: skip
_WORDS = (*_NUMBERS, *_TEXTS)
_HELD = ("-h", "--help")  # what ends a command line before its values are looked at


def _line(rng: np.random.Generator, options: dict[str, str]) -> list[str]:
    """The options with one or two faults: another value, a double, none, an unknown word."""
    words = [word for pair in options.items() for word in pair]
    for _ in range(int(rng.integers(1, 3))):
        place = int(rng.integers(len(words) + 1))
        fault = int(rng.integers(6))
        if fault < 3 and len(words) > 1:  # the value of an option
            words[2 * int(rng.integers(len(words) // 2)) + 1] = str(rng.choice(_WORDS))
        elif fault == 3 and words:
            del words[min(place, len(words) - 1)]
        elif fault == 4:
            name = str(rng.choice(list(options)))
            words[place:place] = [name, str(rng.choice(_WORDS))]
        else:
            words.insert(place, str(rng.choice((*_WORDS, *_HELD, "--nothing", "--json"))))
    return words


def _ran(app: str, line: list[str]) -> Callable[[], object]:
    """Runs a command line in this process: None if its exit status is 0, else what it says."""

    def call() -> None:
        import experiments.cli
        from aesparse.cli import app as library
        from aesparse.cli import invoking
        from aesparse.command import one_line

        typed = {"aesparse": library.app, "experiments": experiments.cli.app}[app]
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            mock.patch.object(invoking, "prepare"),
        ):
            try:
                status = invoking.invoke(typed, app, app, line)
            except InputError as error:
                raise InputError(one_line(str(error))) from None
        if status:
            raise RuntimeError(f"exit status {status} without a sentence")

    return call


def _attempt(app: str, line: list[str]) -> Attempt:
    shown = [word if len(word) <= 40 else f"{word[:40]}…" for word in line]
    return Attempt(f"{app} {shown!r}", _ran(app, line))


def _folder(rng: np.random.Generator, folder: Path) -> Path:
    """A folder for results: none, empty, a file, or one with things in it that are no results."""
    out = folder / "out"
    kind = int(rng.integers(6))
    if kind == 1:
        out.mkdir()
    elif kind == 2:
        out.write_bytes(rng.bytes(100))
    elif kind == 3:
        os.mkfifo(out)
    elif kind == 4:
        out.symlink_to(out)
    elif kind == 5:
        for name in ("quick", "runs/quick", "runs/paper/.training"):
            (out / name).mkdir(parents=True)
        for name in ("quick/arpit-fig1.json", "runs/quick/progress.jsonl", "runs/reduced"):
            (out / name).write_bytes(damage(rng, b'{"title": "a", "runs": {}}\n' * 9)[1])
    return out


def _audit(rng: np.random.Generator, folder: Path) -> Attempt:
    """Values that are refused before anything is audited, as `--hidden 0` sees to."""
    options = {
        "--activation": "relu",
        "--penalty": "cae",
        "--data": "digits",
        "--epsilon": "0.1",
        "--threshold": "0.1",
        "--largest-strength": "1",
        "--out": str(_folder(rng, folder)),
        "--data-dir": str(folder),
    }
    return _attempt("aesparse", ["audit", *_line(rng, options), "--hidden", "0"])


def _plan(rng: np.random.Generator, folder: Path) -> Attempt:
    options = {
        "--objective": "dae",
        "--activation": "relu",
        "--inputs": "4",
        "--hidden": "3",
        "--samples": "60",
        "--models": "2",
        "--seeds": "1",
        "--batch-size": "10",
        "--epochs": "2",
        "--devices": "1",
        "--memory": "1",
    }
    return _attempt("aesparse", ["plan", *_line(rng, options), "--rate", "1"])


def _stored(rng: np.random.Generator, folder: Path) -> Attempt:
    """Commands that only read results; those that take long are stopped by no seeds."""
    command = str(rng.choice(["status", "import", "verdicts", "pages", "report"]))
    options = {"--out": str(_folder(rng, folder))}
    if command == "pages":
        options["--checkout"] = str(folder)  # which has no README.md
    elif command != "import":
        options["--seeds"] = "1"
    line = [command, *_line(rng, options)]
    if command == "import":
        archive = folder / "runs.zip"
        archive.write_bytes(damage(rng, b"PK\x05\x06" + bytes(18))[1])
        line.append(str(archive))
    elif command not in ("status", "pages"):
        line += ["--seeds", "-1"]
    return _attempt("experiments", line)


def _theorems(rng: np.random.Generator, folder: Path) -> Attempt:
    """The theorems, of both command lines, with a word that stops them before any work."""
    app = str(rng.choice(["aesparse", "experiments"]))
    options = {"--out": str(_folder(rng, folder))}
    return _attempt(app, ["theorems", *_line(rng, options), "a"])


def _doctor(rng: np.random.Generator, folder: Path) -> Attempt:
    """The doctor, with two words that stop it before anything is checked."""
    options = {"--data-dir": str(folder), "--out": str(_folder(rng, folder))}
    return _attempt("aesparse", ["doctor", *_line(rng, options), "a", "b"])


def _figure(rng: np.random.Generator, folder: Path) -> Attempt:
    """Figures, with a learning rate at the end that stops them before anything is trained."""
    name = str(rng.choice(["arpit-fig1", "satae-fig4", "lecture-probe", *_TEXTS]))
    options = {
        "--scale": "quick",
        "--seeds": "1",
        "--shard": "1/2",
        "--out": str(_folder(rng, folder)),
        "--data-dir": str(folder),
    }
    return _attempt("experiments", [name, *_line(rng, options), "--learning-rate", "-1"])


def _everything(rng: np.random.Generator, folder: Path) -> Attempt:
    """`all`, with minutes that stop it before anything is trained."""
    options = {"--scale": "quick", "--seeds": "1", "--shard": "1/2", "--out": str(folder / "out")}
    minutes = str(rng.choice(["nan", "inf", "-1", "0", "1e400", "", "x"]))
    return _attempt("experiments", ["all", *_line(rng, options), "--minutes", minutes])


def _wanted(rng: np.random.Generator, folder: Path) -> Attempt:
    """A damaged list of runs, all of which need data that are not there."""
    path = folder / "wanted.toml"
    good = b'[[wanted]]\nscale = "paper"\nseeds = [0]\nfigure = "arpit-fig1"\n'
    path.write_bytes(good if rng.random() < 0.2 else damage(rng, good)[1])
    here = ["--list", str(path), "--data-dir", str(folder)]
    options = {"--out": str(_folder(rng, folder)), "--archive": str(folder / "runs.zip")}
    return _attempt("experiments", ["wanted", *_line(rng, options), *here])


def _nothing(rng: np.random.Generator, folder: Path) -> Attempt:
    """Words alone."""
    app = str(rng.choice(["aesparse", "experiments"]))
    count = int(rng.integers(4))
    return _attempt(app, [str(word) for word in rng.choice((*_WORDS, *_HELD), count)])


TARGETS: dict[str, Target] = {
    "audit": _audit,
    "plan": _plan,
    "stored": _stored,
    "theorems": _theorems,
    "doctor": _doctor,
    "figure": _figure,
    "all": _everything,
    "wanted": _wanted,
    "words": _nothing,
}
