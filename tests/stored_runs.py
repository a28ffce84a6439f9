"""Runs as they would be stored, with numbers chosen by the test instead of trained."""

import json

import numpy as np
import xarray as xr

from experiments.pipeline.spec import GridSpec
from experiments.pipeline.store import RunStore

EPOCHS = 6


def curve(spec: GridSpec) -> np.ndarray:
    """What the papers say: DAE and SAE fall; CAE, mDAE fall unless ReLU on unit rows."""
    strengths = np.array(spec.strengths)
    falling = spec.objective not in ("cae", "cae-h", "mdae") or spec.activation != "relu"
    if spec.objective in ("ae", "dae2") or spec.constraint == "unit-frozen-bias":
        falling = False
    jitter = 0.002 * spec.seed
    return 0.8 - 0.6 * np.sqrt(strengths) * falling - jitter


def fake(spec: GridSpec, fraction: np.ndarray | None = None) -> xr.Dataset:
    """A run whose final fractions are given; the rest follows from them."""
    fraction = curve(spec) if fraction is None else fraction
    shape = (len(spec.strengths), EPOCHS + 1)
    history = np.linspace(0.5, fraction, shape[1], axis=1)
    per_epoch = {
        "history_activation_fraction": history,
        "history_dead_fraction": np.zeros(shape),
        "history_preactivation_mean": history - 0.5,
        "history_reconstruction": 3 - history,
        "history_pressure_share": np.zeros(shape),
        "history_pressure_largest": np.full(shape, 0.25),
    }
    losses = {
        "loss_tangent_share": 0.1, "loss_residual_share": 0.02, "loss_jacobian_change": 0.3,
        "loss_penalty": 0.2,
    }  # fmt: skip
    side = {"digits": 64, "photos": 192}[spec.dataset]
    final = {
        "activation_fraction": fraction,
        "matched_activation_fraction": fraction + 0.1,
        "dead_fraction": np.zeros(shape[0]),
        "preactivation_mean": fraction - 0.5,
        "flagged_epoch": np.full(shape[0], -1),
    }
    run = xr.Dataset(
        {k: (("strength", "epoch"), v) for k, v in per_epoch.items()}
        | {k: (("strength", "trained_epoch"), np.full((shape[0], EPOCHS), v))
           for k, v in losses.items()}
        | {k: ("strength", v) for k, v in final.items()}
        | {
            "filters": (("shown", "filter", "input"), np.ones((1, 8, side), np.int8)),
            "filter_strength": ("shown", np.array(spec.strengths[:1])),
        },
        {"strength": np.array(spec.strengths)},
    )  # fmt: skip
    provenance = {
        "data_sha256": spec.dataset, "device": "a device", "jax": "0", "revision": "r",
        "wall_seconds": 1.0,
    }  # fmt: skip
    return run.assign_attrs(spec=spec.json, provenance=json.dumps(provenance))


def store_all(out, scale: str, specs) -> RunStore:
    """Stores a fake run for every spec."""
    store = RunStore(out, scale)
    for spec in dict.fromkeys(specs):
        store.save(spec, fake(spec))
    return store
