"""A14 and A16 to A21 of docs/protocol.md: new claims, decided from unseen runs only.

Rows that are measured decide nothing, and show runs seen before where there are no others.
"""

from collections.abc import Iterator

import numpy as np
from oracle_arpit import (
    A1_VARIANTS,
    FIGURE_1,
    NO_RUNS,
    Row,
    decided,
    moves,
    of_mean,
    shift,
    shifts_in_sd,
)
from oracle_runs import OWN_RATE, Curve, Runs, Setting
from oracle_stats import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    MEASURED,
    MOST_DIVERGED,
    Decision,
    direction,
    estimate,
    majority,
    mean_curve,
    smallest,
    spearman,
    together,
)

ACTIVATIONS = ("relu", "sigmoid", "softplus")
FALLS = (
    ("sae", "relu"),
    ("sae", "softplus"),
    ("sae", "sigmoid"),
    ("cae", "softplus"),
    ("dae", "softplus"),
    ("cae", "sigmoid"),
    ("dae", "sigmoid"),
)


def a14(runs: Runs, dataset: str) -> Iterator[Row]:
    for objective, activation in FALLS:
        key = ("A14", runs.scale, dataset, (objective, activation, "unit", "own", "mean falls"))
        setting = Setting(dataset, activation, "unit", objective)
        found = runs.curves("new", setting, store="preactivation_deviation")
        yield key, mean_falls(found[0]) if found else NO_RUNS


def mean_falls(curve: Curve) -> Decision:
    """The fall is E[a](0) − E[a](last) in units of the unregularized model's sd."""
    shifts = shifts_in_sd(curve, curve.models("preactivation_mean"))
    size = estimate(lambda s: -mean_curve(shifts, s)[-1], len(curve.seeds))
    rho = of_mean(curve, lambda c: spearman(curve.strengths, c), "preactivation_mean")
    if size.high <= -0.1:
        verdict = FAILS  # it rises
    elif size.low < 0.1:
        verdict = INCONCLUSIVE
    else:
        verdict = rho.at_most(-0.9)
    return decided(verdict, size, [curve])


def a16(runs: Runs, dataset: str, activation: str) -> Iterator[Row]:
    for objective in ("cae", "mdae"):
        head = (objective, activation, "free", "own")
        setting = Setting(dataset, activation, "free", objective)
        found = runs.curves("new", setting)
        key = ("A16", runs.scale, dataset, (*head, "row length falls"))
        if found:
            curve = found[0]
            rho = of_mean(curve, lambda c, x=curve.strengths: spearman(x, c), "row_length_mean")
            yield key, decided(rho.at_most(-0.9), rho, found)
        else:
            yield key, NO_RUNS
        found = runs.curves("new", setting, store="threshold_distance")
        key = ("A16", runs.scale, dataset, (*head, "distance follows fraction"))
        yield key, distance_follows(found[0]) if found else NO_RUNS


def distance_follows(curve: Curve) -> Decision:
    distances = curve.models("threshold_distance")
    rho = estimate(
        lambda s: spearman(mean_curve(distances, s), mean_curve(curve.fraction, s)),
        len(curve.seeds),
    )
    return decided(rho.at_least(0.9) if moves(curve) else INCONCLUSIVE, rho, [curve])


def a17(runs: Runs, dataset: str, activation: str) -> Iterator[Row]:
    for objective in FIGURE_1:
        settings = [Setting(dataset, activation, c, objective) for c in ("unit", "free")]
        measured = objective in ("cae", "mdae")
        found = runs.curves("revised" if measured else "new", *settings)
        subject = (objective, activation, "unit", "own", "lower than free")
        key = ("A17", runs.scale, dataset, subject)
        if not found:
            yield key, NO_RUNS
            continue
        number = estimate(
            lambda s, f=found: lowest_alive(f[1], s) - lowest_alive(f[0], s), len(found[0].seeds)
        )
        verdict = number.at_least(0.02) if any(map(moves, found)) else INCONCLUSIVE
        decision = decided(verdict, number, found)
        yield key, decision._replace(verdict=MEASURED) if measured else decision


def lowest_alive(curve: Curve, seeds) -> float:
    """The lowest mean fraction at strengths whose models have ≤ 1% dead units on average."""
    dead = mean_curve(curve.models("dead_fraction"), seeds)
    fraction = mean_curve(curve.fraction, seeds)
    alive = fraction[dead <= 0.01]
    return float(np.min(alive)) if len(alive) else float("nan")


def a18(runs: Runs, dataset: str, activation: str) -> Iterator[Row]:
    key = ("A18", runs.scale, dataset, ("sae", activation, "free", "own", "grows from"))
    found = runs.curves("revised", Setting(dataset, activation, "free", "sae"))
    if not found:
        yield key, NO_RUNS
        return
    lengths = found[0].models("history_row_length_max", drop=False)
    grown = ~(lengths <= 5 * lengths[:, :, :1])
    strengths = found[0].strengths[grown.any(axis=(0, 2))]
    number = float(strengths.min()) if len(strengths) else float("nan")
    yield key, Decision(MEASURED, number, (number, number), found[0].seeds)


