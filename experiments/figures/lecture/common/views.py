"""The panels of the Lecture's figure of over-fitting."""

from collections.abc import Mapping

import numpy as np

from experiments.evidence.bootstrap import mean_interval
from experiments.figures.lecture.common.errors import lowest

__all__ = ["draw_curves", "draw_errors", "draw_final"]

_BLACK, _BLUE, _GREY, _RED = "#000000", "#0072B2", "#777777", "#CC3311"
_LOOKS = (("#000000", "o", "-"), ("#0072B2", "s", "--"), ("#CC3311", "^", "-."))
_FROM = 1  # epoch from which curves are drawn: the error before training would rule the axis


def draw_curves(axis, over: Mapping, under: Mapping) -> None:
    """Errors over epochs of the over- and the under-complete model."""
    sizes = ((over, _BLACK, "o", "over-complete"), (under, _BLUE, "s", "under-complete"))
    for errors, colour, marker, who in sizes:
        for part, line in (("heldout", "-"), ("train", "--")):
            values = errors[part][:, _FROM:]
            epochs = np.arange(_FROM, errors[part].shape[1])
            said = {"heldout": "held-out", "train": "training"}[part]
            axis.plot(
                epochs, values.mean(axis=0), line, color=colour, marker=marker, markersize=4,
                markevery=len(epochs) // 6, label=f"{who}, {said}",
            )  # fmt: skip
            axis.fill_between(
                epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0
            )
    at = lowest(over["validation"].mean(axis=0))
    early = {"color": _RED, "markersize": 8, "zorder": 3, "label": "stopped early"}
    axis.plot(at, over["heldout"][:, at].mean(), "v", **early)
    axis.set_yscale("log")
    axis.set(xlabel="epoch", ylabel="error per sample (log)")
    axis.legend(
        frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), handlelength=3.5
    )


def draw_errors(axis, runs: Mapping, plain: Mapping) -> None:
    """Final held-out error against λ of every penalty, one seed; the plain model's as a line."""
    for (name, run), (colour, marker, line) in zip(runs.items(), _LOOKS, strict=True):
        strengths, errors, at = run["strength"], run["grid_heldout"], int(run["chosen"])
        look = {"color": colour, "linestyle": line, "label": name}
        axis.plot(strengths, errors, marker=marker, markersize=5, **look)
        ring = {"markersize": 12, "markerfacecolor": "none", "color": colour}
        axis.plot(strengths[at], errors[at], "o", **ring)
    axis.axhline(plain["heldout"][0, -1], color=_GREY, linestyle=":", label="plain")
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel="λ (ringed: chosen)", ylabel="held-out error per sample (log)")
    axis.legend(frameon=False, fontsize=7)


def draw_final(axis, models: Mapping[str, Mapping], early: Mapping[str, np.ndarray]) -> None:
    """Final held-out errors with their intervals, a row each; training errors hollow."""
    rows = [(name, errors["heldout"][:, -1], errors["train"][:, -1]) for name, errors in
            models.items()]  # fmt: skip
    rows[1:1] = [(name, errors, None) for name, errors in early.items()]
    for row, (_, heldout, train) in enumerate(rows):
        mean = mean_interval(heldout)
        axis.plot(mean[1:], (row, row), color=_BLACK, marker="|", markersize=10, linewidth=2)
        axis.plot(heldout, np.full(len(heldout), row + 0.25), "x", color=_GREY, markersize=4)
        axis.plot(mean.value, row, "o", color=_RED, markersize=5, zorder=3)
        if train is not None:
            axis.plot(train.mean(), row, "o", color=_BLACK, markerfacecolor="none", markersize=5)
    axis.set_yticks(range(len(rows)), [name.replace(", ", "\n") for name, *_ in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(left=-0.03 * axis.get_xlim()[1])  # markers at 0 whole
    axis.set_xlabel("error per sample\n(hollow: training)")
