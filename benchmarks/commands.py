"""Every command and option of the command lines as Markdown, from the commands themselves."""

import typer
from typer.main import get_command

from aesparse.tables import markdown

__all__ = ["of_the_experiments", "of_the_library"]


def of_the_library() -> str:
    """The commands of `python -m aesparse`."""
    from aesparse.cli.app import app

    return _commands(app, "aesparse")


def of_the_experiments() -> str:
    """The commands of `python -m experiments`; that of a figure stands for all of them."""
    from experiments.cli import app

    return _commands(app, "experiments")


def _commands(app: typer.Typer, module: str) -> str:
    commands = get_command(app).commands
    return "\n\n".join(_command(command, module, name) for name, command in commands.items())


def _command(command, module: str, name: str) -> str:
    """A heading, what the command does, and a table of its arguments and options."""
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = [p.name.upper() for p in shown if p.param_type_name == "argument"]
    usage = " ".join([f"python -m {module}", *([] if command.hidden else [name]), *arguments])
    about = " ".join((command.help or "").split("\f")[0].split())
    rows = [(_names(p), _default(p), " ".join((p.help or "").split())) for p in shown]
    cells = [tuple(cell.replace("|", "\\|").replace("<", "&lt;") for cell in row) for row in rows]
    table = markdown(("option", "default", "meaning"), cells) if cells else ""
    return "\n\n".join(part for part in (f"### {usage}", about, table) if part)


def _names(parameter) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in parameter.opts)


def _default(parameter) -> str:
    """The default as the help shows it; empty for flags, and for what may be left out."""
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = getattr(parameter.default, "value", parameter.default)
    return "" if value is None or isinstance(value, bool) or not str(value) else str(value)
