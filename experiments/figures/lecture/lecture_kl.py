"""Lecture: the KL sparsity penalty, its gradients, and the input that excites a unit most."""

import numpy as np

from experiments.evidence.claims import settle
from experiments.evidence.criteria import Criterion
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {"L1": "KL is smallest at the target", "L2": "a unit is excited most along its own row"}
SCALES = ("quick",)
DRAWN = 0.2  # the slide's ρ
NEAREST = 1e-6  # L1: |minimizer − ρ| of a search that needs no gradient
SAME = 1e-10  # L1: largest |difference| of two gradients over the largest entry, in float64
ANGLE = 1e-4  # L2: radians between the best input found and W_j/‖W_j‖


def runs(plan: Plan) -> list[Study]:
    """One computation without data."""
    options = (
        ("rhos", (0.05, DRAWN, 0.5)),
        ("shape", (40, 12, 8)),  # samples, inputs, units of the model with random weights
        ("starts", 4),
    )
    return [Study("lecture-kl", options=options, work=1e6)]


def compute(study: Study, dataset):
    """Curves, minimizers, both gradients and the inputs found, all in float64."""
    import jax
    import xarray as xr

    with jax.enable_x64(True):
        parts = _curves(study.option("rhos")) | _gradients(study) | _excitation(study)
    return xr.Dataset(parts)


def _curves(rhos: tuple[float, ...]) -> dict:
    import jax
    import jax.numpy as jnp
    from scipy.optimize import minimize_scalar

    from aesparse.losses.sparsity import kl_divergence

    t = jnp.linspace(0.005, 0.995, 199)
    found = [
        minimize_scalar(
            lambda s, rho=rho: float(kl_divergence(rho, jnp.asarray(s))),
            bounds=(1e-3, 1 - 1e-3),
            method="bounded",
            options={"xatol": 1e-10},
        ).x
        for rho in rhos
    ]
    slope = jax.vmap(jax.grad(kl_divergence, argnums=1), (None, 0))
    return {
        "rho": ("rho", np.array(rhos)),
        "mean": ("mean", np.asarray(t)),
        "kl": (("rho", "mean"), np.array([kl_divergence(rho, t) for rho in rhos])),
        "slope": (("rho", "mean"), np.array([slope(rho, t) for rho in rhos])),
        "minimizer": ("rho", np.array(found)),
    }


def slide_slope(rho: float, mean: np.ndarray) -> np.ndarray:
    """∂Ω/∂ρ̂_l = −ρ/ρ̂_l + (1 − ρ)/(1 − ρ̂_l), as printed."""
    return -rho / mean + (1 - rho) / (1 - mean)


def slide_mean_gradient(weight: np.ndarray, bias: np.ndarray, X: np.ndarray) -> np.ndarray:
    """∂ρ̂_l/∂W_jl = (1/m) Σ_i g'(W_lᵀx_i + b_l) x_ij as printed, for sigmoid g; row l."""
    from scipy.special import expit

    a = X @ weight.T + bias
    return (expit(a) * expit(-a)).T @ X / len(X)


def _model(study: Study):
    """A model with normal random weights and biases, and samples for it."""
    import jax.numpy as jnp

    from aesparse.models.one_layer import Params

    samples, inputs, units = study.option("shape")
    rng = np.random.default_rng(study.seed)
    weight = rng.normal(size=(units, inputs)) / np.sqrt(inputs)
    bias, X = rng.normal(size=units), rng.normal(size=(samples, inputs))
    return Params(jnp.asarray(weight), jnp.asarray(bias)), jnp.asarray(X)


