"""GSAE section 5: three sparsity penalties on linear, sigmoid and Taylor-sigmoid units.

At reduced about 8 minutes on two idle cores; at paper (10,000 digits and 196 units) about six
hours, not run.
"""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import filters
from experiments.evidence import claims, criteria
from experiments.evidence.bootstrap import mean_interval
from experiments.figures.gsae.common.linear import pca_bound, same_moments
from experiments.figures.gsae.common.measures import penalty_measurement
from experiments.figures.gsae.common.searches import CONVERGED, converged, minimize
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

CLAIMS = {"G4": "how near three penalties bring the mean activations of three kinds of units to ρ"}
SCALES = ("quick", "reduced", "paper")

UNITS = ("identity", "sigmoid", "taylor-sigmoid")
PENALTIES = ("kl", "l1", "l2")
BETAS = (0.0, 0.03, 0.3, 3.0)
# ρ as in `gsae_fig1`, and three times its λ: at 0.003 sigmoid models of 25 units were far from a
# minimum after 400 iterations, and at 0.03 they hardly encode.
RHO, DECAY = 0.1, 0.01
# L-BFGS stalls at the kink of ℓ1, so |t| is rounded within this distance of 0, by at most half of
# it: β ROUNDED/2 a unit in J.
ROUNDED = 0.01
_NAMES = {"identity": "linear", "sigmoid": "sigmoid", "taylor-sigmoid": "Taylor sigmoid"}
_LOOK = {"kl": ("KL", "o", "-"), "l1": ("ℓ1", "s", "--"), "l2": ("ℓ2", "^", ":")}
_COLOURS = {"kl": "#000000", "l1": "#0072B2", "l2": "#CC3311"}
# Data set, samples, hidden units, iterations.
_SIZES = {
    "quick": ("digits", 300, 9, 200),
    "reduced": ("mnist", 1_000, 16, 1_000),
    "paper": ("mnist", 10_000, 196, 1_000),
}
_BATCH = 50  # samples of the minibatches at whose means the penalty is compared
_TILES = 4
_SMALLEST = 1e-5  # smaller distances are drawn here


def runs(plan: Plan) -> list[Study]:
    """One study per kind of unit and seed; the grid of penalties is one program."""
    dataset, samples, hidden, iterations = _SIZES[plan.scale_name]
    options = (
        ("hidden", hidden),
        ("iterations", iterations),
        ("batch_size", _BATCH),
        ("rho", RHO),
        ("decay", DECAY),
        ("rounded", ROUNDED),
        ("betas", BETAS),
    )
    inputs = DATA[dataset].inputs
    work = 12.0 * samples * inputs * hidden * iterations * len(BETAS) * len(PENALTIES)
    return [
        Study("gsae-penalties", dataset, samples, seed, (("unit", unit), *options), work)
        for unit in UNITS
        for seed in plan.seed_numbers
    ]


def _coefficients(study: Study) -> np.ndarray:
    """(λ, β_KL, β_ℓ1, β_ℓ2) of every model [1 + P·(B − 1), 4]: β = 0 once, then each penalty."""
    decay, betas = study.option("decay"), np.array(study.option("betas"))[1:]
    rows = np.kron(np.eye(len(PENALTIES)), betas[:, None])
    rows = np.concatenate([np.zeros((1, len(PENALTIES))), rows])
    return np.column_stack([np.full(len(rows), decay), rows]).astype(np.float32)


def by_penalty(models: np.ndarray) -> np.ndarray:
    """Of every model `[1 + P·(B − 1), ...]`, that of each penalty and β, `[P, B, ...]`."""
    rest = models[1:].reshape(len(PENALTIES), -1, *models.shape[1:])
    first = np.broadcast_to(models[0], (len(PENALTIES), 1, *models.shape[1:]))
    return np.concatenate([first, rest], axis=1)


def _objective(study: Study):
    from aesparse.losses.generalized_sparse import half_weight_norm, sparsity_function
    from aesparse.losses.objectives import composed
    from aesparse.losses.reconstruction import half_squared_error
    from aesparse.losses.sparsity import kl_sparsity, mean_activation

    rho = study.option("rho")
    # KL with its tangents: the linear and the Taylor unit's means leave (0, 1), and at a small
    # coefficient a sigmoid unit's can reach 1 in rounding.
    l1 = mean_activation(rounded_l1(rho, study.option("rounded")))
    l2 = mean_activation(sparsity_function("l2", rho))
    terms = zip(PENALTIES, (kl_sparsity(rho), l1, l2), strict=True)
    return composed(
        error=half_squared_error(study.option("unit")),
        terms=(("weights", half_weight_norm), *terms),
    )


