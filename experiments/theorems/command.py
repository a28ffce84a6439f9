"""The command `theorems`: the table as it is computed, its picture and its numbers."""

import json
from pathlib import Path

from aesparse.files import replacing, require_writable
from aesparse.pictures import save
from experiments.theorems import pictures, rows
from experiments.theorems.page import theorem_page

__all__ = ["write_theorems"]


def write_theorems(out: Path, *, as_json: bool = False, page: Path | None = None) -> None:
    """Writes `theorems.png`, `.svg` and `.json` into a folder; prints a line a row, or JSON alone.

    `page` is a Markdown file that also gets the table.

    `InputError` if the folder cannot be written.
    """
    require_writable(out)
    if page is not None:
        require_writable(page.parent)
    paths = [out / f"theorems.{kind}" for kind in ("png", "svg", "json")]
    table = []
    for row in rows.theorems():
        table.append(row._asdict())
        if not as_json:
            print(f"{row.id:<4} {row.verdict:<9} {row.statement}: {row.number}")
    text = json.dumps(table, indent=1, ensure_ascii=False)
    with replacing(paths[0]) as png, replacing(paths[1]) as svg, replacing(paths[2]) as js:
        save(pictures.draw_theorems(), png, svg)
        js.write_text(text + "\n", encoding="utf-8")
    if page is not None:
        with replacing(page) as temporary:
            temporary.write_text(theorem_page(table), encoding="utf-8")
        paths.append(page)
    print(text if as_json else f"\nWritten: {', '.join(map(str, paths))}")
