"""The panels of `modern_pareto`: a quantity of every method against its L0."""

from collections.abc import Mapping

import numpy as np

from experiments.figures.beyond.common.pareto import METHODS, Method

__all__ = ["draw"]

_GREY = "#777777"


def draw(real: Mapping, made: Mapping, name: str):
    """Four panels of runs by study: `real` of the data called `name`, `made` of generated data."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 8.2), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    titles = {
        "explained_variance": ("explained variance", (real, name), (made, "generated data")),
        "mean_cosine": ("mean best cosine with a true direction", (made, "generated data")),
        "matched_f1": ("F1 of matched units and directions", (made, "generated data")),
    }
    panels = [
        (quantity, label, *data) for quantity, (label, *both) in titles.items() for data in both
    ]
    for axis, (quantity, label, of_data, data_name) in zip(axes, panels, strict=True):
        for study, run in of_data.items():
            _curve(axis, METHODS[study.option("method")], run, quantity)
        axis.set_ylabel(label)
        axis.set_title(data_name, fontsize=10)
        _finish(axis, list(of_data.values()))
    study, run = next(iter(made.items()))
    for axis in axes[1:]:
        axis.axvline(study.option("active"), color=_GREY, linestyle=":", linewidth=1)
    axes[2].axhline(float(run["random_cosine"]), color=_GREY, linestyle="-.", linewidth=1)
    handles, _ = axes[0].get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def _curve(axis, method: Method, run, quantity: str) -> None:
    """The mean over seeds at each point, and the smallest and largest; without diverged models."""
    lost = (run["diverged_epoch"] >= 0).values
    l0, values = (np.ma.masked_array(run[name], lost) for name in ("l0", quantity))
    order = np.argsort(l0.mean(axis=0))
    x, values = l0.mean(axis=0)[order], values[:, order]
    axis.plot(
        x,
        values.mean(axis=0),
        color=method.colour,
        marker=method.marker,
        linestyle="--" if method.of_papers else "-",
        markersize=5,
        markerfacecolor="none" if method.of_papers else method.colour,
        linewidth=1.4,
        label=method.name,
    )
    low, high = values.min(axis=0), values.max(axis=0)
    axis.fill_between(x, low, high, color=method.colour, alpha=0.18, linewidth=0)


def _finish(axis, runs) -> None:
    axis.set_xscale("log", base=2)
    largest = max(float(run["l0"].max()) for run in runs)
    ticks = 2.0 ** np.arange(0, np.ceil(np.log2(largest)) + 1)
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_xlim(left=1)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("L0, mean number of active units")
    axis.grid(alpha=0.25, linewidth=0.5)
    axis.spines[["top", "right"]].set_visible(False)
