"""The picture of a path: what is explained against how many units it takes."""

from typing import Any

import numpy as np

from aesparse.estimators.points import of_rate, rates

__all__ = ["draw_path"]


def draw_path(table: dict[str, np.ndarray], best: int | None, axes: Any = None) -> Any:
    """Explained variance against active units per sample; returns matplotlib's axes.

    Every model is a point, the means over seeds of a learning rate a line, their extremes a band,
    the model at row `best` a star.
    """
    import matplotlib.pyplot as plt

    if axes is None:
        _, axes = plt.subplots(layout="constrained")
    for rate in rates(table):
        rows = of_rate(table, rate)
        l0, explained = table["l0"][rows], 1 - table["unexplained"][rows]
        label = "" if np.isnan(rate) else f"learning rate {rate:g}"
        points = axes.plot(l0, explained, ".", alpha=0.5, markersize=4)[0]
        _, which = np.unique(table["strength"][rows], return_inverse=True)
        groups = [which == i for i in range(which.max() + 1)]
        mean = np.array([l0[g].mean() for g in groups])
        order = np.argsort(mean)
        low, middle, high = (
            np.array([of(explained[g]) for g in groups])[order] for of in (np.min, np.mean, np.max)
        )
        axes.plot(mean[order], middle, color=points.get_color(), label=label)
        axes.fill_between(mean[order], low, high, color=points.get_color(), alpha=0.2, linewidth=0)
    if best is not None:
        star = {"marker": "*", "markersize": 14, "color": "black", "linestyle": "none"}
        label = f"chosen, strength {table['strength'][best]:.3g}"
        axes.plot(table["l0"][best], 1 - table["unexplained"][best], label=label, **star)
    axes.set_xlabel("active units per sample")
    axes.set_ylabel("explained variance")
    if axes.get_legend_handles_labels()[1]:
        axes.legend()
    return axes