def _gradients(study: Study) -> dict:
    """Largest differences, over the largest entry, of the slides' gradients from autodiff's."""
    import jax

    from aesparse.losses.sparsity import kl_sparsity, mean_activations
    from aesparse.models.forward import forward
    from aesparse.models.one_layer import OneLayer

    params, X = _model(study)
    model = OneLayer.of(params, "sigmoid")
    means = np.asarray(mean_activations(model, params, X))
    of_means = jax.jacrev(lambda p: mean_activations(model, p, X))(params).weight
    own_row = np.stack([of_means[j, j] for j in range(len(means))])
    inner = slide_mean_gradient(*map(np.asarray, (params.weight, params.bias, X)))
    outer = slide_slope(DRAWN, means)[:, None] * inner
    whole = jax.grad(lambda p: kl_sparsity(DRAWN)(forward(model, p, X), None))(params).weight
    return {"inner": _difference(own_row, inner), "outer": _difference(whole, outer)}


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b)))


def _excitation(study: Study) -> dict:
    """The best unit input SLSQP finds for every unit, and how random ones do."""
    import jax

    from aesparse.models.activations import get_activation
    from aesparse.models.one_layer import encode

    sigmoid, (params, _) = get_activation("sigmoid"), _model(study)
    rng = np.random.default_rng(study.seed + 1)
    units, inputs = params.weight.shape
    weight = np.asarray(params.weight)
    directions = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    code = jax.jit(lambda x: encode(params, x, sigmoid))
    silence = jax.jit(jax.value_and_grad(lambda x, j: -encode(params, x, sigmoid)[j]))
    best = np.stack(
        [_most_exciting(silence, j, inputs, study.option("starts"), rng) for j in range(units)]
    )
    others = rng.normal(size=(400, inputs))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    return {
        "angle": ("unit", _angles(best, directions)),
        "found": ("unit", np.diag(code(best))),
        "closed": ("unit", np.diag(code(directions))),
        "random_angle": ("input", _angles(others, directions[:1])),
        "random": ("input", np.asarray(code(others))[:, 0]),
    }


def _most_exciting(silence, j: int, inputs: int, starts: int, rng) -> np.ndarray:
    """max h_j subject to ‖x‖ = 1 by SLSQP from several random starts, knowing nothing of W.

    `silence(x, j)` is −h_j and its gradient.
    """
    from scipy.optimize import minimize

    on_sphere = {"type": "eq", "fun": lambda x: x @ x - 1, "jac": lambda x: 2 * x}
    ends = []
    for start in rng.normal(size=(starts, inputs)):
        ends.append(
            minimize(
                lambda x: tuple(map(np.asarray, silence(x, j))),
                start / np.linalg.norm(start),
                jac=True,
                method="SLSQP",
                constraints=on_sphere,
                options={"ftol": 1e-15, "maxiter": 500},
            )
        )
    x = min(ends, key=lambda end: end.fun).x
    return x / np.linalg.norm(x)


