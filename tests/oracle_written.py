"""Runs with known answers, written as netCDF 3 behind gzip for the tests of the oracle."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
from oracle_runs import Setting
from scipy.io import netcdf_file

ALL = np.array([0, 0.001, *(np.arange(1, 11) / 10) ** 2])  # the strengths of a curve


def write(folder: Path, setting: Setting, seed: int, curve, diverged=(), **more) -> None:
    """The two runs of a curve over the 12 strengths: AE's, which is the first, and the rest.

    `more` holds further variables by strength; the epochs of `loss_residual_share` and that
    variable itself belong to the regularized run alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dataset, activation, constraint, objective, rate, momentum, batch = setting.key
    values = {
        "strength": ALL,
        "activation_fraction": np.asarray(curve),
        "flagged_epoch": np.where(np.isin(np.arange(12), list(diverged)), 7, -1),
        "history_row_length_max": np.ones((12, 3)),
        **{name: np.zeros(12) for name in ("dead_fraction", "preactivation_mean")},
        "row_length_mean": np.ones(12),
    } | more
    alone = ("loss_residual_share", "trained_epoch")
    for name, at in (("ae", slice(0, 1)), (objective, slice(1, 12))):
        run = {n: np.asarray(v)[at] for n, v in values.items() if n not in alone}
        if name != "ae":
            run |= {n: values[n] for n in alone if n in values}
        spec = {"dataset": dataset, "activation": activation, "constraint": constraint}
        spec |= {"objective": name, "learning_rate": rate, "momentum": momentum}
        spec |= {"batch_size": batch, "seed": seed}
        key = "-".join(str(value) for value in spec.values())
        store(folder / f"{key}.nc.gz", "grid", spec, run)


def three(folder: Path, setting: Setting, *curves, first: int = 0, **more) -> None:
    """Three seeds with the three curves given, or thrice the one."""
    for i in range(3):
        write(folder, setting, first + i, curves[i % len(curves)], **more)


def study(
    folder: Path, figure: str, values: dict, dataset="mnist", seed=0, samples=500, **options
) -> str:
    """The study of a figure; gives its key, "scale/file without suffix"."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = {"figure": figure, "dataset": dataset, "seed": seed, "samples": samples}
    spec |= {"options": options}
    key = "-".join(str(part) for part in (figure, dataset, seed, *options.values()))
    store(folder / f"{key}.nc.gz", "study", spec, values)
    return f"{folder.name}/{key}"


def store(path: Path, kind: str, spec: dict, values: dict) -> None:
    """One file, written by SciPy."""
    buffer = io.BytesIO()
    file = netcdf_file(buffer, "w")
    file.kind, file.spec = kind, json.dumps(spec)
    for name, value in values.items():
        value = np.asarray(value)
        if value.dtype.kind == "U":
            value = value.astype("S").view("S1").reshape(*value.shape, -1)
        else:
            value = value.astype("i4" if value.dtype.kind in "iu" else "f8")
        sizes = [f"{name}_{i}" for i in range(value.ndim)]
        for size, length in zip(sizes, value.shape, strict=True):
            file.createDimension(size, length)
        file.createVariable(name, value.dtype, sizes)[...] = value
    file.flush()
    path.write_bytes(gzip.compress(buffer.getvalue(), 1))
