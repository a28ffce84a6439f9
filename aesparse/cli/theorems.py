"""The command `theorems`, which the experiments have too."""

from pathlib import Path

from aesparse.cli.options import JsonOption, OutOption, experiments_module

__all__ = ["theorems_command"]


def theorems_command(
    out: OutOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Verify T1 to T15 on random problems, attack them, and list the errata (under 3 minutes)."""
    command = experiments_module("experiments.theorems.command")
    command.write_theorems(out, as_json=as_json)
