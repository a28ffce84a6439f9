"""The command line: `python -m experiments`, or the console script `aesparse-experiments`."""

from aesparse.process import run


def main() -> None:
    """Runs the command line of the process and exits; `aesparse.process` has the statuses."""
    run(
        _command,
        when_stopped="Finished runs are stored, the current one up to its last checkpoint if it "
        "leaves any; the same command goes on from there (without --recompute).",
    )


def _command() -> int:
    from experiments.cli import main

    return main()


if __name__ == "__main__":
    main()
