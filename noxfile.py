"""The package on every Python it is for, with the newest and the oldest of what it needs.

    pip install 'nox[uv]'
    nox

Each session makes an environment of its own. A Python that is not on this machine is skipped, and
nox says so; none is downloaded.
"""

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

# Models, training, results and files: what another version of a dependency would break.
TESTS = [
    f"tests/test_{name}.py"
    for name in (
        "package",
        "result",
        "export",
        "saved",
        "sweep",
        "momentum",
        "lbfgs",
        "filters",
        "estimator",
    )
]
_SHOWN = "jax jaxlib optax flax orbax-checkpoint numpy scipy xarray pandas scikit-learn matplotlib"


@nox.session(python=["3.11", "3.12", "3.13"])
def newest(session: nox.Session) -> None:
    """The newest versions that pip would install today; warnings are errors."""
    session.install("--upgrade", ".[test]")
    _test(session)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows; they may warn of newer ones."""
    session.install("--resolution", "lowest-direct", ".[test]")
    _test(session, "-o", "filterwarnings=default")


@nox.session(python="3.11")
def package(session: nox.Session) -> None:
    """Wheel and source archive, installed outside the checkout, with every command."""
    session.install("--upgrade", ".[test]", "pip")
    session.run("python", "-m", "pytest", "-m", "long", "tests/test_install.py", *session.posargs)


def _test(session: nox.Session, *options: str) -> None:
    code = (
        "import importlib.metadata as m, platform; print('Python', platform.python_version());"
        f"print(*(f'{{n}} {{m.version(n)}}' for n in '{_SHOWN}'.split()), sep=', ')"
    )
    session.run("python", "-c", code)
    session.run("python", "-m", "pytest", *options, *(session.posargs or TESTS))
