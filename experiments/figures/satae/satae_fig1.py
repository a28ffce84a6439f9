"""SATAE Figure 1: three nonlinearities and their complements, with sections 3.2 and 5.2 decided."""

import numpy as np

from experiments.evidence.claims import settle
from experiments.evidence.criteria import Criterion, over_seeds
from experiments.figures.satae.common.prepare import mixtures
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

CLAIMS = {
    "S1": "f_c from f alone equals its closed forms",
    "S2": "saturation and ℓ1 are one for shrink units",
    "S7": "saturated linear: f_c has a slope inside, CAE's penalty none",
}
SCALES = ("quick",)
CLOSED_FORM = 1e-6  # S1: largest deviation of f_c from its closed form
ROUNDING = 1e-10  # S2: relative difference that rounding explains in float64, the guard's limit
NAMES = ("shrink", "relu", "saturated-linear")
WIDTH = 0.5  # the shrink parameter λ
_TITLES = {
    "shrink": f"shrink (λ = {WIDTH})",
    "relu": "ReLU",
    "saturated-linear": "saturated linear",
}
_ALPHAS = (0.0, 0.2)


def runs(plan: Plan) -> list[Study]:
    """One study: the functions, and the two objectives of section 3.2 trained side by side."""
    options = (
        ("width", WIDTH),
        ("seeds", (0.0, 1.0, 2.0)),
        ("strengths", _ALPHAS),
        ("samples", 500.0),
        ("inputs", 16.0),
        ("hidden", 24.0),
        ("batch", 10.0),
        ("epochs", 20.0),  # of 50 updates: 1,000
        ("rate", 0.02),
    )
    return [Study("satae-fig1", options=options, work=2e10)]


def compute(study: Study, dataset):
    """Everything in float64: curves, deviations, gradients and trajectories."""
    import jax
    import xarray as xr

    with jax.enable_x64(True):
        z = np.linspace(-2, 2, 401)
        curves = _curves(study, z)
        forms = _closed_forms(study.option("width"))
        deviation = [
            np.abs(curves["complement"][i] - forms[n](z)).max() for i, n in enumerate(forms)
        ]
        found = {
            **{name: (("function", "z"), rows) for name, rows in curves.items()},
            "deviation": ("function", deviation),
            **{name: ("seed", values) for name, values in section_3_2(study).items()},
            **_section_5_2(),
        }
    return xr.Dataset(found, {"z": z, "function": list(NAMES)})


def _activations(width: float) -> list:
    from aesparse.models.activations import get_activation, shrink

    return [shrink(width), *map(get_activation, NAMES[1:])]


def _curves(study: Study, z: np.ndarray) -> dict[str, np.ndarray]:
    import jax.numpy as jnp

    from aesparse.losses.saturation import complement

    chosen = _activations(study.option("width"))
    return {
        "value": np.stack([s(jnp.asarray(z)) for s in chosen]),
        "complement": np.stack([complement(s)(jnp.asarray(z)) for s in chosen]),
    }


def _closed_forms(width: float) -> dict:
    """Distances to the flat parts by hand; SATAE section 3.2 with its misprint mended."""
    return {
        "shrink": lambda z: np.maximum(np.abs(z) - width, 0),
        "relu": lambda z: np.maximum(z, 0),
        "saturated-linear": lambda z: np.maximum(1 - np.abs(z), 0),
    }


def l1(forward, eps):
    """E‖h‖₁, the sparse auto-encoder's penalty: summed over units, averaged over samples."""
    import jax.numpy as jnp

    del eps
    return jnp.mean(jnp.sum(jnp.abs(forward.code), axis=-1))


