"""SATAE Figure 6: the complement of eq. 3 for a nonlinearity that is not monotone."""

import numpy as np

from experiments.evidence.claims import settle
from experiments.evidence.criteria import Criterion
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {
    "S6a": "f_c of a non-monotone f has no local minimum at extrema of f",
    "S6b": "f_c of a non-monotone f is flat at extrema of f",
}
SCALES = ("quick",)
STEEP = 1e-6  # |f_c'| at an extremum of f, as a share of its maximum, that is no rounding
SCALES_OF_W = (0.3, 1.0, 3.0)  # s of w(l) = exp(−l/s)/s; SATAE leaves w open
_SHOWN = 1  # the scale drawn
_LOOKS = {0.3: (":", "#E69F00"), 1.0: ("-", "#0072B2"), 3.0: ("--", "#000000")}
_REACH = 6.0


def runs(plan: Plan) -> list[Study]:
    """One study: f, |f'| and f_c on a grid, and f_c at the extrema of f."""
    options = (("function", "sin(2z)exp(-z²/8)"), ("scales", SCALES_OF_W), ("reach", _REACH))
    return [Study("satae-fig6", options=options, work=1e8)]


def wave(z):
    """sin(2z)·exp(−z²/8): extrema of several heights, flat toward both ends."""
    import jax.numpy as jnp

    return jnp.sin(2 * z) * jnp.exp(-(z**2) / 8)


def extrema(reach: float) -> np.ndarray:
    """Where 2 cos(2z) = z sin(2z)/4, within [−reach, reach], by bracketing."""
    from scipy.optimize import brentq

    def slope(z: float) -> float:
        return 2 * np.cos(2 * z) - z * np.sin(2 * z) / 4

    grid = np.linspace(-reach, reach, 1202)
    turns = np.flatnonzero(np.sign(slope(grid[1:])) != np.sign(slope(grid[:-1])))
    return np.array([brentq(slope, grid[i], grid[i + 1]) for i in turns])


def compute(study: Study, dataset):
    """Values and slopes in float64."""
    import jax
    import jax.numpy as jnp
    import xarray as xr

    from aesparse.losses.saturation import multiscale_complement
    from aesparse.models.activations import Activation

    reach, scales = study.option("reach"), study.option("scales")
    with jax.enable_x64(True):
        f = Activation(wave)
        z, turns = np.linspace(-reach, reach, 1201), extrema(reach)
        each = [multiscale_complement(f, scale=s) for s in scales]
        values = {"value": f(jnp.asarray(z)), "slope": jnp.abs(f.slope(jnp.asarray(z)))}
        variables = {name: ("z", np.asarray(v)) for name, v in values.items()}
        variables["complement"] = (("scale", "z"), np.stack([c(jnp.asarray(z)) for c in each]))
        variables["at_turns"] = (("scale", "turn"), np.stack([c(jnp.asarray(turns)) for c in each]))
        variables["slope_at_turns"] = (
            ("scale", "turn"),
            np.stack([_slopes(c, turns) for c in each]),
        )
        variables["steepest"] = ("scale", [_slopes(c, z).max() for c in each])
    return xr.Dataset(variables, {"z": z, "turn": turns, "scale": list(scales)})


def _slopes(f, z: np.ndarray, step: float = 0.02) -> np.ndarray:
    """|f'(z)| by central differences, wider than the cells of the table behind f."""
    import jax.numpy as jnp

    return np.abs(np.asarray(f(jnp.asarray(z + step)) - f(jnp.asarray(z - step)))) / (2 * step)


def draw(runs, plan: Plan):
    """f, |f'| and f_c one above the other, the extrema of f marked."""
    from matplotlib.figure import Figure

    (run,) = runs.values()
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    axes[0].plot(run["z"], run["value"], color="#000000")
    axes[1].plot(run["z"], run["slope"], color="#000000")
    for scale, row in zip(run["scale"].values, run["complement"].values, strict=True):
        style, colour = _LOOKS[float(scale)]
        axes[2].plot(run["z"], row, linestyle=style, color=colour, label=f"s = {scale:g}")
    axes[2].plot(run["turn"], run["at_turns"].values[_SHOWN], "o", color="#0072B2", markersize=4)
    axes[2].legend(fontsize=8, frameon=False, loc="upper right")
    for axis, label in zip(axes, ("f(z)", "|f'(z)|", "f_c(z), eq. 3"), strict=True):
        axis.set_ylabel(label)
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
        for turn in run["turn"].values:
            axis.axvline(turn, color="#999999", linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    axes[2].set_xlabel("z")
    return figure


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    (run,) = runs.values()
    scales = ", ".join(f"{s:g}" for s in run["scale"].values)
    return (
        "f(z) = sin(2z)·exp(−z²/8), |f'| and the complement f_c = min(M⁺f, M⁻f) of eq. 3 with "
        f"w(l) = exp(−l/s)/s for s = {scales}; dashed: the {run.sizes['turn']} extrema of f in "
        f"[{run['z'].values[0]:g}, {run['z'].values[-1]:g}], where |f'| is 0 and f_c is not (dots, "
        f"s = {run['scale'].values[_SHOWN]:g}). SATAE names neither its f nor its w."
    )


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S6a and S6b over all extrema, for every scale of w: both follow from the slope there."""
    (run,) = runs.values()
    share = run["slope_at_turns"].values / run["steepest"].values[:, None]
    name = "smallest |f_c'| at an extremum, of its maximum"
    steep = Criterion(name, float(share.min()), STEEP, -1, None, strict=True)
    spans = "; ".join(
        f"s = {s:g}: {row.min():.0%} to {row.max():.0%}"
        for s, row in zip(run["scale"].values, share, strict=True)
    )
    flat = steep._replace(sign=+1, strict=False)
    return [
        verdict._replace(numbers=f"{verdict.numbers}; {spans}")
        for verdict in (
            settle("S6a", dataset, "eq. 3's f_c has a slope, no local minimum", [steep], 0),
            settle("S6b", dataset, "eq. 3's f_c is flat at extrema, literally", [flat], 0),
        )
    ]


FIGURE = Figure(
    about=__doc__,
    place="Figure 6",
    says=(
        "For activations without a flat region f_c is defined by averages of |f'| to either "
        "side (eq. 3). Where |f'| has its minima at the extrema of a non-monotone f, f_c is "
        "said only to reach a plateau (section 5.1)."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
