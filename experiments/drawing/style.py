"""The drawing style of every figure: readable in grey and when small."""

import numpy as np

from experiments.evidence.curves import Curve

__all__ = [
    "draw_cells",
    "draw_curve",
    "draw_epochs",
    "draw_quantity",
    "few_ticks",
    "label",
    "legend",
    "legend_of",
    "mark_diverged",
    "panels",
    "remark",
    "strength_axis",
    "table",
]

_LABEL_GAP = 0.028  # of the axis' height
_SMALLEST_TICK = 0.01  # 0.001 would overprint 0
# Colours differ in lightness as well as hue (Okabe–Ito), lines and markers differ too.
_LOOK = {
    "ae": ("AE", "#000000", "*", "-"),
    "dae": ("DAE", "#000000", "o", "-"),
    "cae": ("CAE", "#0072B2", "s", "-"),
    "cae-h": ("CAE+H", "#D55E00", "X", (0, (4, 2))),
    "mdae": ("mDAE", "#E69F00", "D", (0, (1, 1.5))),
    "sae": ("SAE", "#CC3311", "^", "-"),
    "edae": ("eDAE", "#009E73", "v", "-"),
    "dae2": ("DAE-2", "#56B4E9", "P", "-"),
    "dae2-kink": ("DAE-2 with kink", "#D55E00", "X", "-"),
    "dae-antithetic": ("DAE, ±ε pairs", "#CC79A7", "s", (0, (4, 2))),
    "mean-square": ("Σ(E h)²", "#CC79A7", "v", "-"),
    "weight-decay": ("weight decay", "#999999", "x", "-"),
}
# CAE's curve shows through those that coincide with it under unit rows, weak cells through AE's.
_HOLLOW = ("mdae", "cae-h", "ae")


def label(objective: str) -> str:
    """The objective's name as the papers write it."""
    return _LOOK[objective][0]


def panels(count: int, title: str):
    """A figure with `count` panels of shares side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * count, 4.1), layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    figure.suptitle(title, fontsize=11)
    for axis in axes:
        axis.set_ylim(-0.03, 1.03)
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share (of samples and units)")
    return figure, axes


def table(rows: int, columns: int, *, sharex: bool = True):
    """A table of small panels that share y and, unless told otherwise, x."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.75 * columns, 1.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=True, squeeze=False)
    axes[0][0].set_ylim(-0.03, 1.4)
    axes[0][0].set_yticks([0, 0.5, 1])
    axes[0][0].set_xticks([0, 0.5, 1])
    for axis in axes.flat:
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.tick_params(labelsize=7)
    return figure, axes


def remark(axis, text: str, outcome: str) -> None:
    """A remark at the top of a panel; a wrong one is framed, an abstention grey."""
    grey = {"abstained": "#777777"}.get(outcome, "#000000")
    frame = {"edgecolor": "#000000", "facecolor": "white"} if outcome == "wrong" else None
    axis.text(
        0.5,
        0.98,
        text,
        transform=axis.transAxes,
        ha="center",
        va="top",
        fontsize=6,
        color=grey,
        bbox=frame,
    )


def strength_axis(axis, strengths: np.ndarray) -> None:
    """σ² along x, spaced by σ so that the small values part."""
    axis.set_xscale("function", functions=(_signed_root, _signed_square))
    axis.set_xlim(-1e-3, 1.06)
    ticks = [s for s in strengths if s == 0 or s >= _SMALLEST_TICK]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=7)
    axis.set_xlabel("σ² (noise variance or coefficient; spaced by σ)")


def draw_epochs(axis, strengths: np.ndarray, history: np.ndarray, *, first_epoch: int = 0) -> None:
    """One line per strength over epochs, dark to light with the strength, labelled at its end.

    By the axis' scale and limits as they are: set them before.
    """
    import matplotlib as mpl

    colours = mpl.colormaps["viridis"](np.linspace(0, 0.85, len(strengths)))
    epochs = np.arange(history.shape[1]) + first_epoch
    last = epochs[-1]
    for line, colour in zip(history, colours, strict=True):
        axis.plot(epochs, line, color=colour, linewidth=1.3)
    axis.set_xlim(0, last * 1.1)
    axis.autoscale_view()
    heights = (axis.transScale + axis.transLimits).transform([(last, y) for y in history[:, -1]])
    above = np.inf
    for i in np.argsort(-history[:, -1]):
        height = heights[i, 1]
        if above - height >= _LABEL_GAP and height > 0:  # those that would overprint are left out
            at = (last, history[i, -1])
            axis.annotate(f"{strengths[i]:g}", at, (3, -2), textcoords="offset points", fontsize=6)
            above = height
    axis.set_xlabel("epoch (numbers at the right: σ²)")


