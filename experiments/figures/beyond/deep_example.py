"""Deep encoders: two hidden layers (flax) over a grid of contractive strengths in one program."""

import numpy as np

from experiments.evidence import claims
from experiments.evidence.criteria import Criterion, rank_correlation
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import DATA, title
from experiments.pipeline.spec import Study

CLAIMS = {"deep": "the Jacobian's estimate is right, the penalty falls with its strength"}
SCALES = ("quick",)
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LAYERS = (48, 32)
ACTIVATIONS = {
    "relu": ("ReLU", "#000000", "o", "-"),
    "softplus": ("softplus", "#0072B2", "s", "--"),
}
EPOCHS, BATCH, RATE, PROBES = 30, 50, 0.003, 16
STANDARD_ERRORS, FALLING = 4.0, 0.9  # thresholds of this example


def runs(plan: Plan) -> list[Study]:
    """One study per activation; its seeds and strengths train in one program."""
    options = {
        "strengths": STRENGTHS,
        "layers": LAYERS,
        "seeds": plan.seeds,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "learning_rate": RATE,
        "probes": PROBES,
    }
    return [
        Study(
            "deep-example",
            dataset="digits",
            samples=plan.scale.samples,
            options=(("activation", activation), *options.items()),
            work=2e10,
        )
        for activation in ACTIVATIONS
    ]


def _model(study: Study, inputs: int):
    """The encoder inputs → 48 → 32 and its mirror image, as flax modules."""
    import flax.linen as nn

    from aesparse.models.activations import get_activation
    from aesparse.models.flax import FlaxModel

    act = get_activation(study.option("activation"))
    first, code = study.option("layers")
    encoder = nn.Sequential([nn.Dense(first), act, nn.Dense(code), act])
    return FlaxModel(encoder, nn.Sequential([nn.Dense(first), act, nn.Dense(inputs)]))


def compute(study: Study, dataset):
    """Trains the grid, then measures every model on held-out digits."""
    import jax
    import xarray as xr

    import aesparse as ae
    from aesparse.losses.probed import contractive_probed

    scaler = ae.data.standardize(dataset.train, DATA[study.dataset].epsilon)
    X, heldout = scaler(dataset.train), scaler(dataset.heldout)
    result = ae.fit(
        X,
        _model(study, X.shape[1]),
        ae.objectives.regularized(contractive_probed()),
        sweep={"seed": range(study.option("seeds")), "strength": study.option("strengths")},
        optimizer=ae.sgd(study.option("learning_rate")),
        key=jax.random.key(0),
        epochs=study.option("epochs"),
        batch_size=study.option("batch_size"),
    )
    measured = result.measure(heldout, _measurement(study))
    axes = ("seed", "strength", "layer")
    return xr.Dataset({name: (axes[: v.ndim], v) for name, v in measured.items()})


def _measurement(study: Study):
    """Error, penalty, its estimate and the layers' activation fractions of a model."""
    import jax
    import jax.numpy as jnp

    from aesparse.losses.penalties import contractive_generic
    from aesparse.losses.probed import contractive_estimate
    from aesparse.models.activations import get_activation
    from aesparse.models.flax import captured
    from aesparse.models.forward import forward

    act = get_activation(study.option("activation"))

    def measured(trained, x):
        model, params = trained.model, trained.params
        shape = (study.option("probes"), *x.shape)
        probes = jax.random.rademacher(jax.random.key(1), shape, x.dtype)
        value, error = contractive_estimate(model.encode, params, x, probes)
        clean = forward(model, params, x)
        layers = captured(model.encoder, ["layers_0", "layers_2"])(params, x)
        return {
            "reconstruction": jnp.mean(jnp.sum((x - clean.reconstruction) ** 2, axis=-1)),
            "penalty": contractive_generic(clean, None),
            "estimate": value,
            "standard_error": error,
            "active": jnp.stack([jnp.mean(act(a) > act.threshold) for a in layers]),
        }

    return measured


