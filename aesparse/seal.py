"""Checksums of what a command writes: records of numbers, and the pictures next to them.

A sealed record is a JSON object whose field `sha256` is the SHA-256 of the others.
"""

import hashlib
import json
from pathlib import Path

from aesparse.files import read_bytes, replacing
from aesparse.pictures import save

__all__ = ["PICTURES", "file_checksum", "read_sealed", "sealed", "write_drawn"]

PICTURES = ("png", "svg")  # of a figure, next to its record
_MOST_BYTES = 2**25  # of a picture
_MOST_BYTES_OF_RECORD = 2**22  # whose JSON takes 30 times the room in memory


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


def write_drawn(path: Path, drawn, content: dict) -> list[Path]:
    """Writes a matplotlib figure as `path` with .png and .svg, and what it shows as `path`.

    All or nothing; the record holds its own checksum and those of the pictures. Returns the files.
    """
    paths = [path.with_name(f"{path.stem}.{kind}") for kind in PICTURES]
    # Exits run in reverse order: the record, which marks a figure as complete, takes its place
    # last.
    with replacing(path) as record, replacing(paths[1]) as svg, replacing(paths[0]) as png:
        save(drawn, png, svg)
        pictures = {kind: file_checksum(p) for kind, p in zip(PICTURES, (png, svg), strict=True)}
        record.write_bytes(sealed(content | {"pictures": pictures}).encode())
    return [*paths, path]
