"""The pictures of the theory: margins, orders, tightness; and the audit of one pair."""

import jax
import jax.numpy as jnp
import numpy as np

from aesparse.activations import get_activation
from aesparse.model import preactivation
from aesparse.theory import properties, report, sparsity, statements
from aesparse.theory.conclusion import Audit
from aesparse.theory.conjectures import CONJECTURES
from aesparse.theory.falsifier import Size, centred, draw_many
from aesparse.theory.response import STRENGTHS

__all__ = ["draw_audit", "draw_theorems"]

_GREY = "#777777"
_LINES = ("-", "--", ":", "-.", (0, (5, 1)))
_COLOURS = ("#000000", "#0072B2", "#CC3311", "#E69F00", "#777777")
_SMALLEST = 1e-18  # margins below are drawn here


def _panels(width: float, height: float):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for axis in axes:
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=7)
    return figure, axes


def draw_theorems():
    """Margins on random problems, T6's orders, the tightness of Lemma 1 and of Theorem 2."""
    figure, (top_left, top_right, left, right) = _panels(10.5, 8.5)
    with jax.enable_x64(True):
        _draw_margins(top_left)
        _draw_orders(top_right)
        _draw_lemma1(left)
        _draw_theorem2(right)
    return figure


def _draw_margins(axis) -> None:
    true = [c for c in CONJECTURES if c.true]
    for row, conjecture in enumerate(true):
        margins = report.margins(conjecture)
        if len(margins):
            sizes = np.maximum(np.abs(np.quantile(margins, [0, 0.5, 1])), _SMALLEST)
            exact = conjecture.identity
            axis.plot(
                [sizes.min(), sizes.max()],
                [row, row],
                color=_GREY if exact else "#000000",
                linestyle=":" if exact else "-",
                linewidth=1.5,
            )
            axis.plot(
                sizes[1],
                row,
                "o",
                color=_GREY if exact else "#000000",
                markersize=4,
                markerfacecolor="none" if exact else "#000000",
            )
    axis.set_xscale("log")
    axis.set_yticks(range(len(true)), [f"{c.id}  {c.title}" for c in true], fontsize=6)
    axis.invert_yaxis()
    axis.set_xlabel(
        "● margin of the worst unit   ○ relative error of an identity\n(median and range over "
        f"{report.PROBLEMS:,} random problems; 0 stands at 10⁻¹⁸)",
        fontsize=8,
    )
    axis.set_title("Statements that hold", fontsize=9)


def _draw_orders(axis) -> None:
    for (name, (residual, order)), line, colour in zip(
        report.expansion_curves().items(), _LINES, _COLOURS, strict=True
    ):
        axis.loglog(
            report.SIGMAS,
            residual,
            linestyle=line,
            color=colour,
            marker="o",
            markersize=3,
            label=f"{name}: order {order:.2f}",
        )
    axis.set_xlabel("σ", fontsize=8)
    axis.set_ylabel("|J_DAE − (J_AE + σ² penalty)|", fontsize=8)
    axis.set_title("Theorem 3: the remainder of the expansion", fontsize=9)
    axis.legend(fontsize=7, frameon=False)


def _problems(bias: float):
    problems = draw_many(jax.random.key(2), Size(3, 4, 12), report.PROBLEMS)
    problems = jax.vmap(centred)(problems)
    return problems._replace(params=problems.params._replace(bias=problems.params.bias + bias))


def _draw_lemma1(axis) -> None:
    problems = _problems(0.0)
    for name, line, colour in zip(
        ("relu", "softplus", "sigmoid", "tanh"), _LINES, _COLOURS, strict=False
    ):
        s = get_activation(name)
        claims = jax.jit(jax.vmap(lambda p, s=s: statements.lemma1(p.params, p.X, s)))(problems)
        used = np.sort(1 - np.asarray(claims.margin).ravel())
        axis.plot(
            used,
            np.linspace(0, 1, len(used)),
            linestyle=line,
            color=colour,
            label=f"{name}: at most {used[-1]:.2f}",
        )
    axis.axvline(1, color=_GREY, linewidth=0.8)
    axis.set_xlim(0, 1.03)
    axis.set_xlabel("|∂J_AE/∂b_j| over its bound 2σ_r√n‖W_j‖", fontsize=8)
    axis.set_ylabel("share of units below", fontsize=8)
    axis.set_title("Lemma 1: how much of the bound is used", fontsize=9)
    axis.legend(fontsize=7, frameon=False)


