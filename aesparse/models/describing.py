"""A model with its parameters as settings and named arrays, which a file can hold, and back.

Shapes: n inputs, m hidden units.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aesparse.errors import InputError
from aesparse.models import codes
from aesparse.models.activations import ACTIVATIONS, Activation
from aesparse.models.base import Model
from aesparse.models.codes import GateParams
from aesparse.models.dictionary import DictionaryModel, DictionaryParams
from aesparse.models.one_layer import OneLayer, Params, check_params
from aesparse.options import shortened

__all__ = ["KINDS", "WITHOUT_CHECKSUM", "described", "restored"]

_ONE_LAYER, _DICTIONARY = "aesparse.OneLayer 2", "aesparse.DictionaryModel 1"
WITHOUT_CHECKSUM = "aesparse.OneLayer 1"
KINDS = (_ONE_LAYER, _DICTIONARY, WITHOUT_CHECKSUM)
_RULES = {
    rule.__name__: rule
    for rule in (codes.Relu, codes.TopK, codes.BatchTopK, codes.JumpRelu, codes.Gated)
}
_GATE = "gate_"  # begins the names of the gate's arrays


def described(model: Model, params: PyTree) -> tuple[dict, dict[str, np.ndarray]]:
    """The settings of `model` and the arrays of its `params`, by name.

    `InputError` for models of other kinds, functions of the user's own, and parameters that are not
    those of one such model.
    """
    if isinstance(model, DictionaryModel):
        return _described_dictionary(model, params)
    if not isinstance(model, OneLayer):
        raise InputError(
            f"The model to save is a {type(model).__name__}; expected a OneLayer or a "
            "DictionaryModel. Store the parameters of other models yourself, such as by "
            "flax.serialization or numpy.savez, and make the model again by its code."
        )
    check_params(params, "What is to be saved is")
    arrays = {k: np.asarray(v) for k, v in params._asdict().items() if v is not None}
    _check_one_layer(arrays, model)
    activation = model.activation
    settings = {"activation": _name_of(activation), "threshold": activation.threshold}
    return {"kind": _ONE_LAYER, **settings}, arrays


def restored(settings: Mapping, arrays: Mapping[str, np.ndarray]) -> tuple[Model, PyTree]:
    """The model and the parameters that were `described`.

    `InputError` for arrays that are not those of such a model, any exception for settings that are
    not those of a model.
    """
    if settings["kind"] == _DICTIONARY:
        model = DictionaryModel(
            settings["hidden"],
            _RULES[settings["rule"]](**settings["options"]),
            settings["subtract_decoder_bias"],
        )
        _check_dictionary(arrays, model)
        return model, _dictionary_params(arrays)
    activation = Activation(ACTIVATIONS[settings["activation"]].fn, settings["threshold"])
    _check_one_layer(arrays)
    params = Params(**arrays)
    return OneLayer.of(params, activation), params


def _name_of(activation: Activation) -> str:
    """The built-in activation with that function."""
    for name, known in ACTIVATIONS.items():
        if known.fn == activation.fn:
            return name
    raise InputError(
        f"The model's activation is {shortened(activation)}, and a file cannot hold its function; "
        "expected one of the built-in ones. Store the parameters by numpy.savez and make the model "
        "again by its code."
    )


def _check_one_layer(arrays: Mapping[str, np.ndarray], model: OneLayer | None = None) -> None:
    """`InputError` unless these are the arrays of one one-layer model, of `model` if given."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    names = {"weight", "bias"} <= set(shapes) <= set(Params._fields)
    m, n = shapes["weight"] if names and len(shapes["weight"]) == 2 else (0, 0)
    fitting = {"weight": (m, n), "bias": (m,), "decoder_bias": (n,), "decoder": (n, m)}
    right = names and m > 0 and all(fitting[k] == v for k, v in shapes.items())
    if right and model is not None:
        right = _shapes_of(model, n) == shapes
    if not (right and _floating(arrays)):
        raise InputError(
            f"The parameters are arrays of shapes {shapes}; expected floating-point ones of one "
            "one-layer model, weight [m, n], bias [m] and what else it has. Give those of one such "
            "model."
        )


def _described_dictionary(
    model: DictionaryModel, params: PyTree
) -> tuple[dict, dict[str, np.ndarray]]:
    name = type(model.rule).__name__
    if _RULES.get(name) is not type(model.rule):
        raise InputError(
            f"The model's rule is {shortened(model.rule)}, and a file cannot hold its function; "
            f"expected one of {', '.join(_RULES)}. Store the parameters by numpy.savez and make "
            "the model again by its code."
        )
    if not isinstance(params, DictionaryParams):
        raise InputError(
            f"What is to be saved is a {type(params).__name__}; expected DictionaryParams, such as "
            "a result's `params`."
        )
    arrays = _named(jax.tree.map(np.asarray, params))
    _check_dictionary(arrays, model)
    settings = {
        "kind": _DICTIONARY,
        "hidden": model.hidden,
        "rule": name,
        "options": dataclasses.asdict(model.rule),
        "subtract_decoder_bias": model.subtract_decoder_bias,
    }
    return settings, arrays


def _check_dictionary(arrays: Mapping[str, np.ndarray], model: DictionaryModel) -> None:
    """`InputError` unless these are the arrays of one such model."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    n = shapes.get("decoder_bias", ())
    if not (len(n) == 1 and _floating(arrays) and _shapes_of(model, *n) == shapes):
        raise InputError(
            f"The parameters are arrays of shapes {shapes}; expected floating-point ones of one "
            f"{shortened(model)}: weight [m, n], bias [m], decoder [n, m], decoder_bias [n] and "
            "what its rule has. Give those of one such model."
        )


def _floating(arrays: Mapping[str, np.ndarray]) -> bool:
    return all(jnp.issubdtype(array.dtype, jnp.floating) for array in arrays.values())


def _shapes_of(model: Model, n: int) -> dict[str, tuple[int, ...]]:
    """Those of the arrays of one model for `n` inputs, by name."""
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), n))
    return {name: leaf.shape for name, leaf in _named(params).items()}


def _named(params: PyTree) -> dict[str, Any]:
    """The arrays by name; those of a gate have names of their own."""
    fields = params._asdict()
    gate = fields.pop("gate", None)
    inside = {} if gate is None else {f"{_GATE}{k}": v for k, v in gate._asdict().items()}
    return {name: leaf for name, leaf in (fields | inside).items() if leaf is not None}


def _dictionary_params(arrays: Mapping[str, np.ndarray]) -> DictionaryParams:
    gate = {k.removeprefix(_GATE): v for k, v in arrays.items() if k.startswith(_GATE)}
    others = {k: v for k, v in arrays.items() if not k.startswith(_GATE)}
    return DictionaryParams(**others, gate=GateParams(**gate) if gate else None)
