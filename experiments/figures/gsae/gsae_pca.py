"""GSAE section 3: the linear auto-encoder's decoder and the principal subspace, by iterations."""

from collections.abc import Mapping

import numpy as np

from experiments.evidence import claims, criteria
from experiments.figures.gsae.common.linear import same_moments
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study

CLAIMS = {"G2": "a linear auto-encoder finds the PCA subspace"}
SCALES = ("quick", "reduced")
ANGLE = 0.01  # G2: largest principal angle in rad

LINES_OF = {  # colour, marker, line, name
    "tied": {"decoder": ("#000000", "o", "-", "tied, decoder columns")},
    "untied": {
        "decoder": ("#0072B2", "s", "-", "untied, decoder columns"),
        "encoder": ("#CC3311", "^", "--", "untied, encoder rows"),
        "support": ("#E69F00", "D", ":", "untied, encoder rows where the data varies"),
    },
}
CASES = ("full", "low")  # the data, and its first components alone
# Data set, samples, hidden units, rank of the low-rank data, iterations at which angles are taken.
_MNIST = (10_000, 64, 32, (25, 50, 100, 200, 400, 800, 1600, 3200))
_DIGITS = (1_400, 16, 8, (5, 10, 25, 50, 100, 200, 400, 800))
_SIZES = {"quick": ("digits", *_DIGITS), "reduced": ("mnist", *_MNIST)}
_GRADIENT = 1e-8  # the search ends at this norm of the gradient
_SMALLEST = 1e-10  # rad; smaller angles are drawn here
_VARIES = 1e-9  # of the largest variance: directions above it are those in which the data varies


def runs(plan: Plan) -> list[Study]:
    """One study per seed and model, on the data and on its leading components."""
    dataset, samples, hidden, rank, marks = _SIZES[plan.scale_name]
    options = (
        ("hidden", hidden),
        ("rank", rank),
        ("iterations", tuple(map(float, marks))),
        ("gradient", _GRADIENT),
    )
    inputs = DATA[dataset].inputs
    work = 15.0 * inputs * inputs * hidden * marks[-1]
    return [
        Study("gsae-pca", dataset, samples, seed, (("model", model), *options), work)
        for seed in plan.seed_numbers
        for model in LINES_OF
    ]


def compute(study: Study, dataset):
    """Largest principal angles along the search, [case, line, mark], in float64."""
    import jax
    import xarray as xr
    from sklearn.decomposition import PCA

    X, hidden, rank = dataset.train.astype(float), study.option("hidden"), study.option("rank")
    pca = PCA(int(hidden), svd_solver="covariance_eigh").fit(X)
    rows = same_moments(X)
    support = _support(rows)
    low = pca.components_[: int(rank)]
    cases = ((rows, pca.components_), (rows @ low.T @ low, low))
    with jax.enable_x64(True):
        found = [_search(study, Z, components.T, support) for Z, components in cases]
    angles, iterations, values = (np.array(part) for part in zip(*found, strict=True))
    variables = {
        "angle": (("case", "line", "mark"), angles),
        "iterations": (("case", "mark"), iterations),
        "value": ("case", values),
        "varying": support.shape[1],
    }
    coordinates = {"line": list(LINES_OF[study.option("model")]), "case": list(CASES)}
    return xr.Dataset(variables, coordinates)


def _support(rows: np.ndarray) -> np.ndarray:
    """An orthonormal basis [n, r] of the directions in which the data varies."""
    variances, directions = np.linalg.eigh(rows.T @ rows / len(rows))
    return directions[:, variances > _VARIES * variances[-1]]


def _search(study: Study, Z: np.ndarray, target: np.ndarray, support: np.ndarray) -> tuple:
    """Angles [line, mark], iterations [mark] and the final loss on rows `Z`."""
    points, value = _path(study, Z, study.option("model") == "tied")
    rows = [p.weight.T for p, _ in points]
    columns = rows if study.option("model") == "tied" else [p.decoder for p, _ in points]
    angles = [[_largest_angle(c, target) for c in columns]]
    if study.option("model") == "untied":
        angles.append([_largest_angle(r, target) for r in rows])
        angles.append([_largest_angle(support.T @ r, support.T @ target) for r in rows])
    return angles, [i for _, i in points], value


def _path(study: Study, Z: np.ndarray, tied: bool) -> tuple[list, float]:
    """Parameters and iterations at the marks; the search starts anew at each of them."""
    import jax

    import aesparse as ae
    from aesparse.losses.reconstruction import half_squared_error

    objective = ae.objectives.composed(error=half_squared_error())
    model = ae.OneLayer(int(study.option("hidden")), "identity", tied=tied)
    params = model.init(jax.random.fold_in(jax.random.key(0), study.seed), Z.shape[1])
    points, done, value = [], 0, np.nan
    for count in np.diff(study.option("iterations"), prepend=0).astype(int):
        search = ae.lbfgs(int(count), study.option("gradient"))
        result = ae.fit(Z, model, objective, optimizer=search, start=params)
        params, value = result.params, float(result.losses["loss"][-1])
        done += int(result.losses["iterations"][-1])
        points.append((params, done))
    return points, value


