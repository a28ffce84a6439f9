"""Arpit eq. 2: sparse coding's free codes beside those of sparse auto-encoders."""

import functools
from collections.abc import Mapping

import numpy as np

from experiments.drawing import filters
from experiments.evidence import claims, criteria
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, MOMENTUM, title
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

CLAIMS = {"codes": "an encoder's codes cost more in eq. 2"}  # no claim of a paper
SCALES = ("quick", "reduced")

STRENGTHS = (0.1, 0.3, 1.0, 3.0)
METHODS = {  # colour, marker, line, name
    "coding": ("#000000", "o", "-", "sparse coding (free codes)"),
    "recoded": ("#0072B2", "s", "--", "rows of the encoder with ℓ1, free codes"),
    "encoder": ("#CC3311", "^", ":", "ReLU encoder, λ E‖h‖₁"),
    "sae": ("#E69F00", "D", "-.", "ReLU encoder, eq. 13 (SAE)"),
}
_SHOWN = {"coding": "sparse coding", "encoder": "encoder with ℓ1", "sae": "encoder with eq. 13"}
_AT = 2  # the strength whose codes and rows are drawn
TILES, _COLUMNS, _SAMPLES = 12, 6, 24
# Data set, samples, rows, epochs of the auto-encoders, their learning rate, iterations of the
# coding.
_SIZES = {
    "quick": ("digits", 400, 32, 60, 0.01, 20),
    "reduced": ("mnist", 1_000, 64, 60, 0.003, 50),
}
_BATCH = 50


def runs(plan: Plan) -> list[Study]:
    """One study: all strengths, methods and seeds."""
    dataset, samples, hidden, epochs, rate, iterations = _SIZES[plan.scale_name]
    options = (
        ("seeds", tuple(map(float, range(plan.seeds)))),
        ("strengths", STRENGTHS),
        ("hidden", hidden),
        ("epochs", epochs),
        ("batch_size", _BATCH),
        ("learning_rate", plan.learning_rate or rate),
        ("momentum", MOMENTUM),
        ("iterations", iterations),
    )
    inputs = DATA[dataset].inputs
    work = 20.0 * samples * inputs * hidden * epochs * plan.seeds * len(STRENGTHS)
    return [Study("sparse-coding", dataset, samples, 0, options, work)]


def total(codes):
    """Σ over units of their mean: E‖h‖₁ where codes are >= 0, eq. 2's penalty."""
    return codes


def compute(study: Study, dataset):
    """Codes and dictionaries of all methods on the same mean-centred samples."""
    import jax
    import xarray as xr

    import aesparse as ae
    from aesparse.losses.sparsity import log_sparsity, mean_activation

    X = dataset.train - dataset.train.mean(axis=0)
    weights, encoded = _train(study, X, mean_activation(total))
    rows_of_sae, codes_of_sae = _train(study, X, log_sparsity())
    iterations, hidden = int(study.option("iterations")), int(study.option("hidden"))
    code = jax.jit(functools.partial(ae.sparse_coding, iterations=iterations))
    recode = jax.jit(ae.sparse_codes)
    measured, shown = [], {}
    for s in range(len(weights)):
        of_seed, start = [], ae.random_atoms(jax.random.key(s), X, count=hidden)
        for g, strength in enumerate(study.option("strengths")):
            methods = {
                "coding": code(X, start, strength)[:2],
                "recoded": (weights[s, g], recode(X, weights[s, g], strength)),
                "encoder": (weights[s, g], encoded[s, g]),
                "sae": (rows_of_sae[s, g], codes_of_sae[s, g]),
            }
            methods = {n: tuple(map(np.asarray, pair)) for n, pair in methods.items()}
            of_seed.append([_measured(X, *methods[name]) for name in METHODS])
            if (s, g) == (0, _AT):
                shown = _shown({name: methods[name] for name in _SHOWN})
        measured.append(of_seed)
    names = ("reconstruction", "activity", "size")
    axes = ("seed", "strength", "method")
    values = np.moveaxis(np.array(measured, np.float32), -1, 0)
    variables = {name: (axes, v) for name, v in zip(names, values, strict=True)}
    return xr.Dataset(variables | shown, {"method": list(METHODS), "strength": list(STRENGTHS)})


