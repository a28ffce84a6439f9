"""SATAE Figure 3: energy around a curve in the plane, two saturated-linear units."""

import numpy as np

from experiments.evidence.claims import settle
from experiments.evidence.criteria import mean_at_least, mean_at_most
from experiments.figures.satae.common.low_energy import decide_s3, explain_s3
from experiments.figures.satae.common.plane import curve, energy, path, toy
from experiments.figures.satae.common.surfaces import (
    DARK,
    ENERGY,
    draw_path,
    draw_surface,
    strength_title,
    told,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {
    "S3": "the penalty halves the area of low energy and keeps the curve's low",
    "S8": "outside the linear region energy grows quadratically",
}
SCALES = ("quick",)
SLOPE, TOLERANCE = 2.0, 0.1  # S8: log–log slope of the energy outside the linear region
_WELL = 1e-4  # a linear region with at most this energy at its edge is reconstructed
_DIRECTIONS = 64
_DISTANCES = (0.1, 10.0)  # from the edge of the linear region
_POINTS = 21  # between them, evenly spaced in their logarithms
_LONGEST = 0.9  # a basis vector is drawn no longer than this
_ENCODING, _DECODING = "#CC3311", "#009E73"


def runs(plan: Plan) -> list[Study]:
    """One study: two units, both bases unconstrained."""
    study = toy("satae-fig3", 2, "free")
    options = tuple(o for o in study.options if o[0] != "width")
    rays = (("directions", float(_DIRECTIONS)), ("distances", _DISTANCES))
    return [study._replace(options=(*options, *rays))]


def compute(study: Study, dataset):
    """The path, the bases at the α drawn, and the growth of the energy without penalty."""
    from aesparse.models.activations import get_activation

    units = get_activation("saturated-linear")
    found, params = path(study, units)
    drawn, last = params[int(study.option("drawn"))], params[-1]
    found["encoding"] = (("seed", "penalty", "unit", "axis"), np.asarray(drawn.weight))
    found["decoding"] = (("seed", "penalty", "axis", "unit"), np.asarray(drawn.decoder))
    distances = np.geomspace(*study.option("distances"), _POINTS)
    growth, edge = grown(last, units, int(study.option("directions")), distances)
    return found.assign(growth=(("seed", "ray"), growth), edge_energy=(("seed", "ray"), edge))


def grown(params, units, directions: int, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log–log slope of the energy against the distance from the linear region, α = 0; [S, K].

    Along rays from the middle of the curve, with the energy at the region's edge. NaN where the
    middle lies outside the region.
    """
    angles = 2 * np.pi * (np.arange(directions) + 0.5) / directions
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    start = curve(3).mean(axis=0, dtype=float)
    slopes, at_edges = [], []
    for seed in range(len(params.bias)):
        one = type(params)(*(np.asarray(leaf[seed : seed + 1, :1]) for leaf in params))
        edge = edges(one.weight[0, 0], one.bias[0, 0], start, rays)
        along = edge[:, None] + np.concatenate([[0.0], distances])
        points = (start + along[..., None] * rays[:, None]).astype(np.float32)
        energies = energy(one, points.reshape(-1, 2), units).reshape(directions, -1)
        at_edges.append(energies[:, 0])
        slopes.append(log_slope(distances, energies[:, 1:]))
    return np.stack(slopes), np.stack(at_edges)


def log_slope(distances: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """The slope of a straight line through (log d, log E), for each row of `[K, D]`."""
    known = np.isfinite(energies).all(axis=1)
    slopes = np.full(len(energies), np.nan)
    slopes[known] = np.polyfit(np.log(distances), np.log(energies[known]).T, 1)[0]
    return slopes


def edges(weight: np.ndarray, bias: np.ndarray, start: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """How far along each ray `[K, n]` the first unit leaves (−1, 1); NaN if one is outside."""
    a, speed = weight @ start + bias, rays @ weight.T
    if np.abs(a).max() >= 1:
        return np.full(len(rays), np.nan)
    with np.errstate(divide="ignore"):
        return ((np.sign(speed) - a) / speed).min(axis=1)


def draw(runs, plan: Plan):
    """Three initializations, without the penalty above and with it below; the path at the right."""
    from matplotlib.figure import Figure

    ((spec, run),) = runs.items()
    figure = Figure(figsize=(9.4, 5.3), layout="constrained")
    axes = figure.subplots(2, 4)
    for penalty in (0, 1):
        for seed, axis in enumerate(axes[penalty][:3]):
            picture = draw_surface(axis, run, spec, seed, penalty)
            _draw_bases(axis, run["encoding"].values[seed, penalty], _ENCODING)
            _draw_bases(axis, run["decoding"].values[seed, penalty].T, _DECODING)
            axis.set_title(f"initialization {seed + 1}" if penalty == 0 else "", fontsize=9)
        axes[penalty][0].set_ylabel(strength_title(run, penalty), fontsize=9)
    figure.colorbar(picture, ax=axes[:, :3], location="bottom", shrink=0.5, aspect=40, label=ENERGY)
    draw_path(axes[:, 3], run)
    return figure


def _draw_bases(axis, vectors: np.ndarray, colour: str) -> None:
    for vector in vectors:
        shown = vector * min(1.0, _LONGEST / np.linalg.norm(vector))
        axis.annotate(
            "",
            shown,
            (0, 0),
            arrowprops={
                "arrowstyle": "-|>" if colour == _ENCODING else "->",
                "linestyle": "-" if colour == _ENCODING else (0, (3, 1)),
                "color": colour,
                "linewidth": 1.6,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )


def caption(runs, plan: Plan) -> str:
    """What the picture shows and how it was trained."""
    ((spec, run),) = runs.items()
    lengths = np.linalg.norm(run["encoding"].values, axis=-1).mean(axis=(0, 2))
    return (
        f"Energy of auto-encoders with {spec.option('hidden'):g} saturated-linear units on "
        f"[−1, 1]² (black: at most {DARK:g}), without (above) and with the saturation penalty "
        "(below); yellow: the training points; red, solid: encoding basis vectors, green, dashed: "
        f"decoding ones, none drawn longer than {_LONGEST:g} (mean length of the "
        f"encoding vectors {lengths[0]:.2f} without and {lengths[1]:.2f} with the penalty). "
        + told(spec, run)
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S3 for two saturated-linear units; S8's growth outside the linear region."""
    (run,) = runs.values()
    growth = run["growth"].values
    name = "log–log slope"
    criteria = [
        mean_at_least(growth, SLOPE - TOLERANCE, name),
        mean_at_most(growth, SLOPE + TOLERANCE, name),
    ]
    statement = "SL's energy grows quadratically outside the linear region, α = 0"
    return [
        decide_s3(run, dataset, "saturated linear, 2 basis vectors"),
        settle("S8", dataset, statement, criteria, len(growth)),
    ]


def explain(runs, verdict: Verdict) -> list[str]:
    """S8: where the region itself is reconstructed, and where not; S3 as for Figure 2."""
    if verdict.claim != "S8":
        return explain_s3(runs, verdict)
    (run,) = runs.values()
    growth, edge = (run[name].values for name in ("growth", "edge_energy"))
    known, well = np.isfinite(growth), edge <= _WELL
    slopes = [
        f"{name} (energy there {'at most' if chosen is well else 'above'} {_WELL:g}) "
        f"{growth[known & chosen].mean():.3f} on {(known & chosen).sum()} of {growth.size} rays"
        for name, chosen in (("reconstructed up to its edge", well), ("not", ~well))
        if (known & chosen).any()
    ]
    return [f"Slope where the linear region is {'; where it is '.join(slopes)}."]


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