def _signed_root(v):
    return np.sign(v) * np.sqrt(np.abs(v))


def _signed_square(v):
    return np.sign(v) * np.square(v)


def draw_curve(axis, curve: Curve, name: str, *, comparison: bool = False, line=None) -> None:
    """Mean over seeds, a min–max band, dead units lighter, flagged cells crossed out one by one.

    Dead units have their curve's marker, small and hollow, and leave flagged cells out too.
    `comparison` draws it hollow and dotted; `line` is another line style.
    """
    _, colour, marker, own = _LOOK[curve.objective]
    x, valid = curve.strengths, np.ma.masked_invalid(curve.valid)
    line = (0, (1, 1.5)) if comparison else line or own
    hollow = comparison or curve.objective in _HOLLOW
    axis.plot(
        x,
        valid.mean(axis=0),
        color=colour,
        marker=marker,
        linestyle=line,
        markersize=6.5 if hollow else 4.5,
        markerfacecolor="none" if hollow else colour,
        linewidth=1.6,
        label=name,
    )
    axis.fill_between(
        x, valid.min(axis=0), valid.max(axis=0), color=colour, alpha=0.18, linewidth=0
    )
    dead = np.ma.masked_where(curve.flagged, curve.dead).mean(axis=0)
    axis.plot(
        x,
        dead,
        color=colour,
        marker=marker,
        linestyle=(0, (1, 3)) if comparison else "--",
        markersize=3.5,
        markerfacecolor="none",
        markeredgewidth=0.6,
        linewidth=0.8,
        alpha=0.6,
    )
    _, where = np.nonzero(curve.flagged)
    heights = np.nan_to_num(curve.fraction[curve.flagged])
    axis.plot(x[where], heights, "x", color="#000000", markersize=8, zorder=5)


def draw_cells(axis, objective: str, x: np.ndarray, y: np.ndarray) -> None:
    """A mark per cell, the one that the objective's curves have."""
    name, colour, marker, _ = _LOOK[objective]
    hollow = objective in _HOLLOW
    axis.plot(
        x.ravel(),
        y.ravel(),
        marker,
        color=colour,
        markersize={"*": 9}.get(marker, 6 if hollow else 4),
        markerfacecolor="none" if hollow else colour,
        markeredgewidth=0.8,
        label=name,
    )


def draw_quantity(axis, objective: str, x: np.ndarray, mean: np.ndarray) -> None:
    """A line over strengths `[G]` in the look of the objective's curves, with every fourth marker.

    Markers of different objectives are at different strengths, so that coinciding lines show.
    """
    name, colour, marker, line = _LOOK[objective]
    hollow = objective in _HOLLOW
    axis.plot(
        x,
        mean,
        color=colour,
        marker=marker,
        linestyle=line,
        linewidth=1.2,
        markersize=5 if hollow else 4,
        markerfacecolor="none" if hollow else colour,
        markevery=(list(_LOOK).index(objective) % 4, 4),
        clip_on=False,
        label=name,
    )


def mark_diverged(axis, objective: str, strengths: np.ndarray, height: float) -> None:
    """Crosses where models of an objective diverged or collapsed, with its name, `height` up."""
    name, colour, _, _ = _LOOK[objective]
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


def few_ticks():
    """A locator for small panels."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)


def legend(figure, axis, flagged: bool) -> None:
    """One legend below all panels: the curves, what dashed means, what a cross means."""
    from matplotlib.lines import Line2D

    handles, _ = axis.get_legend_handles_labels()
    handles.append(
        Line2D([], [], color="#555555", linestyle="--", linewidth=0.8, label="dead units")
    )
    if flagged:
        handles.append(
            Line2D([], [], color="#000000", marker="x", linestyle="", label="diverged or collapsed")
        )
    rows = -(-len(handles) // 6)  # equally full
    figure.legend(
        handles=handles, loc="outside lower center", ncols=-(-len(handles) // rows), frameon=False
    )
