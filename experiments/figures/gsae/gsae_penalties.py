"""GSAE section 5: three sparsity penalties on linear, sigmoid and Taylor-sigmoid units."""

import re
from collections.abc import Mapping

import numpy as np

from experiments.drawing import filters
from experiments.evidence import claims, criteria, curves
from experiments.evidence.curves import MONOTONE
from experiments.figures.gsae.common import minimize
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study
from experiments.pipeline.stored import signed_bytes

CLAIMS = {  # its threshold, Spearman <= −0.9, is `curves.MONOTONE`
    "G4": "three penalties lower the mean activation of three kinds of units",
}
SCALES = ("quick", "reduced")

UNITS = ("identity", "sigmoid", "taylor-sigmoid")
PENALTIES = ("kl", "l1", "l2")
BETAS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
RHO, DECAY = 0.1, 3e-3  # as in `gsae_fig1`
_NAMES = {"identity": "linear", "sigmoid": "sigmoid", "taylor-sigmoid": "Taylor sigmoid"}
_LOOK = {"kl": ("KL", "o", "-"), "l1": ("ℓ1", "s", "--"), "l2": ("ℓ2", "^", ":")}
_COLOURS = {"kl": "#000000", "l1": "#0072B2", "l2": "#CC3311"}
# Data set, samples, hidden units, iterations.
_SIZES = {"quick": ("digits", 300, 16, 40), "reduced": ("mnist", 1_000, 25, 60)}
_BATCH = 50  # samples of the minibatches at whose means the penalty is compared
_TILES = 4


