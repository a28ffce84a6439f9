"""Audit: its forecasts on pairs that calibrated it and on pairs held out, against training."""

import numpy as np

from experiments.figures.beyond.common import pairs
from experiments.figures.beyond.common.functions import activation_of, penalty_of
from experiments.figures.beyond.common.outcomes import WORDS, Count, Judged, judged
from experiments.figures.beyond.common.pairs import Pair
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {"audit": "what the audit forecasts of a pair happens"}
SCALES = ("quick",)
NAME = "audit-calibration"
RIGHT, ABSTAINS = 0.95, 0.15  # criteria for the held-out pairs (docs/protocol.md)
PARTS = {"calibration": "calibration", "held_out": "held out"}
# outcome: colour, marker, filled
LOOK = {
    "right": ("#0072B2", "o", "none"),
    "abstained": ("#555555", "s", "#BBBBBB"),
    "wrong": ("#CC3311", "X", "#CC3311"),
}


def runs(plan: Plan) -> list[Study]:
    """One study per pair, in which it is trained, and one with the forecasts for all of them."""
    every = pairs.pairs()
    listed = tuple(", ".join(map(str, pair)) for pair in every)
    forecasts = Study(NAME, options=(("forecasts", listed),), work=1e11)
    return [*map(_training, every), forecasts]


def _training(pair: Pair) -> Study:
    options = {name: getattr(pair, name) for name in Pair._fields if name != "part"} | {
        "shares": pairs.SHARES,
        "hidden": pairs.HIDDEN,
        "batch_size": pairs.BATCH,
        "epochs": pairs.EPOCHS,
        "learning_rate": pairs.DATA[pair.data][1],
        "momentum": pairs.MOMENTUM,
        "seeds": pairs.SEEDS,
    }
    return Study(NAME, options=tuple(options.items()), work=2e9)


def compute(study: Study, dataset):
    """Trains a pair, all strengths and seeds in one program; or makes all forecasts."""
    import xarray as xr

    import aesparse as ae
    from aesparse.metrics import unit_statistics

    if "forecasts" in dict(study.options):
        return _forecasts()
    option = study.option
    make, rate = pairs.DATA[option("data")]
    result = ae.fit(
        make(),
        ae.OneLayer(option("hidden"), activation_of(option("activation"))),
        ae.objectives.regularized(penalty_of(option("penalty"))),
        sweep={
            "seed": range(option("seeds")),
            "strength": option("largest") * np.array(option("shares")),
        },
        optimizer=ae.sgd(rate, option("momentum")),
        constraint=option("constraint"),
        measure=unit_statistics,
        epochs=option("epochs"),
        batch_size=option("batch_size"),
        history_epochs=[0],
        check_compiled=False,  # it would take longer than the training, a hundred times
    )
    axes, units = ("seed", "strength"), result.final
    return xr.Dataset(
        {
            "fraction": (axes, units.active.mean(axis=-1)),
            "dead": (axes, (units.active == 0).mean(axis=-1)),
            "mean": (axes, units.mean.mean(axis=-1)),
            "spread": (axes, np.sqrt(units.variance).mean(axis=-1)),
            "diverged_epoch": (axes, result.diverged_epoch),
        }
    )


