"""S3 to S5 and S8 to S10 of docs/protocol.md, decided from stored paths.

A path stores its numbers as (seed, run, stage): run 0 follows α, run 1 is the control at α = 0.
"""

from collections.abc import Iterator

import numpy as np
from oracle_arpit import Row
from oracle_runs import Runs
from oracle_stats import (
    INCONCLUSIVE,
    MEASURED,
    Decision,
    Estimate,
    construction,
    estimate,
    spearman,
    together,
)
from oracle_studies import row

UNITS = {"shrink": "soft threshold", "relu": "ReLU", "saturated-linear": "SL"}
STARTS = {"glorot": "a random start", "copied": "and its copy", "bumps": "identity-like start"}
LARGE = {"d": 0.6, "ef": 0.5, "gh": 0.6}  # the α at which filters must have spread


def regimes(runs: Runs) -> Iterator[Row]:
    """All rows; the settings are new, so that runs seen before are none of them."""
    yield from low_energy(runs)
    yield from two_units(runs)
    paths = [
        (spec, values)
        for spec, values, unseen in runs.studies
        if spec["figure"] == "satae-fig4" and spec["options"]["part"] == "path" and unseen
    ]
    if runs.scale == "quick":
        return
    for spec, values in paths:
        yield from panel(runs, spec, values)
    yield from compared(runs, paths)
    yield from identity(runs)


def words(*parts: str) -> str:
    """What is asked, by the words that the statement must have."""
    return " & ".join(("words", *parts))


def lettered(letters: str) -> str:
    return f"panel{'s' * (len(letters) > 1)} {', '.join(letters)}"


def named(options: dict) -> tuple[str, ...]:
    return (UNITS[options["activation"]], f"m = {options['hidden']},", STARTS[options["start"]])


def mean_of(values: np.ndarray) -> Estimate:
    """Mean over seeds with its interval; three seeds go from the smallest to the largest."""
    return estimate(lambda s: float(np.mean(values[s])), len(values))


def ratio_of(above: np.ndarray, below: np.ndarray) -> Estimate:
    return estimate(lambda s: float(above[s].mean() / below[s].mean()), len(above))


def first_that_decides(given: list, conditions: list) -> tuple[str, Estimate]:
    """Verdict and one of its numbers; a precondition that does not hold makes it inconclusive."""
    if any(verdict != "holds" for _, verdict in given):
        return INCONCLUSIVE, given[0][0]
    return together(*(verdict for _, verdict in conditions)), conditions[0][0]


def panel(runs: Runs, spec: dict, v: dict) -> Iterator[Row]:
    """S4 and S8 of one path; of paths from other starts the numbers alone."""
    options = spec["options"]
    if options["role"] == "compared":
        return
    given, conditions = [], []
    start = mean_of(path(v, "flat")[:, 0])
    linear = [(start, start.at_most(0.1))] if options["activation"] == "saturated-linear" else []
    if options["letters"] == "a":
        conditions = strokes(v, options["control"])
    elif options["letters"] == "b":
        given, conditions = no_effect(v)
    elif options["letters"] == "c":
        conditions = gabors(v)
    else:
        given, conditions = linear, spread(v, options)
    verdict, number = first_that_decides(given, conditions)
    for letter in options["letters"]:
        yield from as_role(runs, spec, f"S4{letter}", verdict, number, ())
    if options["letters"] == "gh" and (role(spec) == "decides" or options["start"] == "bumps"):
        yield from as_role(runs, spec, "S5", verdict, number, ())
    flat = path(v, "flat")
    rises = options["activation"] == "saturated-linear"
    asked = flat if rises else 1 - flat
    alphas = np.array(options["alphas"])
    number = estimate(lambda s: spearman(alphas, asked[s].mean(axis=0)), len(asked))
    trend = number.at_least(0.9) if rises else number.at_most(-0.9)
    verdict, number = first_that_decides(linear, [(number, trend)])
    yield from as_role(runs, spec, "S8", verdict, number, (lettered(options["letters"]),))


def as_role(
    runs: Runs, spec: dict, claim: str, verdict: str, number: Estimate, more: tuple
) -> Iterator[Row]:
    options = spec["options"]
    verdict = verdict if options["role"] == "decides" else MEASURED
    decision = Decision(verdict, number.value, (number.low, number.high))
    yield row(runs, claim, spec["dataset"], words(*named(options), *more), decision)


def path(v: dict, name: str, run: int = 0) -> np.ndarray:
    return v[name][:, run].astype(float)


def strokes(v: dict, control: int) -> list:
    local, smooth = mean_of(path(v, "win7")[:, -1]), path(v, "neighbour_correlation")[:, -1]
    smooth = mean_of(smooth)
    conditions = [(local, local.at_least(0.45)), (smooth, smooth.at_least(0.7))]
    if control:
        without = mean_of(path(v, "win7", 1)[:, -1])
        conditions.append((without, without.at_most(0.35)))
    return conditions


def no_effect(v: dict) -> tuple[list, list]:
    peak = mean_of(path(v, "peak_share")[:, 0])
    gap = np.abs(path(v, "participation") - path(v, "participation", 1))
    largest = estimate(lambda s: float(gap[s].mean(axis=0).max()), len(gap))
    return [(peak, peak.at_least(0.5))], [(largest, largest.at_most(0.02))]


