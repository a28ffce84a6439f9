"""The scaled identity of SATAE section 3.3: it codes data of two values at no penalty."""

import functools

import numpy as np

__all__ = ["identity_numbers", "scaled_identity"]


def scaled_identity(X: np.ndarray):
    """S4b's solution for data of two values: tied weights c·e_i for every input i that varies.

    c is half the gap between the values; the pre-activations are ±c² around the middle, all in
    the flat parts where c >= 1, and ±c come back.
    """
    from aesparse.models.one_layer import Params

    low, high = X.min(), X.max()
    varies, half, middle = X.max(axis=0) > X.min(axis=0), (high - low) / 2, (high + low) / 2
    weight = half * np.eye(X.shape[1], dtype=X.dtype)[varies]
    bias = np.full(len(weight), -half * middle, X.dtype)
    return Params(weight, bias, decoder_bias=np.where(varies, middle, X[0]))


def identity_numbers(X: np.ndarray):
    """Loss and penalty of the scaled identity per sample, its units, half the gap of the data."""
    import jax
    import xarray as xr

    from aesparse.losses.objectives import saturating
    from aesparse.models.one_layer import OneLayer

    params = scaled_identity(X)
    loss = jax.jit(functools.partial(saturating(), OneLayer.of(params, "saturated-linear")))
    blocks = np.array_split(X, -(-len(X) // 2_000))
    one = {"strength": np.float32(1)}
    parts = [loss(params, block, block, one)[1] for block in blocks]
    means = {
        name: np.average([float(p[name]) for p in parts], weights=list(map(len, blocks)))
        for name in ("reconstruction", "saturation")
    }
    return xr.Dataset(means | {"units": len(params.weight), "half_gap": float(np.ptp(X)) / 2})
