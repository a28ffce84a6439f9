"""The picture of an audit: one activation with one penalty on one data set."""

import jax
import jax.numpy as jnp
import numpy as np

from aesparse.theory.audited import Audit
from aesparse.theory.response import STRENGTHS

__all__ = ["COLOURS", "LINES", "draw_audit", "four_panels"]

_GREY = "#777777"
LINES = ("-", "--", ":", "-.", (0, (5, 1)))
COLOURS = ("#000000", "#0072B2", "#CC3311", "#E69F00", "#777777")


def four_panels(width: float, height: float):
    """A matplotlib figure of this size in inches, and its four axes in reading order."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for axis in axes:
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    return figure, axes


def draw_audit(audit: Audit, title: str):
    """The activation where the data lies, bias gradients, optimizer steps, forecast activity."""
    figure, (top_left, top_right, left, right) = four_panels(9.0, 6.6)
    figure.suptitle(f"{title}: {audit.conclusion}", fontsize=11)
    with jax.enable_x64(True):
        _draw_activation(top_left, audit)
    order = np.argsort(audit.pull)
    _bars(top_right, audit.pull[order], "reconstruction, ∂J_AE/∂b", "#777777", -0.2)
    _bars(top_right, audit.push[order], "penalty at λ = 1, ∂R/∂b", "#000000", 0.2)
    top_right.axhline(0, color="#000000", linewidth=0.6)
    top_right.set_yscale("symlog", linthresh=1e-3)
    top_right.set_xlabel("hidden unit, sorted", fontsize=8)
    top_right.set_ylabel("bias gradient (> 0 lowers E[a_j])", fontsize=8)
    top_right.legend(fontsize=7, frameon=False)
    for (name, response), line, colour in zip(
        audit.responses.items(), LINES, COLOURS, strict=False
    ):
        left.semilogx(STRENGTHS, response.falling, linestyle=line, color=colour, label=name)
        if np.isfinite(response.saturation):
            left.axvline(response.saturation, color=colour, linewidth=0.8, linestyle=line)
    left.set_ylim(-0.03, 1.03)
    left.set_xlabel("λ (vertical line: the step no longer changes)", fontsize=8)
    left.set_ylabel("share of units whose E[a_j] falls", fontsize=8)
    left.legend(fontsize=7, frameon=False)
    _draw_forecast(right, audit)
    return figure


def _draw_forecast(axis, audit: Audit) -> None:
    """The simulated fraction over updates, per strength, and where the training is to end."""
    forecast = audit.forecast
    path = forecast.path
    for fraction, end, strength, line, colour in zip(
        path.fraction, forecast.fraction, forecast.strengths, LINES, COLOURS, strict=False
    ):
        axis.plot(path.updates, fraction, linestyle=line, color=colour, label=f"λ = {strength:g}")
        axis.plot(forecast.updates, end, "o", color=colour, markersize=4, clip_on=False)
    axis.set_ylim(-0.03, 1.03)
    axis.set_xlabel("updates (simulated; circles: forecast at the end)", fontsize=8)
    axis.set_ylabel(f"share active: {forecast.says}", fontsize=8)
    axis.legend(fontsize=7, frameon=False)


def _bars(axis, values, label: str, colour: str, shift: float) -> None:
    axis.bar(np.arange(len(values)) + shift, values, width=0.4, color=colour, label=label)


def _draw_activation(axis, audit: Audit) -> None:
    reach = max(4.0, float(np.abs(audit.preactivations).max()))
    a = jnp.linspace(-reach, reach, 400)
    s = audit.activation
    axis.plot(a, s(a), "-", color="#000000", label="s")
    axis.plot(a, s.slope(a), "--", color="#0072B2", label="s'")
    axis.plot(a, s.curvature(a), ":", color="#CC3311", label="s''")
    low, high = audit.preactivations[[10, -11]]
    axis.axvspan(low, high, color=_GREY, alpha=0.15, linewidth=0, label="90% of a_j on the data")
    axis.set_ylim(-0.6, 2.0)
    axis.set_xlabel("a", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
