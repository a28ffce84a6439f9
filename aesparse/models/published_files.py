"""Files of published sparse auto-encoders: the arrays and the settings that are in them.

Nothing is unpickled, and torch is not needed.
"""

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from aesparse.data.readers.arrays import read_member
from aesparse.data.readers.files import (
    TEXT,
    check_fits,
    check_zip,
    described,
    file_bytes,
    file_size,
    reading,
    shown,
)
from aesparse.errors import InputError
from aesparse.files import listed

__all__ = ["SETTINGS", "WEIGHTS", "find_files", "read_arrays", "read_settings"]

SETTINGS, WEIGHTS = "cfg.json", "sae_weights.safetensors"  # SAELens's names
_NUMPY = "params.npz"  # Gemma Scope's
_MOST_SETTINGS = 2**20  # bytes
_MOST_LISTED = 8  # files of a folder that a message names
_CAPITALS = {"w_enc": "W_enc", "w_dec": "W_dec"}  # the second Gemma Scope writes small letters


def find_files(path: Path) -> tuple[Path, Path | None]:
    """The file of the weights in a folder, or `path` itself, and the settings that lie with it.

    A lone file, and Gemma Scope's, have no settings: None. `InputError` for a folder that holds no
    auto-encoder.
    """
    with reading(path, "check the path and who may read it."):
        if not path.exists():
            raise InputError(f"No file or folder {shown(path)}; check the path.")
        if not path.is_dir():
            settings = path.with_name(SETTINGS)
            return path, settings if path.name == WEIGHTS and settings.is_file() else None
        names = [entry.name for entry in listed(path)]
    if {SETTINGS, WEIGHTS} <= set(names):
        return path / WEIGHTS, path / SETTINGS
    if _NUMPY in names:
        return path / _NUMPY, None
    more = ", …" if len(names) > _MOST_LISTED else ""
    raise InputError(
        f"The folder {shown(path)} holds no auto-encoder: expected {SETTINGS} with {WEIGHTS} "
        f"(SAELens), or {_NUMPY} (Gemma Scope), and it has "
        f"[{shown(', '.join(names[:_MOST_LISTED]))}{more}]; give the folder of one model, or a "
        ".safetensors or .npz file."
    )


def read_settings(path: Path) -> dict[str, Any]:
    """The JSON object of a settings file; `InputError` for anything else."""
    content = file_bytes(path, _MOST_SETTINGS)
    with reading(path, "expected the JSON object that SAELens writes; download it again."):
        settings = json.loads(content)
        if not isinstance(settings, dict):
            raise ValueError(f"it is a JSON {type(settings).__name__}")
    return settings


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a `.safetensors` or `.npz` file by name; `InputError` for anything else."""
    readers = {".safetensors": _safetensors, ".npz": _npz}
    if path.suffix not in readers:
        raise InputError(
            f"{shown(path)} ends in '{shown(path.suffix)}'; expected a .safetensors or .npz file, "
            "or a folder. Torch's .pt and .pth files are pickles, which can run any program and "
            "are never opened: convert them with safetensors.torch.save_file."
        )
    arrays = readers[path.suffix](path)
    return {_CAPITALS.get(name, name): array for name, array in arrays.items()}


def _safetensors(path: Path) -> dict[str, np.ndarray]:
    size = file_size(path)
    if importlib.util.find_spec("safetensors") is None:
        raise InputError(
            f"{shown(path)} needs the library safetensors, which is not installed; install the "
            "extra: pip install '.[weights]'."
        )
    with reading(path, "install the extra again: pip install '.[weights]'."):
        from safetensors import SafetensorError, safe_open
    check_fits(path, size, size)
    with reading(path, "download it again."):
        try:
            with safe_open(path, framework="np") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            with path.open("rb") as file:
                what = described(file.read(100))
            if what in (None, TEXT):
                what = f"is damaged ({shown(error)})"
            raise InputError(
                f"{shown(path)} {what}; expected a safetensors file. Download it again."
            ) from None


def _npz(path: Path) -> dict[str, np.ndarray]:
    check_zip(path)
    with reading(path, "download it again."), zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".npy"): read_member(path, archive, name)
            for name in archive.namelist()
        }
