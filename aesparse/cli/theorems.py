"""The command `theorems`: the table as it is computed, its picture and its numbers."""

import json
from pathlib import Path

from aesparse.cli.options import JsonOption, OutOption
from aesparse.files import require_writable

__all__ = ["theorems_command", "write_theorems"]


def theorems_command(
    out: OutOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Verify T1 to T15 on random problems, attack them, and list the errata (under 3 minutes)."""
    write_theorems(out, as_json=as_json)


def write_theorems(out: Path, *, as_json: bool = False) -> None:
    """Writes `theorems.png`, `.svg` and `.json` into a folder; prints a line a row, or JSON alone.

    `InputError` if the folder cannot be written, before any work.
    """
    from aesparse.seal import write_drawn
    from aesparse.theorems import pictures, rows

    require_writable(out)
    table = []
    for row in rows.theorems():
        table.append(row._asdict())
        if not as_json:
            print(f"{row.id:<4} {row.verdict:<9} {row.statement}: {row.number}")
    paths = write_drawn(out / "theorems.json", pictures.draw_theorems(), {"rows": table})
    text = json.dumps(table, indent=1, ensure_ascii=False)
    print(text if as_json else f"\nWritten: {', '.join(map(str, paths))}")
