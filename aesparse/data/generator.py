"""Data whose sparse codes are known: non-negative combinations of given directions.

What a sparse auto-encoder should recover is exact here: `aesparse.metrics.recovery` compares a
trained decoder and its codes with the truth. Shapes: N samples, n inputs, K directions.

>>> data = generated(1000, 16, 64, active=3, coherence=0.5, seed=0)
>>> data.X.shape, data.directions.shape, data.codes.shape
((1000, 16), (64, 16), (1000, 64))
>>> np.allclose(data.X, data.codes @ data.directions, atol=1e-5)
True
>>> bool(abs((data.codes > 0).sum(axis=1).mean() - 3) < 0.2)
True
>>> train, heldout = data.X[:800], data.X[800:]  # of the same directions
"""

import numbers
import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from aesparse.errors import InputError, unknown_name
from aesparse.options import check_counts, check_positive, shortened

__all__ = ["GENERATED_KINDS", "Generated", "generated"]

_AMPLITUDES = 0.5, 1.5  # of an active direction, uniform; their mean is 1
_STEPS = 1000  # of the search for incoherent directions; usual are less than 50
_GROUP, _DEPENDENCE = 4, 0.5
_Active = Bool[np.ndarray, "N K"]


class Generated(NamedTuple):
    """Samples, and the directions and codes that they are made of, all in float32.

    Attributes:
        X: codes @ directions + noise, `[N, n]`.
        directions: unit rows, `[K, n]`.
        codes: non-negative and sparse, `[N, K]`.
    """

    X: Float[np.ndarray, "N n"]
    directions: Float[np.ndarray, "K n"]
    codes: Float[np.ndarray, "N K"]


class _Draw(NamedTuple):
    """What the activity of every kind is drawn from."""

    rng: np.random.Generator
    samples: int
    groups: np.ndarray  # of each direction, [K]
    active: float
    dependence: float

    def uniform(self, columns: int) -> np.ndarray:
        return self.rng.random((self.samples, columns), dtype=np.float32)

    def normal(self, columns: int) -> np.ndarray:
        return self.rng.standard_normal((self.samples, columns), dtype=np.float32)


def _independent(draw: _Draw) -> _Active:
    K = len(draw.groups)
    return draw.uniform(K) < draw.active / K


def _correlated(draw: _Draw) -> _Active:
    from scipy.special import ndtri

    K, count = len(draw.groups), int(draw.groups[-1]) + 1
    shared = draw.normal(count)[:, draw.groups]
    own = draw.normal(K)
    z = np.sqrt(draw.dependence) * shared + np.sqrt(1 - draw.dependence) * own
    return z > -ndtri(draw.active / K)


def _hierarchical(draw: _Draw) -> _Active:
    K, count = len(draw.groups), int(draw.groups[-1]) + 1
    weight = count + (K - count) * draw.dependence  # expected active directions, all parents active
    if draw.active > weight:
        raise InputError(
            f"active is {draw.active}; expected at most {weight:.6g}, the mean number of active "
            "directions where every parent is active. Raise the dependence or lower active."
        )
    parents = draw.uniform(count) < draw.active / weight
    is_parent = np.diff(draw.groups, prepend=-1) > 0
    return parents[:, draw.groups] & (is_parent | (draw.uniform(K) < draw.dependence))


#: How the directions' activity is drawn, by name.
GENERATED_KINDS: dict[str, Callable[[_Draw], _Active]] = {
    "independent": _independent,
    "correlated": _correlated,
    "hierarchical": _hierarchical,
}


