"""The drawing style of every figure: readable in grey and when small."""

from collections.abc import Callable, Sequence

import numpy as np

from experiments.evidence.curves import Curve, distance

__all__ = [
    "activation_label",
    "draw_cells",
    "draw_curve",
    "draw_curves",
    "draw_epochs",
    "draw_rings",
    "empty",
    "few_ticks",
    "grid",
    "label",
    "legend",
    "look",
    "panels",
    "remark",
    "strength_axis",
    "table",
]

_LABEL_GAP = 0.028  # of the axis' height
_SMALLEST_TICK = 0.01  # 0.001 would overprint 0
_MOST_TICKS = 8  # with a number each
_COINCIDE = 0.02  # curves nowhere further apart would hide each other's markers
_IN_LEGEND = 5  # entries of a row
_RING = "#555555"  # in the legend; in a panel it has its curve's colour
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


def look(objective: str) -> tuple[str, str, str, object, bool]:
    """An objective's name, colour, marker and line, and whether its markers are hollow."""
    return *_LOOK[objective], objective in _HOLLOW


def label(objective: str) -> str:
    """The objective's name as the papers write it."""
    return _LOOK[objective][0]


def activation_label(activation: str) -> str:
    """The activation's name as the papers write it."""
    return {"relu": "ReLU"}.get(activation, activation)


def panels(count: int, title: str):
    """A figure with `count` panels of shares side by side."""
    figure, axes = grid(1, count, title)
    return figure, axes[0]


def grid(rows: int, columns: int, title: str):
    """A figure with rows of panels of shares."""
    from matplotlib.figure import Figure

    size = (3.7 * columns, 2.6 * rows + 1.1)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=rows > 1, sharey=True, squeeze=False)
    figure.suptitle(title, fontsize=12)
    for axis in axes.flat:
        axis.set_ylim(-0.03, 1.03)
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    for row in axes:
        row[0].set_ylabel("share (of pairs or units)")
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
    """σ² along x, spaced by σ so that the small values part; every other strength with a number."""
    axis.set_xscale("function", functions=(_signed_root, _signed_square))
    axis.set_xlim(-1e-3, 1.06)
    ticks = [s for s in strengths if s == 0 or s >= _SMALLEST_TICK]
    numbered = ticks[::2] if len(ticks) > _MOST_TICKS else ticks
    axis.set_xticks(numbered, [f"{t:g}" for t in numbered], fontsize=9)
    axis.set_xticks([t for t in ticks if t not in numbered], minor=True)
    axis.set_xlabel("σ² (noise variance or coefficient)")


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


def draw_curves(axis, curves: Sequence[Curve], name: Callable[[Curve], str], usual: str) -> None:
    """Curves of one panel; those that coincide have their markers at different strengths.

    Curves of another constraint than the `usual` one are drawn as comparisons.
    """
    for curve in curves:
        alike = [
            c is curve
            for c in curves
            if distance(c.strengths, c.mean, curve.mean) <= _COINCIDE or c is curve
        ]
        comparison = curve.constraint != usual
        every = (alike.index(True), len(alike))
        draw_curve(axis, curve, name(curve), comparison=comparison, every=every)


def draw_curve(
    axis, curve: Curve, name: str, *, comparison: bool = False, line=None, every=(0, 1)
) -> None:
    """Mean over seeds, a min–max band, dead units lighter, lost models crossed out one by one.

    Dead units have their curve's marker, small and hollow, and leave lost models out too.
    `comparison` draws it hollow and dotted; `line` is another line style; `every` has the first
    strength with a marker and the step to the next.
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
        markevery=every,
        linestyle=line,
        markersize=7 if hollow else 5,
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
        markevery=every,
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


def draw_rings(axis, curve: Curve, where: np.ndarray, size: float) -> None:
    """Rings of the curve's colour around its points at some strengths, `[G]`."""
    axis.plot(
        curve.strengths[where],
        curve.mean[where],
        "o",
        color=_LOOK[curve.objective][1],
        markersize=size,
        markerfacecolor="none",
        markeredgewidth=0.9,
    )


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


def empty(axis, text: str) -> None:
    """A panel without curves says why."""
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", fontsize=10)


def few_ticks():
    """A locator for small panels."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)


def legend(figure, axis, flagged: bool, rings: str = "") -> None:
    """One legend below all panels: the curves, what dashed, a cross and, if any, a ring mean."""
    from matplotlib.lines import Line2D

    handles, _ = axis.get_legend_handles_labels()
    handles.append(
        Line2D([], [], color="#555555", linestyle="--", linewidth=0.8, label="dead units")
    )
    marks = [("x", "#000000", "diverged or collapsed")] if flagged else []
    marks += [("o", _RING, rings)] if rings else []
    handles += [
        Line2D([], [], color=colour, marker=mark, markerfacecolor="none", linestyle="", label=text)
        for mark, colour, text in marks
    ]
    rows = -(-len(handles) // _IN_LEGEND)  # equally full
    figure.legend(
        handles=handles, loc="outside lower center", ncols=-(-len(handles) // rows), frameon=False
    )
