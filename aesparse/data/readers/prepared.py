"""Data that tensorflow-datasets has prepared, or prepares."""

import hashlib
import http.client
import importlib.util
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from aesparse.data.readers.files import reading, shown
from aesparse.errors import InputError, first_line

__all__ = ["prepared_folder", "read_prepared"]

_AGAIN = "prepare it again with tensorflow-datasets, or give a data_dir with the data's own files."
# The shape of what is read by data set, split and field, and the sum of the SHA-256 of its records
# modulo 2^256: whatever their order, which is not that of the data's own files.
_KNOWN = {
    ("mnist", "train", "image"): (
        (60_000, 28, 28, 1), 0xA9E53D6704774BF4A8C18B4B47284154762D971EA90E4FBF8176E9000F3BFF0C,
    ),
    ("mnist", "test", "image"): (
        (10_000, 28, 28, 1), 0x0FC24F87329EB25D2C054204BC7A3BBBB0F9E0B377055A7347926730541A6C80,
    ),
    ("mnist", "train", "label"): (
        (60_000,), 0xC78463711E94A2A9674733D26877E15D6D9CB1985E1C804A7D7A637D36D01A5F,
    ),
    ("mnist", "test", "label"): (
        (10_000,), 0xC75D3C9D61234D02E3ECDBF9CE2D3DF7646E38A6FB0FE78F8A616171A97CEA4B,
    ),
    ("cifar10", "train", "image"): (
        (50_000, 32, 32, 3), 0xA38D4B4D73812CB260A6B7978197547ED8FA70BCB91A73B8607CAD5E9CAC31BE,
    ),
}  # fmt: skip


def prepared_folder(name: str, folder: Path) -> Path | None:
    """The data_dir of tensorflow-datasets that `folder` is or lies in, if `name` is prepared there.

    `InputError` if it lies there and is not for reading.
    """
    with reading(folder, "check the path and who may read it."):
        if any((folder / name).glob("*/dataset_info.json")):
            return folder
        if folder.name == name and any(folder.glob("*/dataset_info.json")):
            return folder.parent
        if folder.parent.name == name and (folder / "dataset_info.json").exists():
            return folder.parent.parent
    return None


def read_prepared(
    name: str, folder: Path | None, split: str = "train", field: str = "image"
) -> np.ndarray:
    """Images or labels of `name`, uint8, through tensorflow-datasets, with the data's checksum.

    Without a `folder` they are prepared in tensorflow-datasets' own if need be, which needs the
    network and tensorflow; reading needs neither.
    """
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise InputError(
            f"'{name}' needs its files or tensorflow-datasets, which is not installed: give "
            "their folder (data_dir=, --data-dir), or install the extra: pip install '.[datasets]'."
        )
    where = f"'{name}'" if folder is None else folder / name
    with reading(where, "install what tensorflow-datasets needs: pip install '.[datasets]'."):
        import tensorflow_datasets as tfds
    with reading(where, _AGAIN):
        builder = tfds.builder(name, data_dir=folder)
        prepared = builder.is_prepared()
    if not prepared and folder is not None:
        raise InputError(f"{shown(builder.data_dir)} is not there or not whole; {_AGAIN}")
    if not prepared:
        _prepare(builder, name)
    with reading(where, _AGAIN):
        return _records(where, _source(builder, name, split), (name, split, field))


def _source(builder: Any, name: str, split: str) -> Any:
    try:
        return builder.as_data_source(split=split, decoders=None)
    except NotImplementedError:
        raise InputError(
            f"'{name}' is prepared in {shown(builder.data_dir)} in a format without random access; "
            "prepare it with file_format='array_record', or give the folder with its files "
            "(data_dir=, --data-dir)."
        ) from None


def _records(where: object, source: Any, part: tuple[str, str, str]) -> np.ndarray:
    """A field of all records, which are as many and as large as they are known to be."""
    shape, expected = _KNOWN[part]
    if len(source) != shape[0]:
        raise ValueError(f"{len(source)} records, expected {shape[0]}")
    values, total = np.empty(shape, np.uint8), 0
    for i, record in enumerate(source):
        value = np.asarray(record[part[2]])
        if value.shape != shape[1:]:
            raise ValueError(f"record {i} has shape {value.shape}, expected {shape[1:]}")
        values[i] = value
        total += int.from_bytes(hashlib.sha256(values[i].tobytes()).digest(), "big")
    if total % 2**256 != expected:
        raise InputError(f"{shown(where)} holds other data than {part[0]}; {_AGAIN}")
    return values


def _prepare(builder: Any, name: str) -> None:
    hint = "give their folder (data_dir=, --data-dir), or prepare them where there is a network."
    url = next(iter(builder.url_infos))
    try:  # fails at once; the downloader itself would retry for minutes
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10).close()
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"'{name}' is not prepared in {builder.data_dir} and cannot be downloaded: "
            f"{url} cannot be reached ({error}); {hint}"
        ) from None
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # whatever the downloader meets, the user needs one sentence
        raise InputError(f"'{name}' could not be prepared: {first_line(error)}; {hint}") from error
