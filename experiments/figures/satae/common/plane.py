"""Small auto-encoders around a curve in the plane, and their energy (SATAE section 4).

Shapes: S initializations, P points.
"""

import numpy as np

from experiments.figures.satae.common.paths import stages
from experiments.pipeline.spec import Study

__all__ = ["FINE", "SIDE", "WIDTH", "area_below", "curve", "energy", "path", "square", "toy"]

PERCENTILE = 95  # S3: "low" energy is below this percentile of the energy on the curve …
# … of the penalized model, for both: without the penalty the energy on the curve, and with it
# the level, may fall to rounding, and the area below that says nothing.
WIDTH = 0.1  # the shrink parameter λ; SATAE does not name its own
# SATAE section 4 steps α from 0 to 1 on standardized data; the curve's variance is smaller.
ALPHAS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
DRAWN = 5  # of ALPHAS: the largest but one
SIDE, FINE = 61, 201  # points along each side of [−1, 1]²: drawn, and for areas
_STORED = 3  # initializations whose surfaces are drawn


def toy(figure: str, hidden: int, constraint: str) -> Study:
    """A path over α on the curve, five initializations, as section 4 describes it."""
    options = (
        ("curve", "(t, t²/2 − 0.2)"),
        ("hidden", float(hidden)),
        ("constraint", constraint),
        ("width", WIDTH),
        ("alphas", ALPHAS),
        ("drawn", float(DRAWN)),
        ("seeds", (0.0, 1.0, 2.0, 3.0, 4.0)),
        ("samples", 1000.0),
        ("batch", 10.0),
        ("epochs", 30.0),  # at each α
        ("rate", 0.05),
        ("percentile", float(PERCENTILE)),
        ("side", float(FINE)),  # points along each side of [−1, 1]², for areas
    )
    return Study(figure, options=options, work=2e10)


def curve(points: int) -> np.ndarray:
    """A piece of a parabola inside [−1, 1]²: (t, t²/2 − 0.2) for |t| <= 0.8; [points, 2]."""
    t = np.linspace(-0.8, 0.8, points)
    return np.stack([t, t**2 / 2 - 0.2], axis=1).astype(np.float32)


def square(side: int) -> np.ndarray:
    """Points of a regular grid on [−1, 1]², row by row from the lowest; [side², 2]."""
    along = np.linspace(-1, 1, side, dtype=np.float32)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def path(study: Study, activation):
    """Trains along the path; returns what is measured and the parameters at every α `[S, 2]`.

    Beside the model whose α grows (1) one without penalty gets the same updates (0).
    """
    import xarray as xr

    params = train_path(study, activation)
    on = np.stack([energy(p, curve(int(study.option("samples"))), activation) for p in params])
    level = np.percentile(on, study.option("percentile"), axis=-1)
    fine = np.stack([energy(p, square(int(study.option("side"))), activation) for p in params])
    surface = energy(params[int(study.option("drawn"))], square(SIDE), activation)[:_STORED]
    cells = ("alpha", "seed", "penalty")
    found = {
        "error": (cells, on.mean(axis=-1)),
        "level": (cells, level),
        "area": (cells, area_below(fine, level[..., 1:])),
        "area_at_own_level": (cells, area_below(fine, level)),
        "drawn_at": int(study.option("drawn")),
        "surface": (("drawn", "penalty", "point"), surface.astype(np.float32)),
    }
    return xr.Dataset(found, {"alpha": list(study.option("alphas"))}), params


def area_below(energies: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The area of [−1, 1]² on which the energies `[..., points]` do not exceed a level `[...]`."""
    return 4 * (energies <= level[..., None]).mean(axis=-1)


def train_path(study: Study, activation) -> list:
    """Parameters `[S, 2, ...]` after each α, the minimum at one α starting the next (section 4)."""
    import aesparse as ae

    hidden = int(study.option("hidden"))
    results = stages(
        curve(int(study.option("samples"))),
        ae.OneLayer(hidden, activation, tied=False, decoder_bias=True),
        path=[(0.0, alpha) for alpha in study.option("alphas")],
        seeds=[int(seed) for seed in study.option("seeds")],
        optimizer=ae.sgd(study.option("rate"), momentum=0.0),
        constraint=study.option("constraint"),
        epochs=int(study.option("epochs")),
        batch_size=int(study.option("batch")),
    )
    return [result.params for result in results]


def energy(params, x: np.ndarray, activation) -> np.ndarray:
    """½‖x − G(x)‖² (SATAE section 3.1) of every model `[S, 2, ...]` at points `[P, 2]`."""
    import jax
    import jax.numpy as jnp

    from aesparse.models.one_layer import reconstruct

    def one(p, points):
        return jnp.sum((points - reconstruct(p, points, activation)) ** 2, axis=-1) / 2

    return np.asarray(jax.jit(jax.vmap(jax.vmap(one, (0, None)), (0, None)))(params, x))