def _forecasts():
    """What the audit forecasts of every pair, trained or not."""
    import jax
    import jax.numpy as jnp
    import xarray as xr

    from aesparse.models.constraints import as_constraint
    from aesparse.models.one_layer import init_params
    from aesparse.theory.forecast import forecast

    made = []
    for pair in pairs.pairs():
        samples, rate = pairs.DATA[pair.data]
        X, rows = jnp.asarray(samples()), as_constraint(pair.constraint)
        one = forecast(
            rows.project(init_params(jax.random.key(0), X.shape[1], pairs.HIDDEN)),
            X,
            activation_of(pair.activation),
            penalty_of(pair.penalty),
            rows,
            pair.largest,
            updates=len(X) // pairs.BATCH * pairs.EPOCHS,
            learning_rate=rate,
            batch=pairs.BATCH,
        )
        made.append((WORDS.index(one.says), one.fraction, one.mean, one.path.speed))
    says, fraction, mean, speed = map(np.array, zip(*made, strict=True))
    both = ("pair", "strength")
    return xr.Dataset(
        {
            "says": ("pair", says),
            "fraction": (both, fraction),
            "mean": (both, mean),
            "speed": ("pair", speed),
        }
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """The two criteria on the held-out part, then a line for every pair."""
    every = judged(runs)
    count = Count.of(every, "held_out")
    criteria = {
        f"held-out pairs: right on at least {RIGHT:.0%} of those of which it speaks": count.right
        >= RIGHT * count.spoken,
        f"held-out pairs: abstains on at most {ABSTAINS:.0%}": count.abstention <= ABSTAINS,
    }
    return [
        Verdict("audit", dataset, statement, "holds" if met else "fails", str(count))
        for statement, met in criteria.items()
    ] + [
        Verdict(
            "audit",
            dataset,
            f"{one.pair} ({PARTS[one.pair.part]}): forecast {one.says}",
            one.outcome,
            f"trained {one.happened}, forecast {one.forecast:+.3f}",
        )
        for one in every
    ]


def caption(runs, plan: Plan) -> str:
    """What the picture shows, with the counts of both parts."""
    every = judged(runs)
    outside = sum(one.pair.outside for one in every if one.pair.part == "held_out")
    held = sum(one.pair.part == "held_out" for one in every)
    return (
        f"Change from strength 0 to the largest one, forecast by the audit's path of at most 600 "
        f"updates and trained ({pairs.EPOCHS} epochs, m = {pairs.HIDDEN}, mean over {pairs.SEEDS} "
        f"seeds). Left {len(every) - held} pairs that calibrated the forecast, right {held} that "
        f"were trained after it was written ({outside} with a function that the library has no "
        f"name for). Above the activation fraction (grey bands: changes up to {pairs.MOVES:g}, "
        "which do not count as moving), below E[a_j] in standard deviations of a_j. Calibration: "
        f"{Count.of(every, 'calibration')}. Held out: {Count.of(every, 'held_out')}."
    )


def draw(runs, plan: Plan):
    """Forecast against trained change: fraction above, E[a_j] below; wrong ones numbered."""
    from matplotlib.figure import Figure as Drawn

    figure = Drawn(figsize=(9.2, 9.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex="row", sharey="row")
    every = judged(runs)
    for column, part in enumerate(PARTS):
        of_part = [one for one in every if one.pair.part == part and np.isfinite(one.trained)]
        for axis, names in zip(
            axes[:, column],
            (("trained", "forecast"), ("trained_mean", "forecast_mean")),
            strict=True,
        ):
            _scatter(axis, of_part, *names)
        axes[0, column].set_title(f"{PARTS[part]} ({len(of_part)} pairs)", fontsize=11)
        wrong = [one for one in of_part if one.outcome == "wrong"]
        lines = [f"{i}  {one.pair}" for i, one in enumerate(wrong, 1)]
        if lines:
            axes[0, column].text(
                0.98,
                0.02,
                "\n".join(lines),
                transform=axes[0, column].transAxes,
                fontsize=7,
                ha="right",
                va="bottom",
            )
    for axis in axes[0]:
        for span in (axis.axhspan, axis.axvspan):
            span(-pairs.MOVES, pairs.MOVES, color="#000000", alpha=0.1, linewidth=0, zorder=0)
    axes[0, 0].set_ylabel("forecast change of the fraction")
    axes[1, 0].set_ylabel("forecast change of E[a_j], deviations")
    for column in range(2):
        axes[0, column].set_xlabel("trained change of the fraction")
        axes[1, column].set_xlabel("trained change of E[a_j], deviations")
    axes[0, 0].legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def _scatter(axis, of_part: list[Judged], x: str, y: str) -> None:
    axis.grid(alpha=0.25, linewidth=0.5)
    axis.spines[["top", "right"]].set_visible(False)
    axis.axline((0, 0), slope=1, color="#777777", linewidth=0.8, zorder=1)
    for outcome, (colour, marker, face) in LOOK.items():
        those = [one for one in of_part if one.outcome == outcome]
        axis.plot(
            [getattr(one, x) for one in those],
            [getattr(one, y) for one in those],
            linestyle="",
            marker=marker,
            color=colour,
            markerfacecolor=face,
            markersize=5 if outcome == "right" else 7,
            label=outcome,
            zorder=2,
        )
        if outcome == "wrong":
            for number, one in enumerate(those, 1):
                axis.annotate(
                    str(number),
                    (getattr(one, x), getattr(one, y)),
                    fontsize=8,
                    xytext=(5, 4),
                    textcoords="offset points",
                )


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
