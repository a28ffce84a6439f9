"""A whole trained model in one file: parameters, activation, scaler, grid coordinates."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aesparse.data import Affine
from aesparse.errors import InputError
from aesparse.files import replacing
from aesparse.models.activations import ACTIVATIONS, Activation
from aesparse.models.base import Model
from aesparse.models.one_layer import OneLayer, Params, check_params
from aesparse.options import shortened

__all__ = ["load", "save"]

_KIND = "aesparse.OneLayer 1"
_SETTINGS = "settings"  # JSON text, in an array of its own; the others are numbers
_FORMAT = "Give a file written by aesparse.models.saved.save."

_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def save(
    path: str | os.PathLike[str],
    model: Model,
    params: PyTree,
    *,
    scaler: Affine | None = None,
    coordinates: Mapping[str, float] | None = None,
) -> None:
    """Writes a one-layer model with a built-in activation to an `.npz` file, all or nothing.

    `scaler` is the transformation of its data (`data.standardize`, `data.whiten`), `coordinates`
    its place in the grid it was trained in. A path with another ending gets `.npz` added.
    `InputError` for a model with a user's function or of another kind, parameters that are not
    those of one such model, and where the file cannot be written.
    """
    if not isinstance(model, OneLayer):
        raise InputError(
            f"The model to save is a {type(model).__name__}; expected a OneLayer. Store the "
            "parameters of other models yourself, such as by flax.serialization or numpy.savez, "
            "and make the model again by its code."
        )
    check_params(params, "What is to be saved is")
    arrays = {k: np.asarray(v) for k, v in params._asdict().items() if v is not None}
    _check_arrays(arrays, "The parameters to save", "Give those of one such model.", model)
    if scaler is not None:
        if not isinstance(scaler, Affine):
            raise InputError(
                f"The scaler to save is {shortened(scaler)}; expected what data.standardize or "
                "data.whiten returned."
            )
        arrays |= {"scaler_mean": scaler.mean, "scaler_matrix": scaler.matrix}
    settings = {
        "kind": _KIND,
        "activation": _name_of(model.activation),
        "threshold": model.activation.threshold,
        "coordinates": _numbers(coordinates or {}),
    }
    with replacing(_npz(path)) as temporary:
        np.savez(temporary, **arrays, **{_SETTINGS: json.dumps(settings)})


def load(
    path: str | os.PathLike[str],
) -> tuple[OneLayer, Params, Affine | None, dict[str, float]]:
    """(model, params, scaler, coordinates) as `save` wrote them to that path.

    The parameters are NumPy arrays, bit by bit as they were. `InputError` if it holds anything
    else.
    """
    path = _npz(path)
    try:
        stored = dict(np.load(io.BytesIO(path.read_bytes())))
        settings = json.loads(str(stored.pop(_SETTINGS)))
        if settings["kind"] != _KIND:
            raise ValueError(f"its kind is {settings['kind']}")
        activation = Activation(ACTIVATIONS[settings["activation"]].fn, settings["threshold"])
        coordinates = dict(settings["coordinates"])
    except _UNREADABLE as error:
        raise InputError(
            f"{path} holds no model ({type(error).__name__}: {error}). {_FORMAT}"
        ) from None
    scaler = [stored.pop(name, None) for name in ("scaler_mean", "scaler_matrix")]
    _check_arrays(stored, str(path), _FORMAT)
    params = Params(**stored)
    return (
        OneLayer.of(params, activation),
        params,
        None if scaler[0] is None else Affine(*scaler),
        coordinates,
    )


def _npz(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


def _numbers(coordinates: Mapping[str, float]) -> dict[str, float]:
    """The coordinates as JSON takes them."""
    values = {name: np.asarray(value) for name, value in coordinates.items()}
    for name, value in values.items():
        if value.shape != () or value.dtype.kind not in "fiu":
            raise InputError(
                f"The coordinate '{name}' is {shortened(value)}; expected one number, the place of "
                "one model in its grid."
            )
    return {name: value.item() for name, value in values.items()}


def _name_of(activation: Activation) -> str:
    """The built-in activation with that function."""
    for name, known in ACTIVATIONS.items():
        if known.fn is activation.fn:
            return name
    raise InputError(
        f"The model's activation is {shortened(activation)}, a function of your own, which a file "
        "cannot hold; expected one of the built-in ones. Store the parameters by numpy.savez and "
        "make the model again by its code."
    )


def _check_arrays(
    arrays: Mapping[str, np.ndarray], what: str, advice: str, model: OneLayer | None = None
) -> None:
    """`InputError` unless these are the arrays of one one-layer model, of `model` if given."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    names = {"weight", "bias"} <= set(shapes) <= set(Params._fields)
    m, n = shapes["weight"] if names and len(shapes["weight"]) == 2 else (0, 0)
    fitting = {"weight": (m, n), "bias": (m,), "decoder_bias": (n,), "decoder": (n, m)}
    numeric = all(jnp.issubdtype(array.dtype, jnp.floating) for array in arrays.values())
    right = names and m > 0 and numeric and all(fitting[k] == v for k, v in shapes.items())
    if right and model is not None:
        expected = jax.eval_shape(lambda: model.init(jax.random.key(0), n))
        right = {k: v.shape for k, v in expected._asdict().items() if v is not None} == shapes
    if not right:
        raise InputError(
            f"{what}: arrays of shapes {shapes}; expected floating-point parameters of one "
            f"one-layer model, weight [m, n], bias [m] and what else it has. {advice}"
        )