def draw(runs, plan: Plan):
    """Held-out error, squared Jacobian and activation fractions against the strength."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.9), layout="constrained")
    axes = figure.subplots(1, 3)
    for study, run in runs.items():
        name, colour, marker, line = ACTIVATIONS[study.option("activation")]
        look = {"color": colour, "marker": marker, "linestyle": line, "markersize": 4.5}
        x = np.array(study.option("strengths"))
        mean = run.mean("seed")
        for axis, variable in zip(axes, ("reconstruction", "penalty"), strict=False):
            axis.plot(x, mean[variable], label=name, **look)
            low, high = run[variable].min("seed"), run[variable].max("seed")
            axis.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        axes[1].plot(
            x,
            mean["estimate"],
            linestyle="",
            marker="+",
            color="#D55E00",
            markersize=12,
            zorder=3,
            label="estimate",
        )
        axes[2].plot(x, mean["active"][:, 1], label=f"{name}, code", **look)
        look |= {"markerfacecolor": "none", "linewidth": 0.8}
        axes[2].plot(x, mean["active"][:, 0], label=f"{name}, first layer", **look)
    _label(axes)
    return figure


def _label(axes) -> None:
    titles = ("held-out error E‖x − y‖²", "E‖∂h/∂x‖²", "share of active units")
    for axis, text in zip(axes, titles, strict=True):
        axis.set_xscale("symlog", linthresh=0.01, linscale=0.5)
        axis.set_xlim(-1e-3, 13)
        axis.set_xlabel("contractive strength λ")
        axis.set_title(text, fontsize=10)
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(bottom=0)
    axes[1].set_yscale("log")
    axes[2].set_ylim(-0.03, 1.03)
    axes[0].legend(frameon=False)
    handles, _ = axes[1].get_legend_handles_labels()
    axes[1].legend(handles[1:2], [f"estimate, {PROBES} probes a sample"], frameon=False, fontsize=8)
    axes[2].legend(frameon=False, fontsize=8, loc="lower left")


def caption(runs, plan: Plan) -> str:
    """What the picture shows."""
    study = next(iter(runs))
    sizes = " → ".join(map(str, (DATA[study.dataset].inputs, *study.option("layers"))))
    return (
        f"Auto-encoders with two hidden layers on {title(study.dataset)} (encoder {sizes}, its "
        f"mirror image as decoder, free weights), trained at {len(STRENGTHS)} strengths λ of "
        f"E‖∂h/∂x‖² × {study.option('seeds')} seeds in one program, N = {study.samples}, "
        f"{study.option('epochs')} epochs, batch {study.option('batch_size')}, learning rate "
        f"{study.option('learning_rate'):g}, one random probe a sample. Left to right, mean and "
        "min–max over seeds on held-out digits: reconstruction error; the exact penalty, with "
        f"crosses at its estimate (standard error at most {_largest_error(runs):.1%} of it); "
        "the activation fraction of both hidden layers (means alone; h > 0 for ReLU, > 0.1 for "
        "softplus)."
    )


def _largest_error(runs) -> float:
    return max(float((run["standard_error"] / run["penalty"]).max()) for run in runs.values())


def verdicts(runs, dataset: str) -> list[Verdict]:
    """The estimate is right within its own error, and the penalty falls with its strength."""
    decided = []
    for study, run in runs.items():
        name = ACTIVATIONS[study.option("activation")][0]
        off = np.abs(run["estimate"] - run["penalty"]) / run["standard_error"]
        within = Criterion(
            "standard errors off, at most", float(off.max()), STANDARD_ERRORS, +1, None
        )
        statement = f"the Jacobian's estimate agrees with its exact norm, {name}"
        decided.append(claims.settle("deep", dataset, statement, [within], 0))
        decided.append(_falls(study, run, dataset, name))
    return decided


def _falls(study: Study, run, dataset: str, name: str) -> Verdict:
    penalty = run["penalty"].values
    strengths = np.broadcast_to(np.array(study.option("strengths")), penalty.shape)
    falls = rank_correlation(strengths, -penalty, FALLING, "rank correlation of λ and −E‖∂h/∂x‖²")
    statement = f"a larger λ ends with a smaller Jacobian, {name}"
    return claims.settle("deep", dataset, statement, [falls], len(penalty))


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
