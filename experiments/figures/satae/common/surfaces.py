"""How SATAE's toys in the plane are drawn, and what their captions share."""

import numpy as np

from experiments.figures.satae.common.plane import CURVES, SIDE, points_of
from experiments.pipeline.spec import Study

__all__ = ["ENERGY", "curve_names", "draw_lines", "draw_surface", "strength_title", "training"]

LIGHT = 0.5  # from this energy over the half-variance on, a surface is white
ENERGY = "energy ½‖x − G(x)‖² over the half-variance"
LOOKS = (("#000000", "s", "--", "without"), ("#0072B2", "o", "-", "with penalty"))


def strength_title(study: Study, penalty: int) -> str:
    """What a surface was trained with."""
    alpha = study.option("alphas")[study.option("drawn")]
    return f"with penalty, α = {alpha:g}" if penalty else "without penalty"


def draw_surface(axis, energies: np.ndarray, study: Study, curve: str):
    """Black where the energy is low, the curve on top, the level of S3 as a line."""
    energies = energies.reshape(SIDE, SIDE)
    picture = axis.imshow(
        np.minimum(energies, LIGHT),
        origin="lower",
        extent=(-1, 1, -1, 1),
        cmap="gray",
        vmin=0,
        vmax=LIGHT,
        interpolation="bilinear",
    )
    level = study.option("level")
    if energies.min() < level < energies.max():
        along = np.linspace(-1, 1, SIDE)
        axis.contour(along, along, energies, [level], colors="#56B4E9", linewidths=0.9)
    axis.plot(*points_of(curve, 400).T, color="#F0E442", linewidth=1.8)
    axis.set_xticks([-1, 0, 1])
    axis.set_yticks([-1, 0, 1])
    axis.tick_params(labelsize=8)
    axis.set_aspect("equal")
    return picture


def draw_lines(axis, alphas, values: np.ndarray, title: str) -> None:
    """A number against α, `[K, S, 2]`: every start thin, their median thick."""
    for penalty, (colour, marker, style, label) in enumerate(LOOKS):
        axis.plot(alphas, values[..., penalty], color=colour, linewidth=0.5, alpha=0.4)
        look = {"marker": marker, "markersize": 3.5, "linestyle": style, "label": label}
        axis.plot(alphas, np.median(values[..., penalty], axis=1), color=colour, **look)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("α", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25, linewidth=0.5)


def training(study: Study) -> str:
    """The part of the caption that both toy figures share."""
    return (
        f"α grows over {', '.join(f'{a:g}' for a in study.option('alphas'))}, each model starting "
        "from the one before; models without penalty get the same updates. Eq. 2, "
        f"N = {study.option('samples')}, {study.option('epochs')} epochs at each α, batch "
        f"{study.option('batch')}, learning rate {study.option('rate'):g}, "
        f"{len(study.option('seeds'))} random starts (thin lines; thick: their median). The paper "
        "gives neither the curve nor the α of its picture."
    )


def curve_names(study: Study) -> str:
    """The formulas of the curves, for a caption."""
    return "; ".join(f"{name} {CURVES[name].formula}" for name in study.option("curves"))