def _largest_angle(columns: np.ndarray, target: np.ndarray) -> float:
    from scipy.linalg import subspace_angles

    return float(np.max(subspace_angles(columns, target)))


def _angles(runs: Mapping, model: str) -> np.ndarray:
    """[seed, case, line, mark] of the tied or the untied model."""
    return np.array([run["angle"].values for run in _of(runs, model)])


def _of(runs: Mapping, model: str) -> list:
    return [run for study, run in runs.items() if study.option("model") == model]


def _excess(runs: Mapping) -> float:
    """The largest loss of the untied models above the smallest of the tied ones; same minimum."""
    tied, untied = ([float(run["value"][0]) for run in _of(runs, m)] for m in LINES_OF)
    return max(untied) - min(tied)


def draw(runs: Mapping, plan: Plan):
    """A panel for the data and one for its leading components; thin lines are single seeds."""
    from matplotlib.figure import Figure

    study, run = next(iter(runs.items()))
    figure = Figure(figsize=(9, 4.3), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    m, rank = study.option("hidden"), study.option("rank")
    names = (f"rank {int(run['varying'])} > m = {m}", f"rank {rank} < m = {m}")
    for case, axis in enumerate(axes):
        for model, lines in LINES_OF.items():
            for j, look in enumerate(lines.values()):
                # Low-rank data varies in fewer directions than there are rows: no such line.
                if case == 0 or look[1] != "D":
                    _draw_line(axis, study, _angles(runs, model)[:, case, j], *look)
        axis.axhline(ANGLE, color="#777777", linewidth=1, linestyle="-.")
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("L-BFGS iterations")
        axis.set_title(f"{title(study.dataset)}, {names[case]}", fontsize=10)
        axis.grid(alpha=0.25, linewidth=0.5)
    axes[0].text(0.02, ANGLE * 1.2, "0.01", fontsize=8, transform=axes[0].get_yaxis_transform())
    axes[0].set_ylabel("largest principal angle (rad)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_line(axis, study, angles, colour: str, marker: str, line: str, name: str) -> None:
    """The geometric mean over seeds of `angles` [seed, mark], and the seeds themselves."""
    marks, angles = np.array(study.option("iterations")), np.maximum(angles, _SMALLEST)
    axis.plot(marks, angles.T, color=colour, linestyle=line, linewidth=0.6, alpha=0.6)
    mean = np.exp(np.log(angles).mean(axis=0))
    axis.plot(marks, mean, color=colour, marker=marker, linestyle=line, markersize=4.5, label=name)


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows."""
    study, stored = next(iter(runs)), list(runs.values())
    m, rank = study.option("hidden"), study.option("rank")
    return (
        plan.scale.caveat
        + "Largest principal angle between what a linear auto-encoder's weights span and the "
        f"subspace of scikit-learn's PCA (m = {m}; {title(study.dataset)}, N = {study.samples}, "
        f"mean-centred), by full-batch L-BFGS in float64 (restarted at every mark, until the "
        f"gradient's norm is {study.option('gradient'):g}); geometric mean over "
        f"{len(stored) // 2} seeds, thin lines the single ones. No penalty, ½ squared error. Left: "
        f"the data itself, of which the {int(stored[0]['varying'])} directions with a variance "
        f"above {_VARIES:g} of the "
        "largest count as varying: encoder rows keep their initial values in the others, "
        f"constant inputs and what depends linearly on the rest. Right: the data's first {rank} "
        "components alone, angles to their span."
    )


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """G2 at the last mark, mean over the seeds."""
    tied, untied = (_angles(runs, model)[..., -1] for model in LINES_OF)
    needs = [
        criteria.mean_at_most(last[:, 0, 0], ANGLE, f"largest angle, {name}")
        for name, last in (("tied", tied), ("untied", untied))
    ]
    statement = "decoder columns of the linear auto-encoder span the PCA subspace"
    decided = claims.settle("G2", dataset, statement, needs, len(tied))
    rows, varying = untied[:, 0, 1:].mean(axis=0)
    low = [angles[:, 1, 0].max() for angles in (tied, untied)]
    others = (
        f"encoder rows {rows:.3f}, where the data varies {varying:.3f}; low-rank data "
        f"{low[0]:.1e} tied, {low[1]:.1e} untied; untied loss above the tied one's minimum by "
        f"{_excess(runs):.1e}"
    )
    return [decided._replace(numbers=f"{decided.numbers}; {others}")]


def explain(runs: Mapping, verdict: Verdict) -> list[str]:
    """How the untied angle went on, and how far the search was from the minimum."""
    (study, *_) = runs
    marks = [f"{count:g}" for count in study.option("iterations")[-3:]]
    angles = _angles(runs, "untied")[:, 0, 0, -3:].mean(axis=0)
    along = ", ".join(f"{a:.4f} after {m}" for a, m in zip(angles, marks, strict=True))
    return [
        f"Untied, the largest angle is {along} iterations (mean over seeds), and the losses end "
        f"{_excess(runs):.1e} above the tied model's minimum: the search has not reached it."
    ]


FIGURE = Figure(
    about=__doc__,
    place="Section 3, equivalence with PCA",
    says=(
        "An auto-encoder without regularization and sparsity penalty learns features closely "
        "related to the principal components."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    scales=SCALES,
)
