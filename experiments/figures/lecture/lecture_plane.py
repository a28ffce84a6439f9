"""Lecture: a contractive auto-encoder in the plane stays sensitive along the data's direction only.

Shapes: S seeds, K strengths, m units.
"""

import numpy as np

from experiments.evidence.claims import settle
from experiments.evidence.criteria import over_seeds
from experiments.evidence.curves import spearman
from experiments.figures.lecture.common.training import options, train
from experiments.pipeline.contents import failed
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {"L8": "the penalty leaves the code sensitive along the data, not across it"}
SCALES = ("quick",)  # a toy problem in the plane exists at no other size
RANK = 0.9  # L8: Spearman's correlation of λ and the ratio of the gains
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
_SAMPLES, _SEEDS = 500, 5
_ANGLE, _DEVIATIONS = 30.0, (1.0, 0.2)  # of u₁ in degrees; of the data along u₁ and u₂
_SHOWN = 4  # place of the strength whose rows are drawn, beside those at 0


def runs(plan: Plan) -> list[Study]:
    """One study: all strengths and seeds in one program."""
    parts = (
        ("angle", _ANGLE),
        ("deviations", _DEVIATIONS),
        ("strengths", STRENGTHS),
        ("seeds", max(plan.seeds, _SEEDS)),
        *options(10, 200, 50, plan.learning_rate or 0.02),
    )
    return [Study("lecture-plane", samples=_SAMPLES, options=parts, work=2e9)]


def directions(angle: float) -> np.ndarray:
    """u₁ at an angle in degrees to the first axis, and u₂ at a right angle to it; rows."""
    turn = np.deg2rad(angle)
    return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def cloud(study: Study) -> np.ndarray:
    """Normal samples `[N, 2]` with the two standard deviations along u₁ and u₂."""
    rng = np.random.default_rng(study.seed)
    along = rng.normal(size=(study.samples, 2)) * study.option("deviations")
    return (along @ directions(study.option("angle"))).astype(np.float32)


def compute(study: Study, dataset):
    """Gains of the Jacobian along u₁ and u₂ `[S, K, 2]`, errors and rows."""
    import xarray as xr

    from aesparse.losses.objectives import regularized

    X, strengths = cloud(study), study.option("strengths")
    seeds = range(study.option("seeds"))
    result = train(study, X, "sigmoid", regularized("cae"), strengths, seeds=seeds)
    gains = result.measure(X, Gains(directions(study.option("angle"))))
    bad = failed(result.final, result.diverged_epoch)
    return xr.Dataset(
        {
            "gain": (
                ("seed", "strength", "direction"),
                np.where(bad[..., None], np.nan, gains),
            ),
            "error": (("seed", "strength"), np.where(bad, np.nan, result.final.reconstruction)),
            "rows": (("strength", "unit", "axis"), np.asarray(result.params.weight[0])),
        },
        {"strength": list(strengths)},
    )


class Gains:
    """√(E‖J u‖²) for each row of `u` `[D, n]`, J the Jacobian of the code, as a measurement."""

    def __init__(self, u: np.ndarray) -> None:
        self.u = u

    def __call__(self, trained, x):
        import jax
        import jax.numpy as jnp

        def squared(direction):
            along = jnp.broadcast_to(direction, x.shape)
            _, change = jax.jvp(lambda z: trained.model.encode(trained.params, z), (x,), (along,))
            return jnp.mean(jnp.sum(change**2, axis=-1))

        return jnp.sqrt(jax.vmap(squared)(jnp.asarray(self.u, x.dtype)))


