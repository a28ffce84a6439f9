"""Checksums of what a command writes for people: records of numbers, and pages.

A sealed record is a JSON object whose field `sha256` is the SHA-256 of the others; a sealed page
ends in a line `<!-- sha256: … -->` with the SHA-256 of the lines before it.
"""

import hashlib
import json
import os
import re
import sys
from pathlib import Path

from aesparse.errors import InputError, reason
from aesparse.files import read_bytes, require_writable, write_text

__all__ = [
    "changed_page",
    "file_checksum",
    "read_sealed",
    "require_page",
    "sealed",
    "sealed_page",
    "write_page",
]

_MOST_BYTES = 2**25  # of a page or a picture
_MOST_BYTES_OF_RECORD = 2**22  # whose JSON takes 30 times the room in memory
_LAST_LINE = re.compile(r"<!-- sha256: ([0-9a-f]{64}) -->\n?\Z")


def sealed(content: dict) -> str:
    """A record's text: readable JSON with its checksum as the last field."""
    record = content | {"sha256": _checksum(content)}
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def read_sealed(path: Path) -> dict:
    """A record without its checksum; raises a `ValueError` or an `OSError` if it is damaged."""
    try:
        record = json.loads(read_bytes(path, _MOST_BYTES_OF_RECORD))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError(f"it holds a {type(record).__name__}, expected an object")
    if "sha256" not in record:
        raise ValueError("it has no checksum, as those of an earlier version")
    if record.pop("sha256") != _checksum(record):
        raise ValueError("its checksum does not match")
    return record


def _checksum(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """The SHA-256 of a file, such as a picture; raises a `ValueError` or an `OSError`."""
    return hashlib.sha256(read_bytes(path, _MOST_BYTES)).hexdigest()


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