def _shown(methods: Mapping[str, tuple]) -> dict:
    """The most used rows, and the first samples' codes, as drawn."""
    used = {n: np.argsort(-np.abs(c).sum(axis=0), kind="stable") for n, (_, c) in methods.items()}
    tiles = [d[used[n][:TILES]] for n, (d, _) in methods.items()]
    codes = [c[:_SAMPLES, used[n]] for n, (_, c) in methods.items()]
    largest = [np.sort(np.abs(c), axis=1)[:, ::-1].mean(axis=0) for _, c in methods.values()]
    return {
        "rows": (("shown", "tile", "input"), signed_bytes(np.array(tiles))),
        "codes": (("shown", "sample", "unit"), np.array(codes, np.float32)),
        "sorted": (("shown", "unit"), np.array(largest, np.float32)),
    }


def _train(study: Study, X: np.ndarray, penalty) -> tuple[np.ndarray, np.ndarray]:
    """Rows [S, G, m, n] and codes [S, G, N, m] of ReLU auto-encoders with `penalty`, unit rows."""
    import jax

    import aesparse as ae

    result = ae.fit(
        X,
        ae.OneLayer(int(study.option("hidden"))),
        ae.objectives.composed(terms={"codes": penalty}),
        sweep={
            "seed": [int(seed) for seed in study.option("seeds")],
            "codes": study.option("strengths"),
        },
        optimizer=ae.sgd(study.option("learning_rate"), study.option("momentum")),
        constraint="unit",
        key=jax.random.key(0),
        epochs=int(study.option("epochs")),
        batch_size=int(study.option("batch_size")),
        history_samples=200,
    )
    weights, biases = (np.asarray(leaf) for leaf in result.params[:2])
    return weights, np.maximum(np.einsum("ni,sgmi->sgnm", X, weights) + biases[:, :, None], 0)


def _measured(X: np.ndarray, dictionary: np.ndarray, codes: np.ndarray) -> list[float]:
    """E‖x − Wᵀh‖², the share of codes that are not 0, and E‖h‖₁."""
    squared = float(np.mean(np.sum((X - codes @ dictionary) ** 2, axis=1)))
    return [squared, float(np.mean(codes != 0)), float(np.mean(np.abs(codes).sum(axis=1)))]


def loss(run) -> np.ndarray:
    """Eq. 2 per sample, E‖x − Wᵀh‖² + λ E‖h‖₁; [seed, strength, method].

    NaN for auto-encoders that died, and for free codes on their rows.
    """
    total = run["reconstruction"] + run["strength"] * run["size"]
    return total.where(~_dead(run)).transpose("seed", "strength", "method").values


def _dead(run):
    """Auto-encoders all of whose codes are 0; [seed, strength, method]."""
    dead = run["activity"] == 0
    dead.loc[{"method": "recoded"}] = dead.sel({"method": "encoder"}, drop=True)
    dead.loc[{"method": "coding"}] = False
    return dead


def draw(runs: Mapping, plan: Plan):
    """Reconstruction against activity and sorted codes; codes and rows of three methods."""
    from matplotlib.figure import Figure

    run = next(iter(runs.values()))
    figure = Figure(figsize=(10.5, 7.4), layout="constrained")
    # Two panels at the left, three rows of codes and filters at their right.
    left = ["curves"] * 3 + ["sorted"] * 3
    right = [(f"{name} codes", f"{name} rows") for name in _SHOWN for _ in range(2)]
    axes = figure.subplot_mosaic(
        [[a, *b] for a, b in zip(left, right, strict=True)], width_ratios=(1.15, 1, 0.95)
    )
    _draw_curves(axes["curves"], run)
    _draw_sorted(axes["sorted"], run)
    side = round(run["rows"].shape[-1] ** 0.5)
    for i, (name, words) in enumerate(_SHOWN.items()):
        codes, rows = run["codes"].values[i], run["rows"].values[i].astype(float)
        limits = {"vmin": -np.abs(codes).max(), "vmax": np.abs(codes).max()}
        axis = axes[f"{name} codes"]
        axis.imshow(codes, cmap="gray", aspect="auto", interpolation="nearest", **limits)
        axis.set_title(f"codes, {words} (grey: 0)", fontsize=9)
        axis.set_ylabel("sample", fontsize=8)
        axis.tick_params(labelsize=8)
        filters.show(axes[f"{name} rows"], rows, (side, side, 1), _COLUMNS, f"rows, {words}")
    axes["sae codes"].set_xlabel("unit, the most used first")
    for name in ("curves", "sorted"):
        axes[name].grid(alpha=0.25, linewidth=0.5)
    return figure


