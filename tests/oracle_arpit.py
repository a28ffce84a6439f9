"""A1 to A13 of docs/protocol.md and A15, decided from stored runs.

Every function yields ((claim, scale, dataset, subject), decision); a subject is (objective,
activation, constraint, variant, what is asked).
"""

from collections.abc import Iterator

import numpy as np
from oracle_runs import COMMON_RATE, OWN_RATE, Curve, Runs, Setting
from oracle_stats import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    MOVES,
    NOT_RUN,
    Decision,
    Estimate,
    construction,
    estimate,
    largest,
    majority,
    mean_curve,
    same_direction,
    smallest,
    span,
    spearman,
    together,
)

DATASETS = ("mnist", "cifar10")
Row = tuple[tuple, Decision]
APART = 0.02  # of curves that are one by construction, as in the first record
NO_RUNS = Decision(NOT_RUN)


def decided(verdict: str, number: Estimate, curves: list[Curve]) -> Decision:
    """A decision on curves; inconclusive where too many of their models diverged."""
    if any(curve.too_many_diverged for curve in curves):
        verdict = INCONCLUSIVE
    return Decision(verdict, number.value, (number.low, number.high), curves[0].seeds)


def of_mean(curve: Curve, statistic, name: str = "activation_fraction") -> Estimate:
    """A statistic of the curve averaged over seeds, with its interval."""
    models = curve.models(name)
    return estimate(lambda s: statistic(mean_curve(models, s)), len(curve.seeds))


def moves(curve: Curve) -> bool:
    """Whether the range is above 0.05, its whole interval included."""
    return of_mean(curve, span).low > MOVES


def falls(curve: Curve) -> tuple[str, Estimate]:
    """Spearman ≤ −0.9 and first − last ≥ 0.10, the criterion of the first record."""
    rho = of_mean(curve, lambda c: spearman(curve.strengths, c))
    drop = of_mean(curve, lambda c: c[0] - c[-1])
    return together(rho.at_most(-0.9), drop.at_least(0.10)), rho


def effective_momentum(curve: Curve) -> np.ndarray:
    """μ/(1 − V), V = c η λ p/(1 − μ) with the model's fraction p; inf where V ≥ 1."""
    _, _, _, objective, rate, momentum, _ = curve.setting.key
    gain = {"cae": 2, "mdae": 4}[objective]
    V = gain * rate * curve.strengths * curve.fraction / (1 - momentum)
    return np.where(V < 1, momentum / np.where(V < 1, 1 - V, 1), np.inf)


# (constraint, variant): how many times the rate, which is the own one or that given, and momentum
A1_VARIANTS = {
    ("unit", "own"): (1, None, 0.9),
    ("unit-rescale", "own"): (1, None, 0.9),
    ("unit-rescale", "common"): (1, COMMON_RATE, 0.9),
    ("unit-rescale", "momentum 0"): (10, None, 0.0),
}


def a1(runs: Runs, dataset: str) -> Iterator[Row]:
    for (constraint, variant), (times, rate, momentum) in A1_VARIANTS.items():
        rate = times * (rate or OWN_RATE[dataset])
        for objective in ("cae", "mdae", "dae", "sae"):

            def key(what, claim="A1", subject=(objective, "relu", constraint, variant)):
                return (claim, runs.scale, dataset, (*subject, what))

            setting = Setting(dataset, "relu", constraint, objective, rate, momentum)
            found = runs.curves("revised", setting)
            if objective in ("dae", "sae"):
                yield key("decreasing"), decided(*falls(found[0]), found) if found else NO_RUNS
                if objective == "dae":
                    yield key("alive"), alive(found[0]) if found else NO_RUNS
                continue
            mark = construction if constraint == "unit" else str
            yield key("flat"), flat(found[0], mark) if found else NO_RUNS
            found = runs.curves("new", setting, store="preactivation_deviation")
            yield key("shift", "A15"), shift(found[0], mark) if found else NO_RUNS
    yield twins(runs, "A1", dataset, "relu")


def admitted(curve: Curve, name: str) -> np.ndarray:
    """The models whose effective momentum is at most 0.92, others NaN; all of `unit`."""
    models = curve.models(name)
    if curve.setting.constraint == "unit-rescale" and curve.setting.momentum > 0:
        models[effective_momentum(curve) > 0.92] = np.nan
    return models


def flat(curve: Curve, mark=str) -> Decision:
    models = admitted(curve, "activation_fraction")
    number = estimate(lambda s: span(mean_curve(models, s)), len(curve.seeds))
    verdict = mark(number.at_most(MOVES)) if is_active(curve) else INCONCLUSIVE
    return decided(verdict, number, [curve])


def is_active(curve: Curve) -> bool:
    """Whether the curve is anywhere above 0.05, with its whole interval; else it cannot move."""
    return of_mean(curve, largest).at_most(MOVES) == FAILS


