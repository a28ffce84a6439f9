"""SAE's unconstrained rows: their growth by the length of a step beyond the tangent start."""

from collections.abc import Mapping

import numpy as np

from aesparse.losses.sparsity import POLE
from experiments.drawing.means import legend_of
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, MOMENTUM
from experiments.pipeline.spec import Study

CLAIMS = {"A18": "why SAE's unconstrained rows grow: by the length of a step"}
SCALES = ("quick", "reduced")
STRENGTHS = (0.64, 1.0)
_EPOCHS, _SEEDS, _SLOWER = 3, 1, 10
_COUNT = f"the largest of {_SEEDS} seeds" if _SEEDS > 1 else "one seed"
# What differs: rate and epochs, by this factor and its inverse; where the tangent starts.
_KINDS = {"usual": (1, POLE), "slow": (_SLOWER, POLE), "early tangent": (1, 0.9)}
_NAMES = {
    "usual": "as in Figure 2",
    "slow": f"1/{_SLOWER} of the rate",
    "early tangent": "tangent from 0.9",
}
_MARKS = {"usual": ("#CC3311", "^"), "slow": ("#0072B2", "s"), "early tangent": ("#000000", "o")}


def runs(plan: Plan) -> list[Study]:
    """A study per data set and kind of training; all strengths and seeds in one program."""
    scale = plan.scale
    return [
        Study(
            "row-growth",
            dataset,
            scale.samples,
            options=(
                ("kind", kind),
                ("tangent", tangent),
                ("strengths", STRENGTHS),
                ("seeds", _SEEDS),
                ("hidden", scale.hidden),
                ("batch_size", scale.batch_size),
                ("epochs", _EPOCHS * slower),
                ("learning_rate", DATA[dataset].learning_rate / slower),
                ("momentum", MOMENTUM),
            ),
            work=3.0
            * len(STRENGTHS)
            * _SEEDS
            * DATA[dataset].inputs
            * scale.hidden
            * scale.samples
            * _EPOCHS
            * slower,
        )
        for dataset in scale.datasets
        for kind, (slower, tangent) in _KINDS.items()
    ]


def compute(study: Study, dataset):
    """The largest row length at the start and after every epoch, per seed and strength."""
    import jax
    import xarray as xr

    import aesparse as ae

    X = ae.data.standardize(dataset.train, DATA[study.dataset].epsilon)(dataset.train)
    result = ae.fit(
        X,
        ae.OneLayer(study.option("hidden")),
        ae.objectives.sparse(pole=study.option("tangent")),
        sweep={"seed": range(study.option("seeds")), "strength": study.option("strengths")},
        optimizer=ae.sgd(study.option("learning_rate"), study.option("momentum")),
        key=jax.random.key(0),
        epochs=study.option("epochs"),
        batch_size=study.option("batch_size"),
        history_samples=min(500, len(X)),
    )
    lengths = np.asarray(result.history.row_length_max)
    return xr.Dataset({"row_length_max": (("seed", "strength", "epoch"), lengths)})


def growth(run) -> np.ndarray:
    """Largest length over its start, most over seeds and epochs, `[G]`; inf if not finite."""
    lengths = run["row_length_max"].values.astype(float)
    ratios = lengths / lengths[..., :1]
    return np.where(np.isfinite(ratios), ratios, np.inf).max(axis=(0, 2))


def least_step(strength: float, rate: float, momentum: float, tangent: float) -> float:
    """How far one batch moves a row of length 1 in the end, at the least, by the penalty of SAE.

    For a ReLU unit with b_j <= 0 whose mean activation in the batch reaches `tangent`. The penalty
    has the slope λ/(1 − tangent) there, and ‖E[x 1(a_j > 0)]‖ >= W_j·E[x 1(a_j > 0)] >= E[h_j];
    the momentum repeats the step, 1/(1 − μ) of it in all.

    >>> round(least_step(1.0, 0.003, 0.9, 0.99), 2)
    2.97
    """
    return rate / (1 - momentum) * strength / (1 - tangent) * tangent


