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
    return [Study("satae-cost", options=options, work=1e11 if inputs < 100 else 3e13)]


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


def _span(values: Sequence[float]) -> str:
    return f"{np.median(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})"


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
            f"{others}; with f_c {ms:.3g} ms; median of {run.sizes['round']} rounds (least to "
            f"most); {_machine(run)}"
        )
        rows.append(Verdict("S11", dataset, statement, "measured", numbers))
    return rows


def draw(runs, plan: Plan):
    """A bar for every penalty, by number of units; thin lines from least to most."""
    from matplotlib.figure import Figure

    ((study, run),) = runs.items()
    hidden = study.option("hidden")
    figure = Figure(figsize=(4.6 * len(hidden), 2.9), layout="constrained")
    for axis, units in zip(figure.subplots(1, len(hidden), squeeze=False)[0], hidden, strict=True):
        _bars(axis, run, units)
        axis.set_title(f"{study.option('inputs')} inputs, {units} units", fontsize=10)
    return figure


def _bars(axis, run, units: int) -> None:
    each, places = ratios(run, units), np.arange(len(PENALTIES))
    ms = 1e3 * run["seconds"].sel(hidden=units).values
    medians = np.median(ms, axis=1)
    axis.barh(places, medians, color=["#BBBBBB", "#0072B2", "#BBBBBB", "#BBBBBB"], height=0.6)
    axis.hlines(places, ms.min(axis=1), ms.max(axis=1), color="#000000", linewidth=1.2)
    for place, name in enumerate(PENALTIES):
        text = f"  {medians[place]:.3g} ms, ×{np.median(each[name]):.3g}"
        axis.text(ms[place].max(), place, text, va="center", fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(ms.min() / 3, ms.max() * 8)  # room for the last bar's numbers
    axis.set_yticks(places, PENALTIES)
    axis.invert_yaxis()
    axis.set_xlabel("ms an update")
    axis.spines[["top", "right"]].set_visible(False)


def caption(runs, plan: Plan) -> str:
    """What the picture shows, and on which machine."""
    ((study, run),) = runs.items()
    return (
        f"Time of one update (batch {study.option('batch_size')}, untied soft-threshold units, λ = "
        f"{study.option('width')}, half the squared error) by what is added to the reconstruction: "
        "nothing, the saturation penalty, CAE's penalty by its closed form for one layer "
        "(structured), and through the Jacobian by JAX's forward mode, which any encoder allows "
        f"(generic). Medians of {run.sizes['round']} rounds in one process, each of which times "
        "all four in turn; thin lines: least to most; ×: over the time with f_c. One model on each "
        f"device. {_machine(run)}."
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
