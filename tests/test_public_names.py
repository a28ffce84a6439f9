"""Tests use what is public: no name of ours that begins with an underscore."""

import ast
import re
from pathlib import Path

import pytest

OURS = ("aesparse", "experiments", "benchmarks")
NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}
PRIVATE = r"_(?!_)\w+"


def private_names(code: str) -> set[str]:
    """Private names of ours in imports, attributes and the strings that patch them."""
    tree, ours, private = ast.parse(code), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [a.name for a in node.names if a.name.split(".")[0] in OURS]
            ours |= {a.asname or a.name.split(".")[0] for a in node.names if a.name in paths}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            paths = [f"{node.module}.{a.name}" for a in node.names]
            ours |= {a.asname or a.name for a in node.names}
        else:
            continue
        private |= {path for path in paths if re.search(rf"\.{PRIVATE}", path)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.fullmatch(PRIVATE, node.attr):
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            private |= {node.attr} & ({node.attr} - NAMED_TUPLE if names & ours else set())
        if isinstance(node, ast.Call) and node.args:
            text = [a.value for a in node.args[:2] if isinstance(a, ast.Constant)]
            names = {part.id for part in ast.walk(node.args[0]) if isinstance(part, ast.Name)}
            private |= {
                word
                for word in text
                if isinstance(word, str)
                and (
                    re.search(rf"^({'|'.join(OURS)})[\w.]*\.{PRIVATE}$", word)
                    or (names & ours and re.fullmatch(PRIVATE, word))
                )
            }
    return private


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("*.py")), ids=lambda p: p.stem)
def test_no_test_names_what_is_private(path):
    assert private_names(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("from aesparse.training.fit import _first", "aesparse.training.fit._first"),
        ("from experiments import _hidden as shown", "experiments._hidden"),
        ("import aesparse._files", "aesparse._files"),
        ("import aesparse as ae\nae.training._first()", "_first"),
        ("from aesparse import guard\nguard._LIMIT.x", "_LIMIT"),
        ("from aesparse import guard\nmonkeypatch.setattr(guard, '_LIMIT', 3)", "_LIMIT"),
        ("monkeypatch.setattr('aesparse.losses._X', 3)", "aesparse.losses._X"),
    ],
)
def test_a_private_name_is_seen_wherever_it_stands(code, name):
    assert private_names(code) == {name}


def test_what_is_public_or_not_ours_is_left_alone():
    code = "import numpy as np\nfrom aesparse import __main__, Params\nParams(1)._replace(x=2)"
    assert private_names(f"{code}\nself._tick = np._private\n'_FillValue'") == set()
