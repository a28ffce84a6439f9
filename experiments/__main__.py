"""The command line: `python -m experiments`, or the console script `aesparse-experiments`."""

from aesparse.command import run


def main() -> None:
    """Runs the command line of the process and exits; `aesparse.command` has the statuses."""
    run(_command)


def _command() -> int:
    from experiments.cli import main

    return main()


if __name__ == "__main__":
    main()