def section_3_2(study: Study) -> dict[str, np.ndarray]:
    """Relative differences of gradients and of trained parameters, saturation against ℓ1; [S]."""
    import jax

    from aesparse.losses.objectives import composed, saturating
    from aesparse.losses.reconstruction import half_squared_error
    from aesparse.models.activations import shrink
    from aesparse.models.one_layer import OneLayer

    hidden, unit = int(study.option("hidden")), shrink(study.option("width"))
    model = OneLayer(hidden, unit, tied=False, decoder_bias=True)
    objectives = saturating(), composed(error=half_squared_error(), terms={"l1": l1})
    X = mixtures(int(study.option("samples")), int(study.option("inputs")))
    trained = [_train(study, X, model, objective) for objective in objectives]
    apart, effect = _largest(trained[0], trained[1], 1), _largest(trained[0], trained[0], 0)
    strength = jax.numpy.asarray(study.option("strengths")[1])

    def gradients(objective):
        coefficients = dict.fromkeys(objective.coefficients, strength)

        def one(params):
            return jax.grad(lambda p: objective(model, p, X, X, coefficients)[0])(params)

        return jax.vmap(jax.vmap(one))(trained[0])

    first, second = map(gradients, objectives)
    return {"gradients": _largest(first, second, 1), "trajectories": apart, "effect": effect}


def _train(study: Study, X, model, objective):
    """Parameters `[S, G, ...]` of seeds × strengths."""
    import jax

    import aesparse as ae

    (coefficient,) = objective.coefficients
    return ae.fit(
        X,
        model,
        objective,
        sweep={
            "seed": [int(seed) for seed in study.option("seeds")],
            coefficient: study.option("strengths"),
        },
        optimizer=ae.sgd(study.option("rate"), momentum=0.0),
        constraint="unit-columns",
        key=jax.random.key(0),
        epochs=int(study.option("epochs")),
        batch_size=int(study.option("batch")),
    ).params


def _largest(a, b, place: int) -> np.ndarray:
    """‖a − b‖ over ‖a‖, a at the penalized strength, b at the `place`-th: worst leaf; [S]."""
    parts = []
    for one, other in zip(a, b, strict=True):
        p, q = np.asarray(one)[:, 1], np.asarray(other)[:, place]
        axes = tuple(range(1, p.ndim))
        parts.append(np.sqrt(((p - q) ** 2).sum(axes) / (p**2).sum(axes)))
    return np.max(parts, axis=0)


def _section_5_2() -> dict:
    """Gradients in a of the CAE's and of the saturation penalty, at random a, saturated linear."""
    import jax
    import jax.numpy as jnp

    from aesparse.losses.penalties import contractive
    from aesparse.losses.saturation import saturation
    from aesparse.models.forward import forward
    from aesparse.models.one_layer import OneLayer, Params, preactivation

    draws = np.random.default_rng(1)
    params = Params(
        jnp.asarray(draws.normal(size=(50, 20)) / 4), jnp.asarray(draws.normal(size=50))
    )
    X = jnp.asarray(draws.normal(size=(2000, 20)))
    model, a = OneLayer.of(params, "saturated-linear"), np.asarray(preactivation(params, X))

    def slopes(penalty):  # of one sample in its bias, hence in its a
        def one(x):
            return jax.grad(lambda p: penalty(forward(model, p, x[None]), None))(params).bias

        return np.abs(jax.vmap(one)(X))

    inside, saturated = np.abs(a) < 1, np.abs(a) > 1
    found = slopes(saturation)
    return {
        "cae_slope": slopes(contractive).max(),
        "cae_value": float(contractive(forward(model, params, X), None)),
        "inside_slope": np.abs(found[inside] - 1).max(),
        "outside_slope": found[saturated].max(),
        "preactivations": a.size,
    }


