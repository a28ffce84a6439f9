"""SATAE Figure 2: energy around curves in the plane, shrink units with and without saturation."""

import numpy as np

from experiments.figures.satae.common.low_energy import decide_s3, explain_s3
from experiments.figures.satae.common.plane import (
    CURVES,
    SIDE,
    energies,
    energy,
    half_variance,
    points_of,
    square,
    toy,
    train_path,
)
from experiments.figures.satae.common.surfaces import (
    ENERGY,
    curve_names,
    draw_surface,
    strength_title,
    training,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {"S3": "the penalty halves the area of low energy and keeps the curve's low"}
SCALES = ("quick",)
WIDTH = 0.02  # the shrink parameter λ; SATAE does not name its own
ALPHAS = (0.0, 0.05, 0.1, 0.125, 0.15, 0.175, 0.2)
DRAWN = 0.15
_LOOKS = (("#000000", "s", "--"), ("#0072B2", "o", "-"), ("#CC3311", "^", ":"))


def runs(plan: Plan) -> list[Study]:
    """One study: ten shrink units, decoder columns kept at unit length, five starts a curve."""
    options = {"curves": tuple(CURVES), "alphas": ALPHAS, "drawn": DRAWN, "starts": 5}
    study = toy("satae-fig2", 10, "unit-columns", **options)
    return [study._replace(options=(*study.options, ("width", WIDTH)))]


def compute(study: Study, dataset):
    """Areas and energies along the paths; the surfaces of the first start."""
    import xarray as xr

    from aesparse.models.activations import shrink

    units, drawn = shrink(study.option("width")), study.option("drawn")
    found, surfaces = [], []
    for name in study.option("curves"):
        X = points_of(name, study.option("samples"))
        params = train_path(study, X, units)
        found.append(energies(study, X, params, units))
        surfaces.append(energy(params[drawn], square(SIDE), units)[0] / half_variance(X))
    cells = ("curve", "alpha", "seed", "penalty")
    measured = {name: (cells, np.stack([one[name] for one in found])) for name in found[0]}
    measured["surface"] = (("curve", "penalty", "point"), np.stack(surfaces).astype(np.float32))
    names = {"curve": list(study.option("curves")), "alpha": list(study.option("alphas"))}
    return xr.Dataset(measured, names)


def draw(runs, plan: Plan):
    """The surfaces without the penalty above and with it below; area and energy at the right."""
    from matplotlib.figure import Figure

    ((study, run),) = runs.items()
    figure = Figure(figsize=(9.4, 5.2), layout="constrained")
    axes = figure.subplots(2, 4)
    for column, name in enumerate(run["curve"].values):
        for penalty in (0, 1):
            axis = axes[penalty, column]
            picture = draw_surface(axis, run["surface"].values[column, penalty], study, name)
        axes[0, column].set_title(name, fontsize=10)
    for penalty in (0, 1):
        axes[penalty, 0].set_ylabel(strength_title(study, penalty), fontsize=10)
    figure.colorbar(picture, ax=axes[:, :3], location="bottom", shrink=0.5, aspect=40, label=ENERGY)
    ratio = run["area"].values[..., 1] / run["area"].values[..., 0]
    _draw_measured(axes[0, 3], run, ratio, 0.5, "low area, with / without")
    _draw_measured(
        axes[1, 3], run, run["error"].values[..., 1], study.option("level"), "energy on the curve"
    )
    axes[0, 3].legend(fontsize=8, frameon=False)
    return figure


def _draw_measured(axis, run, values: np.ndarray, threshold: float, title: str) -> None:
    """A number of the penalized models against α, `[C, K, S]`, with S3's threshold."""
    alphas = run["alpha"].values
    for name, of_curve, (colour, marker, line) in zip(
        run["curve"].values, values, _LOOKS, strict=True
    ):
        axis.plot(alphas, of_curve, color=colour, linewidth=0.5, alpha=0.4)
        look = {"color": colour, "marker": marker, "markersize": 3.5, "linestyle": line}
        axis.plot(alphas, np.median(of_curve, axis=1), **look, label=name)
    axis.axhline(threshold, color="#777777", linewidth=1)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("α", fontsize=9)
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25, linewidth=0.5)


def caption(runs, plan: Plan) -> str:
    """What the picture shows and how it was trained."""
    ((study, run),) = runs.items()
    covered = run["covered"].values[:, study.option("drawn"), :, 1].mean(axis=1)
    inside = ", ".join(
        f"{c:.0%} of the {n}" for c, n in zip(covered, run["curve"].values, strict=True)
    )
    return (
        f"Energy of auto-encoders with {study.option('hidden')} shrink units, λ = "
        f"{study.option('width'):g}, decoder columns of unit length, on [−1, 1]², one start, "
        "without (above) and with the saturation penalty (below); yellow: the training points "
        f"({curve_names(study)}); blue line: energy of {study.option('level'):g} times the "
        "half-variance ½ E‖x − E x‖² of the data, the bound of low energy. On average over "
        f"starts the region inside it holds {inside}. Right: the area "
        "of low energy with the penalty over that without it, and the mean energy on the curve "
        "with the penalty in units of the half-variance; grey: the bounds of S3. " + training(study)
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S3 for shrink units."""
    (run,) = runs.values()
    return [decide_s3(run, dataset)]


def explain(runs, verdict: Verdict) -> list[str]:
    """S3: at which α each curve alone meets its criteria."""
    return explain_s3(runs)


FIGURE = Figure(
    about=__doc__,
    place="Figure 2",
    says=(
        "In the plane, with ten shrink units, the penalty shrinks the region that is "
        "reconstructed well, while the training points on their curve stay well reconstructed "
        "(section 3.1)."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
