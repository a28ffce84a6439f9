"""Arpit Figure 1, DAE on digit data: the curve over σ² and how it comes about over epochs."""

from experiments.drawing import panels, style
from experiments.evidence.curves import collect, over_epochs
from experiments.pipeline.figure import Figure
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import GridSpec

CLAIMS = {}


def runs(plan: Plan) -> list[GridSpec]:
    """DAE with ReLU under unit rows, and the shared strength-0 model; runs of Figure 1."""
    digits = plan.scale.datasets[:1]
    return needed(plan, ("dae",), activation="relu", constraint="unit", datasets=digits)


def draw(runs, plan: Plan):
    """Left the final fraction over σ², right the fraction over epochs, of the first seed."""
    (curve,) = collect(runs)
    figure, (final, along) = style.panels(2, f"DAE, ReLU, unit rows, {DATA[curve.dataset].title}")
    style.draw_curve(final, curve, panels.named(curve))
    style.strength_axis(final, curve.strengths)
    final.set_title("after training")
    style.draw_epochs(along, curve.strengths, over_epochs(runs, "dae", "activation_fraction"))
    along.set_title(f"over epochs, seed {plan.first_seed}")
    style.legend(figure, final, curve.flagged.any())
    return figure


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    return (
        panels.caption(runs, plan)
        + " Right: the fraction over epochs (σ² at the lines' ends where they have room), "
        f"seed {plan.first_seed}, on 5,000 samples at most."
    )


FIGURE = Figure(
    about=__doc__,
    place="Figure 1, over the epochs",
    says=(
        "The paper shows the fraction after 50 epochs only (section 3); how it comes about "
        "during training is not shown."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
)
