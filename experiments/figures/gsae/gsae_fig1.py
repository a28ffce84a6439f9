"""GSAE Figure 1: filters of sparse, sparse linear and plain auto-encoders beside PCA."""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import filters
from experiments.evidence import claims, criteria
from experiments.evidence.criteria import Criterion
from experiments.figures.gsae.common import minimize
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

CLAIMS = {"G1": "GSAE's modified backpropagation is the gradient", "G3": "filters similar to PCA"}
SCALES = ("quick", "reduced")
EXACT = 1e-10  # G1: relative difference to jax.grad in float64
PERCENTILE = 5  # G3: of the mean principal angle of random subspaces; similar is below it

# The document names no strengths. Those of the MNIST exercise of the tutorial that it cites as
# its source (UFLDL: ρ = 0.1, λ = 0.003, β = 3, 10,000 digits, 196 units, 400 iterations).
RHO, DECAY, BETA = 0.1, 3e-3, 3.0
MODELS = ("sparse", "sparse linear", "plain")
PANELS = {  # in the document's places
    "sparse": "sparse auto-encoder (sigmoid, KL)",
    "sparse linear": "sparse linear auto-encoder (ℓ2)",
    "pca": "principal components",
    "plain": "plain auto-encoder (sigmoid)",
}
SIDES = ("decoder", "encoder")
_SIZES = {"quick": ("digits", 1_000, 25, 100), "reduced": ("mnist", 2_000, 64, 150)}
TILES, _COLUMNS = 25, 5
_DRAWS = 100  # random subspaces
_CHECKED = 100  # samples of the gradient check


def runs(plan: Plan) -> list[Study]:
    """One study per seed, all models in it."""
    dataset, samples, hidden, iterations = _SIZES[plan.scale_name]
    options = (
        ("hidden", hidden),
        ("iterations", iterations),
        ("rho", RHO),
        ("decay", DECAY),
        ("beta", BETA),
        ("draws", _DRAWS),
        ("checked", _CHECKED),
    )
    inputs = DATA[dataset].inputs
    work = 40.0 * samples * inputs * hidden * iterations
    return [Study("gsae-fig1", dataset, samples, s, options, work) for s in plan.seed_numbers]


def compute(study: Study, dataset):
    """Trains the three models of a seed and compares their filters with the components."""
    import xarray as xr
    from sklearn.decomposition import PCA

    X, hidden = dataset.train, int(study.option("hidden"))
    models, gradient = _train(study, X)
    components = PCA(hidden, svd_solver="full").fit(X).components_
    rows = {"pca": components} | {name: np.asarray(p.weight) for name, p in models.items()}
    columns = {name: np.asarray(p.decoder) for name, p in models.items()}
    angles = [
        [largest_angle(columns[n], components), largest_angle(rows[n].T, components)]
        for n in MODELS
    ]
    found = {
        "angle": (("model", "side"), np.array(angles)),
        "random_angle": ("draw", random_angles(study, components)),
        "image_angle": largest_angle((X[:hidden] - X.mean(axis=0)).T, components),
        **gradient,
    }
    if study.seed == 0:
        tiles = np.stack([signed_bytes(rows[name][:TILES]) for name in PANELS])
        found["filters"] = (("panel", "filter", "input"), tiles)
    return xr.Dataset(found, {"model": list(MODELS), "side": list(SIDES)})


