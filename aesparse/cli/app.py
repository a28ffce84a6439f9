"""The command line `python -m aesparse`, of which every command has a module here."""

from typing import Annotated

import typer

from aesparse import __version__
from aesparse.cli.audit import audit_command
from aesparse.cli.doctor import doctor_command
from aesparse.cli.invoking import SETTINGS, invoke
from aesparse.cli.plan import plan_command
from aesparse.cli.theorems import theorems_command

__all__ = ["app", "main"]

app = typer.Typer(
    help="Predict whether codes become sparse, plan a grid, check theorems and the installation.",
    **SETTINGS,
)


def _show_version(wanted: bool) -> bool:
    if wanted:
        print(f"aesparse {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    del version  # shown by its callback


for _name, _command in {
    "audit": audit_command,
    "plan": plan_command,
    "theorems": theorems_command,
    "doctor": doctor_command,
}.items():
    app.command(_name)(_command)


def main() -> int:
    """Runs the command line of the process and returns its exit status."""
    return invoke(app, "aesparse", "aesparse", unprepared=("doctor", "--version"))
