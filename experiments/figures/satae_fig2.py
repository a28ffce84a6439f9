"""SATAE Figure 2: energy around a curve in the plane, shrink units with and without saturation."""

from collections.abc import Mapping

import numpy as np

from experiments.claims import Verdict, settle
from experiments.criteria import Criterion, over_seeds
from experiments.protocol import Plan
from experiments.studies import Study

CLAIMS = ("S3",)
SCALES = ("quick",)
AREA_RATIO = 0.5  # S3: area of low energy with the penalty over that without it, at most
ERROR_RATIO = 2.0  # S3: mean energy on the curve with the penalty over that without it, at most
PERCENTILE = 95  # S3: "low" energy is below this percentile of the energy on the curve …
# … of the penalized model, for both: without the penalty the energy on the curve, and with it
# the level, may fall to rounding, and the area below that says nothing.
WIDTH = 0.1  # the shrink parameter λ; SATAE does not name its own
# SATAE section 4 steps α from 0 to 1 on standardized data; the curve's variance is smaller.
ALPHAS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
DRAWN = 5  # of ALPHAS: the largest but one
DARK, LIGHT = 1e-4, 1.0  # energies drawn black and white
ENERGY = "energy ½‖x − G(x)‖²"
_SIDE, _FINE = 61, 201  # points along each side of [−1, 1]²: drawn, and for areas
_STORED = 3  # initializations whose surfaces are drawn


def toy(figure: str, hidden: int, constraint: str) -> Study:
    """A path over α on the curve, five initializations, as section 4 describes it."""
    options = (
        ("curve", "(t, t²/2 − 0.2)"),
        ("hidden", float(hidden)),
        ("constraint", constraint),
        ("width", WIDTH),
        ("alphas", ALPHAS),
        ("drawn", float(DRAWN)),
        ("seeds", (0.0, 1.0, 2.0, 3.0, 4.0)),
        ("samples", 1000.0),
        ("batch", 10.0),
        ("epochs", 30.0),  # at each α
        ("rate", 0.05),
        ("percentile", float(PERCENTILE)),
        ("side", float(_FINE)),  # points along each side of [−1, 1]², for areas
    )
    return Study(figure, options=options, work=1e9)


def runs(plan: Plan) -> list[Study]:
    """One study: ten shrink units, decoder columns kept at unit length."""
    return [toy("satae-fig2", 10, "unit-columns")]


def curve(points: int) -> np.ndarray:
    """A piece of a parabola inside [−1, 1]²: (t, t²/2 − 0.2) for |t| <= 0.8; [points, 2]."""
    t = np.linspace(-0.8, 0.8, points)
    return np.stack([t, t**2 / 2 - 0.2], axis=1).astype(np.float32)


def square(side: int) -> np.ndarray:
    """Points of a regular grid on [−1, 1]², row by row from the lowest; [side², 2]."""
    along = np.linspace(-1, 1, side, dtype=np.float32)
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def compute(study: Study, dataset):
    """The path with shrink units of the study's width."""
    from aesparse.activations import shrink

    found, _ = path(study, shrink(study.option("width")))
    return found


def path(study: Study, activation):
    """Trains along the path; returns what is measured and the parameters at every α `[S, 2]`.

    Beside the model whose α grows (1) one without penalty gets the same updates (0).
    """
    import xarray as xr

    params = train_path(study, activation)
    on = np.stack([energy(p, curve(int(study.option("samples"))), activation) for p in params])
    level = np.percentile(on, study.option("percentile"), axis=-1)
    fine = np.stack([energy(p, square(int(study.option("side"))), activation) for p in params])
    surface = energy(params[int(study.option("drawn"))], square(_SIDE), activation)[:_STORED]
    cells = ("alpha", "seed", "penalty")
    found = {
        "error": (cells, on.mean(axis=-1)),
        "level": (cells, level),
        "area": (cells, area_below(fine, level[..., 1:])),
        "area_at_own_level": (cells, area_below(fine, level)),
        "drawn_at": int(study.option("drawn")),
        "surface": (("drawn", "penalty", "point"), surface.astype(np.float32)),
    }
    return xr.Dataset(found, {"alpha": list(study.option("alphas"))}), params