def _train(study: Study, X: np.ndarray) -> tuple[dict, dict]:
    """Parameters by name, and how they were reached; the three start from the same draw."""
    import jax

    from aesparse.losses.generalized_sparse import generalized_sparse

    # With β = 0 sigmoid means come near 1, where KL has its pole: hence its tangents.
    rho, penalized = study.option("rho"), (study.option("decay"), study.option("beta"))
    sigmoid = generalized_sparse("sigmoid", "kl", rho=rho, extend=True)
    identity = generalized_sparse("identity", "l2", rho=rho)
    nonlinear = minimize(study, X, "sigmoid", sigmoid, [penalized, (0.0, 0.0)])
    linear = minimize(study, X, "identity", identity, [penalized])
    places = {"sparse": (nonlinear, 0), "sparse linear": (linear, 0), "plain": (nonlinear, 1)}
    params = {
        name: jax.tree.map(lambda leaf, i=i: leaf[i], result.params)
        for name, (result, i) in places.items()
    }
    stored = {"value": "loss", "gradient_norm": "gradient_norm", "iterations": "iterations"}
    reached = {
        name: ("model", np.array([float(r.losses[loss][i, -1]) for r, i in places.values()]))
        for name, loss in stored.items()
    }
    return params, reached | _gradient_errors(study, params["sparse"], X)


def _gradient_errors(study: Study, params, X: np.ndarray) -> dict:
    """GSAE's gradient against jax.grad at the trained sparse model, in float64; G1."""
    import jax
    import jax.numpy as jnp

    from aesparse.losses.generalized_sparse import (
        generalized_sparse,
        modified_backpropagation,
        sparsity_function,
    )
    from aesparse.models.one_layer import OneLayer

    rho, model = study.option("rho"), OneLayer.of(params, "sigmoid")
    objective = generalized_sparse("sigmoid", "kl", rho=rho)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), params)
        x = jnp.asarray(X[: int(study.option("checked"))].astype(np.float64))
        coefficients = {
            "weights": jnp.array(study.option("decay")),
            "sparsity": jnp.array(study.option("beta")),
        }
        wanted = jax.grad(lambda p: objective(model, p, x, x, coefficients)[0])(params)

        def error(outputs: int | None) -> float:
            computed = modified_backpropagation(
                params,
                x,
                activation=model.activation,
                phi=sparsity_function("kl", rho),
                coefficients=coefficients,
                outputs=outputs,
            )
            ratios = jax.tree.map(
                lambda a, b: jnp.linalg.norm(a - b) / jnp.linalg.norm(b), computed, wanted
            )
            return max(map(float, jax.tree.leaves(ratios)))

        return {"gradient_error": error(None), "printed_error": error(len(params.bias))}


def largest_angle(columns: np.ndarray, components: np.ndarray) -> float:
    """The mean principal angle between a span of columns [n, m] and the components [m, n]."""
    from scipy.linalg import subspace_angles

    return float(np.mean(subspace_angles(columns, components.T)))


def random_angles(study: Study, components: np.ndarray) -> np.ndarray:
    """The largest angle of random subspaces of as many dimensions; `[draws]`."""
    rng = np.random.default_rng(study.seed)
    size = components.T.shape
    return np.array(
        [
            largest_angle(rng.normal(size=size), components)
            for _ in range(int(study.option("draws")))
        ]
    )


