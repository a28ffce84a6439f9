"""G3 to G6 and L3 of docs/protocol.md, decided from stored studies; S seeds, m units."""

from collections.abc import Iterator

import numpy as np
from oracle_arpit import Row
from oracle_regimes import mean_of, words
from oracle_runs import Runs
from oracle_stats import (
    HOLDS,
    INCONCLUSIVE,
    MEASURED,
    Decision,
    Estimate,
    construction,
    estimate,
    together,
)
from oracle_studies import row

CONVERGED = 1e-3  # relative fall of J over the last tenth of the iterations
DRAWS = 2000
UNITS = {"identity": "linear", "sigmoid": "sigmoid", "taylor-sigmoid": "Taylor sigmoid"}
PENALTIES = {"kl": "KL", "l1": "ℓ1", "l2": "ℓ2"}


def rows_of_filters(runs: Runs) -> Iterator[Row]:
    """All rows; the settings are new, so that runs seen before are none of them."""
    if runs.scale == "quick":
        return
    found = runs.of_study("gsae-fig1", unseen=True)
    if found:
        yield from similar(runs, found)
        yield from local(runs, found)
        yield from at_bound(runs, found)
    yield from distances(runs)
    yield from masked(runs)


def named(stored: list[dict], name: str, **places: str) -> np.ndarray:
    """A variable by seed at named places of its leading axes, (S, …)."""
    found = []
    for values in stored:
        value = values[name].astype(float)
        for axis, place in places.items():
            value = value[list(values[axis]).index(place)]
        found.append(value)
    return np.array(found)


def below(low: Estimate, high: Estimate) -> tuple[Estimate, str]:
    """How far one mean is below another, and whether their intervals are disjoint."""
    gap = Estimate(high.value - low.value, high.low - low.high, high.high - low.low)
    return gap, gap.at_least(0)


def at_minimum(stored: list[dict], *models: str) -> bool:
    """Whether each of these models is at a minimum with every seed's resample."""
    falls = [mean_of(named(stored, "fall", model=model)) for model in models]
    return all(fall.at_most(CONVERGED) == HOLDS for fall in falls)


def decided(given: bool, *conditions: tuple[Estimate, str]) -> Decision:
    number = conditions[0][0]
    verdict = together(*(verdict for _, verdict in conditions)) if given else INCONCLUSIVE
    return Decision(verdict, number.value, (number.low, number.high))


def similar(runs: Runs, stored: list[dict]) -> Iterator[Row]:
    """G3: nearer to the PCA subspace than digits and than the sparse model, filters as wide."""
    given = at_minimum(stored, "plain", "sparse")
    for side, word in (("decoder", "columns"), ("encoder", "covariance")):
        places = {"model": "plain", "side": side}
        own = mean_of(named(stored, "angle", **places))
        sparse = mean_of(named(stored, "angle", **(places | {"model": "sparse"})))
        sides = list(stored[0]["side"])
        digits = [v["image_angle"][:, sides.index(side)].mean() for v in stored]
        conditions = [below(own, mean_of(np.array(digits))), below(own, sparse)]
        if side == "decoder":
            pca = np.array([float(v["pca_window"]) for v in stored])
            off = mean_of(np.abs(named(stored, "window", **places) / pca - 1))
            conditions.append((off, off.at_most(0.1)))
        yield row(runs, "G3", "mnist", words(word), decided(given, *conditions))


def local(runs: Runs, stored: list[dict]) -> Iterator[Row]:
    """G5: the rows of the sparse sigmoid model against PCA's components and the plain rows."""
    sparse = mean_of(named(stored, "window", model="sparse", side="encoder"))
    plain = mean_of(named(stored, "window", model="plain", side="encoder"))
    pca = mean_of(np.array([float(v["pca_window"]) for v in stored]))
    given = at_minimum(stored, "sparse")
    yield row(runs, "G5", "mnist", words("components"), decided(given, below(pca, sparse)))
    given = given and at_minimum(stored, "plain")
    yield row(runs, "G5", "mnist", words("plain rows"), decided(given, below(plain, sparse)))


