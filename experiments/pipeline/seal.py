"""Checksums of generated pages, as `aesparse.seal` has those of records.

A sealed page ends in a line `<!-- sha256: … -->` with the SHA-256 of the lines before it.
"""

import hashlib
import os
import re
import sys
from pathlib import Path

from aesparse.errors import InputError, reason
from aesparse.files import read_bytes, require_writable, write_text

__all__ = [
    "changed_page",
    "require_page",
    "sealed_page",
    "write_page",
]

_MOST_BYTES = 2**25  # of a page
_LAST_LINE = re.compile(r"<!-- sha256: ([0-9a-f]{64}) -->\n?\Z")


def sealed_page(text: str) -> str:
    """A page's text, Markdown or HTML, with the line of its checksum at the end.

    >>> print(sealed_page("# A page"))  # doctest: +ELLIPSIS
    # A page
    <BLANKLINE>
    <!-- sha256: ... -->
    <BLANKLINE>
    """
    text = text.rstrip("\n") + "\n"
    return f"{text}\n<!-- sha256: {hashlib.sha256(text.encode()).hexdigest()} -->\n"


def _page(data: bytes) -> tuple[bool, bool]:
    """Whether a page ends in the line of a checksum, and whether it is as it was generated.

    Line endings do not count, which a checkout may convert.
    """
    text = data.decode().replace("\r\n", "\n")
    line = _LAST_LINE.search(text)
    return line is not None, line is not None and sealed_page(text[: line.start()]) == text


def changed_page(path: Path) -> str | None:
    """A sentence if a generated page was edited or damaged; None if it is sound or not there."""
    try:
        _, sound = _page(read_bytes(path, _MOST_BYTES))
        why = ""
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        sound, why = False, f" ({reason(error)})"
    changed = f"{path} was edited or damaged since it was generated{why}"
    return None if sound else f"{changed}; repeat the command that writes it."


def require_page(path: Path) -> None:
    """`InputError` unless a generated page can be written to `path`, found before any work.

    A file that no command of this package wrote is not overwritten. A page that was edited since
    it was generated will be; a sentence on standard error says so.
    """
    require_writable(path.parent)
    try:
        data = read_bytes(path, _MOST_BYTES)
        generated, sound = _page(data)
        if not os.access(path, os.W_OK):
            raise ValueError("it is read-only")
        if data and not generated:
            raise ValueError("it is no generated page, which ends in the line of its checksum")
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise InputError(
            f"The page {path} cannot be written ({reason(error)}); mend or remove it, or give "
            "another folder with --checkout."
        ) from None
    if data and not sound:
        print(f"Warning: {path} was changed by hand; it is written anew.", file=sys.stderr)


def write_page(path: Path, text: str) -> None:
    """Writes a page with its checksum; one that is the same already is not touched."""
    write_text(path, sealed_page(text))
