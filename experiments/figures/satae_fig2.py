"""SATAE Figure 2: energy around a curve in the plane, shrink units with and without saturation."""

from collections.abc import Mapping

import numpy as np

from experiments.claims import Verdict, settle
from experiments.criteria import Criterion, over_seeds
from experiments.plane import FINE, SIDE, curve, path, toy
from experiments.protocol import Plan
from experiments.studies import Study

CLAIMS = {"S3": "the penalty halves the area of low energy and keeps the curve's low"}
SCALES = ("quick",)
AREA_RATIO = 0.5  # S3: area of low energy with the penalty over that without it, at most
ERROR_RATIO = 2.0  # S3: mean energy on the curve with the penalty over that without it, at most
DARK, LIGHT = 1e-4, 1.0  # energies drawn black and white
ENERGY = "energy ½‖x − G(x)‖²"


def runs(plan: Plan) -> list[Study]:
    """One study: ten shrink units, decoder columns kept at unit length."""
    return [toy("satae-fig2", 10, "unit-columns")]


def compute(study: Study, dataset):
    """The path with shrink units of the study's width."""
    from aesparse.activations import shrink

    found, _ = path(study, shrink(study.option("width")))
    return found


def draw(found, plan: Plan):
    """The surfaces of one initialization, and area and energy along the path."""
    from matplotlib.figure import Figure

    ((spec, run),) = found.items()
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    axes = figure.subplots(1, 4)
    for penalty, axis in enumerate(axes[:2]):
        picture = draw_surface(axis, run, spec, 0, penalty)
        axis.set_title(strength_title(run, penalty), fontsize=10)
    figure.colorbar(picture, ax=axes[:2], location="bottom", shrink=0.7, label=ENERGY)
    draw_path(axes[2:], run)
    return figure


def drawn_at(run: Mapping) -> int:
    """Which α of the path is drawn."""
    return int(run["drawn_at"])


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


def geometric_mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis; energies differ by many powers of ten between initializations."""
    return np.exp(np.log(values).mean(axis=-1))


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


def caption(found, plan: Plan) -> str:
    """What the picture shows and how it was trained."""
    ((spec, run),) = found.items()
    return (
        f"Energy of auto-encoders with {spec.option('hidden'):g} shrink units, λ = "
        f"{spec.option('width'):g}, decoder columns of unit length, on [−1, 1]² (black: at most "
        f"{DARK:g}), without and with the saturation penalty; yellow: the training points. "
        + told(spec, run)
    )


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


def verdicts(found, dataset: str) -> list[Verdict]:
    """S3 for shrink units."""
    (run,) = found.values()
    return [decide_s3(run, dataset, "shrink, 10 basis vectors")]


def decide_s3(run: Mapping, dataset: str, units: str) -> Verdict:
    """S3: holds if it does at some α of the path; the numbers are those of the nearest α.

    Ratios are taken per initialization, with the penalty over without it, and averaged as
    logarithms.
    """
    statement = f"the penalty halves the area and keeps the energy on the curve, {units}"
    tried = []
    for i, alpha in enumerate(run["alpha"].values):
        if alpha > 0:
            criteria = [
                _ratio(run, i, "area", f"at α = {alpha:g}: ratio of the areas", AREA_RATIO),
                _ratio(run, i, "error", "ratio of the energies on the curve", ERROR_RATIO),
            ]
            verdict = settle("S3", dataset, statement, criteria, run.sizes["seed"])
            excess = max(c.value / c.threshold for c in criteria)
            tried.append((_RANK[verdict.verdict], excess, verdict, i))
    _, _, verdict, i = min(tried, key=lambda one: one[:2])
    return verdict._replace(numbers=f"{verdict.numbers}; {_beside(run, i)}")


_RATIOS = {"area": "areas", "error": "energies on the curve"}


def explain(found, verdict: Verdict) -> list[str]:
    """S3: how far each of its two ratios goes over the path, and what the other is there."""
    (run,) = found.values()
    ratios = {}
    for name, low in _SMALLEST.items():
        values = np.maximum(run[name].values, low)[1:]
        ratios[name] = geometric_mean(values[..., 1] / values[..., 0])
    alphas, told = run["alpha"].values[1:], []
    for name, other in (("area", "error"), ("error", "area")):
        i = int(np.argmin(ratios[name]))
        told.append(
            f"the ratio of the {_RATIOS[name]} is smallest at α = {alphas[i]:g}: "
            f"{ratios[name][i]:.3g} (that of the {_RATIOS[other]} there: {ratios[other][i]:.3g})"
        )
    return [f"Over the path {'; '.join(told)}."]


_RANK = {"holds": 0, "inconclusive": 1, "fails": 2}
_SMALLEST = {"area": 4 / FINE**2, "error": np.finfo(np.float32).tiny}  # one point of the grid


def _ratio(run: Mapping, i: int, name: str, label: str, threshold: float) -> Criterion:
    values = np.maximum(run[name].values[i], _SMALLEST[name])

    def over(seeds: np.ndarray) -> float:
        return float(geometric_mean(values[seeds, 1] / values[seeds, 0]))

    return over_seeds(label, over, len(values), threshold, +1)


def _beside(run: Mapping, i: int) -> str:
    """What the ratios are made of, here and at the α drawn; the areas below a model's own level."""
    told = []
    for j in dict.fromkeys((i, drawn_at(run))):
        area, own, error = (
            geometric_mean(np.maximum(run[name].values[j], low).T)
            for name, low in (
                ("area", _SMALLEST["area"]),
                ("area_at_own_level", _SMALLEST["area"]),
                ("error", _SMALLEST["error"]),
            )
        )
        told.append(
            f"α = {run['alpha'].values[j]:g}: areas {area[0]:.2f} → {area[1]:.2f} of 4, energies "
            f"{error[0]:.1e} → {error[1]:.1e}, areas below each model's own level "
            f"{own[0]:.2f} → {own[1]:.2f}"
        )
    return "; ".join(told)