def draw(runs: Mapping, plan: Plan):
    """The document's four panels, and the angles below."""
    from matplotlib.figure import Figure

    stored = list(runs.values())
    figure = Figure(figsize=(8.6, 6.2), layout="constrained")
    places = figure.add_gridspec(2, 3, width_ratios=(1, 1, 0.9))
    tiles = stored[0]["filters"].values
    side = round(tiles.shape[-1] ** 0.5)
    for i, (rows, name) in enumerate(zip(tiles, PANELS.values(), strict=True)):
        axis = figure.add_subplot(places[i // 2, i % 2])
        filters.show(axis, rows.astype(float), (side, side, 1), _COLUMNS, name)
    axis = figure.add_subplot(places[:, 2])
    _draw_angles(axis, stored)
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", ncols=4, fontsize=8, frameon=False)
    return figure


def _draw_angles(axis, stored: list) -> None:
    angles = np.degrees([run["angle"].values for run in stored])
    for j, (side, marker) in enumerate(zip(SIDES, ("o", "s"), strict=True)):
        x = np.arange(len(MODELS)) + 0.16 * (2 * j - 1)
        x = np.broadcast_to(x, angles.shape[:2])
        colour = ("#000000", "#0072B2")[j]
        name = f"{side} {('columns', 'rows')[j]}"
        fill = colour if j == 0 else "none"
        axis.plot(
            x.ravel(),
            angles[:, :, j].ravel(),
            marker,
            color=colour,
            markerfacecolor=fill,
            label=name,
        )
    low = np.degrees(_random_low(stored))
    axis.axhline(low, color="#CC3311", linewidth=1.2, label=f"random, {PERCENTILE}th percentile")
    image = np.degrees(np.mean([float(run["image_angle"]) for run in stored]))
    axis.axhline(image, color="#777777", linestyle="--", linewidth=1.2, label="span of m digits")
    axis.set_xticks(range(len(MODELS)), [m.replace(" ", "\n") for m in MODELS])
    axis.set_xlim(-0.5, len(MODELS) - 0.5)
    axis.set_ylim(0, 90)
    axis.set_ylabel("mean principal angle to the PCA subspace (degrees)")
    axis.grid(alpha=0.25, linewidth=0.5)


def _random_low(stored: list) -> float:
    draws = np.concatenate([run["random_angle"].values for run in stored])
    return float(np.percentile(draws, PERCENTILE))


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows."""
    study, stored = next(iter(runs)), list(runs.values())
    norms = np.max([run["gradient_norm"].values for run in stored], axis=0)
    return (
        plan.scale.caveat
        + f"Encoder rows of three auto-encoders and the principal components ({TILES} of m = "
        f"{study.option('hidden')}; {title(study.dataset)}, pixels in [0, 1], N = "
        f"{study.samples}), each tile scaled by its largest weight, zero grey. Untied, the unit's "
        f"function on the output too, λ = {study.option('decay')}, β = {study.option('beta')}, "
        f"ρ = {study.option('rho')} as in the tutorial that the document cites; full-batch L-BFGS, "
        f"at most {study.option('iterations')} iterations (largest gradient norm at the end: "
        f"{', '.join(f'{m} {v:.1e}' for m, v in zip(MODELS, norms, strict=True))}), "
        f"{len(stored)} seeds. Right: mean principal angle between the span of each model's "
        "decoder columns or encoder rows and that of the components; the red line is the "
        f"{PERCENTILE}th percentile of {study.option('draws')} random subspaces per seed, the "
        "dashed one the span of m digits."
    )


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """G1 at the trained sparse model; G3 for the plain model."""
    stored = list(runs.values())
    errors = np.array([float(run["gradient_error"]) for run in stored])
    printed = np.mean([float(run["printed_error"]) for run in stored])
    exact = Criterion("largest relative difference over W, b", float(errors.max()), EXACT, +1, None)
    statement = "modified backpropagation, its sum over all n outputs, equals jax.grad"
    g1 = claims.settle("G1", dataset, statement, [exact], 0)
    g1 = g1._replace(numbers=f"{g1.numbers}; with the printed sum to p: {printed:.2g}")
    return [g1, similar_to_pca(stored, dataset)]


def similar_to_pca(stored: list, dataset: str) -> Verdict:
    """G3 on one data set, from its seeds' runs."""
    angles, low = np.array([run["angle"].values for run in stored]), _random_low(stored)
    plain = MODELS.index("plain")
    needs = [
        criteria.mean_at_most(angles[:, plain, j], low, f"mean angle of {side} (rad)")
        for j, side in enumerate(SIDES)
    ]
    statement = "plain auto-encoder similar to PCA: nearer to its subspace than random ones"
    verdict = claims.settle("G3", dataset, statement, needs, len(stored))
    beside = [
        f"{name} {mean[0]:.3f}, {mean[1]:.3f}"
        for name, mean in zip(MODELS[:plain], angles.mean(axis=0), strict=False)
    ]
    images = np.mean([float(run["image_angle"]) for run in stored])
    told = f"{'; '.join(beside)}; span of m digits {images:.3f}"
    return verdict._replace(numbers=f"{verdict.numbers}; decoder, encoder of {told}")


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
