"""SATAE Figure 3: energy around a curve in the plane, two saturated-linear units."""

import numpy as np

from experiments.evidence.claims import settle
from experiments.evidence.criteria import mean_at_least, mean_at_most, over_seeds
from experiments.figures.satae.common.growth import grown
from experiments.figures.satae.common.plane import (
    SIDE,
    energies,
    energy,
    half_variance,
    points_of,
    square,
    toy,
    train_path,
)
from experiments.figures.satae.common.surfaces import (
    ENERGY,
    curve_names,
    draw_lines,
    draw_surface,
    strength_title,
    training,
)
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {
    "S3b": "without penalty the encoders are orthogonal",
    "S3c": "with the penalty they are longer, and saturated at the curve's ends",
    "S8": "outside the linear region energy grows quadratically",
}
SCALES = ("quick",)
ALPHAS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2)
DRAWN = 0.1
FROM_RIGHT = 20.0  # S3b: degrees
LONGER, SATURATED = 1.5, 2 / 3  # S3c: ratio of row lengths; share of the starts
SLOPE, TOLERANCE = 2.0, 0.1  # S8: log–log slope of the energy outside the linear region
_WELL = 1e-3  # over the half-variance; a region with at most this at its edge is reconstructed
_DIRECTIONS = 64
_DISTANCES = (0.1, 10.0)  # from the edge of the linear region
_LONGEST = 0.9  # a basis vector is drawn no longer than this
_ENCODING, _DECODING = "#CC3311", "#009E73"


def runs(plan: Plan) -> list[Study]:
    """One study: two units, both bases unconstrained, nine starts."""
    options = {"curves": ("parabola",), "alphas": ALPHAS, "drawn": DRAWN, "starts": 9}
    study = toy("satae-fig3", 2, "free", **options)
    rays = (("directions", _DIRECTIONS), ("distances", _DISTANCES))
    return [study._replace(options=(*study.options, *rays))]


def compute(study: Study, dataset):
    """The path, its encoders, surfaces of typical starts, and growth of the energy at α = 0."""
    import xarray as xr

    from aesparse.models.activations import get_activation

    units, drawn = get_activation("saturated-linear"), study.option("drawn")
    X = points_of(study.option("curves")[0], study.option("samples"))
    params = train_path(study, X, units)
    cells = ("alpha", "seed", "penalty")
    measured = {n: (cells, v) for n, v in energies(study, X, params, units).items()}
    weights = np.stack([np.asarray(p.weight) for p in params])
    biases = np.stack([np.asarray(p.bias) for p in params])
    measured["angle"] = (cells, angle(weights))
    lengths = np.sort(np.linalg.norm(weights, axis=-1), axis=-1)  # the shorter row first
    measured["length"] = ((*cells, "row"), lengths)
    measured["saturated"] = ((*cells, "end"), saturated(weights, biases, X[[0, -1]]))
    typical = middle_three(angle(weights[drawn, :, 0]))
    chosen = type(params[0])(*(None if p is None else p[typical] for p in params[drawn]))
    surface = energy(chosen, square(SIDE), units) / half_variance(X)
    measured |= {
        "shown": ("drawn", typical),
        "surface": (("drawn", "penalty", "point"), surface.astype(np.float32)),
        "encoding": (("drawn", "penalty", "unit", "axis"), np.asarray(chosen.weight)),
        "decoding": (("drawn", "penalty", "axis", "unit"), np.asarray(chosen.decoder)),
    }
    distances = study.option("distances")
    growth, edge = grown(params[-1], units, X, study.option("directions"), distances)
    measured |= {"growth": (("seed", "ray"), growth), "edge_energy": (("seed", "ray"), edge)}
    return xr.Dataset(measured, {"alpha": list(study.option("alphas"))})


def angle(weights: np.ndarray) -> np.ndarray:
    """Degrees between the lines of two rows `[..., 2, n]`: 90 for orthogonal ones, at most that."""
    a, b = np.moveaxis(weights.astype(float), -2, 0)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.degrees(np.arccos(np.minimum(np.abs((a * b).sum(axis=-1)) / lengths, 1)))