def draw(runs, plan: Plan):
    """Nonlinearities above, their complements below."""
    from matplotlib.figure import Figure

    (run,) = runs.values()
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey="row")
    for column, name in enumerate(NAMES):
        for row, variable in enumerate(("value", "complement")):
            axis = axes[row][column]
            values = run[variable].values[column]
            flat = run["complement"].values[column] == 0
            axis.plot(run["z"], values, color="#0072B2", linewidth=1.8)
            axis.plot(
                run["z"], np.where(flat, values, np.nan), color="#000000", linewidth=4, alpha=0.5
            )
            axis.axhline(0, color="#999999", linewidth=0.5, zorder=0)
            axis.grid(alpha=0.25, linewidth=0.5)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0][column].set_title(_TITLES[name], fontsize=10)
        axes[1][column].set_xlabel("z")
    axes[0][0].set_ylabel("f(z)")
    axes[1][0].set_ylabel("f_c(z), eq. 1")
    axes[0][1].annotate(
        "saturation region",
        (-1.0, 0),
        (-1.9, 1.1),
        fontsize=8,
        arrowprops={"arrowstyle": "-", "linewidth": 0.6},
    )
    return figure


def caption(runs, plan: Plan) -> str:
    """What the picture shows, and how section 3.2 was tried."""
    ((spec, run),) = runs.items()
    updates = spec.option("epochs") * spec.option("samples") / spec.option("batch")
    return (
        "Three nonlinearities f (above) and their complements f_c (below): the distance of z to "
        "the saturation region (thick grey), found from the slopes of f alone. Section 3.2 is "
        f"tried on shrink units, λ = {spec.option('width'):g}: {updates:,.0f} updates in float64 "
        f"with the saturation penalty and with ℓ1, α = {spec.option('strengths')[1]:g}, "
        f"n = {spec.option('inputs'):g}, m = {spec.option('hidden'):g}, "
        f"N = {spec.option('samples'):g}, learning rate {spec.option('rate'):g}, "
        f"{run.sizes['seed']} seeds."
    )


def _seeds_largest(run, name: str, told: str, threshold: float) -> Criterion:
    values = run[name].values
    return over_seeds(told, lambda seeds: float(values[seeds].max()), len(values), threshold, +1)


def verdicts(runs, dataset: str) -> list[Verdict]:
    """S1, S2 and S7, all in float64."""
    (run,) = runs.values()
    s1 = [
        Criterion(f"largest deviation, {_TITLES[n]}", float(d), CLOSED_FORM, +1, None)
        for n, d in zip(NAMES, run["deviation"].values, strict=True)
    ]
    s2 = [
        _seeds_largest(run, "gradients", "relative difference of the gradients", ROUNDING),
        _seeds_largest(run, "trajectories", "of the trained parameters", ROUNDING),
    ]
    s7 = [
        Criterion("largest |∂CAE/∂a|", float(run["cae_slope"]), 0.0, +1, None),
        Criterion("| |f_c'| − 1 | inside", float(run["inside_slope"]), 0.0, +1, None),
        Criterion("|f_c'| outside", float(run["outside_slope"]), 0.0, +1, None),
    ]
    equal = settle(
        "S2", dataset, "saturation and ℓ1 on shrink units are one", s2, run.sizes["seed"]
    )
    effect = f"; with against without the penalty {run['effect'].values.min():.2f}"
    moved = settle("S7", dataset, "saturated linear: only f_c has a slope inside", s7, 0)
    count = (
        f"; at {int(run['preactivations']):,} random a, CAE itself {float(run['cae_value']):.2f}"
    )
    return [
        settle("S1", dataset, "f_c from f alone equals the closed forms", s1, 0),
        equal._replace(numbers=equal.numbers + effect),
        moved._replace(numbers=moved.numbers + count),
    ]


FIGURE = Figure(
    about=__doc__,
    place="Figure 1",
    says=(
        "Three activations with flat regions (shrink, rectified linear, saturated linear) and "
        "their complements f_c, the distance to the nearest flat region (eq. 1). For shrink "
        "units the penalty is an ℓ1 penalty on the code, so that the model is a sparse "
        "auto-encoder (section 3.2). CAE's penalty also pushes units into flat regions, but "
        "needs a differentiable activation (section 5.2)."
    ),
    claims=CLAIMS,
    runs=runs,
    compute=compute,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    scales=SCALES,
)
