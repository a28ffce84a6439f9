"""Arpit eq. 2: sparse coding's free codes beside those of a sparse auto-encoder."""

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
    "recoded": ("#0072B2", "s", "--", "auto-encoder's rows, free codes"),
    "encoder": ("#CC3311", "^", ":", "sparse auto-encoder (encoder's codes)"),
}
_PAIR = ("sparse coding", "sparse auto-encoder")
_SHOWN = 2  # the strength whose codes and rows are drawn
TILES, _COLUMNS, _SAMPLES = 16, 4, 24
# Data set, samples, rows, epochs of the auto-encoder, its learning rate, passes of the coding.
_SIZES = {
    "quick": ("digits", 400, 32, 60, 0.01, 5),
    "reduced": ("mnist", 1_000, 64, 60, 0.003, 5),
}
_BATCH, _CODING_BATCH = 50, 100


def runs(plan: Plan) -> list[Study]:
    """One study: all strengths, methods and seeds."""
    dataset, samples, hidden, epochs, rate, passes = _SIZES[plan.scale_name]
    options = (
        ("seeds", tuple(map(float, range(plan.seeds)))),
        ("strengths", STRENGTHS),
        ("hidden", hidden),
        ("epochs", epochs),
        ("batch_size", _BATCH),
        ("learning_rate", plan.learning_rate or rate),
        ("momentum", MOMENTUM),
        ("passes", passes),
        ("coding_batch", _CODING_BATCH),
    )
    inputs = DATA[dataset].inputs
    work = 20.0 * samples * inputs * hidden * epochs * plan.seeds * len(STRENGTHS)
    return [Study("sparse-coding", dataset, samples, 0, options, work)]


def total(codes):
    """Σ over units of their mean: E‖h‖₁ where codes are >= 0, eq. 2's penalty."""
    return codes


def compute(study: Study, dataset):
    """Codes and dictionaries of both methods on the same mean-centred samples."""
    import xarray as xr

    # float64: coordinate descent stops at a duality gap below the rounding of float32.
    X = dataset.train.astype(float) - dataset.train.mean(axis=0, dtype=float)
    weights, encoded = _train(study, X)
    found: dict = {name: [] for name in ("reconstruction", "activity", "size")}
    shown = {}
    for s in range(len(weights)):
        rows = []
        for g, strength in enumerate(study.option("strengths")):
            dictionary, codes = _code(study, X, strength, s)
            methods = {
                "coding": (dictionary, codes),
                "recoded": (weights[s, g], free_codes(X, weights[s, g], strength)),
                "encoder": (weights[s, g], encoded[s, g]),
            }
            rows.append([_measured(X, d, c) for d, c in methods.values()])
            if (s, g) == (0, _SHOWN):
                shown = {name: methods[name] for name in ("coding", "encoder")}
        for name, values in zip(found, np.moveaxis(np.array(rows), -1, 0), strict=True):
            found[name].append(values)
    axes = ("seed", "strength", "method")
    variables = {name: (axes, np.array(v, np.float32)) for name, v in found.items()}
    variables |= _shown(shown)
    return xr.Dataset(variables, {"method": list(METHODS), "strength": list(STRENGTHS)})


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


def _train(study: Study, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows [S, G, m, n] and codes [S, G, N, m] of ReLU auto-encoders with E‖h‖₁, unit rows."""
    import jax

    import aesparse as ae
    from aesparse.losses.objectives import composed
    from aesparse.losses.sparsity import mean_activation

    result = ae.fit(
        X.astype(np.float32),
        ae.OneLayer(int(study.option("hidden"))),
        composed(terms={"codes": mean_activation(total)}),
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
    weights, biases = (np.asarray(leaf, float) for leaf in result.params[:2])
    return weights, np.maximum(np.einsum("ni,sgmi->sgnm", X, weights) + biases[:, :, None], 0)


def _code(study: Study, X: np.ndarray, strength: float, seed: int) -> tuple:
    """Dictionary [m, n] of unit rows and codes [N, m] by scikit-learn, whose loss is half eq. 2."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    learner = MiniBatchDictionaryLearning(
        int(study.option("hidden")),
        alpha=strength / 2,
        max_iter=int(study.option("passes")),
        batch_size=int(study.option("coding_batch")),
        fit_algorithm="cd",
        random_state=seed,
    )
    dictionary = learner.fit(X).components_
    return dictionary, free_codes(X, dictionary, strength)


def free_codes(X: np.ndarray, dictionary: np.ndarray, strength: float) -> np.ndarray:
    """The codes `[N, m]` that minimize SATAE's eq. 2 for given atoms `[m, n]`."""
    from sklearn.decomposition import sparse_encode

    return sparse_encode(
        X, dictionary, algorithm="lasso_cd", alpha=strength / 2, max_iter=5000, check_input=False
    )


def _measured(X: np.ndarray, dictionary: np.ndarray, codes: np.ndarray) -> list[float]:
    """E‖x − Wᵀh‖², the share of codes that are not 0, and E‖h‖₁."""
    squared = float(np.mean(np.sum((X - codes @ dictionary) ** 2, axis=1)))
    return [squared, float(np.mean(codes != 0)), float(np.mean(np.abs(codes).sum(axis=1)))]


