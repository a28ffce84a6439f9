"""How SATAE's toys in the plane are drawn, and what their captions share."""

import numpy as np

from experiments.figures.satae.common.low_energy import drawn_at, geometric_mean
from experiments.figures.satae.common.plane import SIDE, curve
from experiments.pipeline.spec import Study

__all__ = ["DARK", "ENERGY", "draw_path", "draw_surface", "strength_title", "told"]

DARK, LIGHT = 1e-4, 1.0  # energies drawn black and white
ENERGY = "energy ½‖x − G(x)‖²"


def strength_title(run, penalty: int) -> str:
    """What a surface was trained with."""
    return (
        f"with penalty, α = {run['alpha'].values[drawn_at(run)]:g}"
        if penalty
        else "without penalty"
    )


def draw_surface(axis, run, spec: Study, drawn: int, penalty: int):
    """Black where the energy is low, the curve on top, the level of S3 as a line."""
    from matplotlib.colors import LogNorm

    energies = run["surface"].values[drawn, penalty].reshape(SIDE, SIDE)
    picture = axis.imshow(
        np.clip(energies, DARK, LIGHT),
        origin="lower",
        extent=(-1, 1, -1, 1),
        cmap="gray",
        norm=LogNorm(DARK, LIGHT),
        interpolation="bilinear",
    )
    level = float(run["level"].values[drawn_at(run), drawn, 1])
    if energies.min() < level < energies.max():
        along = np.linspace(-1, 1, SIDE)
        axis.contour(along, along, energies, [level], colors="#56B4E9", linewidths=0.8)
    points = curve(int(spec.option("samples")))
    axis.plot(*points.T, color="#F0E442", linewidth=1.6)
    axis.set_xticks([-1, 0, 1])
    axis.set_yticks([-1, 0, 1])
    axis.set_aspect("equal")
    return picture


def draw_path(axes, run) -> None:
    """The area of low energy and the mean energy on the curve against α, all initializations."""
    positions = np.arange(run.sizes["alpha"])
    looks = (("#000000", "s", "--", "without"), ("#0072B2", "o", "-", "with penalty"))
    for axis, name in zip(axes, ("area", "error"), strict=True):
        for penalty, (colour, marker, style, label) in enumerate(looks):
            values = run[name].values[..., penalty]
            axis.plot(positions, values, color=colour, linewidth=0.5, alpha=0.4)
            axis.plot(
                positions,
                geometric_mean(values),
                color=colour,
                marker=marker,
                markersize=3.5,
                linestyle=style,
                label=label,
            )
        ticks = [f"{a:g}" for a in run["alpha"].values]
        axis.set_xticks(positions, ticks, fontsize=6, rotation=60)
        axis.tick_params(axis="y", labelsize=7)
        axis.set_xlabel("α", fontsize=8)
        axis.grid(alpha=0.25, linewidth=0.5)
    axes[0].set_title("area of low energy", fontsize=9)
    axes[0].set_ylim(bottom=0)
    axes[1].set_title("mean energy on the curve", fontsize=9)
    axes[1].set_yscale("log")
    axes[1].legend(fontsize=7, frameon=False)


def told(spec: Study, run) -> str:
    """The part of the caption that both toy figures share."""
    return (
        f"Blue line: the {spec.option('percentile'):g}th percentile of the penalized model's "
        "energy on the curve, the bound of the area of low energy for both. Right: that area and "
        "the mean energy on the curve while α grows, each α starting from the one before, beside "
        "a model without penalty that gets the same updates; thin: "
        f"{run.sizes['seed']} initializations, thick: their geometric mean. N = "
        f"{spec.option('samples'):g}, {spec.option('epochs'):g} epochs at each α, batches of "
        f"{spec.option('batch'):g}, learning rate {spec.option('rate'):g}."
    )
