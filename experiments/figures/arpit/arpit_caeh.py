"""Arpit section 2.2: does CAE+H (Rifai et al. 2011a) behave like CAE?"""

from collections.abc import Mapping

import numpy as np

from aesparse.losses.objectives import HESSIAN_RATIO, HESSIAN_SIGMA
from experiments.drawing import style
from experiments.drawing.panels import named, spread
from experiments.evidence import claims, criteria
from experiments.evidence.curves import collect, described, only
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A13": "CAE+H behaves like CAE"}
GROUP = ("dataset", "activation")
OBJECTIVES = ("cae", "cae-h")
ACTIVATIONS = ("relu", "sigmoid")


def runs(plan: Plan) -> list[GridSpec]:
    """CAE and CAE+H with ReLU and with sigmoid units under unit rows."""
    return [s for a in ACTIVATIONS for s in needed(plan, OBJECTIVES, a, "unit")]


def draw(runs, plan: Plan):
    """A panel per data set and activation: ReLU above, sigmoid below."""
    curves, datasets = collect(runs), plan.scale.datasets
    title = "Activation fraction of CAE and CAE+H, unit rows"
    figure, axes = style.grid(len(ACTIVATIONS), len(datasets), title)
    for row, activation in zip(axes, ACTIVATIONS, strict=True):
        for axis, dataset in zip(row, datasets, strict=True):
            pair = [
                only(curves, dataset=dataset, activation=activation, objective=o)
                for o in OBJECTIVES
            ]
            style.draw_curves(axis, pair, named, pair[0].constraint)
            style.strength_axis(axis, pair[0].strengths)
            axis.set_title(f"{DATA[dataset].title}, {style.activation_label(activation)}")
            axis.set_xlabel("coefficient λ")
    for axis in axes[0]:
        axis.set_xlabel("")
    style.legend(figure, axes[0][0], any(c.flagged.any() for c in curves))
    return figure


def caption(runs, plan: Plan) -> str:
    """What the picture shows, with the class of every curve."""
    scale, specs = plan.scale, list(runs)
    rates = {DATA[s.dataset].title: f"{s.learning_rate:g}" for s in specs}
    classes = [
        f"{DATA[c.dataset].title} {style.activation_label(c.activation)} "
        f"{style.label(c.objective)} {described(c)}"
        for c in collect(runs)
    ]
    return (
        scale.caveat + "Average activation fraction (thick) and dead units (thin) of "
        "CAE and of CAE+H, which adds γ E‖J(x) − J(x + ε)‖² with noise of standard deviation "
        f"{HESSIAN_SIGMA:g} and γ = {HESSIAN_RATIO:g} λ; rows of unit length, m = {scale.hidden}, "
        f"N = {scale.samples}, {scale.epochs} epochs, learning rate "
        f"{', '.join(f'{title} {rate}' for title, rate in rates.items())}; {spread(plan)}. "
        f"Directions: {'; '.join(classes)}. ReLU's slopes are constant in "
        "pieces, so the gradients of both terms only point along the rows, which unit rows remove: "
        "those curves are flat by construction."
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A13 on one data set, for each activation; with ReLU by construction."""
    decided = []
    for activation in dict.fromkeys(spec.activation for spec in runs):
        pair = [
            only(collect(runs), dataset=dataset, activation=activation, objective=o)
            for o in OBJECTIVES
        ]
        if activation == "relu":  # neither penalty has a gradient that unit rows leave
            needs = criteria.agree(*pair)
            verdict = claims.by_construction(
                claims.decide("A13", "CAE+H and CAE agree, ReLU", needs, pair)
            )
        else:
            statement = f"CAE+H close to CAE, {style.activation_label(activation)}"
            needs, given = criteria.apart_by_range(*pair), criteria.moves(pair[0], "CAE's range")
            verdict = claims.decide("A13", statement, needs, pair, given)
        added = _added(runs, dataset, activation)
        decided.append(verdict._replace(numbers=verdict.numbers + added))
    return decided


def _added(runs: Mapping, dataset: str, activation: str) -> str:
    """How large the added term is beside CAE's own at λ = 1 in the first and the last epoch."""
    ends = [
        HESSIAN_RATIO * run["loss_jacobian_change"].values[-1] / run["loss_penalty"].values[-1]
        for spec, run in runs.items()
        if (spec.dataset, spec.activation, spec.objective) == (dataset, activation, "cae-h")
    ]
    first, last = np.mean([end[[0, -1]] for end in ends], axis=0)
    return f"; the added term at λ = 1 is {first:.2f} of CAE's in epoch 1, {last:.2f} at the end"


FIGURE = Figure(
    about=__doc__,
    place="Section 2.2, higher-order contraction",
    says=(
        "CAE+H has the same first-order penalty as CAE and should therefore behave similarly "
        "with respect to sparsity."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    group=GROUP,
)
