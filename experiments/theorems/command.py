"""The command `theorems`: the table as it is computed, its picture and its numbers."""

import json
from pathlib import Path

from aesparse.files import require_writable
from experiments.pipeline.record import write_drawn
from experiments.theorems import pictures, rows

__all__ = ["write_theorems"]


def write_theorems(out: Path, *, as_json: bool = False) -> None:
    """Writes `theorems.png`, `.svg` and `.json` into a folder; prints a line a row, or JSON alone.

    `InputError` if the folder cannot be written, before any work.
    """
    require_writable(out)
    table = []
    for row in rows.theorems():
        table.append(row._asdict())
        if not as_json:
            print(f"{row.id:<4} {row.verdict:<9} {row.statement}: {row.number}")
    paths = write_drawn(out / "theorems.json", pictures.draw_theorems(), {"rows": table})
    text = json.dumps(table, indent=1, ensure_ascii=False)
    print(text if as_json else f"\nWritten: {', '.join(map(str, paths))}")