def generated(
    samples: int,
    inputs: int,
    directions: int,
    *,
    active: float | int,
    kind: str = "independent",
    group: int | None = None,
    dependence: float | int | None = None,
    coherence: float | None = None,
    noise: float | int = 0.0,
    seed: int = 0,
) -> Generated:
    """X = codes @ directions + noise, with sparse non-negative codes of known unit directions.

    An active direction has an amplitude that is uniform on [0.5, 1.5]. Which ones are active
    depends on the kind; consecutive directions form groups:

    - "independent": each with probability active/K, by itself.
    - "correlated": each with probability active/K, where a normal variable of its own exceeds a
      threshold. Two such variables have the correlation `dependence` within a group and 0 between
      groups (Sharkey, Braun & Millidge 2022 draw the correlations at random).
    - "hierarchical": the first direction of a group is the parent of the others. All parents are
      equally probable; a child is active with probability `dependence` where its parent is active,
      and never where it is not (after the trees of Bussmann et al. 2025).

    Args:
        samples: how many, N.
        inputs: how many, n.
        directions: how many, K; fewer or more than n.
        active: the mean number of active directions of a sample, above 0 and at most K.
        kind: one of `GENERATED_KINDS`, by default "independent".
        group: directions in a group, by default 4; the last group may be smaller. Not for
            "independent".
        dependence: above 0 and at most 1, by default 0.5. Not for "independent".
        coherence: the largest |cosine| that two directions may have. By default they are uniform on
            the sphere, where it is about 2 √(log K / n) for large n.
        noise: standard deviation of normal noise added to each input, by default 0.
        seed: of NumPy's generator, by default 0. It decides the directions too: hold out rows of
            one result rather than draw a second one.

    Raises:
        InputError: for values out of these ranges, and for a coherence that is below the Welch
            bound √((K − n)/(n (K − 1))) or is not reached.

    >>> codes = generated(2000, 8, 8, active=2, kind="hierarchical", group=4).codes > 0
    >>> bool((codes[:, 1] <= codes[:, 0]).all()), round(float(codes.sum(axis=1).mean()), 1)
    (True, 2.0)
    """
    check_counts({"samples": samples, "inputs": inputs, "directions": directions})
    _check_numbers(active, directions, noise, seed)
    group, dependence = _grouping(kind, group, dependence)
    rng = np.random.default_rng(seed)
    D = _directions(rng, directions, inputs, coherence).astype(np.float32)
    groups = np.arange(directions) // group
    mask = GENERATED_KINDS[kind](_Draw(rng, samples, groups, float(active), dependence))
    low, high = _AMPLITUDES
    codes = mask * (low + (high - low) * rng.random(mask.shape, dtype=np.float32))
    X = codes @ D
    if noise:
        X += np.float32(noise) * rng.standard_normal(X.shape, dtype=np.float32)
    return Generated(X, D, codes)


def _check_numbers(active: object, directions: int, noise: object, seed: object) -> None:
    check_positive({"active": active})
    if active > directions:
        raise InputError(
            f"active is {active}; expected at most {directions}, the number of directions."
        )
    real = isinstance(noise, numbers.Real) and not isinstance(noise, bool)
    if not (real and np.isfinite(noise) and noise >= 0):
        raise InputError(f"noise is {shortened(noise)}; expected a finite number of at least 0.")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise InputError(f"seed is {shortened(seed)}; expected an integer of at least 0.")


def _grouping(kind: object, group: object, dependence: object) -> tuple[int, float]:
    """The size of groups and the dependence within them."""
    if kind not in tuple(GENERATED_KINDS):
        raise unknown_name("kind of data", kind, GENERATED_KINDS)
    if kind == "independent" and not group is dependence is None:
        raise InputError(
            "group and dependence have no meaning for independent directions; expected kind "
            "'correlated' or 'hierarchical' with them."
        )
    group = _GROUP if group is None else group
    dependence = _DEPENDENCE if dependence is None else dependence
    check_counts({"group": group})
    check_positive({"dependence": dependence})
    if dependence > 1:
        raise InputError(f"dependence is {dependence}; expected a number above 0, at most 1.")
    return operator.index(group), float(dependence)


def _directions(
    rng: np.random.Generator, K: int, n: int, coherence: object
) -> Float[np.ndarray, "K n"]:
    """Unit rows, uniform on the sphere, moved until no |cosine| of two exceeds the coherence."""
    D = _unit(rng.standard_normal((K, n)))
    if coherence is None or K == 1:
        return D
    check_positive({"coherence": coherence})
    bound = np.sqrt(max(K - n, 0) / (n * (K - 1)))  # Welch 1974
    # Aimed at a little less, so that the search ends; its steps descend Σ (|cosine| − aim)₊².
    aim = 0.8 * coherence + 0.2 * bound
    for _ in range(_STEPS if coherence >= bound else 0):
        cosines = D @ D.T - np.eye(K)
        if np.abs(cosines).max() <= coherence:
            return D
        excess = cosines - np.clip(cosines, -aim, aim)
        D = _unit(D - min(0.5, 1 / np.abs(excess).sum(axis=1).max()) * (excess @ D))
    raise InputError(
        f"coherence is {shortened(coherence)}, which the search for {K} directions of {n} inputs "
        f"does not reach; expected more than the Welch bound, {bound:.3g}. Raise it."
    )


def _unit(rows: Float[np.ndarray, "K n"]) -> Float[np.ndarray, "K n"]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
