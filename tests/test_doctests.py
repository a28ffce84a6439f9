"""The examples in docstrings are executed; floating-point numbers agree to a few digits."""

import doctest
import importlib
import math
import pkgutil
import re

import pytest

import aesparse

FLOAT = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?|-?\d+e[+-]?\d+|\bnan\b|-?\binf\b")
DIGITS = 1e-4  # relative; examples are written for readers


class Close(doctest.OutputChecker):
    """Text must be equal, floating-point numbers in it close."""

    def check_output(self, want, got, optionflags):
        if super().check_output(want, got, optionflags):
            return True
        numbers = [[float(v) for v in FLOAT.findall(text)] for text in (want, got)]
        texts = [FLOAT.sub("#", text) for text in (want, got)]
        return (
            super().check_output(*texts, optionflags)
            and len(numbers[0]) == len(numbers[1])
            and all(
                math.isclose(a, b, rel_tol=DIGITS, abs_tol=1e-6)
                for a, b in zip(*numbers, strict=True)
            )
        )


def modules():
    """Every module of the library but the command line."""
    names = (m.name for m in pkgutil.walk_packages(aesparse.__path__, "aesparse."))
    return ["aesparse", *(name for name in names if not name.endswith("__main__"))]


def examples(name):
    """The docstrings of a module that have examples."""
    found = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name)
    return [test for test in found if test.examples]


def failures(test):
    """What disagrees in a docstring, as text; empty if nothing does."""
    runner, lines = doctest.DocTestRunner(Close(), optionflags=doctest.NORMALIZE_WHITESPACE), []
    runner.run(test, out=lines.append)
    return "".join(lines)


EXAMPLES = [test for name in modules() for test in examples(name)]
LONG = {  # 10 seconds or more
    "aesparse.theory.audit.audit",
    "aesparse.theory.falsifier.falsify",
    "aesparse.training.cost.estimate",
}
MARKED = [
    pytest.param(
        test,
        id=test.name.removeprefix("aesparse."),
        marks=[pytest.mark.long] if test.name in LONG else [],
    )
    for test in EXAMPLES
]


@pytest.mark.parametrize("test", MARKED)
def test_the_example_gives_what_it_says(test):
    if disagreement := failures(test):
        pytest.fail(disagreement)


@pytest.mark.parametrize(
    ("printed", "right"),
    [("[0.5, 1]", True), ("[0.5000001, 1]", True), ("[0.51, 1]", False), ("[0.5, 2]", False)],
)
def test_a_wrong_number_would_be_seen(printed, right):
    text = f">>> print('{printed}')\n[0.5, 1]\n"
    test = doctest.DocTestParser().get_doctest(text, {}, "planted", None, 0)
    assert (not failures(test)) == right