def loss(run) -> np.ndarray:
    """Eq. 2 per sample, E‖x − Wᵀh‖² + λ E‖h‖₁; [seed, strength, method].

    NaN for auto-encoders that died, and for free codes on their rows.
    """
    total = run["reconstruction"] + run["strength"] * run["size"]
    kept = total.where(~_dead(run) | (total["method"] == "coding"))
    return kept.transpose("seed", "strength", "method").values


def _dead(run):
    """Auto-encoders all of whose codes are 0; [seed, strength]."""
    return run["activity"].sel({"method": "encoder"}, drop=True) == 0


def draw(runs: Mapping, plan: Plan):
    """Reconstruction against activity and sorted codes; codes and rows of both methods."""
    from matplotlib.figure import Figure

    run = next(iter(runs.values()))
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    axes = figure.subplots(2, 3, width_ratios=(1.15, 1, 0.75))
    _draw_curves(axes[0, 0], run)
    _draw_sorted(axes[1, 0], run)
    side = round(run["rows"].shape[-1] ** 0.5)
    for i, name in enumerate(_PAIR):
        codes, rows = run["codes"].values[i], run["rows"].values[i].astype(float)
        limits = {"vmin": -np.abs(codes).max(), "vmax": np.abs(codes).max()}
        axes[i, 1].imshow(codes, cmap="gray", aspect="auto", interpolation="nearest", **limits)
        axes[i, 1].set_title(f"codes, {name} (grey: 0)", fontsize=9)
        axes[i, 1].set_ylabel("sample")
        filters.show(axes[i, 2], rows, (side, side, 1), _COLUMNS, f"rows, {name}")
    axes[1, 1].set_xlabel("unit, the most used first")
    for axis in axes[:, 0]:
        axis.grid(alpha=0.25, linewidth=0.5)
    return figure


def _draw_sorted(axis, run) -> None:
    for values, name, look in zip(
        run["sorted"].values, _PAIR, (METHODS["coding"], METHODS["encoder"]), strict=True
    ):
        axis.plot(np.arange(1, len(values) + 1), values, look[2], color=look[0], label=name)
    axis.set_xlabel("rank of the code within its sample")
    axis.set_ylabel(f"mean |code| at λ = {STRENGTHS[_SHOWN]:g}")
    axis.legend(fontsize=8, frameon=False)


def _draw_curves(axis, run) -> None:
    for name, (colour, marker, line, label) in METHODS.items():
        chosen = run.sel({"method": name})  # by keyword it would choose how to look up
        lost = _dead(run) & (name != "coding")
        kept = chosen.where(~lost)
        x, y = (kept[n].mean("seed", skipna=False).values for n in ("activity", "reconstruction"))
        axis.plot(x, y, color=colour, marker=marker, linestyle=line, label=label)
        if name == "encoder" and lost.any():
            at = (chosen[n].values[lost.values] for n in ("activity", "reconstruction"))
            axis.plot(*at, "x", color="#000000", markersize=8, label="all units dead")
    axis.set_xlabel("activity: share of codes that are not 0")
    axis.set_ylabel("squared error per sample")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=8, frameon=False)


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows."""
    study = next(iter(runs))
    return (
        plan.scale.caveat
        + "Sparse coding (Arpit eq. 2, scikit-learn's MiniBatchDictionaryLearning, codes by "
        f"coordinate descent, {study.option('passes')} passes) and ReLU auto-encoders with the "
        "same penalty λ E‖h‖₁ on their encoder's codes (tied, linear decoding; SGD, batch "
        f"{study.option('batch_size')}, {study.option('epochs')} epochs, learning rate "
        f"{study.option('learning_rate'):g}); rows of unit length, m = {study.option('hidden')}, "
        f"{title(study.dataset)}, mean-centred, N = {study.samples}, "
        f"{len(study.option('seeds'))} seeds, λ = "
        f"{', '.join(f'{s:g}' for s in study.option('strengths'))} from right to left. Free codes "
        f"may be negative, a ReLU's not. {_lost(runs[study])}Codes of the first samples and the "
        f"rows used most at λ = {STRENGTHS[_SHOWN]:g}."
    )


def _lost(run) -> str:
    lost = [f"{s:g}" for s in run["strength"].values[_dead(run).any("seed").values]]
    if not lost:
        return ""
    return f"At λ = {', '.join(lost)} every unit of the auto-encoder is dead: crossed, left out. "


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """How much larger eq. 2 is with an encoder than with free codes, at each strength."""
    run = next(iter(runs.values()))
    values = loss(run)
    methods = list(METHODS)
    ratio = values / values[..., :1]
    encoder, recoded = (ratio[..., methods.index(n)] for n in ("encoder", "recoded"))

    def smallest(seeds: np.ndarray) -> float:
        return float(np.nanmin(encoder[seeds].mean(axis=0)))

    need = criteria.over_seeds("smallest ratio of eq. 2 over λ", smallest, len(values), 1.0, -1)
    statement = "an encoder's codes cost more in eq. 2 than free codes, at every λ"
    decided = claims.settle("codes", dataset, statement, [need._replace(strict=True)], len(values))
    told = "; ".join(
        f"λ = {s:g}: "
        + ("every unit dead" if np.isnan(a) else f"{a:.2f}, with free codes on its rows {b:.2f}")
        for s, a, b in zip(run["strength"].values, encoder.mean(0), recoded.mean(0), strict=True)
    )
    return [decided._replace(numbers=f"{decided.numbers}; {told}")]


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
