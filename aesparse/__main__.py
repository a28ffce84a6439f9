"""The command line: `python -m aesparse`, or the console script `aesparse`."""

from aesparse.process import run

__all__ = ["main"]


def main() -> None:
    """Runs the command line of the process and exits; `aesparse.process` has the statuses."""
    run(_command)


def _command() -> int:
    from aesparse.cli.app import main

    return main()


if __name__ == "__main__":
    main()
