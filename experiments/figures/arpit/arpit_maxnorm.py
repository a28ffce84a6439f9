"""Max-norm with several radii next to unit and unconstrained rows: fraction and row lengths, ReLU.

Arpit section 2.1.2 names max-norm (no row longer than a constant c) as a way to bound the lengths
where they are not fixed; no experiment of the paper has it, so this is measured, no claim.
"""

from collections.abc import Iterable

import numpy as np

from experiments.drawing import style
from experiments.evidence.curves import cells, mean_over_seeds
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA, STRENGTHS
from experiments.pipeline.spec import GridSpec

CLAIMS = {"max-norm": "how max-norm's radius changes sparsity"}  # no claim of a paper
OBJECTIVES = ("dae", "cae", "sae")
CONSTRAINTS = {  # name, colour, marker, line
    "max-norm-0.5": ("max-norm, c = 0.5", "#E69F00", "v", "--"),
    "max-norm": ("max-norm, c = 1", "#0072B2", "s", "--"),
    "max-norm-2": ("max-norm, c = 2", "#CC3311", "^", "--"),
    "unit": ("length 1", "#000000", "o", "-"),
    "free": ("unconstrained", "#777777", "x", ":"),
}


def runs(plan: Plan) -> list[GridSpec]:
    """Colour patches alone; on the small data DAE and one radius, which shows how it looks."""
    few = not plan.scale.evidence
    objectives = OBJECTIVES[:1] if few else OBJECTIVES
    constraints = ("max-norm-0.5", "unit") if few else tuple(CONSTRAINTS)
    patches = plan.scale.datasets[1:]
    return [s for c in constraints for s in needed(plan, objectives, "relu", c, patches)]


def _of(runs, objective: str, constraint: str) -> list[GridSpec]:
    """The stored specs of a curve whose model at strength 0 is stored too."""
    return [
        s
        for s in runs
        if (s.objective, s.constraint) == (objective, constraint) and s.baseline in runs
    ]


def _mean(runs, specs: Iterable[GridSpec], name: str) -> np.ndarray:
    """A stored number over the strengths, the mean over seeds, without models that diverged."""
    sound = cells(runs, specs, "flagged_epoch") < 0
    return mean_over_seeds(np.where(sound, cells(runs, specs, name), np.nan))


def draw(runs, plan: Plan):
    """Fraction above and mean row length below, one column per objective."""
    from matplotlib.figure import Figure

    shown = [o for o in OBJECTIVES if any(s.objective == o for s in runs)] or OBJECTIVES[:1]
    figure = Figure(figsize=(3.6 * len(shown) + 1.2, 6.0), layout="constrained")
    axes = figure.subplots(2, len(shown), sharex=True, sharey="row", squeeze=False)
    for (above, below), objective in zip(axes.T, shown, strict=True):
        for constraint, (name, colour, marker, line) in CONSTRAINTS.items():
            specs = _of(runs, objective, constraint)
            if not specs:
                continue
            look = {"color": colour, "marker": marker, "linestyle": line, "label": name}
            for axis, variable in ((above, "activation_fraction"), (below, "row_length_mean")):
                axis.plot(STRENGTHS, _mean(runs, specs, variable), markersize=5, **look)
        above.set_title(style.label(objective))
        below.set_yscale("log", base=2)
        below.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        style.strength_axis(below, np.array(STRENGTHS))
        for axis in (above, below):
            axis.grid(alpha=0.25, linewidth=0.5)
    axes[0, 0].set_ylabel("average activation fraction")
    axes[1, 0].set_ylabel("mean row length")
    axes[0, 0].set_ylim(-0.03, 1.03)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    scale, dataset = plan.scale, plan.scale.datasets[1]
    rate = plan.learning_rate or DATA[dataset].learning_rate
    missing = [s.label for s in FIGURE.runs(plan) if s not in runs]
    not_run = ", ".join(dict.fromkeys(missing))
    return (
        scale.caveat
        + f"Average activation fraction and mean length of the rows after {scale.epochs} epochs "
        f"against σ²; ReLU, {DATA[dataset].title}, m = {scale.hidden}, N = {scale.samples}, batch "
        f"{scale.batch_size}, learning rate {rate:g}; mean over {plan.seeds} seeds. Models that "
        "diverged or collapsed are left out." + (f" Not run: {not_run}." if missing else "")
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """The fraction at both ends and the row length at the far one, for each objective."""
    rows = []
    for objective in OBJECTIVES:
        parts = []
        for constraint, (name, *_) in CONSTRAINTS.items():
            specs = _of(runs, objective, constraint)
            if specs:
                fraction, length = (
                    _mean(runs, specs, variable)
                    for variable in ("activation_fraction", "row_length_mean")
                )
                parts.append(
                    f"{name}: {fraction[0]:.3f} → {fraction[-1]:.3f}, length {length[-1]:.2f}"
                )
        if parts:
            statement = f"{style.label(objective)}: fraction from σ² = 0 to 1, and row length"
            rows.append(Verdict("max-norm", dataset, statement, "measured", "; ".join(parts)))
    return rows


FIGURE = Figure(
    about=__doc__,
    place="Section 2.1.1, max-norm",
    says=(
        "Where the rows have no fixed length, max-norm (no row longer than a constant) or "
        "weight decay bounds them. No experiment of the paper uses either."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
)
