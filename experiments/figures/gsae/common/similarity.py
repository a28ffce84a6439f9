"""What `gsae_fig1` decides: filters similar to PCA (G3), local parts (G5), a minimum (G6).

Of each study: "angle" [model, side] and "window" [model, side], "image_angle" [draw, side],
"pca_window", "fall", "value", "bound", "never_inked" [model].
"""

from collections.abc import Sequence

import numpy as np

from experiments.evidence import claims, criteria
from experiments.evidence.bootstrap import mean_interval
from experiments.evidence.criteria import Criterion
from experiments.figures.gsae.common.searches import converged
from experiments.pipeline.figure import Verdict

__all__ = ["at_minimum", "local_parts", "similar_to_pca", "values"]

OF_PCA = 0.1  # G3: windowed energy differs from PCA's by at most this part of it
EXCESS, NEVER_INKED = 0.02, 0.01  # G6: of J above its bound; energy on pixels without ink
SIDES = {"decoder": "decoder's columns", "encoder": "encoder's rows times the data covariance"}


def values(stored: Sequence, name: str, model: str = "", **where) -> np.ndarray:
    """A stored quantity by seed, `[S, ...]`, of one model where it is named."""
    where = where | ({"model": model} if model else {})
    return np.array([run[name].sel(where).values for run in stored], float)


def similar_to_pca(stored: Sequence, dataset: str) -> list[Verdict]:
    """G3: the plain decoder and the plain encoder, a row each."""
    rows = []
    for side, name in SIDES.items():
        given = [converged(values(stored, "fall", m), m) for m in ("plain", "sparse")]
        needs = _nearer(stored, "plain", side)
        if side == "decoder":
            needs.append(_as_wide(stored, "plain"))
        statement = f"plain auto-encoder similar to PCA: {name}"
        rows.append(claims.settle("G3", dataset, statement, needs, len(stored), given))
    return rows


def _nearer(stored: Sequence, model: str, side: str) -> list[Criterion]:
    """The mean angle is below that of random digits and of the sparse model's same side."""
    own = mean_interval(values(stored, "angle", model, side=side))
    others = {
        "random digits": values(stored, "image_angle", side=side).mean(axis=1),
        "the sparse model": values(stored, "angle", "sparse", side=side),
    }
    return [
        criteria.apart(
            f"mean angle {own.value:.3f} rad, below that of {name}, {other.value:.3f}, by",
            own,
            other,
        )
        for name, v in others.items()
        for other in [mean_interval(v)]
    ]


def _as_wide(stored: Sequence, model: str) -> Criterion:
    ratio = values(stored, "window", model, side="decoder") / values(stored, "pca_window")
    name = "windowed energy over that of the components, off 1 by"
    return criteria.mean_at_most(np.abs(ratio - 1), OF_PCA, name)


def local_parts(stored: Sequence, dataset: str) -> list[Verdict]:
    """G5: the sparse sigmoid rows' windowed energy against PCA's and the plain rows'."""
    sparse = mean_interval(values(stored, "window", "sparse", side="encoder"))
    given_of = [converged(values(stored, "fall", m), m) for m in ("sparse", "plain")]
    others = {
        "the principal components": (values(stored, "pca_window"), given_of[:1]),
        "the plain rows": (values(stored, "window", "plain", side="encoder"), given_of),
    }
    rows = []
    for name, (other, given) in others.items():
        mean = mean_interval(other)
        told = f"windowed energy {sparse.value:.3f}, above {mean.value:.3f} of {name} by"
        need = criteria.apart(told, mean, sparse)
        statement = f"sparse sigmoid features are more local than {name}"
        rows.append(claims.settle("G5", dataset, statement, [need], len(stored), given))
    return rows


def at_minimum(stored: Sequence, dataset: str, decays: dict[str, float]) -> list[Verdict]:
    """G6: sparse linear models, by name with their λ, end at the bound, without noise."""
    rows = []
    for model, decay in decays.items():
        value, bound = (values(stored, name, model) for name in ("value", "bound"))
        needs = [
            criteria.mean_at_most(value / bound - 1, EXCESS, "J above the bound of PCA by a part"),
            criteria.mean_at_most(
                values(stored, "never_inked", model), NEVER_INKED, "energy on never-inked pixels"
            ),
        ]
        given = [converged(values(stored, "fall", model), model)]
        statement = f"sparse linear auto-encoder at its minimum, λ = {decay:g}"
        rows.append(claims.settle("G6", dataset, statement, needs, len(stored), given))
    return rows
