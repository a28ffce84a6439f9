"""The arguments of `fit` go together through the package, not one by one."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1] / "aesparse"
MOST = 4  # modules in whose signatures an argument of `fit` may appear
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# Only keyword arguments are counted. X, model and objective are positional: they are what the
# whole package is about, and nearly every function has one of them.


def functions(tree: ast.AST) -> Iterator[ast.AST]:
    """All functions of a module: its own, methods, nested ones and lambdas; no class fields."""
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def parameters(function: ast.AST) -> set[str]:
    a = function.args
    several = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
    return {argument.arg for argument in several if argument is not None}


def modules() -> dict[str, ast.Module]:
    # The estimators are a second face of `fit`: their options are its arguments by design.
    paths = sorted(p for p in ROOT.rglob("*.py") if p.parent.name != "estimators")
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in paths
    }


def keyword_arguments(trees: dict[str, ast.Module]) -> set[str]:
    """Those of the one module-level function of `training` that is called `fit`."""
    (fit,) = (
        node
        for name, tree in trees.items()
        if name.startswith("training/")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "fit"
    )
    return {argument.arg for argument in fit.args.kwonlyargs}


def appearances(names: set[str], trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    """The modules in whose signatures each of the names appears."""
    seen = defaultdict(list)
    for module, tree in trees.items():
        for name in names & set().union(*map(parameters, functions(tree))):
            seen[name].append(module)
    return dict(seen)


def test_no_argument_of_fit_is_passed_through_many_modules():
    trees = modules()
    # A random key is what JAX calls it everywhere, beginning with a model's own init(key, n).
    names = keyword_arguments(trees) - {"key"}
    assert {"sweep", "optimizer", "constraint", "epochs", "batch_size"} <= names
    seen = appearances(names, trees)
    assert seen.keys() == names
    many = {name: where for name, where in seen.items() if len(where) > MOST}
    assert not many, "\n".join(f"{name}: {', '.join(where)}" for name, where in many.items())


def test_every_kind_of_signature_is_counted():
    module = "training/planted.py"
    planted = ast.parse(
        "class A:\n"
        "    field: int\n"
        "    def method(self, one, /): ...\n"
        "def outer(*two):\n"
        "    def inner(*, three=1, **four): return lambda five: five\n"
    )
    names = {"one", "two", "three", "four", "five", "field"}
    assert appearances(names, {module: planted}) == {name: [module] for name in names - {"field"}}
