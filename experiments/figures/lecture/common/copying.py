"""Models that may copy: their errors on Gaussian inputs, and linear ones with closed forms.

Shapes: S seeds, K strengths, N samples, n inputs.
"""

import numpy as np

from experiments.figures.lecture.common.training import train
from experiments.pipeline.contents import failed
from experiments.pipeline.spec import Study

__all__ = ["CLOSED", "closed_share", "pooled", "probe_copies", "train_linear"]

# Of linear models: the name in the picture, and the levels that are trained.
CLOSED = {
    "gaussian": ("Gaussian noise, σ²", (0.1, 0.5, 1.0)),
    "masking": ("masking, q", (0.1, 0.25, 0.5)),
    "cae": ("tied CAE, λ", (0.2, 0.5, 1.0)),
}


def closed_share(kind: str, level: np.ndarray) -> np.ndarray:
    """Error share on clean whitened inputs of the best linear tied model with m >= n.

    y = A x with A = a·I: a = 1/(1 + σ²) with Gaussian noise, 1 with masking at every probability,
    1 − λ/2 (not below 0) with CAE; the share is (1 − a)².
    """
    best = {
        "gaussian": 1 / (1 + level),
        "masking": np.ones_like(level),
        "cae": np.maximum(1 - level / 2, 0),
    }
    return (1 - best[kind]) ** 2


def pooled(X: np.ndarray, side: int) -> np.ndarray:
    """Square images `[N, h·h]` averaged over side × side pixels."""
    h = round(X.shape[1] ** 0.5)
    blocks = X.reshape(len(X), h // side, side, h // side, side)
    return blocks.mean(axis=(2, 4)).reshape(len(X), -1)


def probe_copies(study: Study, dataset):
    """Error shares `[S, K]` of models trained on centred images.

    "gaussian": on Gaussian inputs with the training samples' mean and covariance; "clean" and
    "denoising": on validation samples without and with Gaussian noise of the pixels' mean variance;
    each over the variance of what is reconstructed. "saturated": share of the pre-activations on
    Gaussian inputs outside [−1, 1]. NaN for a model that diverged or collapsed.
    """
    import xarray as xr

    import aesparse as ae
    from aesparse.losses.objectives import regularized
    from aesparse.metrics import activation_statistics

    X, held = (pooled(part, study.option("pooled")) for part in (dataset.train, dataset.heldout))
    mean = X.mean(axis=0)
    X, held = ((part - mean).astype(np.float32) for part in (X, held[: study.option("half")]))
    rng = np.random.default_rng(study.seed)
    covariance = X.astype(float).T @ X / len(X)
    values, vectors = np.linalg.eigh(covariance)
    normal = rng.normal(size=(study.option("gaussian"), X.shape[1]))
    gaussian = (normal * np.sqrt(np.maximum(values, 0))) @ vectors.T
    noise = float(values.mean())
    noisy = held + np.sqrt(noise) * rng.normal(size=held.shape)
    name = study.option("objective")
    result = train(
        study,
        X,
        study.option("activation"),
        regularized("cae") if name == "ae" else ae.get_objective(name),  # "ae" has strength 0
        study.option("strengths"),
        seeds=range(study.option("seeds")),
        history_epochs=[0],
    )
    pairs = {"gaussian": (gaussian, gaussian), "clean": (held, held), "denoising": (noisy, held)}
    shares = {
        name: result.measure(given.astype(np.float32), _Distance(target.astype(np.float32)))
        / np.mean(np.sum(target.astype(float) ** 2, axis=1))
        for name, (given, target) in pairs.items()
    }
    shares["saturated"] = result.measure(gaussian.astype(np.float32), _outside)
    bad = failed(result.measure(X, activation_statistics), result.diverged_epoch)
    return xr.Dataset(
        {k: (("seed", "strength"), np.where(bad, np.nan, v)) for k, v in shares.items()}
        | {"noise": noise, "inputs": X.shape[1]},
        {"strength": list(study.option("strengths"))},
    )


class _Distance:
    """Mean squared distance of reconstructions from given targets, as a measurement."""

    def __init__(self, target: np.ndarray) -> None:
        self.target = target

    def __call__(self, trained, x):
        import jax.numpy as jnp

        from aesparse.models.base import reconstruct

        y = reconstruct(trained.model, trained.params, x)
        return jnp.mean(jnp.sum((jnp.asarray(self.target) - y) ** 2, axis=-1))


def _outside(trained, x):
    """Share of pre-activations outside [−1, 1]."""
    import jax.numpy as jnp

    from aesparse.models.one_layer import preactivation

    return jnp.mean(jnp.abs(preactivation(trained.params, x)) > 1)


def train_linear(study: Study):
    """Linear tied models on exactly white data, beside their closed forms; an untied copy."""
    import xarray as xr

    import aesparse as ae
    from aesparse.data import whiten

    n = study.option("inputs")
    X = np.random.default_rng(study.seed).normal(size=(study.samples, n))
    X = np.asarray(whiten(X)(X), np.float32)
    kinds, levels, shares = [], [], []
    objectives = {"gaussian": "dae", "masking": "dae-masking", "cae": "cae"}
    for kind, (_, of) in CLOSED.items():
        objective = ae.get_objective(objectives[kind])
        result = train(study, X, "identity", objective, of, history_epochs=[0])
        kinds += [kind] * len(of)
        levels += of
        shares += list(result.measure(X, _Distance(X))[0] / n)
    pairs = zip(kinds, levels, strict=True)
    closed = [float(closed_share(kind, np.array(level))) for kind, level in pairs]
    copied, penalty = zip(*(_untied_copy(X, scale) for scale in (1.0, 1e3)), strict=True)
    return xr.Dataset(
        {
            "kind": ("model", kinds),
            "level": ("model", levels),
            "trained": ("model", np.array(shares, float)),
            "closed": ("model", closed),
            "untied": copied[1],
            "untied_penalty": penalty[1] / penalty[0],
        }
    )


def _untied_copy(X: np.ndarray, scale: float) -> tuple[float, float]:
    """Error share and CAE penalty of an untied linear model that copies, with rows 1/scale long."""
    import jax.numpy as jnp

    import aesparse as ae
    from aesparse.losses.objectives import regularized
    from aesparse.models.one_layer import Params

    n = X.shape[1]
    weight = jnp.eye(n, dtype=X.dtype) / scale
    params = Params(weight, jnp.zeros(n), jnp.zeros(n), jnp.eye(n) * scale)
    model = ae.OneLayer(n, "identity", tied=False, decoder_bias=True)
    x = jnp.asarray(X)
    _, parts = regularized("cae")(model, params, x, jnp.zeros_like(x), {"strength": 1.0})
    return float(parts["reconstruction"]) / n, float(parts["penalty"])