def rounded_l1(rho: float, width: float):
    """|ρ̂ − ρ| less width/2, a parabola within `width` of ρ (Huber's function)."""
    import jax.numpy as jnp

    def phi(mean):
        distance = jnp.abs(mean - rho)
        return jnp.where(distance < width, distance**2 / (2 * width), distance - width / 2)

    return phi


def compute(study: Study, dataset):
    """Minimizes J for every penalty and β; what is measured is over all samples.

    Linear units in float64: at their minimum float32 leaves of the gradient little but rounding.
    """
    import jax
    import xarray as xr

    X, bound, linear = dataset.train, np.nan, study.option("unit") == "identity"
    with jax.enable_x64(linear):
        if linear:
            X = X.astype(float)
            bound = pca_bound(X, int(study.option("hidden")), study.option("decay"))
        rows = same_moments(X) + X.mean(axis=0) if linear else X
        objective, strengths = _objective(study), _coefficients(study)
        result, fall = minimize(study, rows, study.option("unit"), objective, strengths)
        measured = result.measure(X, penalty_measurement(study))
    measured |= {"value": result.losses["loss"][:, -1], "fall": fall}
    found = {
        name: (("penalty", "beta"), by_penalty(np.asarray(values, np.float32)))
        for name, values in measured.items()
    }
    found["bound"] = bound
    if study.seed == 0:
        weights = by_penalty(np.asarray(result.params.weight))
        tiles = signed_bytes(np.nan_to_num(weights[:, -1, :_TILES]))
        found["filters"] = (("penalty", "filter", "input"), tiles)
    coordinates = {"penalty": list(PENALTIES), "beta": np.array(study.option("betas"))}
    return xr.Dataset(found, coordinates)


def _over_seeds(runs: Mapping, unit: str, quantity: str) -> np.ndarray:
    """A quantity of one kind of unit; [seed, penalty, β]."""
    chosen = [run for study, run in runs.items() if study.option("unit") == unit]
    return np.array([run[quantity].values for run in chosen], float)


def draw(runs: Mapping, plan: Plan):
    """Distance to ρ, reconstruction and filters, a row each; a column per unit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7.4), layout="constrained")
    axes = figure.subplots(3, len(UNITS), height_ratios=(1, 1, 0.62), squeeze=False)
    for column, unit in enumerate(UNITS):
        for row, quantity in enumerate(("distance", "reconstruction")):
            values = _over_seeds(runs, unit, quantity)
            for i, name in enumerate(PENALTIES):
                _draw_line(axes[row, column], np.maximum(values[:, i], _SMALLEST), name)
        axes[0, column].set_yscale("log")
        axes[0, column].set_ylim(_SMALLEST / 2, 30)
        axes[0, column].set_title(f"{_NAMES[unit]} units", fontsize=10)
        axes[1, column].set_xlabel("β (spaced by its cube root)")
        (first, *_) = (run for s, run in runs.items() if s.option("unit") == unit)
        tiles = first["filters"].values.reshape(len(PENALTIES) * _TILES, -1).astype(float)
        side = round(tiles.shape[-1] ** 0.5)
        heading = f"encoder rows at β = {BETAS[-1]:g};\nfrom above: KL, ℓ1, ℓ2"
        filters.show(axes[2, column], tiles, (side, side, 1), _TILES, heading)
    axes[0, 0].set_ylabel("mean over units of |ρ̂ − ρ|")
    axes[1, 0].set_ylabel("½ squared error per sample")
    handles, _ = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_line(axis, values: np.ndarray, name: str) -> None:
    """The mean over seeds of `values` [seed, β] and their range."""
    label, marker, line = _LOOK[name]
    kept, colour = np.ma.masked_invalid(values), _COLOURS[name]
    axis.plot(
        BETAS,
        kept.mean(axis=0),
        color=colour,
        marker=marker,
        linestyle=line,
        markersize=4.5,
        markerfacecolor="none",
        label=label,
    )
    low, high = kept.min(axis=0), kept.max(axis=0)
    axis.fill_between(BETAS, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.set_xscale("function", functions=(np.cbrt, lambda v: v**3))
    axis.set_xticks(BETAS, [f"{b:g}" for b in BETAS], fontsize=7)
    axis.grid(alpha=0.25, linewidth=0.5)


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows, and what minibatch means cost."""
    study = next(iter(runs))
    falls = {unit: np.nanmax(_over_seeds(runs, unit, "fall")) for unit in UNITS}
    told = ", ".join(f"{_NAMES[unit]} {fall:.1e}" for unit, fall in falls.items())
    return (
        plan.scale.caveat
        + "Mean over units of the distance of ρ̂_j, a unit's mean activation over all samples, to "
        f"ρ = {study.option('rho')}, reconstruction error and encoder rows, against β for KL, ℓ1 "
        f"and ℓ2 penalties; {title(study.dataset)}, pixels in [0, 1], N = {study.samples}, m = "
        f"{study.option('hidden')}, untied, the unit's function on the output too, λ = "
        f"{study.option('decay')}; full-batch L-BFGS from small weights, "
        f"{study.option('iterations')} iterations, over the last tenth of which J fell by "
        f"this part of itself: {told} (at a minimum: at most {CONVERGED:g}). Lines: means over "
        f"{len(runs) // len(UNITS)} seeds; bands: smallest to largest. ℓ1 is rounded within "
        f"{study.option('rounded'):g} of ρ. KL is undefined where "
        "ρ̂_j ≤ 0 or ≥ 1, as linear and Taylor units' means are, and goes on by its tangents; the "
        "Taylor polynomial has a local minimum of 1/6, above ρ, at a = −2. In minibatches KL, "
        "being convex, is larger (Jensen): "
        f"Σ KL of these models at β = {BETAS[-1]:g}, batches of "
        f"{study.option('batch_size')} against all samples: {_jensen(runs)}."
    )


