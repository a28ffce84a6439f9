"""The console scripts `aesparse` and `aesparse-experiments`, which pyproject.toml names.

They look for modules in the current folder as well, as `python -m` does: for functions of the
user's own, and for the experiments, which are not installed with the library.
"""

import sys

from aesparse.command import run

__all__ = ["experiments_main", "main"]


def main() -> None:
    """Runs `aesparse` and exits; `aesparse.command` has the statuses."""
    run(_library)


def experiments_main() -> None:
    """Runs `aesparse-experiments` and exits, with a sentence where they are not to be found."""
    run(_experiments)


def _library() -> int:
    from aesparse.cli.app import main

    _look_in_current_folder()
    return main()


def _experiments() -> int:
    from aesparse.cli.options import experiments_module

    _look_in_current_folder()
    return experiments_module("experiments.cli").main()


def _look_in_current_folder() -> None:
    if not sys.flags.safe_path and "" not in sys.path:
        sys.path.append("")
