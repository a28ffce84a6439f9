"""Published sparse auto-encoders as models of this package.

Their layouts store matrices transposed, and a few settings that change what is computed. Shapes: n
inputs, m hidden units.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from aesparse.data.readers.files import reading, shown
from aesparse.errors import InputError
from aesparse.models.codes import Gated, GateParams, JumpRelu, Relu, TopK
from aesparse.models.dictionary import DictionaryModel, DictionaryParams
from aesparse.models.published_files import find_files, read_arrays, read_settings
from aesparse.options import check_flags, shortened

__all__ = ["KINDS", "read"]

# The architectures, as SAELens calls them, and the arrays of each but W_enc, W_dec and b_dec.
KINDS = {
    "standard": {"b_enc"},
    "topk": {"b_enc"},
    "jumprelu": {"b_enc", "threshold"},
    "gated": {"b_gate", "b_mag", "r_mag"},
}
_RULES = {"standard": Relu, "jumprelu": JumpRelu, "gated": Gated}
_FACTORS = ("scaling_factor", "finetuning_scaling_factor")  # of a unit in the decoder, two names
_SMALLEST = 1e-8  # of an atom's length by which is divided, as in SAELens


def read(
    path: Path,
    *,
    kind: str | None = None,
    k: int | None = None,
    subtract_decoder_bias: bool | None = None,
) -> tuple[DictionaryModel, DictionaryParams]:
    """The model in a folder or file, and its parameters; see `training.published`."""
    weights, where = find_files(path)
    given = {"kind": kind, "k": k, "subtract_decoder_bias": subtract_decoder_bias}
    given = {name: value for name, value in given.items() if value is not None}
    arrays, what = read_arrays(weights), shown(weights)
    if where is None:
        settings = _supposed(arrays, weights.suffix) | given
    else:
        with reading(where, "expected the settings of one auto-encoder, as SAELens writes them."):
            settings = _translated(read_settings(where), shown(where)) | given
    _check_settings(settings, given, what)
    _check_names(set(arrays) - set(_FACTORS), settings["kind"], what)
    _check_arrays(arrays, what)
    _check_sizes(arrays, settings, what)
    rule = TopK(settings["k"]) if settings["kind"] == "topk" else _RULES[settings["kind"]]()
    hidden = arrays["W_enc"].shape[1]
    model = DictionaryModel(hidden, rule, settings["subtract_decoder_bias"])
    return model, _params(arrays, rescaled=settings.get("rescaled", False))


def _translated(cfg: Mapping[str, Any], what: str) -> dict[str, Any]:
    """What `cfg.json` says, with the defaults of the versions of SAELens that left a key out."""
    normalized = cfg.get("normalize_activations")
    if normalized not in (None, False, "none"):
        raise InputError(
            f"{what} says normalize_activations = {shortened(normalized)}; expected 'none'. Fold a "
            "fixed factor into the weights with SAELens's fold_activation_norm_scaling_factor, or "
            "normalize the rows yourself and write 'none' into the file."
        )
    names = (
        "apply_b_dec_to_input",
        "rescale_acts_by_decoder_norm",
        "finetuning_scaling_factor",
    )
    check_flags({f"{name} in {what}": cfg.get(name, False) for name in names}, {})
    return {
        "kind": _kind(cfg, what),
        "k": cfg.get("k", (cfg.get("activation_fn_kwargs") or {}).get("k")),
        "subtract_decoder_bias": cfg.get("apply_b_dec_to_input", True),
        "rescaled": cfg.get("rescale_acts_by_decoder_norm", False),
        "finetuned": cfg.get("finetuning_scaling_factor", False),
        "d_in": cfg.get("d_in"),
        "d_sae": cfg.get("d_sae"),
    }


def _kind(cfg: Mapping[str, Any], what: str) -> Any:
    """The architecture; `InputError` for another activation than it has here."""
    kind = cfg.get("architecture", "standard")
    activation = cfg.get("activation_fn_str", cfg.get("activation_fn", "relu"))
    if activation == "topk" and kind == "standard":  # before version 6
        return "topk"
    if activation != "relu" and (activation, kind) != ("topk", "topk"):
        raise InputError(
            f"{what} has the activation {shortened(activation)} in the architecture "
            f"{shortened(kind)}; expected 'relu', or 'topk' in a top-k auto-encoder."
        )
    return kind


def _supposed(arrays: Mapping[str, np.ndarray], suffix: str) -> dict[str, Any]:
    """What the names of the arrays say of a file that comes without settings, and its `suffix`."""
    for kind, name in (("jumprelu", "threshold"), ("gated", "r_mag")):
        if name in arrays:  # an .npz file is Gemma Scope's
            return {"kind": kind, "subtract_decoder_bias": False if suffix == ".npz" else None}
    return {}


def _check_settings(settings: Mapping[str, Any], given: Mapping[str, Any], what: str) -> None:
    """`InputError` unless architecture, k and the decoder bias's place are known."""
    kind, subtract = settings.get("kind"), settings.get("subtract_decoder_bias")
    if kind is None:
        raise InputError(
            f"{what} does not say how a code is made; give its architecture, kind='standard' for a "
            "ReLU, or kind='topk' and k for the k largest units."
        )
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(
            f"{what} has the architecture {shortened(kind)}, whose codes are computed otherwise; "
            f"expected one of {', '.join(KINDS)}."
        )
    if kind == "topk" and settings.get("k") is None:
        raise InputError(f"{what} does not say how many units of a code are active; give k.")
    if kind != "topk" and "k" in given:
        raise InputError(
            f"k is {shortened(given['k'])} and {what} is of the architecture '{kind}'; expected "
            "k for kind='topk' only. Leave it out."
        )
    if subtract is None:
        raise InputError(
            f"{what} does not say whether the decoder's bias is subtracted from the inputs; give "
            "subtract_decoder_bias=True (as SAELens by default) or False (as Gemma Scope)."
        )
    check_flags({"subtract_decoder_bias": subtract}, {})


