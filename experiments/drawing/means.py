"""A table of panels: a row per activation and constraint, a column per quantity."""

from collections.abc import Sequence

import numpy as np

from experiments.drawing import style
from experiments.evidence.curves import mean_over_seeds
from experiments.evidence.trends import Sweep
from experiments.pipeline.protocol import DATA, STRENGTHS

__all__ = ["ACTIVATIONS", "COLUMNS", "ROWS", "draw_table", "legend_of"]

ACTIVATIONS = {"relu": "ReLU", "sigmoid": "sigmoid", "softplus": "softplus"}
ROWS = {"unit": "unit", "unit-rescale": "rescaled", "free": "unconstrained"}
COLUMNS = {
    "preactivation_mean": "mean E[a_j]",
    "activation_fraction": "activation fraction",
    "row_length_mean": "mean row length",
}
_ORDER = ("dae", "cae", "mdae", "sae")  # of the markers along the lines
_TICKS = {
    "preactivation_mean": ([-3, -1, 0, 1], ["−3", "−1", "0", "1"]),
    "activation_fraction": ([0, 0.5, 1], ["0", "0.5", "1"]),
    "row_length_mean": ([0.3, 1, 3], ["0.3", "1", "3"]),
}


def draw_table(found: Sequence[Sweep], datasets: Sequence[str], objectives: Sequence[str]):
    """A block per data set. `found` are the sweeps to be drawn, of seeds that are all stored.

    A panel names those of the `objectives` that it lacks.
    """
    from matplotlib.figure import Figure as Picture
    from matplotlib.text import Text

    settings = [(a, c) for c in ROWS for a in ACTIVATIONS]
    picture = Picture(figsize=(6.4, 19.5), layout="constrained")
    blocks = picture.subfigures(len(datasets), 1)
    for block, dataset in zip(blocks, datasets, strict=True):
        block.suptitle(DATA[dataset].title, fontsize=11)
        axes = block.subplots(len(settings), len(COLUMNS), sharex=True, sharey="col")
        _scales(axes, found)
        for row, (activation, constraint) in zip(axes, settings, strict=True):
            here = (dataset, activation, constraint)
            shown = [
                s for s in found if (s.spec.dataset, s.spec.activation, s.spec.constraint) == here
            ]
            row[0].set_ylabel(f"{ACTIVATIONS[activation]}\n{ROWS[constraint]}", fontsize=8)
            for axis, (name, _) in zip(row, COLUMNS.items(), strict=True):
                if name == "row_length_mean" and constraint != "free":
                    axis.set_axis_off()
                    _say(axis, 0.5, "rows of length 1")
                else:
                    _draw_panel(axis, shown, name, objectives)
    legend_of(picture, axes.flat)
    for text in picture.findobj(Text):
        text.set_fontfamily("DejaVu Sans")  # not a list of fonts, with every text of the SVG
    return picture


def _shown(sweep: Sweep, name: str) -> np.ndarray:
    """What a panel shows: E[a_j] in deviations of a_j at strength 0, the others as they are."""
    values = sweep.values(name)
    if name == "preactivation_mean":
        values = values / np.sqrt(sweep.values("preactivation_variance")[:, :1])
    return values


def _scales(axes, found: Sequence[Sweep]) -> None:
    """The scales of a block, which all blocks have: σ² across, a quantity per column."""
    style.strength_axis(axes[0][0], np.array(STRENGTHS))
    axes[0][0].set_xticks([0, 0.25, 1], ["0", "0.25", "1"])
    for column, (name, title) in enumerate(COLUMNS.items()):
        axis = axes[0][column]
        axis.set_title(title + ", in sd" * (name == "preactivation_mean"), fontsize=8)
        values = [mean_over_seeds(_shown(sweep, name)) for sweep in found]
        known = np.concatenate([v[np.isfinite(v)] for v in values]) if values else np.zeros(0)
        low, high = (known.min(), known.max()) if len(known) else (1, 1)
        if name == "activation_fraction":
            axis.set_ylim(-0.03, 1.03)
        elif name == "row_length_mean":
            axis.set_yscale("log")
            axis.set_ylim(min(low, 0.5) / 1.3, max(high, 2) * 1.3)
        else:
            axis.set_yscale("asinh", linear_width=0.5)
            axis.set_ylim(1.3 * min(low, -1), 1.3 * max(high, 1))
        axis.set_yticks(*_TICKS[name])
        axis.minorticks_off()
    for axis in axes.flat:
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.tick_params(labelsize=7, left=False)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[:-1].flat:
        axis.xaxis.set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("σ² (spaced by σ)", fontsize=8)


def _draw_panel(axis, shown: list[Sweep], name: str, objectives: Sequence[str]) -> None:
    """A quantity of the objectives of one setting; missing and diverged ones named."""
    for sweep in shown:
        mean = mean_over_seeds(_shown(sweep, name))
        _draw_line(axis, sweep.spec.objective, sweep.curve.strengths, mean)
    missing = [o for o in objectives if o not in {s.spec.objective for s in shown}]
    if len(missing) == len(objectives):
        _say(axis, 0.5, "not run")
    elif missing:
        _say(axis, 0.9, f"not run: {', '.join(map(style.label, missing))}")
    lost = [s for s in shown if s.curve.flagged.any()]
    for i, sweep in enumerate(lost):
        where = sweep.curve.strengths[sweep.curve.flagged.any(axis=0)]
        _mark_diverged(axis, sweep.spec.objective, where, 0.06 + 0.11 * i)


def _say(axis, height: float, text: str) -> None:
    axis.text(
        0.5, height, text, transform=axis.transAxes, ha="center", va="center", fontsize=7,
        color="#555555",
    )  # fmt: skip


def _draw_line(axis, objective: str, x: np.ndarray, mean: np.ndarray) -> None:
    """A line over strengths `[G]` in the look of the objective's curves, with every fourth marker.

    Markers of different objectives are at different strengths, so that coinciding lines show.
    """
    name, colour, marker, line, hollow = style.look(objective)
    axis.plot(
        x,
        mean,
        color=colour,
        marker=marker,
        linestyle=line,
        linewidth=1.2,
        markersize=5 if hollow else 4,
        markerfacecolor="none" if hollow else colour,
        markevery=(_ORDER.index(objective), 4),
        clip_on=False,
        label=name,
    )


def _mark_diverged(axis, objective: str, strengths: np.ndarray, height: float) -> None:
    """Crosses where models of an objective diverged or collapsed, with its name, `height` up."""
    name, colour, *_ = style.look(objective)
    across = axis.get_xaxis_transform()
    axis.plot(strengths, np.full(len(strengths), height), "x", color=colour, markersize=4,
              markeredgewidth=0.9, transform=across)  # fmt: skip
    axis.annotate(
        name, (strengths.min(), height), (-4, 0), xycoords=across, textcoords="offset points",
        ha="right", va="center", fontsize=6, color=colour,
    )  # fmt: skip


def legend_of(figure, axes) -> None:
    """One legend below all panels of what any of them shows, each label once."""
    marks: dict = {}
    for axis in axes:
        marks = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True)) | marks
    figure.legend(
        marks.values(), marks, loc="outside lower center", ncols=min(len(marks) or 1, 5),
        frameon=False,
    )  # fmt: skip
