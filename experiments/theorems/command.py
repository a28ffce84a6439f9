"""The command `theorems`: the table as it is computed, its picture and its numbers."""

import json
from pathlib import Path

from aesparse.files import require_writable
from experiments.pipeline.record import write_drawn
from experiments.pipeline.seal import require_page, write_page
from experiments.theorems import pictures, rows
from experiments.theorems.page import theorem_page

__all__ = ["write_theorems"]


def write_theorems(out: Path, *, as_json: bool = False, page: Path | None = None) -> None:
    """Writes `theorems.png`, `.svg` and `.json` into a folder; prints a line a row, or JSON alone.

    `page` is a Markdown file that also gets the table.

    `InputError` if the folder or the page cannot be written, before any work.
    """
    require_writable(out)
    if page is not None:
        require_page(page)
    table = []
    for row in rows.theorems():
        table.append(row._asdict())
        if not as_json:
            print(f"{row.id:<4} {row.verdict:<9} {row.statement}: {row.number}")
    paths = write_drawn(out / "theorems.json", pictures.draw_theorems(), {"rows": table})
    if page is not None:
        write_page(page, theorem_page(table))
        paths.append(page)
    text = json.dumps(table, indent=1, ensure_ascii=False)
    print(text if as_json else f"\nWritten: {', '.join(map(str, paths))}")