def shift(curve: Curve, mark=str) -> Decision:
    """Largest abs(E[a](λ) − E[a](0)), in units of the unregularized model's sd."""
    shifts = shifts_in_sd(curve, admitted(curve, "preactivation_mean"))
    number = estimate(lambda s: largest(np.abs(mean_curve(shifts, s))), len(curve.seeds))
    verdict = mark(number.at_most(0.1)) if is_active(curve) else INCONCLUSIVE
    return decided(verdict, number, [curve])


def shifts_in_sd(curve: Curve, means: np.ndarray) -> np.ndarray:
    """E[a](λ) − E[a](0) of (seed, strength) in units of that seed's sd at strength 0.

    Each model is compared with the unregularized one of its own seed, so that a shift does not
    mix in the difference of two seeds where a model diverged (rule 5).
    """
    return (means - means[:, :1]) / curve.models("preactivation_deviation")[:, :1]


def alive(curve: Curve) -> Decision:
    """Largest dead share among DAE's models with fraction ≥ 0.05."""
    dead = curve.models("dead_fraction")
    dead[~(curve.fraction >= 0.05)] = np.nan
    number = estimate(lambda s: largest(dead[s]), len(curve.seeds))
    return decided(number.at_most(0.01), number, [curve])


def directions_differ(runs: Runs, one: Setting, other: Setting, status="revised") -> Decision:
    """Whether two settings that both move have different directions."""
    found = runs.curves(status, one, other)
    if not found:
        return NO_RUNS
    smaller = min((of_mean(c, span) for c in found), key=lambda e: e.low)
    if smaller.low <= MOVES:
        return decided(INCONCLUSIVE, smaller, found)

    def differ(s):
        means = [mean_curve(c.fraction, s) for c in found]
        return not same_direction(found[0].strengths, *means)

    return decided(majority(differ, len(found[0].seeds)), smaller, found)


def a2_a5(runs: Runs) -> Iterator[Row]:
    for claim, activation in (("A2", "relu"), ("A5", "sigmoid")):
        for constraint in ("free", "unit"):
            for variant, rate in (("own", None), ("common", COMMON_RATE)):
                for objective in ("cae", "mdae"):
                    settings = [
                        Setting(d, activation, constraint, objective, rate) for d in DATASETS
                    ]
                    what = "directions differ" if constraint == "free" else "control"
                    subject = (objective, activation, constraint, variant, what)
                    if claim == "A2" and constraint == "unit":
                        decision = both_flat(runs, settings)
                    else:
                        decision = directions_differ(runs, *settings)
                    yield (claim, runs.scale, "both", subject), decision
    for dataset in DATASETS:
        found = runs.curves("revised", Setting(dataset, "relu", "free", "dae"))
        key = ("A2", runs.scale, dataset, ("dae", "relu", "free", "own", "smallest"))
        yield key, lowest(found[0], 0.1) if found else NO_RUNS


def both_flat(runs: Runs, settings: list[Setting]) -> Decision:
    """A2's control: with unit rows neither curve moves, by construction."""
    found = runs.curves("revised", *settings)
    if not found:
        return NO_RUNS
    widest = max((of_mean(c, span) for c in found), key=lambda e: e.high)
    return decided(construction(widest.at_most(MOVES)), widest, found)


def lowest(curve: Curve, threshold: float) -> Decision:
    number = of_mean(curve, smallest)
    return decided(number.at_least(threshold), number, [curve])


def a3(runs: Runs, dataset: str) -> Iterator[Row]:
    own = OWN_RATE[dataset]
    tried = [(rate, 50) for rate in (0.001, 0.003, 0.005)] + [(own, 25), (own, 200)]
    for claim, variants in (("A3", [(own, 50)]), ("A3, rates and batches", tried)):
        for rate, batch in variants:
            setting = Setting(dataset, "relu", "unit", "edae", rate, batch=batch)
            whole = tuple(
                Setting(d, "relu", "unit", o, r, batch=b)
                for d, near in OWN_RATE.items()
                for o, r, b in (("edae", near, 50), *(rated(near) if claim != "A3" else ()))
            )
            found = runs.curves("unchanged", setting, figure=whole)
            variant = "own" if claim == "A3" else f"rate {rate:g}, batch {batch}"
            subject = ("edae", "relu", "unit", variant, "decreasing")
            decision = decided(*falls(found[0]), found) if found else NO_RUNS
            yield (claim, runs.scale, dataset, subject), decision


def rated(own: float) -> list[tuple[str, float, int]]:
    """Objective, rate and batch size of everything that is tried at several rates."""
    at_rates = [(o, r, 50) for o in (*FIGURE_1, "edae") for r in (0.001, 0.003, 0.005)]
    return [*at_rates, ("edae", own, 25), ("edae", own, 200)]


def a4(runs: Runs, dataset: str) -> Iterator[Row]:
    for objective in ("dae", "cae", "sae"):
        found = runs.curves("revised", Setting(dataset, "sigmoid", "unit", objective))
        key = ("A4", runs.scale, dataset, (objective, "sigmoid", "unit", "own", "decreasing"))
        yield key, decreasing_where_it_moves(found[0]) if found else NO_RUNS
    yield twins(runs, "A4", dataset, "sigmoid")


