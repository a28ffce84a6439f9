"""Arpit section 2.2: how large DAE-2's term with the residual is, sigmoid and softplus."""

import numpy as np

from experiments.drawing import panels, style
from experiments.evidence import claims, criteria
from experiments.evidence.curves import mean_over_seeds
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


def _late(runs, dataset: str, activation: str) -> np.ndarray:
    """The shares of the epochs that count; the first recorded one is 1."""
    return _shares(runs, dataset, activation)[..., claims.RESIDUAL_EPOCH - 1 :]


def draw(runs, plan: Plan):
    """A panel per data set and activation: the share against σ², in the epochs that A11 counts."""
    figure, axes = style.grid(len(ACTIVATIONS), len(plan.scale.datasets), "Residual term of DAE-2")
    strengths = np.array(STRENGTHS[1:])
    for row, activation in zip(axes, ACTIVATIONS, strict=True):
        for axis, dataset in zip(row, plan.scale.datasets, strict=True):
            shares = mean_over_seeds(_late(runs, dataset, activation))
            _draw_shares(axis, strengths, shares)
            style.strength_axis(axis, strengths)
            axis.set_title(f"{DATA[dataset].title}, {activation}")
            axis.set_xlabel("σ² (noise variance)")
        row[0].set_ylabel("residual / other terms")
    for axis in axes[0]:
        axis.set_xlabel("")
    figure.legend(
        *axes[0][0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
    )
    return figure


def _draw_shares(axis, strengths: np.ndarray, shares: np.ndarray) -> None:
    """Shares `[G, E]`: their span over the epochs, both ends, and the bound where it is asked."""
    first, last = shares[:, 0], shares[:, -1]
    axis.fill_between(
        strengths, shares.min(axis=1), shares.max(axis=1), color="#999999", alpha=0.4,
        linewidth=0, label=f"all epochs from {claims.RESIDUAL_EPOCH} on",
    )  # fmt: skip
    look = {"color": "#000000", "linewidth": 1.2, "markersize": 5, "markerfacecolor": "white"}
    axis.plot(
        strengths, first, marker="o", linestyle=":", label=f"epoch {claims.RESIDUAL_EPOCH}", **look
    )
    axis.plot(strengths, last, marker="s", label="last epoch", **look)
    asked = [0, claims.RESIDUAL_STRENGTH]
    axis.plot(
        asked, [claims.RESIDUAL_SHARE] * 2, color="#CC3311", linewidth=2,
        label=f"largest that A11 allows, σ² ≤ {claims.RESIDUAL_STRENGTH:g}",
    )  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylim(5e-4, 1)


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    scale = plan.scale
    return (
        scale.caveat
        + "Size of DAE-2's term with the residual over that of its other two terms, mean over the "
        f"updates of an epoch, against σ², from epoch {claims.RESIDUAL_EPOCH} on, which A11 wants "
        f"to be at most {claims.RESIDUAL_SHARE:g} up to σ² = {claims.RESIDUAL_STRENGTH:g} (thick "
        f"line). Unit rows, m = {scale.hidden}, N = {scale.samples}, {scale.epochs} epochs; "
        f"{panels.spread(plan).replace(' and min–max', '')}."
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """A11 on one data set, for each smooth activation."""
    decided = []
    small = np.array(STRENGTHS[1:]) <= claims.RESIDUAL_STRENGTH
    where = f"from epoch {claims.RESIDUAL_EPOCH} on, σ² ≤ {claims.RESIDUAL_STRENGTH:g}"
    for activation in dict.fromkeys(spec.activation for spec in runs):
        late = _late(runs, dataset, activation)[:, small]
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
    place="Section 2.2, terms of Theorem 3",
    says=(
        "The last term of DAE's expansion (eq. 7) depends on the reconstruction error, "
        "becomes small after a few epochs and leaves the field to the other two; besides, it "
        "is usually ignored, not being positive definite."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    group=GROUP,
)