def gabors(v: dict) -> list:
    fit, control = (mean_of(v["gabor_r2"][:, i].astype(float)) for i in (0, 1))
    oriented = mean_of(path(v, "orientation_selectivity")[:, -1])
    return [
        (fit, fit.at_least(0.6)),
        (oriented, oriented.at_least(0.5)),
        (control, control.at_most(0.3)),
    ]


def spread(v: dict, options: dict) -> list:
    """PR at the large α at least twice that at 0.1 and at least twice the control's."""
    alphas = list(options["alphas"])
    at = alphas.index(LARGE[options["letters"]])
    pr, control = path(v, "participation"), path(v, "participation", 1)
    ratios = [ratio_of(pr[:, at], pr[:, alphas.index(0.1)]), ratio_of(pr[:, at], control[:, at])]
    return [(r, r.at_least(2)) for r in ratios]


def compared(runs: Runs, paths: list) -> Iterator[Row]:
    """S9, more units, and S10, ReLU, each against the path that decides its panel."""
    deciding = {s["options"]["letters"]: (s, v) for s, v in paths if role(s) == "decides"}
    for spec, v in paths:
        letters = spec["options"]["letters"]
        if role(spec) != "compared" or letters not in deciding:
            continue
        of_panel, base = deciding[letters]
        if spec["options"]["hidden"] != of_panel["options"]["hidden"]:
            few, many = (mean_of(path(x, "participation")[:, -1]) for x in (base, v))
            ends = (few.low - many.high, few.high - many.low)
            number = Estimate(few.value - many.value, *ends)
            claim, verdict = "S9", number.at_least(0)
        else:
            shrink, relu = (path(x, "win7")[:, -1] for x in (base, v))
            number = estimate(
                lambda s, a=relu, b=shrink: float(abs(a[s].mean() / b[s].mean() - 1)), len(relu)
            )
            claim, verdict = "S10", number.at_most(0.1)
        decision = Decision(verdict, number.value, (number.low, number.high))
        yield row(runs, claim, spec["dataset"], words(lettered(letters)), decision)


def role(spec: dict) -> str:
    return spec["options"]["role"]


def identity(runs: Runs) -> Iterator[Row]:
    """S4b: loss and penalty of a scaled identity on binary data, with at most 717 units."""
    for spec, v, _ in runs.studies:
        if spec["figure"] == "satae-fig4" and spec["options"]["part"] == "identity":
            loss, penalty, units = (float(v[n]) for n in ("reconstruction", "saturation", "units"))
            holds = max(loss, penalty) <= 1e-6 and units <= 717 and float(v["half_gap"]) >= 1
            verdict = construction("holds" if holds else "fails")
            decision = Decision(verdict, loss, (loss, loss))
            yield row(runs, "S4b", spec["dataset"], words("scaled identity"), decision)


def low_energy(runs: Runs) -> Iterator[Row]:
    """S3: halved area and low energy on the curve, at one α for all curves.

    `area` and `error`, in half-variances, are (curve, α, start, penalty).
    """
    for v in runs.of_study("satae-fig2", unseen=True):
        best = None
        for i in np.flatnonzero(v["alpha"] > 0):
            area, error = v["area"][:, i].astype(float), v["error"][:, i].astype(float)
            conditions = []
            for c in range(len(area)):
                halved, low = mean_of(area[c, :, 1] / area[c, :, 0]), mean_of(error[c, :, 1])
                conditions += [(halved, halved.at_most(0.5), 0.5), (low, low.at_most(0.1), 0.1)]
            verdict = together(*(c[1] for c in conditions))
            rank = ("holds", INCONCLUSIVE, "fails").index(verdict)
            worst = max(conditions, key=lambda c: c[0].value / c[2])
            excess = worst[0].value / worst[2]
            if best is None or (rank, excess) < best[0]:
                best = ((rank, excess), verdict, worst[0])
        _, verdict, number = best
        decision = Decision(verdict, number.value, (number.low, number.high))
        yield row(runs, "S3", "", words(), decision)


def two_units(runs: Runs) -> Iterator[Row]:
    """S3b, S3c: angle, lengths and saturation at the curve's ends, (α, start, penalty, …)."""
    for v in runs.of_study("satae-fig3", unseen=True):
        spec = next(s for s, values, _ in runs.studies if values is v)
        drawn = int(spec["options"]["drawn"])
        off = np.abs(90 - v["angle"][drawn, :, 0].astype(float))
        number = estimate(lambda s, x=off: float(np.median(x[s])), len(off))
        decision = Decision(number.at_most(20), number.value, (number.low, number.high))
        yield row(runs, "S3b", "", words(), decision)
        length = v["length"][drawn].astype(float).mean(axis=-1)
        longer = mean_of(length[:, 1] / length[:, 0])
        ends = v["saturated"][drawn, :, 1].astype(float)
        share = estimate(lambda s, x=ends: float(x[s].mean(axis=0).min()), len(ends))
        verdict = together(longer.at_least(1.5), share.at_least(2 / 3))
        decision = Decision(verdict, longer.value, (longer.low, longer.high))
        yield row(runs, "S3c", "", words(), decision)