def _angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Radians between unit rows, exact for small angles, where arccos is not."""
    between = 2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    return np.asarray(between, float)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """L1 and L2."""
    (run,) = runs.values()
    rhos, mean = run["rho"].values, run["mean"].values
    off = np.abs(run["minimizer"].values - rhos).max()
    slopes = [_difference(run["slope"].values[i], slide_slope(r, mean)) for i, r in enumerate(rhos)]
    measured = [
        Criterion(f"largest |minimizer − ρ| over ρ = {_listed(rhos)}", off, NEAREST, +1, None),
        *(
            Criterion(f"relative difference of {name}", float(value), SAME, +1, None)
            for name, value in (
                ("∂Ω/∂ρ̂", max(slopes)),
                ("∂ρ̂/∂W", run["inner"]),
                ("∂Ω/∂W", run["outer"]),
            )
        ),
    ]
    angle = float(run["angle"].max())
    farthest = Criterion("largest angle to W_j/‖W_j‖, radians", angle, ANGLE, +1, None)
    gain = float((run["found"] - run["closed"]).max())
    beaten = Criterion("largest gain in h_j over W_j/‖W_j‖", gain, 1e-12, +1, None)
    return [
        settle("L1", dataset, "KL is smallest at ρ̂ = ρ; the slides' gradients", measured, 0),
        settle("L2", dataset, "W_j/‖W_j‖ excites unit j most", [farthest, beaten], 0),
    ]


def _listed(rhos: np.ndarray) -> str:
    return ", ".join(f"{rho:g}" for rho in rhos)


def caption(runs, plan: Plan) -> str:
    """What the three panels show."""
    study = next(iter(runs))
    samples, inputs, units = map(int, study.option("shape"))
    return (
        "Left: KL(ρ‖ρ̂) against the mean activation ρ̂; dots: minimizers found by a search without "
        f"gradients. Middle: its slope at ρ = {DRAWN:g}, the slide's formula on autodiff's. Right: "
        "activation of one sigmoid unit for 400 random inputs of unit length against their angle "
        f"to W_j/‖W_j‖, and the best input found by SLSQP from {study.option('starts'):g} random "
        f"starts. Random normal weights, {units} units, {inputs} inputs, {samples} "
        "samples, float64."
    )


def draw(runs, plan: Plan):
    """KL over its mean, its slope, and a unit's response over angles."""
    from matplotlib.figure import Figure

    (run,) = runs.values()
    figure = Figure(figsize=(9.2, 3.2), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, panel in zip(axes, (_draw_kl, _draw_slope, _draw_excitation), strict=True):
        panel(axis, run)
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_slope(axis, run) -> None:
    chosen, mean = list(run["rho"].values).index(DRAWN), run["mean"].values
    axis.plot(mean, run["slope"][chosen], color="#0072B2", linewidth=1.6, label="autodiff")
    few = mean[::12]
    circles = {"color": "#000000", "markersize": 4, "markerfacecolor": "none"}
    axis.plot(few, slide_slope(DRAWN, few), "o", label="slide", **circles)
    axis.axhline(0, color="#777777", linewidth=0.7)
    axis.axvline(DRAWN, color="#777777", linewidth=0.7, linestyle=":")
    axis.set(ylim=(-12, 12), xlabel="mean activation ρ̂", ylabel=f"∂KL/∂ρ̂ at ρ = {DRAWN:g}")


def _draw_excitation(axis, run) -> None:
    axis.plot(run["random_angle"], run["random"], ".", color="#777777", label="random inputs")
    best = {"color": "#CC3311", "markersize": 8, "label": "best of a search"}
    axis.plot(run["angle"][0], run["found"][0], "^", **best)
    axis.axhline(float(run["closed"][0]), color="#000000", linewidth=0.8, label="at W_j/‖W_j‖")
    axis.set(xlabel="angle to W_j/‖W_j‖ (radians)", ylabel="activation h_j")


def _draw_kl(axis, run) -> None:
    looks = zip(("#999999", "#000000", "#0072B2"), (":", "-", "--"), strict=True)
    for i, (rho, (colour, line)) in enumerate(zip(run["rho"].values, looks, strict=True)):
        axis.plot(run["mean"], run["kl"][i], color=colour, linestyle=line, label=f"ρ = {rho:g}")
        axis.plot(run["minimizer"][i], 0, "o", color=colour, markersize=6, clip_on=False, zorder=3)
    axis.annotate(
        f"minimum at {float(run['minimizer'][list(run['rho'].values).index(DRAWN)]):.4f}",
        (DRAWN, 0), (DRAWN + 0.02, 1.2), fontsize=8, arrowprops={"arrowstyle": "-", "lw": 0.7},
    )  # fmt: skip
    axis.set(ylim=(0, 2.5), xlim=(0, 1), xlabel="mean activation ρ̂", ylabel="KL(ρ‖ρ̂) (nats)")


FIGURE = Figure(
    about=__doc__,
    place="Part 3, sparsity by KL",
    says=(
        "The sparsity penalty is smallest where a unit's mean activation equals the target ρ; "
        "its gradient is derived by the chain rule. From part 2: among inputs of unit length, "
        "a unit is excited most by its own normalized row of weights."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
