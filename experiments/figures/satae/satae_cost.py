"""SATAE section 5.2: time of an update with the saturation penalty and with CAE's Jacobian.

The section compares the penalties' complexity, O(d·d_h) for the Jacobian of d inputs and d_h units
and O(d_h) for f_c, and adds that a more efficient Jacobian is possible. Here whole updates are
timed, of one model with the same units, batch and reconstruction, so that they differ by the
penalty alone.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.provenance import parentage
from experiments.pipeline.spec import Study

CLAIMS = {"S11": "an update with f_c takes less time than one with CAE's generic Jacobian"}
SCALES = ("quick", "reduced")
F_C, GENERIC = "saturation, f_c", "Jacobian, generic"
PENALTIES = ("no penalty", F_C, "Jacobian, structured", GENERIC)
_SIZES = {"quick": (64, (36, 144)), "reduced": (784, (100, 1_000))}  # inputs, hidden units
_BATCH, _WIDTH = 50, 0.5  # the width λ of the soft threshold; the paper names none
_ROUNDS, _SECONDS = {"quick": 3, "reduced": 7}, {"quick": 0.1, "reduced": 1.0}
_WORK = {"quick": 1e11, "reduced": 2e12}
_RATE = 1e-6  # so small that nothing can diverge: other numbers may take other times


def runs(plan: Plan) -> list[Study]:
    """One study: all sizes and penalties in turn, in one process."""
    inputs, hidden = _SIZES[plan.scale_name]
    options = (
        ("inputs", inputs),
        ("hidden", hidden),
        ("width", _WIDTH),
        ("batch_size", _BATCH),
        ("rounds", _ROUNDS[plan.scale_name]),
        ("seconds", _SECONDS[plan.scale_name]),  # of one timing, about
    )
    return [Study("satae-cost", options=options, work=_WORK[plan.scale_name])]


def compute(study: Study, dataset):
    """Seconds an update by number of units, penalty and round."""
    import xarray as xr

    hidden, found = study.option("hidden"), []
    for units in hidden:
        updates = {name: _updates(study, name, units) for name in PENALTIES}
        found.append(interleaved(updates, study.option("rounds"), study.option("seconds")))
    seconds, steps = map(np.stack, zip(*found, strict=True))
    variables = {"seconds": (("hidden", "penalty", "round"), seconds)}
    variables["steps"] = (("hidden", "penalty"), steps)
    return xr.Dataset(variables, {"hidden": list(hidden), "penalty": list(PENALTIES)})


def _updates(study: Study, name: str, units: int) -> Callable[[int], float]:
    """Seconds of so many updates of the model with a penalty."""
    import aesparse as ae
    from aesparse.losses.reconstruction import half_squared_error
    from aesparse.models.constraints import as_constraint
    from aesparse.training.measuring import as_measurement
    from aesparse.training.step import Recipe
    from aesparse.training.timing import timed_updates

    terms = {
        "no penalty": {},
        "Jacobian, structured": {"cae": ae.penalties.contractive},
        GENERIC: {"cae": ae.penalties.contractive_generic},
    }
    objective = (
        ae.get_objective("satae")
        if name == F_C
        else ae.objectives.composed(error=half_squared_error(), terms=terms[name])
    )
    unit = ae.activations.shrink(study.option("width"))
    model = ae.OneLayer(units, unit, tied=False, decoder_bias=True)
    recipe = Recipe(
        model,
        objective,
        ae.sgd(_RATE, momentum=0.0),
        as_constraint(None),
        as_measurement(None, model),
        study.option("batch_size"),
    )
    return timed_updates(recipe, study.option("inputs"))


def interleaved(
    updates: Mapping[str, Callable[[int], float]], rounds: int, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds an update `[P, rounds]`, and of how many updates at once `[P]`.

    Every round times all in turn, so that a machine that slows down slows all of them. The first
    two calls of each, which compile and warm up, are left out; so many updates are timed at once
    that they take about `seconds`.
    """
    steps = []
    for run in updates.values():
        run(1)
        steps.append(max(1, round(seconds / (run(2) / 2))))
    times = [
        [run(n) / n for run, n in zip(updates.values(), steps, strict=True)] for _ in range(rounds)
    ]
    return np.transpose(times), np.array(steps)