def _draw_sorted(axis, run) -> None:
    for values, (name, words) in zip(run["sorted"].values, _SHOWN.items(), strict=True):
        colour, _, line, _ = METHODS[name]
        axis.plot(np.arange(1, len(values) + 1), values, line, color=colour, label=words)
    axis.set_xlabel("rank of the code within its sample")
    axis.set_ylabel(f"mean |code| at λ = {STRENGTHS[_AT]:g}")
    axis.legend(fontsize=8, frameon=False)


def _draw_curves(axis, run) -> None:
    dead = _dead(run)
    for name, (colour, marker, line, label) in METHODS.items():
        chosen, lost = (each.sel({"method": name}) for each in (run, dead))
        kept = chosen.where(~lost)
        x, y = (kept[n].mean("seed", skipna=False).values for n in ("activity", "reconstruction"))
        axis.plot(x, y, color=colour, marker=marker, linestyle=line, label=label)
    lost = dead.sel({"method": ["encoder", "sae"]})
    if lost.any():
        at = (run[n].sel({"method": lost["method"]}) for n in ("activity", "reconstruction"))
        values = (each.transpose(*lost.dims).values[lost.values] for each in at)
        axis.plot(*values, "x", color="#000000", markersize=8, label="all units dead")
    axis.set_xlabel("activity: share of codes that are not 0")
    axis.set_ylabel("squared error per sample")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8, frameon=False)


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows."""
    study = next(iter(runs))
    return (
        plan.scale.caveat + "Sparse coding (Arpit eq. 2: aesparse.sparse_coding, "
        f"{study.option('iterations')} iterations from random samples) and ReLU auto-encoders "
        "(tied, linear decoding) with the same penalty λ E‖h‖₁ on their encoder's codes, or with "
        f"that of eq. 13, −λ Σ log(1 − ρ_j) (SGD, batch {study.option('batch_size')}, "
        f"{study.option('epochs')} epochs, learning rate {study.option('learning_rate'):g}); rows "
        f"of unit length, m = {study.option('hidden')}, {title(study.dataset)}, mean-centred, "
        f"N = {study.samples}, {len(study.option('seeds'))} seeds, λ = "
        f"{', '.join(f'{s:g}' for s in study.option('strengths'))} from right to left. Free codes "
        f"may be negative, a ReLU's not. {_lost(runs[study])}Codes of the first samples and the "
        f"rows used most at λ = {STRENGTHS[_AT]:g}."
    )


def _lost(run) -> str:
    texts = []
    for name in ("encoder", "sae"):
        dead = _dead(run).sel({"method": name}).any("seed").values
        if dead.any():
            at = ", ".join(f"{s:g}" for s in run["strength"].values[dead])
            texts.append(f"Every unit of the {_SHOWN[name]} is dead at λ = {at}: crossed. ")
    return "".join(texts)


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """How much larger eq. 2 is with an encoder than with free codes, at each strength."""
    run = next(iter(runs.values()))
    values = loss(run)
    methods = list(METHODS)
    ratio = values / values[..., :1]
    encoder, recoded, sae = (ratio[..., methods.index(n)] for n in ("encoder", "recoded", "sae"))

    def smallest(seeds: np.ndarray) -> float:
        return float(np.nanmin(encoder[seeds].mean(axis=0)))

    need = criteria.over_seeds("smallest ratio of eq. 2 over λ", smallest, len(values), 1.0, -1)
    statement = "an encoder's codes cost more in eq. 2 than free codes, at every λ"
    decided = claims.settle("codes", dataset, statement, [need._replace(strict=True)], len(values))
    rows = zip(run["strength"].values, encoder.mean(0), recoded.mean(0), sae.mean(0), strict=True)
    numbers = []
    for strength, ours, free, log in rows:
        with_l1 = (
            "dead" if np.isnan(ours) else f"{ours:.2f}, with free codes on its rows {free:.2f}"
        )
        with_l1 = "dead" if np.isnan(ours) else with_l1
        with_log = "dead" if np.isnan(log) else f"{log:.2f}"
        numbers.append(f"λ = {strength:g}: {with_l1}, with eq. 13 {with_log}")
    return [decided._replace(numbers="; ".join([decided.numbers, *numbers]))]


FIGURE = Figure(
    about=__doc__,
    place="Section 2.1.1, sparse coding",
    says=(
        "Sparse coding chooses a code for every sample freely (eq. 2), where an auto-encoder "
        "computes it from the sample. Section 2.2 adds that SAE's penalty (eq. 13) nearly is, "
        "for small ones, the sum of the mean activations, so that its objective resembles eq. "
        "2."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