def runs(plan: Plan) -> list[Study]:
    """One study per kind of unit and seed; the grid of penalties is one program."""
    dataset, samples, hidden, iterations = _SIZES[plan.scale_name]
    options = (
        ("hidden", hidden),
        ("iterations", iterations),
        ("batch_size", _BATCH),
        ("rho", RHO),
        ("decay", DECAY),
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
    """(λ, β_KL, β_ℓ1, β_ℓ2) of every model, one β at a time; [P·B, 4], the penalties in turn."""
    decay, betas = study.option("decay"), study.option("betas")
    each = [(i, beta) for i in range(len(PENALTIES)) for beta in betas]
    rows = [[decay, *np.where(np.arange(3) == i, beta, 0.0)] for i, beta in each]
    return np.array(rows, np.float32)


def _objective(study: Study):
    from aesparse.losses.generalized_sparse import half_weight_norm, sparsity_function
    from aesparse.losses.objectives import composed
    from aesparse.losses.reconstruction import half_squared_error
    from aesparse.losses.sparsity import kl_sparsity, mean_activation

    rho = study.option("rho")
    # KL with its tangents: the linear and the Taylor unit's means leave (0, 1), and at a small
    # coefficient a sigmoid unit's can reach 1 in rounding.
    means = [mean_activation(sparsity_function(name, rho)) for name in PENALTIES[1:]]
    terms = zip(PENALTIES, (kl_sparsity(rho), *means), strict=True)
    return composed(
        error=half_squared_error(study.option("unit")),
        terms=(("weights", half_weight_norm), *terms),
    )


def compute(study: Study, dataset):
    """Minimizes J for every penalty and β; what is measured is over all samples."""
    import xarray as xr

    X = dataset.train
    result = minimize(study, X, study.option("unit"), _objective(study), _coefficients(study))
    measured = result.measure(X, _measurement(study))
    measured |= {
        "gradient_norm": result.losses["gradient_norm"][:, -1],
        "value": result.losses["loss"][:, -1],
    }
    betas = np.array(study.option("betas"))
    shape = (len(PENALTIES), len(betas))
    found = {
        name: (("penalty", "beta"), np.asarray(values, np.float32).reshape(shape))
        for name, values in measured.items()
    }
    if study.seed == 0:
        rows = np.asarray(result.params.weight).reshape(*shape, -1, X.shape[1])
        tiles = signed_bytes(np.nan_to_num(rows[:, -1, :_TILES]))
        found["filters"] = (("penalty", "filter", "input"), tiles)
    return xr.Dataset(found, {"penalty": list(PENALTIES), "beta": betas})


def _measurement(study: Study):
    """The mean activation, the error, KL at minibatch means and at full means."""
    import jax
    import jax.numpy as jnp

    from aesparse.losses.reconstruction import reconstruction_error
    from aesparse.losses.sparsity import kl_sparsity, mean_activations

    size, penalty = int(study.option("batch_size")), kl_sparsity(study.option("rho"))

    def measured(trained, X):
        model, params, error = trained.model, trained.params, trained.objective.error
        batches = X[: len(X) // size * size].reshape(-1, size, X.shape[1])
        means = jax.vmap(lambda batch: mean_activations(model, params, batch))(batches)
        whole = jnp.mean(means, axis=0)
        return {
            "mean": jnp.mean(whole),
            "reconstruction": reconstruction_error(model, params, X, X, error),
            "kl_of_batches": jnp.mean(jax.vmap(lambda m: penalty_at(penalty, m))(means)),
            "kl_of_all": penalty_at(penalty, whole),
        }

    return measured


def penalty_at(penalty, means):
    """The penalty of given mean activations [m]: linear units without weights, biases alone."""
    import jax.numpy as jnp

    from aesparse.models.forward import one_layer_forward
    from aesparse.models.one_layer import Params

    params = Params(jnp.zeros((len(means), 1), means.dtype), means)
    x = jnp.zeros((1, 1), means.dtype)
    return penalty(one_layer_forward(params, x, "identity"), None)


def _over_seeds(runs: Mapping, unit: str, quantity: str) -> np.ndarray:
    """A quantity of one kind of unit; [seed, penalty, β]."""
    chosen = [run for study, run in runs.items() if study.option("unit") == unit]
    return np.array([run[quantity].values for run in chosen], float)


def draw(runs: Mapping, plan: Plan):
    """Mean activation, reconstruction and filters, a row each; a column per unit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7.4), layout="constrained")
    axes = figure.subplots(3, len(UNITS), height_ratios=(1, 1, 0.62), squeeze=False)
    for column, unit in enumerate(UNITS):
        for row, quantity in enumerate(("mean", "reconstruction")):
            values = _over_seeds(runs, unit, quantity)
            for i, name in enumerate(PENALTIES):
                _draw_line(axes[row, column], values[:, i], name)
        axes[0, column].axhline(RHO, color="#777777", linewidth=0.8)
        axes[0, column].set_title(f"{_NAMES[unit]} units", fontsize=10)
        axes[1, column].set_xlabel("β (spaced by its cube root)")
        (first, *_) = (run for s, run in runs.items() if s.option("unit") == unit)
        tiles = first["filters"].values.reshape(len(PENALTIES) * _TILES, -1).astype(float)
        side = round(tiles.shape[-1] ** 0.5)
        heading = f"encoder rows at β = {BETAS[-1]:g};\nfrom above: KL, ℓ1, ℓ2"
        filters.show(axes[2, column], tiles, (side, side, 1), _TILES, heading)
    axes[0, 0].set_ylabel("mean activation (over units, samples)")
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


def explain(runs, verdict: Verdict) -> list[str]:
    """On which side of the target the mean begins, and where it goes with β."""
    name, unit = re.search(r"β: (\S+), (.+) units$", verdict.statement).groups()
    unit = next(key for key, told in _NAMES.items() if told == unit)
    values = _over_seeds(runs, unit, "mean")[:, [_LOOK[n][0] for n in PENALTIES].index(name)]
    mean = values.mean(axis=0)
    rho = next(iter(runs)).option("rho")
    if not mean[0] < rho:
        return []
    told = f"Without the penalty the mean is {mean[0]:.3f}, below ρ = {rho}, where every φ is "
    told += "smallest; with growing β it is " + ", ".join(f"{value:.3f}" for value in mean[1:])
    norms = _over_seeds(runs, unit, "gradient_norm")
    return [f"{told}. The searches ended at gradients of {np.median(norms):.2g} (median)."]


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows, and what minibatch means cost."""
    study = next(iter(runs))
    return (
        plan.scale.caveat
        + "Mean activation over units and samples, reconstruction error and encoder rows against "
        f"β for KL, ℓ1 and ℓ2 penalties of the means' distance to ρ = {study.option('rho')} "
        f"(grey line); {title(study.dataset)}, pixels in [0, 1], N = {study.samples}, m = "
        f"{study.option('hidden')}, untied, the unit's function on the output too, λ = "
        f"{study.option('decay')}; full-batch L-BFGS, at most {study.option('iterations')} "
        f"iterations, not to convergence (median norm of the gradient {_gradients(runs)}), mean "
        f"and min–max over {len(runs) // len(UNITS)} seeds. KL continues by its tangents where "
        "means leave (0, 1); the Taylor polynomial has a local minimum of 1/6, above ρ, at a = "
        "−2. ρ̂ is the mean over all samples, as in the document; minibatch training would take it "
        "over a batch, where KL, being convex, is larger (Jensen). "
        f"Σ KL of these models at β = {BETAS[-1]:g}, batches of "
        f"{study.option('batch_size')} against all samples: {_jensen(runs)}."
    )


def _gradients(runs: Mapping) -> str:
    norms = {unit: np.median(_over_seeds(runs, unit, "gradient_norm")) for unit in UNITS}
    return ", ".join(f"{_NAMES[unit]} {norm:.2g}" for unit, norm in norms.items())


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
    """G4 for each of the nine pairs."""
    return [
        mean_falls(_over_seeds(runs, unit, "mean")[:, i], dataset, unit, name)
        for unit in UNITS
        for i, name in enumerate(PENALTIES)
    ]


def mean_falls(means: np.ndarray, dataset: str, unit: str, name: str) -> Verdict:
    """G4 for one unit and penalty: the mean activation `[S, strengths]` falls in rank."""

    def rank(seeds: np.ndarray) -> float:
        return curves.spearman(np.array(BETAS), means[seeds].mean(axis=0))

    need = criteria.over_seeds("Spearman(β, mean activation)", rank, len(means), -MONOTONE, +1)
    statement = f"mean activation falls with β: {_LOOK[name][0]}, {_NAMES[unit]} units"
    decided = claims.settle("G4", dataset, statement, [need], len(means))
    decided = claims.unless_flagged(decided, int((~np.isfinite(means)).any(axis=0).sum()))
    ends = [float(means[:, i].mean()) for i in (0, -1)]
    side = "above" if ends[0] > RHO else "below"
    told = f"from {ends[0]:.3f} at β = 0, {side} ρ = {RHO}, to {ends[1]:.3f}"
    return decided._replace(numbers=f"{decided.numbers}; {told}")


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
