"""One direction of imports, no circles, and modules that can be read at one sitting."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module of `experiments` imports only from its own layer and those before it.
LAYERS = ["pipeline", "evidence", "drawing", "figures", "pages", "report", "cli", "__main__"]
# The same for `aesparse`: what stands at its top and is used everywhere comes first.
LIBRARY = [
    [
        "errors",
        "files",
        "lazily",
        "memory",
        "options",
        "streams",
        "process",
        "command",
        "tables",
        "pictures",
        "seal",
    ],
    ["data", "filters"],
    ["models"],
    ["losses"],
    ["metrics"],
    ["training"],
    ["theory"],
    ["theorems"],
    ["estimators"],
    ["", "cli", "__main__"],  # "": the package itself, which has the public names
]
# Theory is about models and losses, not about how they are trained; only that a penalty is a mean
# over samples is asked by both.
THEORY_MAY_USE = {"aesparse.training.growth"}
LONGEST = 300  # lines of a module


def modules(package: str, root: Path = ROOT) -> dict[str, Path]:
    """The files of a package by the name under which they are imported."""
    names = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(path: Path, known: set[str]) -> set[str]:
    """Which of the known modules a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                names.add(member if member in known else node.module)
    return names & known


def graph(*packages: str, root: Path = ROOT) -> dict[str, set[str]]:
    """Every module of some packages, and which of them it imports."""
    paths = {name: path for package in packages for name, path in modules(package, root).items()}
    return {name: imports(path, set(paths)) for name, path in paths.items()}


def in_order(edges: dict[str, set[str]]) -> list[str]:
    """The modules, each after what it imports; `CycleError` if there is a circle."""
    return list(TopologicalSorter(edges).static_order())


def layer(name: str) -> str:
    return name.split(".")[1]


def height(name: str) -> int:
    """The layer of a module of `aesparse`."""
    top = name.removeprefix("aesparse").removeprefix(".").split(".")[0]
    (number,) = (i for i, names in enumerate(LIBRARY) if top in names)
    return number


def above(edges: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Imports of `aesparse` that go upward, and those of training by theory."""
    inside = {(a, b) for a, used in edges.items() for b in used if a.startswith("aesparse")}
    trained = {
        (a, b)
        for a, b in inside
        if a.startswith("aesparse.theory") and b.startswith("aesparse.training")
    }
    upward = {(a, b) for a, b in inside if height(b) > height(a)}
    return upward | {(a, b) for a, b in trained if b not in THEORY_MAY_USE}


def is_figure(name: str) -> bool:
    """A module of a family's folder, but what the family shares."""
    parts = name.split(".")
    return len(parts) == 4 and parts[1] == "figures" and parts[3] != "common"


EXPERIMENTS = graph("experiments", "aesparse")


def test_no_import_runs_in_a_circle():
    assert len(in_order(EXPERIMENTS)) > 100


def test_a_circle_and_a_hidden_import_would_be_seen(tmp_path):
    folder = tmp_path / "planted"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "one.py").write_text("def late():\n    from planted import two\n")
    (folder / "two.py").write_text("import planted.one\n", encoding="utf-8")
    edges = graph("planted", root=tmp_path)
    assert edges["planted.one"] == {"planted.two"}
    with pytest.raises(CycleError):
        in_order(edges)


def test_the_library_never_imports_the_experiments():
    upward = {
        name: {other for other in used if other.startswith("experiments")}
        for name, used in EXPERIMENTS.items()
        if name.startswith("aesparse")
    }
    assert not {name: used for name, used in upward.items() if used}


def test_the_library_imports_downwards_alone():
    assert not above(graph("aesparse"))


def test_an_import_that_goes_upward_would_be_seen():
    edges = {
        "aesparse.models.base": {"aesparse.losses.penalties", "aesparse.errors"},
        "aesparse.theory.audit": {"aesparse.training.fit", "aesparse.training.growth"},
        "aesparse.errors": {"aesparse"},
        "aesparse.__main__": {"aesparse", "aesparse.theory"},
    }
    assert above(edges) == {
        ("aesparse.models.base", "aesparse.losses.penalties"),
        ("aesparse.theory.audit", "aesparse.training.fit"),
        ("aesparse.errors", "aesparse"),
    }


def test_the_experiments_import_downwards_alone():
    for name, used in EXPERIMENTS.items():
        if name.startswith("experiments."):
            for other in used:
                if other.startswith("experiments."):
                    assert LAYERS.index(layer(other)) <= LAYERS.index(layer(name)), (
                        f"{name} imports {other}"
                    )


def test_no_figure_imports_a_figure_and_no_family_another():
    figures = [name for name in EXPERIMENTS if is_figure(name)]
    assert len(figures) > 25
    for name in (name for name in EXPERIMENTS if name.startswith("experiments.figures.")):
        for other in EXPERIMENTS[name]:
            assert not is_figure(other), f"{name} imports {other}"
            if other.startswith("experiments.figures."):
                assert other.split(".")[2] == name.split(".")[2], f"{name} imports {other}"


def test_modules_can_be_read_at_one_sitting():
    paths = modules("experiments") | modules("aesparse")
    lines = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in paths.items()
    }
    assert not {name: count for name, count in lines.items() if count > LONGEST}
