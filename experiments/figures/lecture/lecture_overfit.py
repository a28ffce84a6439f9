"""Lecture: weight decay, tied weights and the contractive penalty against over-fitting."""

import numpy as np

from experiments.evidence.bootstrap import Interval
from experiments.evidence.claims import settle
from experiments.evidence.criteria import apart, over_seeds
from experiments.figures.lecture.common.training import options, train
from experiments.pipeline.contents import failed
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study

CLAIMS = {"L5": "weight decay, tied weights and CAE reduce over-fitting"}
SCALES = ("quick", "reduced")
# Data, hidden units, samples, epochs, batch size, learning rate, digits of each held-out half,
# seeds (L5 asks for 5). The rate is the one of 0.001, 0.002 and 0.004 with the plain model's
# lowest error on the training samples after a few epochs.
_SIZES = {
    "quick": ("digits", 128, 200, 150, 20, 0.004, 175, 3),
    "reduced": ("mnist", 1_000, 2_000, 8, 50, 0.004, 1_000, 5),
}
# λ of each kind of model; each differs in one thing from the plain one, untied with λ = 0.
_KINDS = {"decay": (0.0, 3e-4, 3e-3), "tied": (0.0,), "contractive": (0.01, 0.1)}
_NAMES = {"decay": "weight decay", "tied": "tied weights", "contractive": "CAE"}


def runs(plan: Plan) -> list[Study]:
    """A study per kind of model, all λ and seeds in one program."""
    dataset, hidden, samples, epochs, batch, rate, half, seeds = _SIZES[plan.scale_name]
    seeds = max(plan.seeds, seeds)
    shared = (
        ("seeds", seeds),
        ("half", half),
        *options(hidden, epochs, batch, plan.learning_rate or rate),
    )
    work = 12 * seeds * samples * epochs * hidden * DATA[dataset].inputs
    return [
        Study(
            "lecture-overfit",
            dataset,
            samples,
            options=(("kind", kind), ("strengths", strengths), *shared),
            work=work * len(strengths),
        )
        for kind, strengths in _KINDS.items()
    ]


def all_parameters(forward, eps):
    """‖θ‖² as the slide has it: every weight and bias, no factor ½."""
    import jax
    import jax.numpy as jnp

    del eps
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(forward.params))


def compute(study: Study, dataset):
    """Reconstruction errors of every seed and λ: training samples and two held-out halves."""
    import xarray as xr

    from aesparse.losses.objectives import composed

    kind, half, seeds = map(study.option, ("kind", "half", "seeds"))
    objective = composed(terms={kind: "cae" if kind == "contractive" else all_parameters})
    result = train(
        study,
        dataset.train,
        "sigmoid",
        objective,
        study.option("strengths"),
        seeds=seeds,
        tied=kind == "tied",
    )
    parts = {"chosen_on": dataset.heldout[:half], "heldout": dataset.heldout[half : 2 * half]}
    errors = {"train": result.final.reconstruction} | {
        name: result.measure(X).reconstruction for name, X in parts.items()
    }
    bad = failed(result.final, result.diverged_epoch)
    return xr.Dataset(
        {
            name: (("seed", "strength"), np.where(bad, np.nan, error))
            for name, error in errors.items()
        }
    )


def _by_kind(runs) -> dict[str, tuple[np.ndarray, object]]:
    return {s.option("kind"): (np.array(s.option("strengths")), run) for s, run in runs.items()}


def _chosen(strengths: np.ndarray, run) -> int:
    """The λ > 0 with the lowest mean error on the held-out half that the gap does not use.

    The smallest λ > 0 where every model is lost, whose gap is NaN.
    """
    errors = run["chosen_on"].values.mean(axis=0)
    errors = np.where((strengths > 0) & np.isfinite(errors), errors, np.inf)
    return int(np.argmin(errors)) if np.isfinite(errors).any() else int(np.argmax(strengths > 0))


def _gaps(runs) -> dict[str, tuple[str, np.ndarray]]:
    """Held-out minus train error per seed of the four models that are compared; [S]."""
    gaps = {}
    for kind, (strengths, run) in _by_kind(runs).items():
        gap = (run["heldout"] - run["train"]).values
        if kind == "decay":
            gaps["plain"] = ("plain", gap[:, 0])
        if kind == "tied":
            gaps[kind] = (_NAMES[kind], gap[:, 0])
        else:
            i = _chosen(strengths, run)
            gaps[kind] = (f"{_NAMES[kind]}, λ = {strengths[i]:g}", gap[:, i])
    return gaps


def _interval(values: np.ndarray) -> Interval:
    """The mean over seeds with its bootstrap interval, from three seeds on."""
    mean = over_seeds("", lambda seeds: float(values[seeds].mean()), len(values), 0.0, -1)
    return Interval(mean.value, *(mean.interval or (mean.value, mean.value)))


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L5: each of the three gaps lies below the plain model's, with disjoint intervals."""
    gaps = {kind: (name, _interval(gap)) for kind, (name, gap) in _gaps(runs).items()}
    plain = gaps.pop("plain")[1]
    steps = [apart(f"gap of plain minus {name}", gap, plain) for name, gap in gaps.values()]
    seeds = next(iter(runs)).option("seeds")
    verdict = settle("L5", dataset, "held-out minus train error is smaller with each", steps, seeds)
    told = "; ".join([f"plain {plain}", *(f"{name} {gap}" for name, gap in gaps.values())])
    return [verdict._replace(numbers=f"{verdict.numbers}; gaps: {told}")]


