"""Arpit section 2.2: how large DAE-2's term with the residual is, sigmoid and softplus."""

import numpy as np

from experiments.drawing import style
from experiments.evidence import claims, criteria
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA, STRENGTHS
from experiments.pipeline.spec import GridSpec

CLAIMS = {"A11": "Theorem 3's term with the residual is small after five epochs"}
ACTIVATIONS = ("sigmoid", "softplus")
GROUP = ("dataset", "activation")


def runs(plan: Plan) -> list[GridSpec]:
    """DAE-2 with smooth units under unit rows."""
    return [
        spec
        for activation in ACTIVATIONS
        for spec in needed(plan, ("dae2",), activation=activation, constraint="unit")
    ]


def _shares(runs, dataset: str, activation: str) -> np.ndarray:
    """Residual term over the others, mean over each epoch's steps; flagged cells NaN; [S, G, E]."""
    chosen = [
        run
        for s, run in runs.items()
        if (s.dataset, s.activation, s.objective) == (dataset, activation, "dae2")
    ]
    shares = np.stack([run["loss_residual_share"].values for run in chosen]).astype(float)
    flagged = np.stack([run["flagged_epoch"].values >= 0 for run in chosen])
    return np.where(flagged[..., None], np.nan, np.nan_to_num(shares, nan=np.inf))


def draw(runs, plan: Plan):
    """A panel per data set and activation: the share over epochs for every strength, seed 0."""
    figure, axes = style.table(2, 2)
    figure.set_size_inches(8, 6)
    for column, dataset in enumerate(plan.scale.datasets):
        for row, activation in enumerate(ACTIVATIONS):
            axis = axes[row][column]
            shares = _shares(runs, dataset, activation)[0]
            axis.set_yscale("log")
            axis.set_ylim(1e-5, 10)
            style.draw_epochs(axis, np.array(STRENGTHS[1:]), shares, first_epoch=1)
            last = shares.shape[1]
            axis.set_xticks([1, (1 + last) // 2, last])
            axis.axhline(claims.RESIDUAL_SHARE, color="#000000", linewidth=0.8, linestyle=":")
            axis.set_title(f"{DATA[dataset].title}, {activation}", fontsize=10)
        axes[0][column].set_xlabel("")
    for row in axes:
        row[0].set_ylabel("residual term / other terms")
    return figure


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    scale = plan.scale
    return (
        scale.caveat
        + "Size of DAE-2's term with the residual over that of its other two terms, mean over the "
        "updates of each epoch, against epochs, one line per σ² (numbers at the right, "
        "where they have room), seed 0; "
        f"dotted: {claims.RESIDUAL_SHARE:g}, below which A11 wants it after "
        f"{claims.RESIDUAL_EPOCH} epochs. Unit rows, m = {scale.hidden}, N = {scale.samples}."
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A11 on one data set, for each smooth activation."""
    decided = []
    small = np.array(STRENGTHS[1:]) <= claims.RESIDUAL_STRENGTH
    where = f"from epoch {claims.RESIDUAL_EPOCH} on, σ² ≤ {claims.RESIDUAL_STRENGTH:g}"
    for activation in dict.fromkeys(spec.activation for spec in runs):
        # the first recorded epoch is 1
        late = _shares(runs, dataset, activation)[:, small, claims.RESIDUAL_EPOCH - 1 :]
        needs = criteria.largest_at_most(late, claims.RESIDUAL_SHARE, f"largest share {where}")
        statement = f"residual term at most {claims.RESIDUAL_SHARE:.0%} of the others, {activation}"
        verdict = claims.settle("A11", dataset, statement, [needs], len(late))
        lost = int(np.isnan(late).any(axis=(0, 2)).sum())
        decided.append(claims.unless_flagged(verdict, lost))
    return decided


def explain(runs, verdict: Verdict) -> list[str]:
    """How the share grows with the strength, beside the reconstruction error."""
    activation = verdict.statement.rsplit(", ", 1)[1]
    last = np.nanmean(_shares(runs, verdict.dataset, activation)[..., -1], axis=0)
    where = (verdict.dataset, activation, "dae2")
    error = np.mean(
        [
            run["history_reconstruction"].values[:, -1]
            for s, run in runs.items()
            if (s.dataset, s.activation, s.objective) == where
        ],
        axis=0,
    )
    low, high = STRENGTHS[1], STRENGTHS[-1]
    return [
        f"After the last epoch the share is {last[0]:.3f} at σ² = {low:g} and {last[-1]:.3f} at "
        f"{high:g}; it is at most {claims.RESIDUAL_SHARE:.0%} at "
        f"{np.sum(last <= claims.RESIDUAL_SHARE)} of {len(last)} strengths. The term contains the "
        f"residual; the reconstruction error is {error[0]:.2f} and {error[-1]:.2f} there."
    ]


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    group=GROUP,
)