def a19(runs: Runs, dataset: str, activation: str, constraint: str) -> Iterator[Row]:
    for objective in FIGURE_1:
        key = (
            "A19",
            runs.scale,
            dataset,
            (objective, activation, constraint, "own", "distributed"),
        )
        setting = Setting(dataset, activation, constraint, objective)
        found = runs.curves("new", setting, store="rarely_active")
        yield key, distributed(found) if found else NO_RUNS


def distributed(curves: list[Curve]) -> Decision:
    """Smallest share of rarely active units over the models that are asked."""
    shares = np.concatenate([asked_share(c) for c in curves], axis=1)
    if np.isnan(shares).all():
        return Decision(INCONCLUSIVE, seeds=curves[0].seeds)
    number = estimate(lambda s: smallest(shares[s]), len(shares))
    verdict = number.at_least(0.9)
    return Decision(verdict, number.value, (number.low, number.high), curves[0].seeds)


def asked_share(curve: Curve) -> np.ndarray:
    """Share of rarely active units of models with fraction 0.05 to 0.1 and ≤ 1% dead."""
    fraction, dead = curve.fraction, curve.models("dead_fraction")
    asked = (fraction >= 0.05) & (fraction <= 0.1) & (dead <= 0.01)
    return np.where(asked, curve.models("rarely_active"), np.nan)


def a20(runs: Runs, dataset: str) -> Iterator[Row]:
    """SAE with tanh: the share of units with abs(h) > 0.1 has no decreasing direction."""
    key = ("A20", runs.scale, dataset, ("sae", "tanh", "unit", "own", "does not fall"))
    found = runs.curves("new", Setting(dataset, "tanh", "unit", "sae"), store="code_small")
    if not found:
        yield key, NO_RUNS
        return
    curve = found[0]
    large = 1 - curve.models("code_small")

    def not_decreasing(s):
        return direction(curve.strengths, mean_curve(large, s)) != "decreasing"

    rho = estimate(lambda s: spearman(curve.strengths, mean_curve(large, s)), len(large))
    yield key, decided(majority(not_decreasing, len(large)), rho, found)


def a20_maxout(runs: Runs, dataset: str) -> Iterator[Row]:
    """SAE with maxout of 3 pieces: E[h] falls, and h is not small on more samples."""
    key = ("A20", runs.scale, dataset, ("sae", "maxout", "unit", "own", "mean falls alone"))
    found = runs.by_seed("arpit-negative", True, dataset=dataset, pieces=3)
    seeds = next((s for s in runs.candidates("new") if set(s) <= set(found)), ())
    if not seeds:
        yield key, NO_RUNS
        return
    models = [found[seed] for seed in seeds]
    diverged = np.array([m["flagged_epoch"] >= 0 for m in models])
    mean, small = (
        np.where(diverged, np.nan, [m[name] for m in models])
        for name in ("code_mean", "code_small")
    )
    strengths = models[0]["strength"]
    rho = estimate(lambda s: spearman(strengths, mean_curve(mean, s)), len(seeds))
    rising = majority(
        lambda s: direction(strengths, mean_curve(small, s)) == "increasing", len(seeds)
    )
    verdict = together(rho.at_most(-0.9), {HOLDS: FAILS, FAILS: HOLDS}.get(rising, rising))
    if int(diverged.any(axis=0).sum()) > MOST_DIVERGED:
        verdict = INCONCLUSIVE
    yield key, Decision(verdict, rho.value, (rho.low, rho.high), seeds)


def a21(runs: Runs, dataset: str) -> Iterator[Row]:
    """CAE: E[a_j] falls with softplus (as in A14) and stays with ReLU (as in A15)."""
    for constraint in ("unit", "unit-rescale"):
        setting = Setting(dataset, "softplus", constraint, "cae")
        found = runs.curves("new", setting, store="preactivation_deviation")
        key = ("A21", runs.scale, dataset, ("cae", "softplus", constraint, "own", "mean falls"))
        yield key, mean_falls(found[0]) if found else NO_RUNS
    for (constraint, variant), (times, rate, momentum) in A1_VARIANTS.items():
        if constraint == "unit-rescale":
            rate = times * (rate or OWN_RATE[dataset])
            setting = Setting(dataset, "relu", constraint, "cae", rate, momentum)
            found = runs.curves("new", setting, store="preactivation_deviation")
            key = ("A21", runs.scale, dataset, ("cae", "relu", constraint, variant, "shift"))
            yield key, shift(found[0]) if found else NO_RUNS
