"""Tables of numbers: CSV by numpy.loadtxt, Parquet by pyarrow."""

import csv
import importlib.util
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from aesparse.data.readers.files import TEXT, check_fits, described, file_size, reading, shown
from aesparse.errors import InputError

__all__ = ["read_csv", "read_parquet"]

_LONGEST_LINE = 2**22  # characters
_SEPARATORS = {";": "semicolons", "\t": "tabs", " ": "spaces", ",": "commas"}
_FEWEST = 2  # bytes of a number in a CSV file, with what follows it


def read_csv(path: Path, delimiter: str) -> np.ndarray:
    """The rows of a table of numbers, float64, without its header.

    The first line is a header if none of its fields is a number, or if they are 0, 1, 2, …, as
    pandas numbers columns, of which a warning tells. `InputError` names a column of text, one of
    row numbers, and another separator.
    """
    size = file_size(path)
    check_fits(path, size // _FEWEST * 8, size)
    expected = "expected one row of numbers a line, separated by "
    expected += "tabs." if delimiter == "\t" else "commas."
    with reading(path, expected):
        with path.open("rb") as file:
            begin = file.read(4096)
        what = described(begin) or "is no text"
        if what != TEXT:
            raise InputError(f"{shown(path)} {what}; {expected}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parsed(path, file, delimiter)


def _parsed(path: Path, file: IO[str], delimiter: str) -> np.ndarray:
    lines = _lines(file)
    first = next(lines, "")
    names = next(csv.reader([first], delimiter=delimiter), [])
    numbers = [name for name in names if _is_number(name)]
    if len(numbers) == len(names) and not _numbers_columns(names):
        lines, names = itertools.chain([first], lines), [str(i) for i in range(len(names))]
    elif len(numbers) == len(names):
        warnings.warn(
            f"The first line of {shown(path)} is 0, 1, 2, … and taken for the names of columns; if "
            "it is a sample, write a line of names above it.",
            stacklevel=2,
        )
    row = next(lines, None)
    if row is None:
        raise InputError(f"{shown(path)} has no rows of numbers; expected a row a line.")
    values = next(csv.reader([row], delimiter=delimiter))
    text = [name for name, value in zip(names, values, strict=False) if not _is_number(value)]
    defective = text or len(values) != len(names)
    for separator, called in _SEPARATORS.items() if defective else ():
        if separator != delimiter and separator in row.strip():
            raise InputError(
                f"{shown(path)} has {called} between its fields; expected "
                f"{_SEPARATORS[delimiter]}, and decimal points. Write it so."
            )
    if 0 < len(numbers) < len(names):
        raise InputError(
            f"The first line of {shown(path)} has numbers and other words, {shown(names)}; "
            "expected names of all columns, or a row of numbers."
        )
    if not names[0].strip():
        raise InputError(
            f"The first column of {shown(path)} has no name and may number the rows; write the "
            "table with index=False, or name the column."
        )
    if text:
        raise InputError(
            f"{shown(path)} holds no number in the columns {shown(text)} of its first "
            "row; drop them: pandas.read_csv(PATH).select_dtypes('number').to_csv('x.csv', "
            "index=False)."
        )
    rows = itertools.chain([row], lines)
    return np.loadtxt(rows, delimiter=delimiter, quotechar='"', comments=None, ndmin=2)


def _lines(file: IO[str]) -> Iterator[str]:
    """The lines that are not empty; `ValueError` where one does not end."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise ValueError(f"a line has {_LONGEST_LINE} characters or more")
        if line.strip():
            yield line


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers_columns(names: list[str]) -> bool:
    return len(names) > 1 and names == [str(i) for i in range(len(names))]


def read_parquet(path: Path) -> Any:
    """The columns of a Parquet file as a data frame of pandas, without its index."""
    size = file_size(path)
    missing = [name for name in ("pandas", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"{shown(path)} needs {' and '.join(missing)} to be read; pip install "
            f"{' '.join(missing)}, or store the table as .npy or .csv."
        )
    with reading(path, "expected a Parquet file with columns of numbers; make it again."):
        import pyarrow.parquet as pq
        from pyarrow import types

        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        read = sum(group.total_byte_size for group in groups)
        check_fits(path, read + metadata.num_rows * metadata.num_columns * 8, size)
        schema = pq.read_schema(path)
        index = (schema.pandas_metadata or {}).get("index_columns", [])
        kinds = {field.name: field.type for field in schema if field.name not in index}
        numbers = (types.is_integer, types.is_floating, types.is_boolean)
        others = [name for name, kind in kinds.items() if not any(is_a(kind) for is_a in numbers)]
        if others:  # one value of text may take any memory, and stand in every row
            raise InputError(
                f"{shown(path)} holds no numbers in the columns {shown(others)}; drop "
                "them, or spread each over columns of its own."
            )
        return pq.read_table(path, columns=list(kinds)).to_pandas(ignore_metadata=True)