def area_below(energies: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The area of [−1, 1]² on which the energies `[..., points]` do not exceed a level `[...]`."""
    return 4 * (energies <= level[..., None]).mean(axis=-1)


def train_path(study: Study, activation) -> list:
    """Parameters `[S, 2, ...]` after each α, the minimum at one α starting the next (section 4)."""
    import jax

    import aesparse as ae
    from aesparse.objectives import saturating

    stages = ae.fit_path(
        jax.random.key(0),
        curve(int(study.option("samples"))),
        objective=saturating(activation),
        path=[(0.0, alpha) for alpha in study.option("alphas")],
        seeds=[int(s) for s in study.option("seeds")],
        hidden=int(study.option("hidden")),
        constraint=study.option("constraint"),
        tied=False,
        decoder_bias=True,
        epochs=int(study.option("epochs")),
        batch_size=int(study.option("batch")),
        learning_rate=study.option("rate"),
        momentum=0.0,
    )
    return [stage.params for stage in stages]


def energy(params, x: np.ndarray, activation) -> np.ndarray:
    """½‖x − G(x)‖² (SATAE section 3.1) of every model `[S, 2, ...]` at points `[P, 2]`."""
    import jax
    import jax.numpy as jnp

    from aesparse.model import reconstruct

    def one(p, points):
        return jnp.sum((points - reconstruct(p, points, activation)) ** 2, axis=-1) / 2

    return np.asarray(jax.jit(jax.vmap(jax.vmap(one, (0, None)), (0, None)))(params, x))


def draw(found, plan: Plan):
    """The surfaces of one initialization, and area and energy along the path."""
    from matplotlib.figure import Figure

    ((spec, run),) = found.items()
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    axes = figure.subplots(1, 4)
    for penalty, axis in enumerate(axes[:2]):
        picture = draw_surface(axis, run, spec, 0, penalty)
        axis.set_title(strength_title(run, penalty), fontsize=10)
    figure.colorbar(picture, ax=axes[:2], location="bottom", shrink=0.7, label=ENERGY)
    draw_path(axes[2:], run)
    return figure


def drawn_at(run: Mapping) -> int:
    """Which α of the path is drawn."""
    return int(run["drawn_at"])


def strength_title(run, penalty: int) -> str:
    """What a surface was trained with."""
    return (
        f"with penalty, α = {run['alpha'].values[drawn_at(run)]:g}"
        if penalty
        else "without penalty"
    )


def draw_surface(axis, run, spec: Study, drawn: int, penalty: int):
    """Black where the energy is low, the curve on top, the level of S3 as a line."""
    from matplotlib.colors import LogNorm

    energies = run["surface"].values[drawn, penalty].reshape(_SIDE, _SIDE)
    picture = axis.imshow(
        np.clip(energies, DARK, LIGHT),
        origin="lower",
        extent=(-1, 1, -1, 1),
        cmap="gray",
        norm=LogNorm(DARK, LIGHT),
        interpolation="bilinear",
    )
    level = float(run["level"].values[drawn_at(run), drawn, 1])
    if energies.min() < level < energies.max():
        along = np.linspace(-1, 1, _SIDE)
        axis.contour(along, along, energies, [level], colors="#56B4E9", linewidths=0.8)
    points = curve(int(spec.option("samples")))
    axis.plot(*points.T, color="#F0E442", linewidth=1.6)
    axis.set_xticks([-1, 0, 1])
    axis.set_yticks([-1, 0, 1])
    axis.set_aspect("equal")
    return picture


def geometric_mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis; energies differ by many powers of ten between initializations."""
    return np.exp(np.log(values).mean(axis=-1))


def draw_path(axes, run) -> None:
    """The area of low energy and the mean energy on the curve against α, all initializations."""
    positions = np.arange(run.sizes["alpha"])
    looks = (("#000000", "s", "--", "without"), ("#0072B2", "o", "-", "with penalty"))
    for axis, name in zip(axes, ("area", "error"), strict=True):
        for penalty, (colour, marker, style, label) in enumerate(looks):
            values = run[name].values[..., penalty]
            axis.plot(positions, values, color=colour, linewidth=0.5, alpha=0.4)
            axis.plot(
                positions,
                geometric_mean(values),
                color=colour,
                marker=marker,
                markersize=3.5,
                linestyle=style,
                label=label,
            )
        ticks = [f"{a:g}" for a in run["alpha"].values]
        axis.set_xticks(positions, ticks, fontsize=6, rotation=60)
        axis.tick_params(axis="y", labelsize=7)
        axis.set_xlabel("α", fontsize=8)
        axis.grid(alpha=0.25, linewidth=0.5)
    axes[0].set_title("area of low energy", fontsize=9)
    axes[0].set_ylim(bottom=0)
    axes[1].set_title("mean energy on the curve", fontsize=9)
    axes[1].set_yscale("log")
    axes[1].legend(fontsize=7, frameon=False)


def caption(found, plan: Plan) -> str:
    """What the picture shows and how it was trained."""
    ((spec, run),) = found.items()
    return (
        f"Energy of auto-encoders with {spec.option('hidden'):g} shrink units, λ = "
        f"{spec.option('width'):g}, decoder columns of unit length, on [−1, 1]² (black: at most "
        f"{DARK:g}), without and with the saturation penalty; yellow: the training points. "
        + told(spec, run)
    )


def told(spec: Study, run) -> str:
    """The part of the caption that both toy figures share."""
    return (
        f"Blue line: the {spec.option('percentile'):g}th percentile of the penalized model's "
        "energy on the curve, the bound of the area of low energy for both. Right: that area and "
        "the mean energy on the curve while α grows, each α starting from the one before, beside "
        "a model without penalty that gets the same updates; thin: "
        f"{run.sizes['seed']} initializations, thick: their geometric mean. N = "
        f"{spec.option('samples'):g}, {spec.option('epochs'):g} epochs at each α, batches of "
        f"{spec.option('batch'):g}, learning rate {spec.option('rate'):g}."
    )


def verdicts(found, dataset: str) -> list[Verdict]:
    """S3 for shrink units."""
    (run,) = found.values()
    return [decide_s3(run, dataset, "shrink, 10 basis vectors")]


def decide_s3(run: Mapping, dataset: str, units: str) -> Verdict:
    """S3: holds if it does at some α of the path; the numbers are those of the nearest α.

    Ratios are taken per initialization, with the penalty over without it, and averaged as
    logarithms.
    """
    statement = f"the penalty halves the area and keeps the energy on the curve, {units}"
    tried = []
    for i, alpha in enumerate(run["alpha"].values):
        if alpha > 0:
            criteria = [
                _ratio(run, i, "area", f"at α = {alpha:g}: ratio of the areas", AREA_RATIO),
                _ratio(run, i, "error", "ratio of the energies on the curve", ERROR_RATIO),
            ]
            verdict = settle("S3", dataset, statement, criteria, run.sizes["seed"])
            excess = max(c.value / c.threshold for c in criteria)
            tried.append((_RANK[verdict.verdict], excess, verdict, i))
    _, _, verdict, i = min(tried, key=lambda one: one[:2])
    return verdict._replace(numbers=f"{verdict.numbers}; {_beside(run, i)}")


def explain(found, verdict: Verdict) -> list[str]:
    """S3: what the penalty has to be compared with on the curve."""
    (run,) = found.values()
    low = _SMALLEST["error"]
    plain, penalized = geometric_mean(np.maximum(run["error"].values, low)[1:].transpose(2, 0, 1))
    return [
        f"On the curve the model without penalty reaches a mean energy of {plain[-1]:.1e}, the "
        f"penalized ones, from the smallest α to the largest, {penalized[0]:.1e} to "
        f"{penalized[-1]:.1e}: α has to be small for a ratio of {ERROR_RATIO:g}, too small to "
        "halve the area."
    ]


_RANK = {"holds": 0, "inconclusive": 1, "fails": 2}
_SMALLEST = {"area": 4 / _FINE**2, "error": np.finfo(np.float32).tiny}  # one point of the grid


def _ratio(run: Mapping, i: int, name: str, label: str, threshold: float) -> Criterion:
    values = np.maximum(run[name].values[i], _SMALLEST[name])

    def over(seeds: np.ndarray) -> float:
        return float(geometric_mean(values[seeds, 1] / values[seeds, 0]))

    return over_seeds(label, over, len(values), threshold, +1)


def _beside(run: Mapping, i: int) -> str:
    """What the ratios are made of, here and at the α drawn; the areas below a model's own level."""
    told = []
    for j in dict.fromkeys((i, drawn_at(run))):
        area, own, error = (
            geometric_mean(np.maximum(run[name].values[j], low).T)
            for name, low in (
                ("area", _SMALLEST["area"]),
                ("area_at_own_level", _SMALLEST["area"]),
                ("error", _SMALLEST["error"]),
            )
        )
        told.append(
            f"α = {run['alpha'].values[j]:g}: areas {area[0]:.2f} → {area[1]:.2f} of 4, energies "
            f"{error[0]:.1e} → {error[1]:.1e}, areas below each model's own level "
            f"{own[0]:.2f} → {own[1]:.2f}"
        )
    return "; ".join(told)
