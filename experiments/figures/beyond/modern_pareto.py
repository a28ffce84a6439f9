"""Reconstruction and recovery against L0: today's sparse auto-encoders and those of the papers.

Of no paper: all models of a data set have the same number of units, samples, updates, batch size
and optimizer, and no setting was searched for any of them.
"""

from collections.abc import Mapping

import numpy as np

from experiments.evidence import claims, criteria
from experiments.figures.beyond.common import pareto_panels
from experiments.figures.beyond.common.pareto import (
    BANDWIDTH,
    METHODS,
    START,
    measured,
    random_cosine,
    recovered,
)
from experiments.figures.beyond.common.pareto_data import GENERATED, prepared
from experiments.figures.beyond.common.pareto_sizes import SIZES
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

CLAIMS = {
    "sparsity": "on held-out data a top-k code has k active units, a calibrated batch top-k code "
    "k on average",
    "pareto": "reconstruction and recovery of ten auto-encoders by their L0",
}
SCALES = ("quick", "reduced")
SEEDS = 3  # at both scales
_BY_SAMPLE = ("top-k", "matryoshka")  # k active units in every code
_EXACT = "top-k: exactly k active units"
WITHIN = 0.1  # batch top-k: held-out L0 over k differs from 1 by at most this


def runs(plan: Plan) -> list[Study]:
    """One study per data set and method; its seeds and strengths train in one program."""
    studies = []
    for size in SIZES[plan.scale_name]:
        shared = size.options | {"seeds": SEEDS} | ({} if size.dataset else GENERATED)
        for method in METHODS:
            options = {"method": method, "points": size.points[method]} | shared
            work = 12.0 * size.samples * size.inputs * len(options["points"]) * SEEDS
            work *= options["hidden"] * options["epochs"]
            studies.append(
                Study(
                    "modern-pareto",
                    dataset=size.dataset,
                    samples=size.samples,
                    options=tuple(options.items()),
                    work=work,
                )
            )
    return studies


def compute(study: Study, dataset):
    """Trains the models of one method, and measures them on held-out samples."""
    import xarray as xr

    X, heldout, truth = prepared(study, dataset)
    numbers, codes, atoms = measured(study, X, heldout)
    if truth is not None:
        numbers |= recovered(codes, atoms, truth)
    run = xr.Dataset({name: (("seed", "point"), value) for name, value in numbers.items()})
    return run if truth is None else run.assign(random_cosine=random_cosine(truth, atoms))


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """The L0 of top-k and of batch top-k against k; every method's numbers, without a threshold."""
    by_method = {study.option("method"): (study, run) for study, run in runs.items()}
    where = "" if dataset else " (generated data)"
    most, exact = zip(*(_of_sample(*by_method[name]) for name in _BY_SAMPLE), strict=True)
    return [
        claims.settle("sparsity", dataset, f"top-k: at most k active units{where}", most, 0),
        claims.settle("sparsity", dataset, f"{_EXACT}{where}", exact, 0),
        _exported(*by_method["batch top-k"], dataset, where),
        *(
            Verdict("pareto", dataset, f"{METHODS[name].name}{where}", "measured", _numbers(run))
            for name, (_, run) in by_method.items()
        ),
    ]


def explain(runs: Mapping, verdict: Verdict) -> list[str]:
    """Why codes by top-k have fewer than k active units, and by which k."""
    if not verdict.statement.startswith(_EXACT):
        return []
    sentences = ["A unit is active only if its pre-activation is positive, which fewer than k are."]
    for study, run in runs.items():
        if study.option("method") in _BY_SAMPLE:
            means = run["l0"].mean("seed").values
            found = ", ".join(
                f"{l0:.2f} at k = {k}" for l0, k in zip(means, study.option("points"), strict=True)
            )
            sentences.append(f"{METHODS[study.option('method')].name}: mean L0 {found}.")
    return sentences


