"""Runs as they would be stored, with numbers chosen by the test instead of trained."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

import aesparse as ae
from aesparse.metrics import CodeSizes, Metrics, Theorem1Ratio, UnitStatistics
from experiments.pipeline.contents import SeedGrid, labelled
from experiments.pipeline.spec import GridSpec, Spec, Study
from experiments.pipeline.store import RunStore

EPOCHS, UNITS = 6, 4
LOSSES = {
    "tangent_share": 0.1, "residual_share": 0.02, "jacobian_change": 0.3, "penalty": 0.2,
}  # fmt: skip


def curve(spec: GridSpec) -> np.ndarray:
    """What the papers say: DAE and SAE fall; CAE, mDAE fall unless ReLU on unit rows."""
    strengths = np.array(spec.strengths)
    unmoved = spec.objective in ("cae", "cae-h", "mdae") and spec.activation == "relu"
    falling = not unmoved or spec.constraint == "free"
    if spec.objective in ("ae", "dae2") or spec.constraint == "unit-frozen-bias":
        falling = False
    jitter = 0.002 * spec.seed
    return 0.8 - 0.6 * np.sqrt(strengths) * falling - jitter


@functools.cache
def loss_names(objective: str, activation: str) -> tuple[str, ...]:
    """What an objective reports of every update."""
    model, objective = ae.OneLayer(4, activation), ae.get_objective(objective)
    x, coefficients = jnp.zeros((2, 3)), dict.fromkeys(objective.coefficients, jnp.zeros(()))
    params = ae.Params(jnp.zeros((4, 3)), jnp.zeros(4))
    parts = jax.eval_shape(lambda p: objective(model, p, x, x, coefficients)[1], params)
    return tuple(sorted({"loss", *parts}))


def trained(spec: GridSpec, fraction: np.ndarray) -> SeedGrid:
    """A trained grid `[G, ...]` of `UNITS` units whose final fractions are given."""
    shape, fraction = (len(spec.strengths),), fraction.astype(float)
    history = np.linspace(0.5, fraction, EPOCHS + 1, axis=-1)

    def metrics(active) -> Metrics:
        one = np.ones(active.shape)
        return Metrics(
            activation_fraction=active,
            dead_fraction=0 * one,
            preactivation_mean=active - 0.5,
            preactivation_variance=one,
            bias_mean=active - 0.5,
            row_length_mean=one,
            row_length_max=one,
            reconstruction=3 - active,
        )

    units = np.repeat(fraction[..., None], UNITS, axis=-1)
    side = {"digits": 64, "photos": 192}[spec.dataset]
    names = loss_names(spec.objective, spec.activation)
    losses = {name: np.full((*shape, EPOCHS), LOSSES.get(name, 1.0)) for name in names}
    return SeedGrid(
        params=ae.Params(np.full((*shape, UNITS, side), side**-0.5), units - 0.5),
        losses=losses,
        history=metrics(history),
        theorem1=Theorem1Ratio(0 * history, np.full(history.shape, 0.25)),
        final=metrics(fraction),
        units=UnitStatistics(units, units - 0.5, np.ones_like(units), 3 - fraction),
        codes=CodeSizes(units, 1 - units),
        pushed_down=np.ones(shape),
        heldout=metrics(fraction),
        diverged_epoch=np.full(shape, -1, np.int32),
    )


def fake(spec: GridSpec, fraction: np.ndarray | None = None) -> xr.Dataset:
    """A run as the trainer stores it, for a grid whose final fractions are given."""
    fraction = curve(spec) if fraction is None else np.asarray(fraction)
    run = labelled(spec._replace(epochs=EPOCHS), trained(spec, fraction))
    if spec != spec.baseline:
        run["matched_activation_fraction"] = ("strength", fraction + 0.1)
    return _stored(run, spec)


def fake_maxout(study: Study, mean: np.ndarray, small: np.ndarray) -> xr.Dataset:
    """A study of SAE with maxout units whose E[h] and share of small codes are given."""
    values = {"code_mean": mean, "code_small": small, "reconstruction": 3 - np.asarray(small)}
    values["flagged_epoch"] = np.full(len(mean), -1, np.int32)
    strengths = {"strength": np.array(study.option("strengths"))}
    return _stored(xr.Dataset({k: ("strength", v) for k, v in values.items()}, strengths), study)


def _stored(run: xr.Dataset, spec: Spec) -> xr.Dataset:
    provenance = {
        "data_sha256": spec.dataset, "device": "a device", "jax": "0", "revision": "r",
        "wall_seconds": 1.0,
    }  # fmt: skip
    return run.assign_attrs(spec=spec.json, provenance=json.dumps(provenance))


def store_all(out, scale: str, specs) -> RunStore:
    """Stores a fake run for every spec."""
    store = RunStore(out, scale)
    for spec in dict.fromkeys(specs):
        if isinstance(spec, Study):
            falling = -np.array(spec.option("strengths"))
            store.save(spec, fake_maxout(spec, falling, 0.2 + 0.1 * falling))
        else:
            store.save(spec, fake(spec))
    return store
