"""`numbers.json` of a call: what each part has measured, rewritten whole at every row."""

import json
from pathlib import Path

from aesparse.errors import InputError
from aesparse.files import replacing

__all__ = ["PARTS", "Numbers"]

PARTS = ("where", "speed", "agreement", "record")


class Numbers:
    """The rows of every part in `folder/numbers.json`; one process writes at a time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "numbers.json"

    def read(self) -> dict:
        """All numbers, without any if none are there; `InputError` if they are damaged."""
        if not self.path.exists():
            return {"parts": {}}
        try:
            numbers = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(numbers["parts"], dict):
                raise TypeError("parts are no table")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path} is damaged ({error}); give another folder with --out."
            ) from None
        return numbers

    def set(self, **fields) -> None:
        """Sets fields beside the parts."""
        self._write(self.read() | fields)

    def rows(self, part: str) -> list[dict]:
        """The rows of a part."""
        return self.read()["parts"].get(part, {}).get("rows", [])

    def has(self, part: str, **label) -> bool:
        """Whether a part has a row with these fields, measured by this call or an earlier one."""
        return any(label.items() <= row.items() for row in self.rows(part) if "failed" not in row)

    def add(self, part: str, **row) -> None:
        """Appends a row to a part."""
        numbers = self.read()
        numbers["parts"].setdefault(part, {"rows": []})["rows"].append(row)
        self._write(numbers)

    def close(self, part: str, status: str, seconds: float) -> None:
        """How a part ended, and after how long."""
        numbers = self.read()
        ended = {"status": status, "seconds": round(seconds, 1)}
        numbers["parts"][part] = ended | {"rows": self.rows(part)}
        self._write(numbers)

    def _write(self, numbers: dict) -> None:
        with replacing(self.path) as temporary:
            temporary.write_text(
                json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
