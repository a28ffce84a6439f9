"""How the command lines of typer are run: usage errors in one sentence, broken output as such.

Typer's own `main` prints several lines for a usage error and takes a closed pipe for status 1.
"""

import os
import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from aesparse.errors import InputError
from aesparse.process import prepare

__all__ = ["SETTINGS", "invoke"]

# Of every `typer.Typer` of ours.
SETTINGS = {
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
_UsageError = typer.BadParameter.__base__  # typer names it in no public place
_ABOUT_COMPLETION = ("--install-completion", "--show-completion")


def invoke(
    app: typer.Typer,
    module: str,
    script: str,
    arguments: Sequence[str] | None = None,
    *,
    unprepared: Sequence[str] = (),
) -> int:
    """Runs a command line, by default that of the process, and returns its exit status.

    Without arguments it is that of `--help`. JAX is prepared unless help is asked for, or the
    command is among those `unprepared`.

    It was started as `python -m module` or as the console script `script`; a shell that completes
    a line of the script asks through an environment variable and is answered. `InputError` for a
    command line that is none.
    """
    command = get_command(app)
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    started = os.path.basename(sys.argv[0]).removesuffix(".exe")
    name = (
        script
        if {started, *arguments[:1]} & {script, *_ABOUT_COMPLETION}
        else f"python -m {module}"
    )
    variable = f"_{script}_COMPLETE".replace("-", "_").upper()
    if os.environ.get(variable):
        command.main(arguments, prog_name=script, complete_var=variable)  # exits
    if any("\0" in argument for argument in arguments):
        raise InputError("An argument has a NUL byte in it; expected text. Leave the byte out.")
    try:
        with command.make_context(name, arguments) as context:
            helps = SETTINGS["context_settings"]["help_option_names"]
            if arguments[0] not in unprepared and not {*helps} & {*arguments}:
                prepare()
            status = command.invoke(context)
    except typer.Exit as ended:
        status = ended.exit_code
    except _UsageError as error:
        path = error.ctx.command_path if error.ctx else name
        message = error.format_message().rstrip(".")
        raise InputError(f"{message}; `{path} -h` lists what is expected.") from None
    return status if isinstance(status, int) else 0