def _check_names(names: set[str], kind: str, what: str) -> None:
    expected = {"W_enc", "W_dec", "b_dec"} | KINDS[kind]
    missing, unknown = sorted(expected - names), sorted(names - expected)
    if missing or unknown:
        lacks = [f"lacks {', '.join(missing)}"] if missing else []
        holds = [f"holds the unknown {shown(', '.join(unknown))}"] if unknown else []
        raise InputError(
            f"{what} {' and '.join(lacks + holds)}; expected {', '.join(sorted(expected))} of the "
            f"architecture '{kind}'. Give kind= if it is of another one."
        )


def _check_arrays(arrays: Mapping[str, np.ndarray], what: str) -> None:
    """`InputError` unless all arrays are finite, floating, and of shapes that fit each other."""
    shape = arrays["W_enc"].shape
    if len(shape) != 2 or 0 in shape:
        raise InputError(f"{what} holds W_enc of shape {shape}; expected [inputs, units].")
    shapes = {"W_enc": shape, "W_dec": shape[::-1], "b_dec": shape[:1]}
    for name, array in arrays.items():
        fitting = shapes.get(name, shape[1:])
        if array.shape != fitting:
            raise InputError(
                f"{what} holds {name} of shape {array.shape}; expected {fitting}, since W_enc has "
                f"shape {shape}, [inputs, units]."
            )
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise InputError(f"{what} holds {name} as {array.dtype}; expected floating point.")
        if not np.isfinite(array).all():
            raise InputError(
                f"{what} holds NaN or inf in {name}; expected finite numbers. Download it again."
            )


def _check_sizes(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], what: str) -> None:
    """`InputError` unless the settings are those of a model with these arrays."""
    shape = arrays["W_enc"].shape
    for name, size in zip(("d_in", "d_sae"), shape, strict=True):
        if settings.get(name) not in (None, size):
            raise InputError(
                f"{what} holds W_enc of shape {shape} and its settings say {name} = "
                f"{shortened(settings[name])}; expected [d_in, d_sae] of one model."
            )
    for name in set(_FACTORS) & set(arrays):
        if not (settings.get("finetuned") or np.allclose(arrays[name].astype(np.float32), 1.0)):
            raise InputError(
                f"{what} holds {name}, of which no cfg.json says that it is used; expected "
                "finetuning_scaling_factor = true there. Remove the array if it is not used."
            )


def _params(arrays: Mapping[str, np.ndarray], *, rescaled: bool) -> DictionaryParams:
    """The parameters in the package's shapes, float32 unless one array is float64."""
    double = any(array.dtype == np.float64 for array in arrays.values())
    as_floats = functools.partial(np.asarray, dtype=np.float64 if double else np.float32, order="C")
    a = {name: as_floats(v.T if v.ndim == 2 else v) for name, v in arrays.items()}
    weight, bias, decoder = a["W_enc"], a["b_enc" if "b_enc" in a else "b_gate"], a["W_dec"]
    if rescaled:  # codes are in units of atoms of length 1: the same with lengths moved to the rows
        lengths = np.maximum(np.linalg.norm(decoder, axis=0), _SMALLEST)
        weight, bias, decoder = weight * lengths[:, None], bias * lengths, decoder / lengths
    for name in set(_FACTORS) & set(a):
        decoder = decoder * a[name]
    log_threshold = None
    if "threshold" in a:  # with a negative one a unit is a ReLU, as with 0
        with np.errstate(divide="ignore"):
            log_threshold = np.log(np.maximum(a["threshold"], 0.0))
    gate = GateParams(a["r_mag"], a["b_mag"]) if "r_mag" in a else None
    return DictionaryParams(weight, bias, decoder, a["b_dec"], log_threshold, gate)