def explain(runs, verdict: Verdict) -> list[str]:
    """The gap and the held-out error at every strength."""
    epochs = next(iter(runs)).option("epochs")
    gaps = _gaps(runs)
    _, plain = gaps.pop("plain")
    paired = "; ".join(f"{name}: {_interval(plain - gap)}" for name, gap in gaps.values())
    return [
        "The plain model's gap minus each other's, paired by seed (encoder rows start alike): "
        f"{paired}. "
        f"{_edges(runs)}",
        f"Gap (held-out error) at every λ after {epochs} epochs: {_at_every_strength(runs)}. "
        "Longer training was not looked at.",
    ]


def _edges(runs) -> str:
    """Whether a λ was chosen at the end of its grid, and whether any λ > 0 predicts better."""
    told, kinds = [], _by_kind(runs)
    plain = kinds["decay"][1]["chosen_on"].values[:, 0].mean()
    for kind, (strengths, run) in kinds.items():
        if kind != "tied":
            i, positive = _chosen(strengths, run), strengths[strengths > 0]
            errors = run["chosen_on"].values.mean(axis=0)
            ends = {positive.min(): " (the smallest tried)", positive.max(): " (the largest tried)"}
            end = ends.get(strengths[i], "")
            told.append(f"{errors[i]:.3f} at {_NAMES[kind]}'s λ = {strengths[i]:g}{end}")
    return f"The error by which λ is chosen is {plain:.3f} at λ = 0, {', '.join(told)}."


def _at_every_strength(runs) -> str:
    told = []
    for kind, (strengths, run) in _by_kind(runs).items():
        gap = (run["heldout"] - run["train"]).values.mean(axis=0)
        errors = run["heldout"].values.mean(axis=0)
        each = (f"{s:g}: {g:.3f} ({e:.2f})" for s, g, e in zip(strengths, gap, errors, strict=True))
        told.append(f"{_NAMES[kind]} {', '.join(each)}")
    return "; ".join(told)


def caption(runs, plan: Plan) -> str:
    """Sizes, and the rule that fixes λ."""
    study = next(iter(runs))
    return (
        plan.scale.caveat
        + "Reconstruction error ‖x − y‖², summed over inputs, on the training samples and on "
        f"{study.option('half'):g} held-out ones, against λ of weight decay λ‖θ‖² (all parameters, "
        "no ½) and of the contractive penalty; also with tied weights. Lines: means over "
        f"{study.option('seeds'):g} seeds, bars: smallest to largest. Right: held-out minus train "
        "error with 95% bootstrap intervals over seeds, at the λ > 0 with the lowest error on "
        f"another {study.option('half'):g} held-out samples. {title(study.dataset)} with pixels in "
        "[0, 1]; sigmoid units, linear decoder with bias, untied unless said; "
        f"m = {study.option('hidden')}, N = {study.samples}, {study.option('epochs')} epochs, "
        f"batch {study.option('batch_size')}, learning rate {study.option('learning_rate'):g}."
    )


def draw(runs, plan: Plan):
    """Errors over λ for weight decay and CAE, then the four gaps."""
    from matplotlib.figure import Figure

    kinds = _by_kind(runs)
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    middle.sharey(left)
    plain = kinds["decay"][1].isel(strength=slice(0, 1))
    _draw_errors(left, *kinds["decay"], kinds["tied"][1])
    strengths, run = kinds["contractive"]
    joined = {
        name: np.concatenate([plain[name].values, run[name].values], axis=1)
        for name in ("train", "heldout")
    }
    _draw_errors(middle, np.array([0.0, *strengths]), joined, None)
    left.set(xlabel="λ of weight decay", ylabel="reconstruction error per sample")
    middle.set_xlabel("λ of CAE")
    left.legend(frameon=False, fontsize=7)
    _draw_gaps(right, _gaps(runs))
    for axis in (left, middle, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_errors(axis, strengths: np.ndarray, errors, tied) -> None:
    where = np.arange(len(strengths))
    looks = {"train": ("#000000", "o", "-", "#000000"), "heldout": ("#0072B2", "s", "--", "none")}
    for name, (colour, marker, line, face) in looks.items():
        value = np.asarray(errors[name])
        mean = value.mean(axis=0)
        ends = np.abs(np.stack([value.min(axis=0), value.max(axis=0)]) - mean)
        look = {"color": colour, "marker": marker, "markerfacecolor": face, "capsize": 3}
        label = {"train": "training", "heldout": "held-out"}[name]
        axis.errorbar(where, mean, ends, linestyle=line, label=label, **look)
        if tied is not None:
            alone = float(tied[name].mean())
            axis.plot(-0.35, alone, ">", color=colour, markerfacecolor=face, label=f"{label}, tied")
    axis.set_xticks(where, [f"{s:g}" for s in strengths])
    axis.set_xlim(-0.6, len(strengths) - 0.6)


def _draw_gaps(axis, gaps: dict) -> None:
    for row, (_, gap) in enumerate(gaps.values()):
        mean = _interval(gap)
        axis.plot(mean[1:], (row, row), color="#000000", marker="|", markersize=10, linewidth=2.5)
        axis.plot(gap, np.full(len(gap), row + 0.22), "x", color="#777777", markersize=4)
        axis.plot(mean.value, row, "o", color="#CC3311", markersize=5, zorder=3)
    axis.set_yticks(range(len(gaps)), [name.replace(", ", "\n") for name, _ in gaps.values()])
    axis.set_ylim(len(gaps) - 0.5, -0.5)
    axis.set_xlabel("held-out minus training error")


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