def decreasing_where_it_moves(curve: Curve) -> Decision:
    rho = of_mean(curve, lambda c: spearman(curve.strengths, c))
    return decided(rho.at_most(-0.9) if moves(curve) else INCONCLUSIVE, rho, [curve])


def twins(runs: Runs, claim: str, dataset: str, activation: str) -> Row:
    """With unit rows mDAE is CAE: nowhere further apart than 0.02, by construction."""
    settings = [Setting(dataset, activation, "unit", o) for o in ("cae", "mdae")]
    key = (claim, runs.scale, dataset, ("mdae", activation, "unit", "own", "equals cae"))
    found = runs.curves("revised", *settings)
    if not found:
        return key, NO_RUNS
    number = apart(*found)
    return key, decided(construction(number.at_most(APART)), number, found)


def apart(one: Curve, other: Curve) -> Estimate:
    def distance(s):
        return largest(np.abs(mean_curve(one.fraction, s) - mean_curve(other.fraction, s)))

    return estimate(distance, len(one.seeds))


def a6(runs: Runs, dataset: str) -> Iterator[Row]:
    for objective in ("dae", "cae", "sae"):
        settings = [Setting(dataset, a, "unit", objective) for a in ("softplus", "sigmoid")]
        differ = directions_differ(runs, *settings)
        verdict = {HOLDS: FAILS, FAILS: HOLDS}.get(differ.verdict, differ.verdict)
        subject = (objective, "softplus", "unit", "own", "same direction")
        yield ("A6", runs.scale, dataset, subject), differ._replace(verdict=verdict)
    yield twins(runs, "A6", dataset, "softplus")


def a7(runs: Runs, dataset: str) -> Iterator[Row]:
    for objective in ("dae", "sae"):
        settings = [Setting(dataset, "relu", c, objective) for c in ("unit-frozen-bias", "unit")]
        whole = everywhere(("dae", "sae"), ("relu",), ("unit-frozen-bias", "unit"))
        found = runs.curves("unchanged", *settings, figure=whole)
        subject = (objective, "relu", "unit-frozen-bias", "own", "less sparse")
        key = ("A7", runs.scale, dataset, subject)
        if not found:
            yield key, NO_RUNS
            continue
        frozen, biased = (c.fraction for c in found)
        number = estimate(
            lambda s, f=frozen, b=biased: smallest(mean_curve(f, s)) - smallest(mean_curve(b, s)),
            len(found[0].seeds),
        )
        yield key, decided(number.at_least(0.05), number, found)


FIGURE_1 = ("dae", "cae", "mdae", "sae")
OTHERS = ("edae", "dae-antithetic", "dae2", "dae2-kink", "cae-h")


def everywhere(
    objectives: tuple[str, ...], activations: tuple[str, ...], constraints=("unit",)
) -> tuple[Setting, ...]:
    """All of these on both data sets: what the figure that decides a claim is made of."""
    return tuple(
        Setting(d, a, c, o)
        for d in DATASETS
        for a in activations
        for c in constraints
        for o in objectives
    )


def a8(runs: Runs, dataset: str, activation: str) -> Iterator[Row]:
    key = ("A8", runs.scale, dataset, ("all", activation, "unit", "own", "rank correlation"))
    settings = [Setting(dataset, activation, "unit", o) for o in FIGURE_1]
    whole = everywhere(FIGURE_1, ("relu", "sigmoid", "softplus"))
    found = runs.curves("unchanged", *settings, figure=whole)
    if not found:
        yield key, NO_RUNS
        return
    same = {"only": found[0].seeds}
    more = [Setting(dataset, activation, "unit", o) for o in OTHERS]
    curves = found + [c for s in more for c in runs.curves("unchanged", s, **same) or ()]

    def pooled(name, s):
        parts = [c.models(name)[s] for c in curves]
        return np.concatenate([p[:, int(i > 0) :].ravel() for i, p in enumerate(parts)])

    number = estimate(
        lambda s: spearman(pooled("preactivation_mean", s), pooled("activation_fraction", s)),
        len(found[0].seeds),
    )
    verdict = number.at_least(0.9)  # of models, not of a curve: those that diverged are left out
    yield key, Decision(verdict, number.value, (number.low, number.high), found[0].seeds)


def a9(runs: Runs, dataset: str) -> Iterator[Row]:
    key = ("A9", runs.scale, dataset, ("dae-antithetic", "relu", "unit", "own", "not decreasing"))
    shown = ("dae-antithetic", "dae", "edae", "dae2", "dae2-kink")
    settings = [Setting(dataset, "relu", "unit", o) for o in shown]
    found = runs.curves("unchanged", *settings, figure=everywhere(shown, ("relu",)))
    if not found:
        yield key, NO_RUNS
        return
    verdict, number = falls(found[0])
    verdict = {HOLDS: FAILS, FAILS: HOLDS}.get(verdict, verdict)
    yield key, decided(verdict, number, found[:1])
