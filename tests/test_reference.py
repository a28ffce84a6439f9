"""The reference: every public name is on a page, and every symbol in the table of words."""

import re
import sys

from markdown import DOCS, anchors, blocks, table
from public_api import is_documented, public_names

FOLDER = DOCS / "reference"
PAGE_TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}


def shown_modules() -> list[str]:
    """The modules whose docstrings make the pages."""
    parts = [part for text in PAGE_TEXTS.values() for part in blocks("{eval-rst}", text)]
    return re.findall(r"\.\. automodule:: (\S+)", "\n".join(parts))


def homes() -> set[str]:
    """The modules in which public names are defined."""
    return {
        name.rsplit(".", 1)[0] for name, value in public_names().items() if is_documented(value)
    }


def test_every_public_name_is_on_one_page_and_no_module_is_twice():
    shown = shown_modules()
    assert len(shown) == len(set(shown))
    assert set(shown) == homes()
    assert all(name in sys.modules for name in shown)


def test_the_pages_name_the_modules_that_have_public_names():
    assert "aesparse.training.fit" in homes()
    assert "aesparse.training.guard" not in homes()  # inside, and not promised


def symbols(cells: list[str]) -> set[str]:
    """Those of one column, without what they are equal to."""
    return {symbol.split(" = ")[0] for cell in cells for symbol in cell.split(", ") if symbol}


def test_every_symbol_of_the_protocol_is_in_the_table_of_words():
    protocol = (DOCS / "protocol.md").read_text(encoding="utf-8")
    theirs = symbols([cells[0] for cells in table("| symbol | meaning |", protocol)])
    rows = [line.split(" | ") for line in PAGE_TEXTS["words.md"].splitlines() if "](" in line]
    ours = symbols([row[1] for row in rows if len(row) == 4])
    assert len(theirs) > 15
    assert theirs <= ours


def test_every_word_leads_to_where_it_is_defined():
    rows = [line for line in PAGE_TEXTS["words.md"].splitlines() if line.startswith("| ")]
    targets = re.findall(r"\]\(([\w-]+\.md)#?([\w-]*)\)", "\n".join(rows))
    assert len(targets) > 30
    for page, anchor in targets:
        assert not anchor or anchor in anchors(PAGE_TEXTS[page]), (page, anchor)
