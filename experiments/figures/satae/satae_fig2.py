"""SATAE Figure 2: energy around a curve in the plane, shrink units with and without saturation."""

from experiments.figures.satae.common.low_energy import decide_s3, explain_s3
from experiments.figures.satae.common.plane import path, toy
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

CLAIMS = {"S3": "the penalty halves the area of low energy and keeps the curve's low"}
SCALES = ("quick",)


def runs(plan: Plan) -> list[Study]:
    """One study: ten shrink units, decoder columns kept at unit length."""
    return [toy("satae-fig2", 10, "unit-columns")]


def compute(study: Study, dataset):
    """The path with shrink units of the study's width."""
    from aesparse.models.activations import shrink

    found, _ = path(study, shrink(study.option("width")))
    return found


def draw(runs, plan: Plan):
    """The surfaces of one initialization, and area and energy along the path."""
    from matplotlib.figure import Figure

    ((spec, run),) = runs.items()
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    axes = figure.subplots(1, 4)
    for penalty, axis in enumerate(axes[:2]):
        picture = draw_surface(axis, run, spec, 0, penalty)
        axis.set_title(strength_title(run, penalty), fontsize=10)
    figure.colorbar(picture, ax=axes[:2], location="bottom", shrink=0.7, label=ENERGY)
    draw_path(axes[2:], run)
    return figure


def caption(runs, plan: Plan) -> str:
    """What the picture shows and how it was trained."""
    ((spec, run),) = runs.items()
    return (
        f"Energy of auto-encoders with {spec.option('hidden'):g} shrink units, λ = "
        f"{spec.option('width'):g}, decoder columns of unit length, on [−1, 1]² (black: at most "
        f"{DARK:g}), without and with the saturation penalty; yellow: the training points. "
        + told(spec, run)
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S3 for shrink units."""
    (run,) = runs.values()
    return [decide_s3(run, dataset, "shrink, 10 basis vectors")]


def explain(runs, verdict: Verdict) -> list[str]:
    """S3: how far each of its two ratios goes over the path, and what the other is there."""
    return explain_s3(runs, verdict)


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