def _step(study: Study, strength: float) -> float:
    rate, momentum, tangent = map(study.option, ("learning_rate", "momentum", "tangent"))
    return least_step(strength, rate, momentum, tangent)


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """A18's reason, measured: growth by kind of training, with the least step beside it."""
    parts = []
    for study, run in runs.items():
        steps = ", ".join(f"{_step(study, strength):.2f}" for strength in STRENGTHS)
        grown = ", ".join(map(_told, growth(run)))
        kind, epochs = _NAMES[study.option("kind")], study.option("epochs")
        parts.append(f"{kind}: {grown} after {epochs} epochs (least step {steps})")
    numbers = (
        f"largest length over its start at λ = {', '.join(f'{s:g}' for s in STRENGTHS)}, and the "
        "least step, in lengths of a row, of a unit whose mean in a batch reaches the tangent "
        f"start: {'; '.join(parts)}; {_COUNT}"
    )
    statement = "growth of SAE's unconstrained ReLU rows, by the length of a step"
    return [Verdict("A18", dataset, statement, "measured", numbers)]


def _told(ratio: float) -> str:
    return f"{ratio:.2f}" if np.isfinite(ratio) else "not finite"


def draw(runs: Mapping, plan: Plan):
    """A panel per data set: growth against the strength, by kind of training."""
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(6.4, 3.4), layout="constrained")
    axes = picture.subplots(1, len(plan.scale.datasets), sharey=True, squeeze=False)[0]
    for axis, dataset in zip(axes, plan.scale.datasets, strict=True):
        for study, run in runs.items():
            if study.dataset == dataset:
                _draw_kind(axis, study.option("kind"), growth(run))
        axis.set_title(DATA[dataset].title, fontsize=10)
        axis.set_yscale("log")
        axis.set_ylim(0.8, 14)
        axis.set_yticks([1, 2, 5, 10], ["1", "2", "5", "not\nfinite"])
        axis.minorticks_off()
        axis.set_xticks(range(len(STRENGTHS)), [f"{s:g}" for s in STRENGTHS])
        axis.set_xlim(-0.4, len(STRENGTHS) - 0.6)
        axis.set_xlabel("λ")
        axis.grid(axis="y", alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("largest row length over its start", fontsize=8)
    legend_of(picture, axes)
    return picture


def _draw_kind(axis, kind: str, ratios: np.ndarray) -> None:
    """A mark per strength; one that is not finite, or above 10, at the top."""
    colour, marker = _MARKS[kind]
    places = np.arange(len(ratios)) + 0.12 * (list(_KINDS).index(kind) - 1)
    axis.plot(
        places,
        np.minimum(ratios, 10),
        marker,
        color=colour,
        markerfacecolor="none" if kind == "slow" else colour,
        label=_NAMES[kind],
    )


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows."""
    scale = plan.scale
    rates = ", ".join(f"{DATA[d].title} {DATA[d].learning_rate:g}" for d in scale.datasets)
    return (
        scale.caveat
        + "Largest row length of SAE with ReLU and unconstrained rows over that at the start, most "
        f"over {_EPOCHS} epochs, {_COUNT}; m = {scale.hidden}, N = {scale.samples}, batch "
        f"{scale.batch_size}, learning rate {rates}. From the tangent start on the penalty has the "
        "slope λ/(1 − start): 100 λ, or 10 λ with a start at 0.9. A tenth of the rate with ten "
        "times the updates goes as far in steps that are a tenth as long."
    )


FIGURE = Figure(
    about=__doc__,
    place="Section 2.1.1, rows that grow",
    says=(
        "A bounded row length is desired for convergence. Figures 2 and 5 show SAE with "
        "unconstrained rows; nothing is said of the lengths that they reach."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    compute=compute,
    verdicts=verdicts,
    scales=SCALES,
)
