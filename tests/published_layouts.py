"""Published layouts with made-up weights, and what the publishers' encoders make of rows.

The formulas are written again in NumPy, in float64, with the published names of arrays.
"""

import json

import numpy as np
from safetensors.numpy import save_file

N, M, K = 6, 10, 3  # inputs, units, active units of top-k
KINDS = ["standard", "topk", "jumprelu", "gated"]
WEIGHTS = "sae_weights.safetensors"


def weights(kind, seed=0, dtype=np.float32):
    """Arrays of one auto-encoder in the published layout; atoms of different lengths."""
    rng = np.random.default_rng(seed)
    arrays = {
        "W_enc": rng.normal(size=(N, M)) / 2,
        "W_dec": rng.normal(size=(M, N)),
        "b_dec": rng.normal(size=N),
    }
    names = {"gated": ["b_gate", "b_mag", "r_mag"]}.get(kind, ["b_enc"])
    arrays |= {name: rng.normal(size=M) / 2 for name in names}
    if kind == "jumprelu":
        arrays["threshold"] = rng.uniform(0.1, 0.8, size=M)
    return {name: array.astype(dtype) for name, array in arrays.items()}


def rows(seed=1):
    return np.random.default_rng(seed).normal(size=(40, N)).astype(np.float32)


def codes(kind, arrays, x, *, subtract, k=K, lengths=1.0):
    """What SAELens's encoders compute, written again; `lengths` multiplies pre-activations."""
    p = {name: array.astype(np.float64) for name, array in arrays.items()}
    x = x.astype(np.float64) - p["b_dec"] * subtract
    if kind == "gated":
        z = x @ p["W_enc"]
        magnitude = x @ (p["W_enc"] * np.exp(p["r_mag"])) + p["b_mag"]
        return (z + p["b_gate"] > 0) * np.maximum(magnitude, 0)
    a = (x @ p["W_enc"] + p["b_enc"]) * lengths
    if kind == "jumprelu":
        return np.maximum(a, 0) * (a > np.maximum(p["threshold"], 0))
    if kind == "topk":
        smallest = np.sort(a, axis=1)[:, -k][:, None]
        return np.maximum(a, 0) * (a >= smallest)
    return np.maximum(a, 0)


def settings(kind, **changes):
    """What SAELens's version 6 writes into `cfg.json`."""
    cfg = {
        "d_in": N,
        "d_sae": M,
        "dtype": "float32",
        "device": "cuda",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.21.0", "hook_name": "blocks.7.hook_attn_out"},
        "architecture": kind,
    }
    return cfg | ({"k": K} if kind == "topk" else {}) | changes


def folder(path, arrays, cfg):
    """A folder as SAELens writes it, `cfg` a mapping or the text of the file."""
    path.mkdir(exist_ok=True)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path / WEIGHTS)
    text = cfg if isinstance(cfg, str) else json.dumps(cfg)
    (path / "cfg.json").write_text(text, encoding="utf-8")
    return path
