"""How well a trained dictionary and its codes recover known ones.

The truth is that of `aesparse.data.generated`, the atoms are a decoder's columns (`decoder_matrix`
of one-layer parameters, transposed). Shapes: n inputs, m atoms, K true directions, N samples.

>>> directions = np.array([[1.0, 0.0], [0.0, 1.0]])
>>> scores = recovery(np.array([[2.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), directions)
>>> scores.cosines.tolist(), scores.mean_cosine, scores.recovered
([1.0, 0.8], 0.9, 0.5)
>>> true_codes = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
>>> codes = np.array([[0.0, 3.0], [0.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
>>> matched = matched_f1(codes, true_codes)
>>> matched.units.tolist(), matched.f1.round(4).tolist(), round(matched.mean_f1, 4)
([1, 0], [1.0, 0.6667], 0.8333)
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from aesparse.data.matrix import check_matrix
from aesparse.errors import InputError
from aesparse.options import check_flags, checked_numbers, shortened

__all__ = ["MatchedF1", "Recovery", "matched_f1", "recovery"]


class Recovery(NamedTuple):
    """How near the atoms come to the true directions.

    Attributes:
        mean_cosine: the mean of `cosines`.
        recovered: share of directions whose best cosine is above the threshold.
        cosines: of each direction with its nearest atom, `[K]`; an atom may be the nearest of
            several directions.
    """

    mean_cosine: float
    recovered: float
    cosines: Float[np.ndarray, " K"]


def recovery(
    atoms: Any,
    directions: Any,
    *,
    threshold: float | int = 0.9,
    either_sign: bool = False,
) -> Recovery:
    """Each true direction's largest cosine over all atoms (Sharkey, Braun & Millidge 2022).

    Args:
        atoms: of any length, `[m, n]`; those of length 0 have the cosine 0.
        directions: the true ones, of any length above 0, `[K, n]`.
        threshold: a cosine above it recovers a direction; by default 0.9.
        either_sign: whether |cosine| counts, for codes that may be negative; by default not.

    Raises:
        InputError: for arrays of other shapes or with numbers that are not finite, and for a
            direction of length 0.
    """
    atoms, directions = _pair({"atoms": atoms, "directions": directions}, axis=1)
    check_flags({"either_sign": either_sign}, {})
    limit = _threshold(threshold)
    lengths = np.linalg.norm(directions, axis=1)
    if not lengths.all():
        raise InputError(
            f"The direction in row {np.argmin(lengths)} has length 0; expected one that atoms can "
            "have a cosine with. Drop it."
        )
    norms = np.linalg.norm(atoms, axis=1)
    cosines = directions @ atoms.T / lengths[:, None] / np.where(norms == 0, 1.0, norms)
    best = (np.abs(cosines) if either_sign else cosines).max(axis=1)
    return Recovery(float(best.mean()), float(np.mean(best > limit)), best)


class MatchedF1(NamedTuple):
    """How well units, each matched to one direction, tell when it is active.

    Attributes:
        mean_f1: the mean of `f1` over the directions that are active on at least one sample.
        f1: of each direction with its unit, `[K]`; 0 without a unit, NaN for a direction that is
            never active.
        units: matched to each direction, `[K]`; −1 for none, as where m < K.
    """

    mean_f1: float
    f1: Float[np.ndarray, " K"]
    units: Int[np.ndarray, " K"]


def matched_f1(codes: Any, true_codes: Any, *, threshold: float | int = 0.0) -> MatchedF1:
    """F1 of activity under the one-to-one matching of units to directions with the largest sum.

    F1_jk = 2 |A_j ∩ B_k| / (|A_j| + |B_k|), where A_j are the samples on which unit j is active and
    B_k those on which direction k is; the matching is that of `scipy.optimize`'s
    `linear_sum_assignment` (the Hungarian problem).

    Args:
        codes: of a model, `[N, m]`.
        true_codes: of the same samples, `[N, K]`; active where they are not 0.
        threshold: a unit is active where |h_j| exceeds it; by default 0.

    Raises:
        InputError: for arrays of other shapes or with numbers that are not finite, and where no
            direction is ever active.
    """
    from scipy.optimize import linear_sum_assignment

    codes, true_codes = _pair({"codes": codes, "true codes": true_codes}, axis=0)
    active = (np.abs(codes) > _threshold(threshold)).astype(np.float64)
    truth = (true_codes != 0).astype(np.float64)
    often = truth.sum(axis=0)
    if not often.any():
        raise InputError(
            "The true codes are 0 throughout; expected a direction that is active on at least one "
            "sample. Give more samples."
        )
    together = truth.T @ active  # [K, m]
    f1 = 2 * together / np.maximum(often[:, None] + active.sum(axis=0), 1)
    rows, columns = linear_sum_assignment(f1, maximize=True)
    units, matched = np.full(len(f1), -1), np.zeros(len(f1))
    units[rows], matched[rows] = columns, f1[rows, columns]
    matched[often == 0] = np.nan
    return MatchedF1(float(np.nanmean(matched)), matched, units)


def _pair(arrays: Mapping[str, Any], *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Two matrices, by name, in float64; `InputError` unless equally long along the axis."""
    one, two = arrays
    first, second = (
        check_matrix(array, f"The matrix of {name}").astype(np.float64)
        for name, array in arrays.items()
    )
    if first.shape[axis] != second.shape[axis]:
        what = "columns, one for each input" if axis else "rows, one for each sample"
        raise InputError(
            f"The matrix of {one} has shape {first.shape} and that of {two} {second.shape}; "
            f"expected the same number of {what}."
        )
    return first, second


def _threshold(value: object) -> float:
    number = checked_numbers(value, "The threshold is")
    if number.ndim or not np.isfinite(number):
        raise InputError(f"The threshold is {shortened(value)}; expected one finite number.")
    return float(number)
