"""The paths along growing penalties that SATAE's Figures 4 and 5 share, and numbers along them."""

import numpy as np

from experiments.evidence.criteria import Criterion, over_seeds
from experiments.evidence.curves import spearman
from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

__all__ = [
    "ALPHAS",
    "SHOWN",
    "WIDTH",
    "along",
    "path_studies",
    "saturated_before",
    "span",
    "trend",
]

ALPHAS = tuple(round(0.1 * k, 1) for k in range(11))  # section 4: from 0 to 1, each from the last
SHOWN = {"shrink": (0.1, 0.5), "saturated-linear": (0.1, 0.6)}  # the caption's, for CIFAR-10
# Section 4 has 0.05; taken is the largest at which no model of the path is lost. Whole colour
# images, whose first principal component is the largest, may need less than the others.
RATES = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_SMALLER = {"cifar10-images": (0.0005, 0.0002)}
WIDTH = 0.5  # of shrink; the paper names none
MOSTLY = 0.5  # share of saturated pre-activations of a model outside the linear region
MONOTONE = 0.9  # S8: Spearman's correlation with α
# Hidden units (the paper has 300 in panels b, g and h), epochs at each α; per data set its samples
# and tiles.
_SIZES = {
    "quick": (36, 3, {"digits": (800, 36), "natural": (800, 36), "photos": (800, 36)}),
    "reduced": (
        100,
        30,
        {"mnist-binary": (2_000, 36), "natural": (3_000, 36), "cifar10-images": (1_000, 16)},
    ),
}
_INPUTS = {
    "digits": 64,
    "natural": 144,
    "photos": 192,
    "mnist-binary": 784,
    "cifar10-images": 3_072,
}
TRACKED = ("photos", "cifar10-images")  # the data whose SL filters SATAE Figure 5 follows


def path_study(plan: Plan, dataset: str, nonlinearity: str) -> Study:
    """The study of one data set and nonlinearity, stored for SATAE Figure 4."""
    hidden, epochs, sizes = _SIZES[plan.scale_name]
    samples, tiles = sizes[dataset]
    rates = (*RATES, *_SMALLER.get(dataset, ()))
    linear = nonlinearity == "saturated-linear"
    options = (
        ("part", "path"),
        ("nonlinearity", nonlinearity),
        ("width", 0.0 if linear else WIDTH),
        ("control", int(linear)),  # beside the path, as many updates without penalty
        ("constraint", "free" if linear else "unit-columns"),
        ("hidden", hidden),
        ("epochs", epochs),
        ("batch_size", 50),
        ("rates", rates if plan.learning_rate is None else (plan.learning_rate,)),
        ("alphas", ALPHAS),
        ("shown", SHOWN[nonlinearity]),
        ("seeds", plan.seeds),
        ("tiles", tiles),
        ("tracked", 2 * int(linear and dataset in TRACKED)),
    )
    size = _INPUTS[dataset] * hidden * samples * epochs
    work = 10 * size * (1 + linear) * len(ALPHAS) * plan.seeds
    return Study("satae-fig4", dataset, samples, options=options, work=work)


def path_studies(plan: Plan) -> list[Study]:
    """A path per data set of the scale and nonlinearity, all seeds in one program."""
    return [path_study(plan, d, name) for d in _SIZES[plan.scale_name][2] for name in SHOWN]


def trend(name: str, values: np.ndarray, sign: int) -> Criterion:
    """Spearman's correlation of α and the mean over seeds of values `[S, stages]`.

    At most −0.9 for `sign` +1, at least 0.9 for −1.
    """

    def over(seeds: np.ndarray) -> float:
        mean = values[seeds].mean(axis=0)
        return spearman(np.array(ALPHAS), mean) if np.isfinite(mean).all() else np.nan

    return over_seeds(f"Spearman of α and {name}", over, len(values), -sign * MONOTONE, sign)


def along(run, name: str, arm: int = 0) -> np.ndarray:
    """A variable of a path (arm 0) or of its control (arm 1), `[S, stages]`."""
    return run[name].values[:, arm].astype(float)


def span(values: np.ndarray) -> str:
    """The first and the last mean over seeds, for people."""
    mean = values.mean(axis=0)
    return f"{mean[0]:.3f} → {mean[-1]:.3f}"


def saturated_before(study: Study, run) -> list[str]:
    """How far the trained path is from the identity that the paper starts from."""
    flat, hidden = along(run, "flat")[:, 0].mean(), study.option("hidden")
    told = f"{flat:.1%} of the pre-activations are saturated at α = 0, with {hidden} units on "
    told += f"{int(run['inputs'])} inputs"
    if flat < MOSTLY:
        return [f"{told}."]
    return [
        f"{told}: this model does not start as the identity, in the linear region, which the "
        "paper describes."
    ]