def _jensen(runs: Mapping) -> str:
    told = []
    for unit in UNITS:
        batch, whole = (
            _over_seeds(runs, unit, name)[:, PENALTIES.index("kl"), -1].mean()
            for name in ("kl_of_batches", "kl_of_all")
        )
        told.append(f"{_NAMES[unit]} {batch:.3g} against {whole:.3g}")
    return ", ".join(told)


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """G4: what follows from being at a minimum, by unit; and each pair's distance to ρ."""
    rows = [never_rises(runs, dataset, unit) for unit in UNITS]
    return rows + [distance(runs, dataset, u, name) for u in UNITS for name in PENALTIES]


def never_rises(runs: Mapping, dataset: str, unit: str) -> Verdict:
    """Σ φ(ρ̂_j) does not rise with β: by construction where every model is at its minimum.

    That of ℓ1 is measured without its rounding, and so may rise by `ROUNDED`/2 a unit.
    """
    quantities = ("kl_of_all", "distance", "square")
    sums = [_over_seeds(runs, unit, q)[:, i] for i, q in enumerate(quantities)]  # each [S, β]
    rise = np.stack([np.diff(s) / s.max(axis=1, keepdims=True) for s in sums], axis=1)
    need = criteria.largest_at_most(rise, CONVERGED, "largest rise of Σφ, part of its largest")
    given = [converged(_over_seeds(runs, unit, "fall"), "all penalties")]
    statement = f"Σ φ(ρ̂) does not rise with β: {_NAMES[unit]} units"
    decided = claims.settle("G4", dataset, statement, [need], len(rise), given)
    return claims.by_construction(decided)


def distance(runs: Mapping, dataset: str, unit: str, name: str) -> Verdict:
    """The mean over units of |ρ̂_j − ρ| at each β; measured, where the models are at a minimum."""
    at = PENALTIES.index(name)
    of = {q: _over_seeds(runs, unit, q)[:, at] for q in ("distance", "fall", "undefined", "value")}
    means = [mean_interval(of["distance"][:, i]) for i in range(len(BETAS))]
    told = ", ".join(f"{mean} at β = {beta:g}" for mean, beta in zip(means, BETAS, strict=True))
    minimum = converged(of["fall"], "all β")
    numbers = [f"mean |ρ̂ − ρ| {told}", minimum.measured]
    if name == "kl" and of["undefined"].any():
        shares = ", ".join(f"{share:.0%}" for share in of["undefined"].mean(axis=0))
        numbers.append(f"KL undefined, its tangent used, for {shares} of the units")
    if unit == "identity":
        bound = [float(run["bound"]) for s, run in runs.items() if s.option("unit") == unit]
        excess = (of["value"] / np.array(bound)[:, None] - 1).max()
        numbers.append(f"J at most {excess:.2%} above the bound of PCA, at which ρ̂ = ρ")
    statement = f"distance of mean activations to ρ: {_LOOK[name][0]}, {_NAMES[unit]} units"
    known = minimum.decided and minimum.holds
    verdict = "measured" if known else "inconclusive"
    return Verdict("G4", dataset, statement, verdict, "; ".join(numbers))


FIGURE = Figure(
    about=__doc__,
    place="Section 5, other sparsity penalties",
    says=(
        "Announced, not shown: ℓ1 and ℓ2 sparsity penalties on the nonlinear model, ℓ1 on the "
        "linear one, and units with a Taylor approximation of the sigmoid."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