def _of_sample(study: Study, run) -> list[criteria.Criterion]:
    """How far L0 of a held-out sample is above k, and how far from k, at most."""
    k = np.array(study.option("points"))
    over, under = run["most"].values - k, k - run["fewest"].values
    known = bool(np.isfinite(run["l0"]).all())
    name = METHODS[study.option("method")].name
    return [
        criteria.Criterion(
            f"{name}: largest {what} of a sample",
            float(off.max()) if known else np.nan,
            0,
            +1,
            None,
        )
        for what, off in (("L0 − k", over), ("|L0 − k|", np.maximum(over, under)))
    ]


def _exported(study: Study, run, dataset: str, where: str) -> Verdict:
    off = np.abs(run["l0"].values / np.array(study.option("points")) - 1)
    need = criteria.Criterion("largest |L0/k − 1| of a model", float(off.max()), WITHIN, +1, None)
    statement = f"batch top-k: k active units on average by a fixed threshold{where}"
    return claims.settle("sparsity", dataset, statement, [need], 0)


def _numbers(run) -> str:
    """Means over seeds at each point, by L0."""
    means = run.mean("seed")
    names = {"explained_variance": "explained variance"} | (
        {"mean_cosine": "mean best cosine", "matched_f1": "F1"} if "matched_f1" in run else {}
    )
    lines = []
    for i in np.argsort(means["l0"].values):
        of_point = ", ".join(f"{text} {float(means[name][i]):.3f}" for name, text in names.items())
        lines.append(f"L0 {float(means['l0'][i]):.1f}: {of_point}")
    return "; ".join(lines)


def _data_name(dataset: str) -> str:
    return title(dataset) if dataset else "generated data"


def draw(runs: Mapping, plan: Plan):
    """Explained variance of both data sets above; recovery of the generated directions below."""
    real, made = (
        {s: r for s, r in runs.items() if bool(s.dataset) == has} for has in (True, False)
    )
    return pareto_panels.draw(real, made, title(next(iter(real)).dataset))


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows, with all settings."""
    real = next(study for study in runs if study.dataset)
    made = next(study for study in runs if not study.dataset)
    diverged = sum(int((run["diverged_epoch"] >= 0).sum()) for run in runs.values())
    return (
        plan.scale.caveat
        + "Explained variance, mean best cosine with the true directions, and F1 of activity after "
        "a one-to-one matching, on held-out samples, against L0, the mean number of active units: "
        f"mean over {SEEDS} seeds, band from the smallest to the largest, a marker for each value "
        f"of k or of the strength. {_setting(real)}, standardized. {_setting(made)}: combinations "
        f"of {made.option('directions')} directions in {made.option('inputs')} dimensions, "
        f"{made.option('active'):g} of them active on average (dotted line; the dash-dotted one is "
        f"for random atoms), |cosines| at most {made.option('coherence')}, noise "
        f"{made.option('noise')}, centred and divided by one number. Adam; no "
        "method was tuned. Solid: untied decoders with unit atoms, batch top-k with the threshold "
        "that gives it k active units on the training data, JumpReLU with bandwidth "
        f"{BANDWIDTH:g} and thresholds that begin at {START:g}, matryoshka with prefixes "
        "m/8, m/4, m/2, m. Dashed: ReLU and a decoder bias; CAE, DAE and SAE with tied weights and "
        "unit rows, on which CAE's penalty has no gradient, SATAE with an untied decoder and unit "
        f"columns. {diverged or 'No'} model{'s' * (diverged > 1)} diverged."
    )


def _setting(study: Study) -> str:
    name = _data_name(study.dataset)
    o = study.option
    return (
        f"{name[0].upper()}{name[1:]}: m = {o('hidden')}, N = {study.samples} ({o('heldout')} held "
        f"out), {o('epochs')} epochs, batch {o('batch_size')}, rate {o('learning_rate'):g}"
    )


FIGURE = Figure(
    about=__doc__,
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