def ratios(run) -> np.ndarray:
    """Gain along the data's direction over that across it, `[S, K]`."""
    along, across = np.moveaxis(run["gain"].values, -1, 0)
    return along / across


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L8: the ratio of the gains rises with λ."""
    (run,) = runs.values()
    values, strengths = ratios(run), run["strength"].values

    def over(seeds: np.ndarray) -> float:
        mean = values[seeds].mean(axis=0)
        return spearman(strengths, mean) if np.isfinite(mean).all() else np.nan

    name = "Spearman of λ and the ratio of the gains"
    step = over_seeds(name, over, len(values), RANK, -1)
    statement = "the gain along u₁ over that along u₂ grows with λ"
    verdict = settle("L8", dataset, statement, [step], len(values))
    ends = "{:.2f} at λ = 0, {:.2f} at λ = {:g}".format(
        *values.mean(axis=0)[[0, -1]], strengths[-1]
    )
    return [verdict._replace(numbers=f"{verdict.numbers}; ratio {ends}")]


def explain(runs, verdict: Verdict) -> list[str]:
    """The ratio and the error at every strength."""
    (run,) = runs.values()
    rows = zip(
        run["strength"].values, ratios(run).mean(0), run["error"].values.mean(0), strict=True
    )
    each = ", ".join(f"{strength:g}: {ratio:.2f} ({error:.3f})" for strength, ratio, error in rows)
    return [f"Ratio of the gains (reconstruction error) at every λ: {each}."]


def caption(runs, plan: Plan) -> str:
    """The data, the model and what a gain is."""
    ((study, run),) = runs.items()
    first, second = study.option("deviations")
    shown = run["strength"].values[_SHOWN]
    return (
        f"Left: the data, its directions u₁ (deviation {first:g}) and u₂ ({second:g}), and the "
        f"rows of one encoder without penalty (grey, dashed) and at λ = {shown:g} (blue), both "
        "scaled to the same longest row. Middle: gains √(E‖J u‖²) of the Jacobian of the code "
        "along u₁ and u₂ against the coefficient of CAE. Right: their ratio. Lines: means over "
        f"{study.option('seeds')} seeds, bands: smallest to largest. Normal data at "
        f"{study.option('angle'):g}°, N = {study.samples}; {study.option('hidden')} sigmoid units, "
        f"tied weights, decoder bias, {study.option('epochs')} epochs, batch "
        f"{study.option('batch_size')}, learning rate {study.option('learning_rate'):g}."
    )


def draw(runs, plan: Plan):
    """The data with u₁ and u₂, both gains, and their ratio."""
    from matplotlib.figure import Figure

    ((study, run),) = runs.items()
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _draw_plane(left, study, run)
    gains = np.moveaxis(run["gain"].values, -1, 0)
    looks = (("#000000", "o", "-", "along u₁"), ("#0072B2", "s", "--", "along u₂"))
    for values, look in zip(gains, looks, strict=True):
        _draw_band(middle, run, values, *look)
    _draw_band(right, run, ratios(run), "#000000", "o", "-", "")
    middle.set_ylim(bottom=0)
    middle.set_ylabel("gain of the Jacobian")
    middle.legend(frameon=False, fontsize=8)
    right.set_yscale("log")
    right.set_ylabel("ratio of the gains, u₁ to u₂")
    for axis in (left, middle, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_band(axis, run, values: np.ndarray, colour: str, marker: str, line: str, name: str):
    where = np.arange(values.shape[1])
    look = {"color": colour, "marker": marker, "linestyle": line, "label": name}
    axis.plot(where, values.mean(axis=0), markersize=5, **look)
    axis.fill_between(where, values.min(0), values.max(0), color=colour, alpha=0.2, linewidth=0)
    axis.set_xticks(where, [f"{strength:g}" for strength in run["strength"].values])
    axis.set_xlabel("λ of CAE")


def _draw_plane(axis, study: Study, run) -> None:
    X, u = cloud(study), directions(study.option("angle"))
    axis.plot(*X.T, ".", color="#BBBBBB", markersize=3, zorder=0)
    for place, colour, line in ((0, "#555555", (0, (3, 2))), (_SHOWN, "#0072B2", "-")):
        rows = run["rows"].values[place]
        for row in 1.6 * rows / np.linalg.norm(rows, axis=1).max():
            axis.plot((0, row[0]), (0, row[1]), color=colour, linestyle=line, linewidth=1.1)
    for name, vector, length in (("u₁", u[0], 2.6), ("u₂", u[1], 1.3)):
        arrow = {"arrowstyle": "-|>", "color": "#CC3311", "linewidth": 2}
        axis.annotate("", length * vector, (0, 0), arrowprops=arrow)
        axis.annotate(name, (length + 0.3) * vector, color="#CC3311", ha="center", va="center")
    axis.set(aspect="equal", xlim=(-3, 3), ylim=(-2.4, 2.4), xlabel="x₁", ylabel="x₂")


FIGURE = Figure(
    about=__doc__,
    place="Part 4, contraction",
    says=(
        "The contractive penalty works against the reconstruction, so that the code stays "
        "sensitive only to important variations of the data: along the direction u₁ in which "
        "the data varies, not along u₂ across it."
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
