"""The picture of the theorems: margins, orders, tightness."""

import jax
import numpy as np

from aesparse.models.activations import get_activation
from aesparse.models.one_layer import preactivation
from aesparse.theorems import attacks, rows
from aesparse.theory import properties, sparsity, statements
from aesparse.theory.conjectures import CONJECTURES
from aesparse.theory.falsifier import Size, centred, draw_many
from aesparse.theory.pictures import COLOURS, LINES, four_panels

__all__ = ["draw_theorems"]

_GREY = "#777777"

_SMALLEST = 1e-18  # margins below are drawn here


def draw_theorems():
    """Margins on random problems, T6's orders, the tightness of Lemma 1 and of Theorem 2."""
    figure, (top_left, top_right, left, right) = four_panels(10.5, 8.5)
    with jax.enable_x64(True):
        _draw_margins(top_left)
        _draw_orders(top_right)
        _draw_lemma1(left)
        _draw_theorem2(right)
    return figure


def _draw_margins(axis) -> None:
    true = [c for c in CONJECTURES if c.true]
    for row, conjecture in enumerate(true):
        margins = attacks.margins(conjecture, attacks.PROBLEMS)
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
        f"{attacks.PROBLEMS:,} random problems; 0 stands at 10⁻¹⁸)",
        fontsize=8,
    )
    axis.set_title("Statements that hold", fontsize=9)


def _draw_orders(axis) -> None:
    for (name, (residual, order)), line, colour in zip(
        rows.expansion_curves().items(), LINES, COLOURS, strict=True
    ):
        axis.loglog(
            rows.SIGMAS,
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
    problems = draw_many(jax.random.key(2), Size(3, 4, 12), attacks.PROBLEMS)
    problems = jax.vmap(centred)(problems)
    return problems._replace(params=problems.params._replace(bias=problems.params.bias + bias))


def _draw_lemma1(axis) -> None:
    problems = _problems(0.0)
    for name, line, colour in zip(
        ("relu", "softplus", "sigmoid", "tanh"), LINES, COLOURS, strict=False
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
        "measured": {"linestyle": "", "marker": ".", "color": _GREY, "alpha": 0.4, "markersize": 2},
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
            gap[order], values, label=names.get(name, name), rasterized=name == "measured", **look
        )
    axis.set_xlim(0, 4)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("(a_min − E[a_j]) / std of a_j", fontsize=8)
    axis.set_ylabel("Pr(h_j ≤ δ_min)", fontsize=8)
    axis.set_title("Theorem 2: its bound and better ones", fontsize=9)
    axis.legend(fontsize=7, frameon=False)
