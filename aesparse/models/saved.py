"""A whole trained model in one file: parameters, activation or rule, scaler, grid coordinates.

The file is an uncompressed NumPy archive, whose array `settings` is JSON. `sha256` among these is
the SHA-256 of everything else; files of the first kind have none.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import PyTree

from aesparse.data import Affine
from aesparse.data.readers.arrays import npy_header
from aesparse.errors import InputError, reason
from aesparse.files import replacing
from aesparse.models.base import Model
from aesparse.models.describing import KINDS, WITHOUT_CHECKSUM, described, restored
from aesparse.options import shortened

__all__ = ["load", "save"]

_SETTINGS = "settings"  # JSON text, in an array of its own; the others are numbers
_FORMAT = "Give a file written by aesparse.models.saved.save."


def save(
    path: str | os.PathLike[str],
    model: Model,
    params: PyTree,
    *,
    scaler: Affine | None = None,
    coordinates: Mapping[str, float | int] | None = None,
) -> None:
    """Writes a one-layer or dictionary model to an `.npz` file, all or nothing.

    Args:
        path: of the file; `.npz` is added to one with another ending.
        model: a `OneLayer` with a built-in activation, or a `DictionaryModel` with a built-in rule.
        params: those of this one model.
        scaler: the transformation of its data (`data.standardize`, `data.whiten`, `data.zca`).
        coordinates: one number by name: its place in the grid that it was trained in.

    Raises:
        InputError: for a model with a function of your own or of another kind, parameters that are
            not those of one such model, and where the file cannot be written.

    >>> import tempfile
    >>> from aesparse.models.one_layer import OneLayer, Params
    >>> path = f"{tempfile.mkdtemp()}/model.npz"
    >>> save(path, OneLayer(2), Params(np.eye(2), np.zeros(2)), coordinates={"strength": 0.1})
    >>> model, params, scaler, coordinates = load(path)
    >>> model.activation, params.weight.tolist(), scaler, coordinates
    (Activation('relu'), [[1.0, 0.0], [0.0, 1.0]], None, {'strength': 0.1})
    """
    settings, arrays = described(model, params)
    if scaler is not None:
        if not isinstance(scaler, Affine):
            raise InputError(
                f"The scaler to save is {shortened(scaler)}; expected what data.standardize or "
                "data.whiten returned."
            )
        arrays |= {"scaler_mean": scaler.mean, "scaler_matrix": scaler.matrix}
    settings["coordinates"] = _numbers(coordinates or {})
    if of_jax := {k: v.dtype.name for k, v in arrays.items() if v.dtype.kind == "V"}:
        settings["dtypes"] = of_jax  # such as bfloat16, which NumPy's files do not name
    settings["sha256"] = _checksum(arrays, settings)
    with replacing(_npz(path)) as temporary:
        np.savez(temporary, **arrays, **{_SETTINGS: json.dumps(settings)})


def load(
    path: str | os.PathLike[str],
) -> tuple[Model, PyTree, Affine | None, dict[str, float | int]]:
    """The (model, params, scaler, coordinates) that `save` wrote to `path`.

    The parameters are NumPy arrays, bit by bit as they were. `InputError` if the file holds
    anything else, or is damaged.
    """
    path = _npz(path)
    try:
        stored = _arrays(path)
        settings = json.loads(str(stored.pop(_SETTINGS)))
        for name, dtype in settings.get("dtypes", {}).items():
            stored[name] = stored[name].view(dtype)
        checksum = settings.pop("sha256", None)
        if settings["kind"] not in KINDS:
            raise ValueError(f"its kind is {settings['kind']}")
        needed = settings["kind"] != WITHOUT_CHECKSUM or checksum is not None
        if needed and checksum != _checksum(stored, settings):
            raise ValueError("it is damaged: its checksum does not match")
        coordinates = dict(settings["coordinates"])
        scaler = _scaler(stored)
        model, params = restored(settings, stored)
    except InputError as error:
        raise InputError(f"{path} holds no model. {error}") from None
    except Exception as error:  # whatever readers of archives make of bytes that are none
        raise InputError(f"{path} holds no model ({reason(error)}). {_FORMAT}") from None
    return model, params, scaler, coordinates


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed archive; any exception where it is not one.

    They take no more memory than the file has bytes, whatever it says of their sizes.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its members overlap")
        for member in members:
            content = archive.read(member)
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"it holds {name} twice")
            arrays[name] = _array(content)
    return arrays


def _array(content: bytes) -> np.ndarray:
    shape, by_columns, dtype, offset = npy_header(content)
    flat = np.frombuffer(content, dtype, offset=offset)
    return flat.reshape(shape, order="F" if by_columns else "C").copy()


def _checksum(arrays: Mapping[str, np.ndarray], settings: Mapping) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        array = np.asarray(array)
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _scaler(stored: dict[str, np.ndarray]) -> Affine | None:
    """Takes the scaler out of what is stored; `ValueError` if it is incomplete."""
    mean, matrix = (stored.pop(name, None) for name in ("scaler_mean", "scaler_matrix"))
    if mean is None and matrix is None:
        return None
    if mean is None or matrix is None or mean.ndim != 1 or matrix.shape[:1] != mean.shape:
        raise ValueError("its scaler is incomplete")
    if matrix.ndim > 2 or not {mean.dtype.kind, matrix.dtype.kind} <= {"f"}:
        raise ValueError("its scaler is not two floating-point arrays")
    return Affine(mean, matrix)


def _npz(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def _numbers(coordinates: Mapping[str, float | int]) -> dict[str, float | int]:
    """The coordinates as JSON takes them."""
    values = {name: np.asarray(value) for name, value in coordinates.items()}
    for name, value in values.items():
        if value.shape != () or value.dtype.kind not in "fiu":
            raise InputError(
                f"The coordinate '{name}' is {shortened(value)}; expected one number, the place of "
                "one model in its grid."
            )
    return {name: value.item() for name, value in values.items()}