def ratios(run, units: int) -> dict[str, np.ndarray]:
    """Time over that of an update with f_c, of every round, by penalty."""
    of_size = run["seconds"].sel(hidden=units)
    shares = of_size / of_size.sel(penalty=F_C)
    return {str(name): shares.sel(penalty=name).values for name in run["penalty"].values}


def _digits(value: float) -> str:
    """Three digits, of large numbers all."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _span(values: Sequence[float]) -> str:
    least, most = np.min(values), np.max(values)
    return f"{_digits(np.median(values))} ({_digits(least)} to {_digits(most)})"


def _machine(run) -> str:
    parents = parentage(run)
    return f"{parents['device']}, JAX devices at work: {parents['devices']}"


def verdicts(runs, dataset: str) -> list[Verdict]:
    """Ratios of the times; there is no threshold, and they are this machine's."""
    ((study, run),) = runs.items()
    rows = []
    for units in study.option("hidden"):
        each = ratios(run, units)
        others = "; ".join(f"{name} {_span(each[name])}" for name in PENALTIES if name != F_C)
        ms = 1e3 * np.median(run["seconds"].sel(hidden=units, penalty=F_C))
        statement = f"time of an update over that with f_c, {study.option('inputs')} × {units}"
        numbers = (
            f"{others}; with f_c {_digits(ms)} ms; median of {run.sizes['round']} rounds (least to "
            f"most); {_machine(run)}"
        )
        rows.append(Verdict("S11", dataset, statement, "measured", numbers))
    return rows


def draw(runs, plan: Plan):
    """A mark for every penalty, by number of units; lines from least to most."""
    from matplotlib.figure import Figure

    ((study, run),) = runs.items()
    hidden = study.option("hidden")
    figure = Figure(figsize=(3.4 * len(hidden) + 1.6, 2.6), layout="constrained")
    axes = figure.subplots(1, len(hidden), squeeze=False, sharey=True)[0]
    for axis, units in zip(axes, hidden, strict=True):
        _marks(axis, run, units)
        axis.set_title(f"{study.option('inputs')} inputs, {units} units", fontsize=10)
    axes[0].set_yticks(range(len(PENALTIES)), PENALTIES)
    axes[0].set_ylim(len(PENALTIES) - 0.6, -0.6)
    return figure


def _marks(axis, run, units: int) -> None:
    each, ms = ratios(run, units), 1e3 * run["seconds"].sel(hidden=units).values
    medians = np.median(ms, axis=1)
    axis.set_xscale("log")
    axis.set_xlim(ms.min() / 2, ms.max() * 2)
    for place, name in enumerate(PENALTIES):
        colour, marker = ("#0072B2", "D") if name == F_C else ("#000000", "o")
        axis.hlines(place, ms[place].min(), ms[place].max(), color=colour, linewidth=1.5)
        axis.plot(medians[place], place, marker, color=colour, markersize=6)
        ratio = "" if name == F_C else f", {_digits(np.median(each[name]))} × f_c"
        left = medians[place] < np.sqrt(ms.min() * ms.max())
        axis.annotate(
            f"{_digits(medians[place])} ms{ratio}",
            (ms[place].min() if left else ms[place].max(), place),
            xytext=(0, 6),
            textcoords="offset points",
            ha="left" if left else "right",
            fontsize=8,
        )
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("ms an update")
    axis.grid(axis="x", alpha=0.25, linewidth=0.5)
    axis.spines[["top", "right"]].set_visible(False)


def caption(runs, plan: Plan) -> str:
    """What the picture shows, and on which machine."""
    ((study, run),) = runs.items()
    return (
        f"Time of one update (batch {study.option('batch_size')}, untied soft-threshold units, λ = "
        f"{study.option('width')}, half the squared error) by what is added to the reconstruction: "
        "nothing, the saturation penalty, CAE's penalty by its closed form for one layer "
        "(structured), and by the Jacobian itself, which any encoder has: a derivative along each "
        f"input (generic). Medians of {run.sizes['round']} rounds in one process, each of which "
        "times all four in turn; lines: least to most. One model on each device. "
        f"{_machine(run)}."
    )


FIGURE = Figure(
    about=__doc__,
    place="Section 5.2, cost of the penalty",
    says=(
        "Computing CAE's Jacobian costs O(d·d_h), though more efficient ways exist, against "
        "O(d_h) for the saturation penalty (d inputs, d_h units)."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