def at_bound(runs: Runs, stored: list[dict]) -> Iterator[Row]:
    """G6: J over PCA's bound, and the energy of the rows on pixels without ink."""
    options = next(s["options"] for s, v, _ in runs.studies if v is stored[0])
    for model, decay in (("linear", options["decay"]), ("mixtures", options["smooth"])):
        value, bound = (named(stored, name, model=model) for name in ("value", "bound"))
        excess = mean_of(value / bound - 1)
        ink = mean_of(named(stored, "never_inked", model=model))
        conditions = [(excess, excess.at_most(0.02)), (ink, ink.at_most(0.01))]
        decision = decided(at_minimum(stored, model), *conditions)
        yield row(runs, "G6", "mnist", words(f"λ = {decay:g}"), decision)


def distances(runs: Runs) -> Iterator[Row]:
    """G4: mean over units of abs(ρ̂_j − ρ) at the largest β, and penalties that never rise."""
    for unit, title in UNITS.items():
        stored = runs.of_study("gsae-penalties", unseen=True, unit=unit)
        if not stored:
            continue
        fall = np.array([v["fall"] for v in stored]).astype(float)  # (S, penalty, β)
        largest = estimate(lambda s, x=fall: float(x[s].mean(axis=0).max()), len(fall))
        sums = np.array(
            [[v[n][i] for i, n in enumerate(("kl_of_all", "distance", "square"))] for v in stored]
        ).astype(float)
        rise = np.diff(sums, axis=-1) / sums.max(axis=-1, keepdims=True)
        number = estimate(lambda s, x=rise: float(x[s].mean(axis=0).max()), len(rise))
        verdict = construction(number.at_most(CONVERGED))
        if largest.at_most(CONVERGED) != HOLDS:
            verdict = INCONCLUSIVE
        decision = Decision(verdict, number.value, (number.low, number.high))
        yield row(runs, "G4", "mnist", words(f"does not rise with β: {title} units"), decision)
        for i, penalty in enumerate(PENALTIES):
            at_end = mean_of(np.array([v["distance"][i, -1] for v in stored]).astype(float))
            falls = fall[:, i]
            worst = estimate(lambda s, x=falls: float(x[s].mean(axis=0).max()), len(falls))
            known = worst.at_most(CONVERGED) == HOLDS
            decision = Decision(
                MEASURED if known else INCONCLUSIVE, at_end.value, (at_end.low, at_end.high)
            )
            parts = words("distance", f"{PENALTIES[penalty]}, {title} units")
            yield row(runs, "G4", "mnist", parts, decision)


def median_of(values: np.ndarray) -> Estimate:
    """Median over seeds and units (S, m), resampling seeds and then units within each."""
    rng, known = np.random.default_rng(1), np.isfinite(values)
    drawn = []
    for _ in range(DRAWS):
        seeds = rng.integers(len(values), size=len(values))
        sample = [rng.choice(values[s][known[s]], size=known[s].sum()) for s in seeds]
        drawn.append(np.median(np.concatenate(sample)))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(np.median(values[known])), float(low), float(high))


def masked(runs: Runs) -> Iterator[Row]:
    """L3: half-widths rise over q with disjoint intervals; of Gaussian noise they are measured."""
    for spec, v, unseen in runs.studies:
        if spec["figure"] != "lecture-filters" or not unseen:
            continue
        options = spec["options"]
        medians = [median_of(of.astype(float)) for of in np.moveaxis(v["half_width"], 1, 0)]
        if options["noise"] != "masking":
            decision = Decision(MEASURED, medians[0].value)
            yield row(runs, "L3", spec["dataset"], words("shape of filters"), decision)
            continue
        steps = [below(*medians[i : i + 2]) for i in range(len(medians) - 1)]
        start = "Glorot's start" if options["gain"] == 1 else f"{options['gain']:g} × Glorot"
        # another way to draw the resamples moves the ends of intervals
        decision = Decision(together(*(verdict for _, verdict in steps)), steps[0][0].value)
        yield row(runs, "L3", spec["dataset"], words("masked", start), decision)
