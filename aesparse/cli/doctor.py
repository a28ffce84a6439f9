"""The command `doctor`: what is there, what is wrong with it, and what to do."""

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

from aesparse.cli import checks
from aesparse.cli.options import DataOption, OutOption

__all__ = ["doctor_command"]

_WIDTHS = (8, 14)  # of the state's and the name's column


def doctor_command(
    data_dir: DataOption = None,
    out: OutOption = Path("figures"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Check this installation and say what to do about each finding (under a minute).

    Exit status 0 if the package can be used, 2 if there is a problem; a warning is none.
    """
    findings = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a finding says what is of interest
        for finding in checks.findings(data_dir, out):
            findings.append(finding)
            if not as_json:
                print(_lines(finding))
    problems = sum(finding.state == checks.PROBLEM for finding in findings)
    if as_json:
        record = {"usable": not problems, "findings": [f._asdict() for f in findings]}
        print(json.dumps(record, indent=1))
    else:
        verdict = "can be used" if not problems else f"has {problems} problem(s), see above"
        print(f"aesparse {verdict}.")
    raise typer.Exit(2 if problems else 0)


def _lines(finding: checks.Finding) -> str:
    """A finding and, below it, what to do."""
    state, name = (
        f"{text:<{width}} "
        for text, width in zip((finding.state, finding.check), _WIDTHS, strict=True)
    )
    advice = f"\n{' ' * len(state)}-> {finding.advice}" if finding.advice else ""
    return f"{state}{name}{finding.found}{advice}"