def _draw_theorem2(axis) -> None:
    problems, s = _problems(-4.0), get_activation("relu")
    bounds = jax.jit(jax.vmap(lambda p: sparsity.theorem2_bounds(p.params, p.X, s)))(problems)
    a = jax.vmap(lambda p: preactivation(p.params, p.X))(problems)
    threshold = properties.activation_threshold(s)
    gap = np.asarray((threshold - a.mean(axis=1)) / a.std(axis=1)).ravel()
    order = np.argsort(gap)
    looks = {
        "found": {"linestyle": "", "marker": ".", "color": _GREY, "alpha": 0.4, "markersize": 2},
        "gaussian": {"linestyle": ":", "color": "#0072B2"},
        "cantelli": {"linestyle": "--", "color": "#CC3311"},
        "chebyshev": {"linestyle": "-", "color": "#000000"},
    }
    names = {
        "gaussian": "if a_j were Gaussian (no bound)",
        "cantelli": "Cantelli",
        "chebyshev": "Chebyshev (paper)",
    }
    for name, look in looks.items():
        values = np.asarray(bounds[name]).ravel()[order]
        axis.plot(
            gap[order], values, label=names.get(name, name), rasterized=name == "found", **look
        )
    axis.set_xlim(0, 4)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("(a_min − E[a_j]) / std of a_j", fontsize=8)
    axis.set_ylabel("Pr(h_j ≤ δ_min)", fontsize=8)
    axis.set_title("Theorem 2: its bound and better ones", fontsize=9)
    axis.legend(fontsize=7, frameon=False)


def draw_audit(found: Audit, title: str):
    """The activation where the data lies, bias gradients, optimizer steps, activity."""
    figure, (top_left, top_right, left, right) = _panels(9.0, 6.6)
    figure.suptitle(f"{title}: {found.conclusion}", fontsize=11)
    with jax.enable_x64(True):
        _draw_activation(top_left, found)
    order = np.argsort(found.pull)
    _bars(top_right, found.pull[order], "reconstruction, ∂J_AE/∂b", "#777777", -0.2)
    _bars(top_right, found.push[order], "penalty at λ = 1, ∂R/∂b", "#000000", 0.2)
    top_right.axhline(0, color="#000000", linewidth=0.6)
    top_right.set_yscale("symlog", linthresh=1e-3)
    top_right.set_xlabel("hidden unit, sorted", fontsize=8)
    top_right.set_ylabel("bias gradient (> 0 lowers E[a_j])", fontsize=8)
    top_right.legend(fontsize=7, frameon=False)
    for (name, response), line, colour in zip(
        found.responses.items(), _LINES, _COLOURS, strict=False
    ):
        left.semilogx(STRENGTHS, response.falling, linestyle=line, color=colour, label=name)
        if np.isfinite(response.saturation):
            left.axvline(response.saturation, color=colour, linewidth=0.8, linestyle=line)
    left.set_ylim(-0.03, 1.03)
    left.set_xlabel("λ (vertical line: the step no longer changes)", fontsize=8)
    left.set_ylabel("share of units whose E[a_j] falls", fontsize=8)
    left.legend(fontsize=7, frameon=False)
    right.plot(found.predicted_active, found.active, "o", color="#000000", markersize=3, alpha=0.6)
    shares = np.concatenate([found.predicted_active, found.active])
    limits = (shares.min() - 0.02, shares.max() + 0.02)
    right.plot(limits, limits, color=_GREY, linewidth=0.8)
    right.set_xlim(limits)
    right.set_ylim(limits)
    right.set_xlabel("active, predicted for Gaussian a_j", fontsize=8)
    right.set_ylabel("active, measured", fontsize=8)
    return figure


def _bars(axis, values, label: str, colour: str, shift: float) -> None:
    axis.bar(np.arange(len(values)) + shift, values, width=0.4, color=colour, label=label)


def _draw_activation(axis, found: Audit) -> None:
    reach = max(4.0, float(np.abs(found.preactivations).max()))
    a = jnp.linspace(-reach, reach, 400)
    s = found.activation
    axis.plot(a, s(a), "-", color="#000000", label="s")
    axis.plot(a, s.slope(a), "--", color="#0072B2", label="s'")
    axis.plot(a, s.curvature(a), ":", color="#CC3311", label="s''")
    low, high = found.preactivations[[10, -11]]
    axis.axvspan(low, high, color=_GREY, alpha=0.15, linewidth=0, label="90% of a_j on the data")
    axis.set_ylim(-0.6, 2.0)
    axis.set_xlabel("a", fontsize=8)
    axis.legend(fontsize=7, frameon=False)
