"""The command line `python -m aesparse`, of which every command has a module here."""

import typer

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
for _name, _command in {
    "audit": audit_command,
    "plan": plan_command,
    "theorems": theorems_command,
    "doctor": doctor_command,
}.items():
    app.command(_name)(_command)


def main() -> int:
    """Runs the command line of the process and returns its exit status."""
    return invoke(app, "aesparse", "aesparse", unprepared=("doctor",))
