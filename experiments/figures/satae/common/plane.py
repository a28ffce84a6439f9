"""Small auto-encoders around curves in the plane, and their energy (SATAE section 3.1).

Shapes: C curves, K values of α, S starts, P points.
"""

from typing import NamedTuple

import numpy as np

from experiments.figures.satae.common.paths import stages
from experiments.pipeline.spec import Study

__all__ = [
    "CURVES",
    "SIDE",
    "area_below",
    "energies",
    "energy",
    "half_variance",
    "points_of",
    "square",
    "toy",
    "train_path",
]

LEVEL = 0.1  # S3: energy is low up to this share of the half-variance ½ E‖x − E x‖²
SIDE, FINE = 61, 201  # points along each side of [−1, 1]²: drawn, and for areas


class Curve(NamedTuple):
    """A curve inside [−1, 1]²: its formula, for people, and the same for numbers."""

    formula: str
    at: object  # s in [0, 1], [P] -> [P, 2]


def _parabola(s: np.ndarray) -> np.ndarray:
    t = 1.6 * s - 0.8
    return np.stack([t, t**2 / 2 - 0.2], axis=1)


def _sine(s: np.ndarray) -> np.ndarray:
    t = 1.6 * s - 0.8
    return np.stack([t, np.sin(np.pi * t / 0.8) / 2], axis=1)


def _spiral(s: np.ndarray) -> np.ndarray:
    radius, angle = 0.2 + 0.75 * s, 2.5 * np.pi * s
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


# SATAE shows one curve in each figure and gives no formula.
CURVES = {
    "parabola": Curve("(t, t²/2 − 0.2), |t| ≤ 0.8", _parabola),
    "sine": Curve("(t, ½ sin(πt/0.8)), |t| ≤ 0.8", _sine),
    "spiral": Curve("radius 0.2 + 0.75 s at the angle 2.5πs, 0 ≤ s ≤ 1", _spiral),
}


def points_of(name: str, points: int) -> np.ndarray:
    """Points of a named curve, evenly spaced in its parameter; [points, 2]."""
    return CURVES[name].at(np.linspace(0, 1, points)).astype(np.float32)


def half_variance(X: np.ndarray) -> float:
    """½ E‖x − E x‖² of samples `[P, n]`: the energy of the best constant reconstruction."""
    return float(np.var(X, axis=0, dtype=float).sum() / 2)


def square(side: int) -> np.ndarray:
    """Points of a regular grid on [−1, 1]², row by row from the lowest; [side², 2]."""
    along = np.linspace(-1, 1, side, dtype=np.float32)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def toy(
    figure: str, hidden: int, constraint: str, *, curves, alphas, drawn: float, starts: int
) -> Study:
    """Paths over α on some curves, as section 4 describes them; eq. 2, one sample an update."""
    options = (
        ("curves", curves),
        ("hidden", hidden),
        ("constraint", constraint),
        ("alphas", alphas),
        ("drawn", alphas.index(drawn)),
        ("seeds", tuple(range(starts))),
        ("samples", 1000),
        ("batch", 1),
        ("epochs", 30),  # at each α
        ("rate", 0.05),
        ("level", LEVEL),
        ("side", FINE),  # points along each side of [−1, 1]², for areas
    )
    return Study(figure, options=options, work=2e10)


def train_path(study: Study, X: np.ndarray, activation) -> list:
    """Parameters `[S, 2, ...]` after each α, the minimum at one α starting the next (section 4).

    The second model's α grows; the first one stays without penalty, on the same batches.
    """
    import aesparse as ae

    results = stages(
        X,
        ae.OneLayer(study.option("hidden"), activation, tied=False, decoder_bias=True),
        path=[(0.0, alpha) for alpha in study.option("alphas")],
        seeds=study.option("seeds"),
        optimizer=ae.sgd(study.option("rate"), momentum=0.0),
        constraint=study.option("constraint"),
        epochs=[study.option("epochs")] * len(study.option("alphas")),
        batch_size=study.option("batch"),
    )
    return [result.params for result in results]


def energies(study: Study, X: np.ndarray, params: list, activation) -> dict[str, np.ndarray]:
    """Along a path, `[K, S, 2]`: mean energy on the curve over the half-variance; low area.

    The area is that of the part of [−1, 1]² with an energy of at most the study's level, which is
    also in units of the half-variance; `covered` is the share of the curve in that part.
    """
    scale, level = half_variance(X), study.option("level")
    grid = square(study.option("side"))
    on = np.stack([energy(p, X, activation) for p in params]) / scale
    fine = np.stack([energy(p, grid, activation) for p in params]) / scale
    return {
        "error": on.mean(axis=-1),
        "covered": (on <= level).mean(axis=-1),
        "area": area_below(fine, level),
    }


def area_below(energies: np.ndarray, level: float) -> np.ndarray:
    """The area of [−1, 1]² on which the energies `[..., points]` do not exceed a level."""
    return 4 * (energies <= level).mean(axis=-1)


def energy(params, x: np.ndarray, activation) -> np.ndarray:
    """½‖x − G(x)‖² (SATAE section 3.1) of every model `[S, 2, ...]` at points `[P, 2]`."""
    import jax
    import jax.numpy as jnp

    from aesparse.models.one_layer import reconstruct

    def one(p, points):
        return jnp.sum((points - reconstruct(p, points, activation)) ** 2, axis=-1) / 2

    return np.asarray(jax.jit(jax.vmap(jax.vmap(one, (0, None)), (0, None)))(params, x))