def saturated(weights: np.ndarray, biases: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether some unit is saturated at each of `ends` `[E, n]`: 0 or 1, `[..., E]`."""
    a = ends @ np.swapaxes(weights, -1, -2) + biases[..., None, :]
    return (np.abs(a) >= 1).any(axis=-1).astype(np.int8)


def middle_three(values: np.ndarray) -> np.ndarray:
    """The places of the three values `[S]` nearest to the median in rank, in rising order."""
    first = (len(values) - 3) // 2
    return np.argsort(values, kind="stable")[first : first + 3]


def draw(runs, plan: Plan):
    """Three starts, without the penalty above and with it below; the path at the right."""
    from matplotlib.figure import Figure

    ((study, run),) = runs.items()
    figure = Figure(figsize=(9.4, 5.2), layout="constrained")
    axes = figure.subplots(2, 4)
    (curve,) = study.option("curves")
    for penalty in (0, 1):
        for i, axis in enumerate(axes[penalty, :3]):
            picture = draw_surface(axis, run["surface"].values[i, penalty], study, curve)
            _draw_bases(axis, run["encoding"].values[i, penalty], _ENCODING)
            _draw_bases(axis, run["decoding"].values[i, penalty].T, _DECODING)
            if penalty == 0:
                axis.set_title(f"start {run['shown'].values[i] + 1}", fontsize=9)
        axes[penalty, 0].set_ylabel(strength_title(study, penalty), fontsize=9)
    figure.colorbar(picture, ax=axes[:, :3], location="bottom", shrink=0.5, aspect=40, label=ENERGY)
    measured = {
        "angle of encoders, degrees": run["angle"].values,
        "mean length of encoders": run["length"].values.mean(axis=-1),
    }
    for axis, (title, values) in zip(axes[:, 3], measured.items(), strict=True):
        draw_lines(axis, run["alpha"].values, values, title)
        axis.set_ylim(bottom=0)
    axes[1, 3].legend(fontsize=7, frameon=False)
    return figure


def _draw_bases(axis, vectors: np.ndarray, colour: str) -> None:
    for vector in vectors:
        shown = vector * min(1.0, _LONGEST / np.linalg.norm(vector))
        axis.annotate(
            "",
            shown,
            (0, 0),
            arrowprops={
                "arrowstyle": "-|>" if colour == _ENCODING else "->",
                "linestyle": "-" if colour == _ENCODING else (0, (3, 1)),
                "color": colour,
                "linewidth": 1.6,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )


def caption(runs, plan: Plan) -> str:
    """What the picture shows and how it was trained."""
    ((study, run),) = runs.items()
    return (
        f"Energy of auto-encoders with {study.option('hidden')} saturated-linear units on "
        "[−1, 1]², without (above) and with the saturation penalty (below); yellow: the training "
        f"points ({curve_names(study)}); red, solid: encoding basis vectors, green, dashed: "
        f"decoding ones, none drawn longer than {_LONGEST:g}; blue line: energy of "
        f"{study.option('level'):g} times the half-variance of the data. Of the starts those three "
        "are drawn whose encoders without penalty have the angles nearest to the median. "
        f"{_degenerate(study, run)} Right: angle between the lines of the two encoders, and their "
        "mean length. " + training(study)
    )


def _degenerate(study: Study, run) -> str:
    """How many starts reconstruct the curve without the penalty."""
    error = run["error"].values[study.option("drawn"), :, 0]
    count = int((error <= study.option("level")).sum())
    return f"{count} of {len(error)} starts reconstruct the curve without the penalty."


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S3b and S3c at the α drawn; S8's growth outside the linear region."""
    ((study, run),) = runs.items()
    at = f"α = {study.option('alphas')[study.option('drawn')]:g}"
    now = run.isel(alpha=study.option("drawn"))
    growth, name = run["growth"].values, "log–log slope"
    quadratic = [
        mean_at_least(growth, SLOPE - TOLERANCE, name),
        mean_at_most(growth, SLOPE + TOLERANCE, name),
    ]
    growing = "SL's energy grows quadratically outside the linear region, α = 0"
    return [
        _orthogonal(now, dataset, at),
        _longer(now, dataset, at),
        settle("S8", dataset, growing, quadratic, len(growth)),
    ]


def _orthogonal(run, dataset: str, at: str) -> Verdict:
    """S3b at the α drawn."""
    off = 90 - run["angle"].values  # [S, 2]
    criterion = over_seeds(
        "median of degrees from orthogonal, without penalty",
        lambda starts: float(np.median(off[starts, 0])),
        len(off), FROM_RIGHT, +1,
    )  # fmt: skip
    found = settle("S3b", dataset, "two SL units: orthogonal encoders", [criterion], len(off))
    told = f"with penalty, {at}: {np.median(off[:, 1]):.1f}; two random lines: 45"
    return found._replace(numbers=f"{found.numbers}; {told}")


def _longer(run, dataset: str, at: str) -> Verdict:
    """S3c at the α drawn."""
    lengths, ends = run["length"].values, run["saturated"].values[:, 1]
    ratios = lengths[:, 1].mean(axis=-1) / lengths[:, 0].mean(axis=-1)
    criteria = [
        mean_at_least(ratios, LONGER, "mean length with / without the penalty"),
        over_seeds(
            "share of the starts with a saturated unit, at the end where it is smaller",
            lambda starts: float(ends[starts].mean(axis=0).min()),
            len(ends), SATURATED, -1,
        ),
    ]  # fmt: skip
    statement = f"two SL units at {at}: longer encoders, saturated at both ends of the curve"
    found = settle("S3c", dataset, statement, criteria, len(ends))
    (shorter, longer), (grown_shorter, grown_longer) = np.median(lengths, axis=0)
    told = f"medians of the shorter row {shorter:.2f} → {grown_shorter:.2f}"
    told += f", of the longer one {longer:.2f} → {grown_longer:.2f}"
    return found._replace(numbers=f"{found.numbers}; {told}")


def explain(runs, verdict: Verdict) -> list[str]:
    """S3b, S3c: the number of every start. S8: where the region is reconstructed, and where not."""
    ((study, run),) = runs.items()
    now = run.isel(alpha=study.option("drawn"))
    if verdict.claim == "S3b":
        return [
            "Degrees from orthogonal of the starts, without penalty: "
            f"{_listed(90 - now['angle'].values[:, 0], '.0f')}. {_degenerate(study, run)}"
        ]
    if verdict.claim == "S3c":
        lengths = now["length"].values.mean(axis=-1)
        ratios = lengths[:, 1] / lengths[:, 0]
        return [
            f"Ratios of the mean lengths of the starts: {_listed(ratios, '.1f')}; "
            f"{(ratios < 1).sum()} of {len(ratios)} became shorter."
        ]
    return [_growths(run)]


def _listed(values: np.ndarray, how: str) -> str:
    return ", ".join(format(value, how) for value in np.sort(values))


def _growths(run) -> str:
    growth, edge = (run[name].values for name in ("growth", "edge_energy"))
    known, well = np.isfinite(growth), edge <= _WELL
    slopes = [
        f"{name} (energy there {'at most' if chosen is well else 'above'} {_WELL:g}) "
        f"{growth[known & chosen].mean():.3f} on {(known & chosen).sum()} of {growth.size} rays"
        for name, chosen in (("reconstructed up to its edge", well), ("not", ~well))
        if (known & chosen).any()
    ]
    return f"Slope where the linear region is {'; where it is '.join(slopes)}."


FIGURE = Figure(
    about=__doc__,
    place="Figure 3",
    says=(
        "With two saturated-linear units and no penalty the encoding vectors are orthogonal, "
        "in a random orientation, and outside of the units' linear regions the energy grows "
        "quadratically. With the penalty the vectors align with the data, grow longer, and "
        "saturate at the ends of the curve (section 3.1)."
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
