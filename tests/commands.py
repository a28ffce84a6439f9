"""The command line in this process, and what its text says without its wording."""

import re
import signal
import sys

import pytest

from experiments.__main__ import main

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def exit_status(monkeypatch, *arguments, main=main) -> int:
    """The exit status of `python -m experiments`; the process is left as it is."""
    monkeypatch.setattr(sys, "argv", ["experiments", *map(str, arguments)])
    monkeypatch.setattr("aesparse.cli.invoking.prepare", lambda: None)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with pytest.raises(SystemExit) as stopped:
            main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return stopped.value.code


def command(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    return exit_status(monkeypatch, *arguments), *capsys.readouterr()


def refusal(monkeypatch, capsys, *arguments) -> str:
    """The one sentence by which a command refuses, with exit status 2; progress may precede it."""
    code, _, error = command(monkeypatch, capsys, *arguments)
    assert code == 2
    assert "Traceback" not in error
    *progress, sentence = error.splitlines()
    assert not any(line.startswith("Error: ") for line in progress)
    assert sentence.removeprefix("Error: ").strip() != sentence
    return sentence


def numbers(text: str) -> list[float]:
    """The numbers of a text, in order; a percentage is a number, thousands may have commas."""
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return [float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?", plain)]


def has_numbers(text: str, *expected: float) -> bool:
    """Whether these numbers stand in a text, in this order, with or without others between."""
    rest = iter(numbers(text))
    return all(any(n == wanted for n in rest) for wanted in expected)
